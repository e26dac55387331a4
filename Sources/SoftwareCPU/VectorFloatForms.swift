internal import CEngine
internal import X86

// Vector floating point: the fast path while the guest masks all exceptions, and the exact one.

/// The elements of a result that may be denormal: an unmasked underflow reports those even when
/// they are exact, which the masked host operation does not.
enum VectorFormat {
    /// Integers, comparisons, or values that cannot become denormal.
    case other
    case scalarSingle, packedSingle, scalarDouble, packedDouble
}

/// MXCSR as the host needs it while guest code runs: everything masked. Bits that are not defined,
/// which a state from outside may have, would fault in the host.
@inline(__always)
func hostControl(_ guest: UInt32) -> UInt32 {
    guest & UInt32(MXCSR_DEFINED) | UInt32(MXCSR_MASKS)
}

/// Puts the guest's MXCSR into the host's, whose own is kept for `vectorStateSync`.
///
/// The run loop calls it at its entry. Between the two calls no other code of this thread may
/// rely on rounding or denormals of SSE arithmetic.
@inline(__always)
func vectorStateLoad(_ cpu: CPU) {
    unsafe cpu.pointee.hostMXCSR = vector_host_mxcsr()
    vector_set_host_mxcsr(hostControl(unsafe cpu.pointee.mxcsr))
}

/// Collects the sticky flags that guest code has set into `cpu.mxcsr` and restores the host's
/// MXCSR.
@inline(__always)
func vectorStateSync(_ cpu: CPU) {
    unsafe collectFlags(cpu)
    vector_set_host_mxcsr(unsafe cpu.pointee.hostMXCSR)
}

/// `cpu.mxcsr` with the flags that guest code has set so far; inside the run loop.
@inline(__always)
@discardableResult
func collectFlags(_ cpu: CPU) -> UInt32 {
    let value =
        unsafe cpu.pointee.mxcsr | (vector_host_mxcsr() & UInt32(MXCSR_FLAGS))
    unsafe cpu.pointee.mxcsr = value
    return value
}

/// Makes `value`, free of reserved bits, the guest's MXCSR; inside the run loop.
@inline(__always)
func setMXCSR(_ cpu: CPU, _ value: UInt32) {
    unsafe cpu.pointee.mxcsr = value
    vector_set_host_mxcsr(hostControl(value))
}

/// The guest masks all vector floating-point exceptions.
@inline(__always)
func allMasked(_ cpu: CPU) -> Bool {
    let masks = UInt32(MXCSR_MASKS)
    return unsafe cpu.pointee.mxcsr & masks == masks
}

/// Runs `compute`, which writes only a temporary, with an empty set of flags and everything
/// masked. True: no unmasked exception, `mxcsr` has the flags, the caller commits. False: #XM
/// (or #UD) is recorded (SDM volume 1, section 11.5).
///
/// Two deviations, in flags only: with an unmasked OE or UE, PE may be set where the processor,
/// which does not bring the exponent into range then, has an exact result; and DPPS and DPPD are
/// one operation here, where the processor stops between products and sums.
@inline(never)
func withExceptions(
    _ cpu: CPU, _ op: Op, _ format: VectorFormat, _ result: UnsafeRawPointer, _ compute: () -> Void
) -> Bool {
    let guest = unsafe collectFlags(cpu)
    let masks = guest & UInt32(MXCSR_MASKS)
    let allFlags = UInt32(MXCSR_FLAGS)
    let underflow: UInt32 = 1 << 4
    let underflowUnmasked = masks & (underflow << UInt32(MXCSR_MASK_SHIFT)) == 0
    var control = hostControl(guest) & ~allFlags
    // An unmasked underflow reports the tiny result instead of flushing it.
    if underflowUnmasked { control &= ~UInt32(MXCSR_FLUSH_TO_ZERO) }
    vector_set_host_mxcsr(control)
    compute()
    var flags = vector_host_mxcsr() & allFlags
    vector_set_host_mxcsr(hostControl(guest))
    if underflowUnmasked, unsafe hasDenormal(result, format) { flags |= underflow }
    let unmasked = ~(masks >> UInt32(MXCSR_MASK_SHIFT)) & allFlags
    // IE, DE and ZE are found before the operation and then keep OE, UE and PE from happening.
    if flags & unmasked & 0x7 != 0 { flags &= 0x7 }
    unsafe setMXCSR(cpu, guest | flags)
    if flags & unmasked == 0 { return true }
    let reported = unsafe cpu.pointee.cr4 & (1 << 10) != 0
    unsafe raise(
        cpu, op, vector: reported ? Vector.simdFloatingPoint : Vector.invalidOpcode)
    return false
}

/// One of the elements is a denormal number.
func hasDenormal(_ result: UnsafeRawPointer, _ format: VectorFormat) -> Bool {
    switch format {
    case .other:
        return false
    case .scalarSingle, .packedSingle:
        let count = format == .scalarSingle ? 1 : 4
        return (0..<count).contains { index in
            let bits = unsafe result.loadUnaligned(fromByteOffset: index &* 4, as: UInt32.self)
            return bits & 0x7f80_0000 == 0 && bits & 0x7f_ffff != 0
        }
    case .scalarDouble, .packedDouble:
        let count = format == .scalarDouble ? 1 : 2
        return (0..<count).contains { index in
            let bits = unsafe result.loadUnaligned(fromByteOffset: index &* 8, as: UInt64.self)
            return bits & 0x7ff0_0000_0000_0000 == 0 && bits & 0xf_ffff_ffff_ffff != 0
        }
    }
}

/// The exact path for 16-byte destinations. A general-purpose destination is copied with the
/// register behind it, which stays as it is.
@inline(never)
func floatExact(
    _ cpu: CPU, _ op: Op, _ format: VectorFormat, _ source: UnsafeRawPointer, _ body: VectorBody
) -> Bool {
    let destination = unsafe vectorDestination(cpu, op)
    var temporary = unsafe destination.loadUnaligned(as: Vector128.self)
    let done = unsafe withUnsafeMutableBytes(of: &temporary) { bytes in
        guard let pointer = bytes.baseAddress else { return false }
        return unsafe withExceptions(cpu, op, format, pointer) { unsafe body(pointer, source) }
    }
    if done { unsafe destination.copyMemory(from: &temporary, byteCount: 16) }
    return done
}

@inline(never)
func floatImmediateExact(
    _ cpu: CPU, _ op: Op, _ format: VectorFormat, _ source: UnsafeRawPointer,
    _ body: VectorImmediateBody
) -> Bool {
    let destination = unsafe vectorDestination(cpu, op)
    let immediate = UInt32(unsafe op.pointee.auxiliary)
    var temporary = unsafe destination.loadUnaligned(as: Vector128.self)
    let done = unsafe withUnsafeMutableBytes(of: &temporary) { bytes in
        guard let pointer = bytes.baseAddress else { return false }
        return unsafe withExceptions(cpu, op, format, pointer) {
            unsafe body(pointer, source, immediate)
        }
    }
    if done { unsafe destination.copyMemory(from: &temporary, byteCount: 16) }
    return done
}

@inline(__always)
func floatRun(
    _ cpu: CPU, _ op: Op, _ format: VectorFormat, _ source: UnsafeRawPointer, _ body: VectorBody
) -> Next {
    if _fastPath(unsafe allMasked(cpu)) {
        unsafe body(vectorDestination(cpu, op), source)
    } else if !(unsafe floatExact(cpu, op, format, source, body)) {
        return nil
    }
    return unsafe op + 1
}

@inline(__always)
func floatRegister(_ cpu: CPU, _ op: Op, _ format: VectorFormat, _ body: VectorBody) -> Next {
    unsafe floatRun(cpu, op, format, vectorSource(cpu, op), body)
}

@inline(__always)
func floatMemory16(_ cpu: CPU, _ op: Op, _ format: VectorFormat, _ body: VectorBody) -> Next {
    guard let source = unsafe vectorAligned(cpu, op) else { return nil }
    return unsafe floatRun(cpu, op, format, source, body)
}

@inline(__always)
func floatMemory(
    _ cpu: CPU, _ op: Op, _ byteCount: Int, _ format: VectorFormat, _ body: VectorBody
) -> Next {
    guard let source = unsafe vectorUnaligned(cpu, op, byteCount) else { return nil }
    return unsafe floatRun(cpu, op, format, source, body)
}

@inline(__always)
func floatImmediateRun(
    _ cpu: CPU, _ op: Op, _ format: VectorFormat, _ source: UnsafeRawPointer,
    _ body: VectorImmediateBody
) -> Next {
    if _fastPath(unsafe allMasked(cpu)) {
        unsafe body(vectorDestination(cpu, op), source, UInt32(op.pointee.auxiliary))
    } else if !(unsafe floatImmediateExact(cpu, op, format, source, body)) {
        return nil
    }
    return unsafe op + 1
}

@inline(__always)
func floatImmediateRegister(
    _ cpu: CPU, _ op: Op, _ format: VectorFormat, _ body: VectorImmediateBody
) -> Next {
    unsafe floatImmediateRun(cpu, op, format, vectorSource(cpu, op), body)
}

@inline(__always)
func floatImmediateMemory16(
    _ cpu: CPU, _ op: Op, _ format: VectorFormat, _ body: VectorImmediateBody
) -> Next {
    guard let source = unsafe vectorAligned(cpu, op) else { return nil }
    return unsafe floatImmediateRun(cpu, op, format, source, body)
}

@inline(__always)
func floatImmediateMemory(
    _ cpu: CPU, _ op: Op, _ byteCount: Int, _ format: VectorFormat, _ body: VectorImmediateBody
) -> Next {
    guard let source = unsafe vectorUnaligned(cpu, op, byteCount) else { return nil }
    return unsafe floatImmediateRun(cpu, op, format, source, body)
}

/// COMISS and its kind: the flags are the result.
@inline(__always)
func floatCompare(
    _ cpu: CPU, _ op: Op, _ source: UnsafeRawPointer,
    _ body: @convention(c) (UnsafeRawPointer, UnsafeRawPointer) -> UInt64
) -> Next {
    let first = unsafe UnsafeRawPointer(vectorDestination(cpu, op))
    if _fastPath(unsafe allMasked(cpu)) {
        unsafe cpu.pointee.statusFlags = body(first, source)
        return unsafe op + 1
    }
    return unsafe floatCompareExact(cpu, op, first, source, body)
}

@inline(__always)
func floatCompareMemory(
    _ cpu: CPU, _ op: Op, _ byteCount: Int,
    _ body: @convention(c) (UnsafeRawPointer, UnsafeRawPointer) -> UInt64
) -> Next {
    guard let source = unsafe vectorUnaligned(cpu, op, byteCount) else { return nil }
    return unsafe floatCompare(cpu, op, source, body)
}

@inline(never)
func floatCompareExact(
    _ cpu: CPU, _ op: Op, _ first: UnsafeRawPointer, _ source: UnsafeRawPointer,
    _ body: @convention(c) (UnsafeRawPointer, UnsafeRawPointer) -> UInt64
) -> Next {
    var flags: UInt64 = 0
    let done = unsafe withExceptions(cpu, op, .other, first) { flags = unsafe body(first, source) }
    if !done { return nil }
    unsafe cpu.pointee.statusFlags = flags
    return unsafe op + 1
}

// MARK: Conversions that touch MMX registers

/// CVTPS2PI and its kind: an MMX register is written.
@inline(__always)
func floatToMMX(_ cpu: CPU, _ op: Op, _ source: UnsafeRawPointer, _ body: VectorBody) -> Next {
    if unsafe mmxPending(cpu, op) { return nil }
    // The transition to MMX stays even if an unmasked exception follows.
    unsafe mmxTransition(cpu)
    guard let next = unsafe floatRun(cpu, op, .other, source, body) else { return nil }
    unsafe mmxWritten(cpu, op)
    return unsafe next
}

@inline(__always)
func floatToMMXLoaded(_ cpu: CPU, _ op: Op, _ byteCount: Int, _ body: VectorBody) -> Next {
    if unsafe mmxPending(cpu, op) { return nil }
    // The 16-byte operand of CVTPD2PI has to be aligned.
    let source =
        byteCount == 16
        ? unsafe vectorAligned(cpu, op) : unsafe vectorUnaligned(cpu, op, byteCount)
    guard let source = unsafe source else { return nil }
    return unsafe floatToMMX(cpu, op, source, body)
}

/// CVTPI2PS and CVTPI2PD from an MMX register.
@inline(__always)
func floatFromMMX(_ cpu: CPU, _ op: Op, _ body: VectorBody) -> Next {
    if unsafe mmxPending(cpu, op) { return nil }
    unsafe mmxTransition(cpu)
    return unsafe floatRun(cpu, op, .other, vectorSource(cpu, op), body)
}
