internal import CEngine
internal import X86

// Vector floating point: the fast path while the guest masks all exceptions, and the exact one.

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
        let run = unsafe VectorRun(format, destination, source, result: pointer)
        return unsafe withExceptions(cpu, op, run) { unsafe body(pointer, source) }
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
        var run = unsafe VectorRun(format, destination, source, result: pointer)
        run.immediate = immediate
        return unsafe withExceptions(cpu, op, run) { unsafe body(pointer, source, immediate) }
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
    let run = unsafe VectorRun(.other, first, source, result: first)
    let done = unsafe withExceptions(cpu, op, run) { flags = unsafe body(first, source) }
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
