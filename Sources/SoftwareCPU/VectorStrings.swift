internal import CEngine
internal import X86

// SSE4.2 string comparison, CRC32, POPCNT, PTEST.

typealias VectorStringBody =
    @convention(c) (
        UnsafeRawPointer, UnsafeRawPointer, UInt64, UInt64, UInt32
    ) -> VectorStringResult

/// How a string instruction takes its lengths.
enum VectorStringLengths {
    /// Up to the first zero element.
    case implicit
    /// EAX and EDX, or RAX and RDX.
    case explicit32, explicit64
}

@inline(__always)
func stringCompare(
    _ cpu: CPU, _ op: Op, _ lengths: VectorStringLengths, _ body: VectorStringBody
) -> VectorStringResult? {
    let memory = unsafe op.pointee.source == 0
    let source =
        memory ? unsafe vectorUnaligned(cpu, op, 16) : unsafe vectorSource(cpu, op)
    guard let source = unsafe source else { return nil }
    var first: UInt64 = 0
    var second: UInt64 = 0
    switch lengths {
    case .implicit:
        break
    case .explicit32:
        first = unsafe cpu.gpr(GPR.rax) & 0xffff_ffff
        second = unsafe cpu.gpr(GPR.rdx) & 0xffff_ffff
    case .explicit64:
        first = unsafe vector_string_length(cpu.gpr(GPR.rax))
        second = unsafe vector_string_length(cpu.gpr(GPR.rdx))
    }
    return unsafe body(
        UnsafeRawPointer(vectorDestination(cpu, op)), source, first, second,
        UInt32(op.pointee.auxiliary))
}

/// PCMPISTRI and PCMPESTRI: ECX is the index.
@inline(__always)
func stringIndex(
    _ cpu: CPU, _ op: Op, _ lengths: VectorStringLengths, _ body: VectorStringBody
) -> Next {
    guard let result = unsafe stringCompare(cpu, op, lengths, body) else { return nil }
    unsafe cpu.setGPR(GPR.rcx, UInt64(result.index))
    unsafe cpu.pointee.statusFlags = UInt64(result.flags)
    return unsafe op + 1
}

/// PCMPISTRM and PCMPESTRM: XMM0 is the mask.
@inline(__always)
func stringMask(
    _ cpu: CPU, _ op: Op, _ lengths: VectorStringLengths, _ body: VectorStringBody
) -> Next {
    guard let result = unsafe stringCompare(cpu, op, lengths, body) else { return nil }
    unsafe (cpu.bytes + Int(Layout.xmm(0))).storeBytes(
        of: Vector128(low: result.low, high: result.high), as: Vector128.self)
    unsafe cpu.pointee.statusFlags = UInt64(result.flags)
    return unsafe op + 1
}

@inline(__always)
func testVector(_ cpu: CPU, _ op: Op, _ source: UnsafeRawPointer) -> Next {
    unsafe cpu.pointee.statusFlags = vector_ptest(
        UnsafeRawPointer(vectorDestination(cpu, op)), source)
    return unsafe op + 1
}

/// CRC32: `destination` is the whole register; the upper half becomes zero.
@inline(__always)
func checksum<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ value: T, _ body: (UInt32, T) -> UInt32
) -> Next {
    let sum = unsafe cpu.read(op.pointee.destination, as: UInt32.self)
    unsafe cpu.write(op.pointee.destination, body(sum, value))
    return unsafe op + 1
}

@inline(__always)
func checksumRegister<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ body: (UInt32, T) -> UInt32
) -> Next {
    unsafe checksum(cpu, op, cpu.read(op.pointee.source, as: T.self), body)
}

@inline(__always)
func checksumMemory<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ body: (UInt32, T) -> UInt32
) -> Next {
    guard let value = unsafe load(cpu, op, effectiveAddress(cpu, op), as: T.self) else {
        return nil
    }
    return unsafe checksum(cpu, op, value, body)
}

/// POPCNT: ZF is set for zero, the other arithmetic flags are cleared.
@inline(__always)
func countOnes<T: FixedWidthInteger & UnsignedInteger>(
    _ cpu: CPU, _ op: Op, _ value: T
) -> Next {
    unsafe cpu.write(op.pointee.destination, T(truncatingIfNeeded: value.nonzeroBitCount))
    unsafe cpu.pointee.statusFlags = value == 0 ? 0x4200 : 0x0200
    return unsafe op + 1
}

@inline(__always)
func countOnesRegister<T: FixedWidthInteger & UnsignedInteger>(
    _ cpu: CPU, _ op: Op, as type: T.Type
) -> Next {
    unsafe countOnes(cpu, op, cpu.read(op.pointee.source, as: T.self))
}

@inline(__always)
func countOnesMemory<T: FixedWidthInteger & UnsignedInteger>(
    _ cpu: CPU, _ op: Op, as type: T.Type
) -> Next {
    guard let value = unsafe load(cpu, op, effectiveAddress(cpu, op), as: T.self) else {
        return nil
    }
    return unsafe countOnes(cpu, op, value)
}
