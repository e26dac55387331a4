internal import CEngine
internal import X86

// The shapes of vector instructions. Each is inlined into the closures of the tables in
// VectorTable*.swift, together with the C body it is given.

/// `d` <- `d` op `s`.
typealias VectorBody = @convention(c) (UnsafeMutableRawPointer, UnsafeRawPointer) -> Void
/// `d` <- `d` op `s`, with an immediate byte.
typealias VectorImmediateBody =
    @convention(c) (
        UnsafeMutableRawPointer, UnsafeRawPointer, UInt32
    ) -> Void
/// `d` <- `d` shifted by a count.
typealias VectorShiftBody = @convention(c) (UnsafeMutableRawPointer, UInt32) -> Void

/// The destination register inside `CPUState`.
@inline(__always)
func vectorDestination(_ cpu: CPU, _ op: Op) -> UnsafeMutableRawPointer {
    // SAFETY: lowering gives offsets of registers inside CPUState only.
    unsafe cpu.bytes + Int(op.pointee.destination)
}

/// The source register inside `CPUState`.
@inline(__always)
func vectorSource(_ cpu: CPU, _ op: Op) -> UnsafeRawPointer {
    // SAFETY: as above.
    unsafe UnsafeRawPointer(cpu.bytes + Int(op.pointee.source))
}

/// The memory source of 16 bytes that SSE wants aligned: #GP(0) otherwise.
@inline(__always)
func vectorAligned(_ cpu: CPU, _ op: Op) -> UnsafeRawPointer? {
    let address = unsafe effectiveAddress(cpu, op)
    if _slowPath(address & 15 != 0) {
        unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        return nil
    }
    return unsafe readPointer(cpu, op, address, 16)
}

/// The memory source of `byteCount` bytes at any alignment.
@inline(__always)
func vectorUnaligned(_ cpu: CPU, _ op: Op, _ byteCount: Int) -> UnsafeRawPointer? {
    unsafe readPointer(cpu, op, effectiveAddress(cpu, op), byteCount)
}

// MARK: xmm <- xmm op xmm/m

@inline(__always)
func vectorMemory16(_ cpu: CPU, _ op: Op, _ body: VectorBody) -> Next {
    guard let source = unsafe vectorAligned(cpu, op) else { return nil }
    unsafe body(vectorDestination(cpu, op), source)
    return unsafe op + 1
}

@inline(__always)
func vectorMemory(_ cpu: CPU, _ op: Op, _ byteCount: Int, _ body: VectorBody) -> Next {
    guard let source = unsafe vectorUnaligned(cpu, op, byteCount) else { return nil }
    unsafe body(vectorDestination(cpu, op), source)
    return unsafe op + 1
}

@inline(__always)
func vectorImmediateMemory16(_ cpu: CPU, _ op: Op, _ body: VectorImmediateBody) -> Next {
    guard let source = unsafe vectorAligned(cpu, op) else { return nil }
    unsafe body(vectorDestination(cpu, op), source, UInt32(op.pointee.auxiliary))
    return unsafe op + 1
}

@inline(__always)
func vectorImmediateMemory(
    _ cpu: CPU, _ op: Op, _ byteCount: Int, _ body: VectorImmediateBody
) -> Next {
    guard let source = unsafe vectorUnaligned(cpu, op, byteCount) else { return nil }
    unsafe body(vectorDestination(cpu, op), source, UInt32(op.pointee.auxiliary))
    return unsafe op + 1
}

// MARK: mm <- mm op mm/m

/// A pending x87 exception is raised by every MMX instruction before it does anything.
@inline(__always)
func mmxPending(_ cpu: CPU, _ op: Op) -> Bool {
    unsafe x87_release(cpu)
    if _fastPath(unsafe cpu.pointee.x87Status & 0x80 == 0) { return false }
    unsafe raise(cpu, op, vector: Vector.floatingPoint)
    return true
}

/// Every MMX instruction makes TOP 0 and, but for EMMS, all tags valid.
@inline(__always)
func mmxTransition(_ cpu: CPU) {
    unsafe cpu.pointee.x87Status &= ~0x3800
    unsafe cpu.pointee.x87Tags = 0xff
}

/// A written MMX register has sign and exponent of all ones.
@inline(__always)
func mmxWritten(_ cpu: CPU, _ op: Op) {
    unsafe vectorDestination(cpu, op).storeBytes(of: 0xffff, toByteOffset: 8, as: UInt16.self)
    unsafe mmxTransition(cpu)
}

@inline(__always)
func mmxRegister(_ cpu: CPU, _ op: Op, _ body: VectorBody) -> Next {
    if unsafe mmxPending(cpu, op) { return nil }
    unsafe body(vectorDestination(cpu, op), vectorSource(cpu, op))
    unsafe mmxWritten(cpu, op)
    return unsafe op + 1
}

@inline(__always)
func mmxMemory(_ cpu: CPU, _ op: Op, _ byteCount: Int, _ body: VectorBody) -> Next {
    if unsafe mmxPending(cpu, op) { return nil }
    guard let source = unsafe vectorUnaligned(cpu, op, byteCount) else { return nil }
    unsafe body(vectorDestination(cpu, op), source)
    unsafe mmxWritten(cpu, op)
    return unsafe op + 1
}

@inline(__always)
func mmxImmediateRegister(_ cpu: CPU, _ op: Op, _ body: VectorImmediateBody) -> Next {
    if unsafe mmxPending(cpu, op) { return nil }
    unsafe body(vectorDestination(cpu, op), vectorSource(cpu, op), UInt32(op.pointee.auxiliary))
    unsafe mmxWritten(cpu, op)
    return unsafe op + 1
}

@inline(__always)
func mmxImmediateMemory(_ cpu: CPU, _ op: Op, _ body: VectorImmediateBody) -> Next {
    if unsafe mmxPending(cpu, op) { return nil }
    guard let source = unsafe vectorUnaligned(cpu, op, 8) else { return nil }
    unsafe body(vectorDestination(cpu, op), source, UInt32(op.pointee.auxiliary))
    unsafe mmxWritten(cpu, op)
    return unsafe op + 1
}

@inline(__always)
func mmxShift(_ cpu: CPU, _ op: Op, _ body: VectorShiftBody) -> Next {
    if unsafe mmxPending(cpu, op) { return nil }
    unsafe body(vectorDestination(cpu, op), UInt32(op.pointee.auxiliary))
    unsafe mmxWritten(cpu, op)
    return unsafe op + 1
}
