internal import CEngine
internal import X86

// Moves between vector registers, memory and general-purpose registers.

// MARK: Registers

/// The low half of a vector register into a general-purpose register, zero extended.
@inline(__always)
func registerToGeneral<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, as type: T.Type) -> Next {
    let value = unsafe vectorSource(cpu, op).loadUnaligned(as: T.self)
    unsafe vectorDestination(cpu, op).storeBytes(
        of: UInt64(truncatingIfNeeded: value), as: UInt64.self)
    return unsafe op + 1
}

// MARK: Stores

@inline(__always)
func storeVector(_ cpu: CPU, _ op: Op) -> Next {
    let address = unsafe effectiveAddress(cpu, op)
    guard unsafe storeBytes(cpu, op, address, from: vectorSource(cpu, op), 16) else { return nil }
    return unsafe op + 1
}

@inline(__always)
func storeVectorAligned(_ cpu: CPU, _ op: Op) -> Next {
    let address = unsafe effectiveAddress(cpu, op)
    if _slowPath(address & 15 != 0) {
        return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
    }
    guard unsafe storeBytes(cpu, op, address, from: vectorSource(cpu, op), 16) else { return nil }
    return unsafe op + 1
}

/// The low bytes of a register to memory.
@inline(__always)
func storeLow<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, as type: T.Type) -> Next {
    let value = unsafe vectorSource(cpu, op).loadUnaligned(as: T.self)
    guard unsafe store(cpu, op, effectiveAddress(cpu, op), value) else { return nil }
    return unsafe op + 1
}

// MARK: MMX

/// MOVD and MOVQ into an MMX register.
@inline(__always)
func mmxMove<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, as type: T.Type) -> Next {
    if unsafe mmxPending(cpu, op) { return nil }
    let value = unsafe vectorSource(cpu, op).loadUnaligned(as: T.self)
    unsafe vectorDestination(cpu, op).storeBytes(
        of: UInt64(truncatingIfNeeded: value), as: UInt64.self)
    unsafe mmxWritten(cpu, op)
    return unsafe op + 1
}

@inline(__always)
func mmxLoad<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, as type: T.Type) -> Next {
    if unsafe mmxPending(cpu, op) { return nil }
    guard let value = unsafe load(cpu, op, effectiveAddress(cpu, op), as: T.self) else {
        return nil
    }
    unsafe vectorDestination(cpu, op).storeBytes(
        of: UInt64(truncatingIfNeeded: value), as: UInt64.self)
    unsafe mmxWritten(cpu, op)
    return unsafe op + 1
}

@inline(__always)
func mmxStore<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, as type: T.Type) -> Next {
    if unsafe mmxPending(cpu, op) { return nil }
    guard let next = unsafe storeLow(cpu, op, as: T.self) else { return nil }
    unsafe mmxTransition(cpu)
    return unsafe next
}

/// An MMX register as source of a register of another kind: MOVD, MOVQ, MOVQ2DQ.
@inline(__always)
func mmxRead(_ cpu: CPU, _ op: Op, _ form: (CPU, Op) -> Next) -> Next {
    if unsafe mmxPending(cpu, op) { return nil }
    unsafe mmxTransition(cpu)
    return unsafe form(cpu, op)
}

// MARK: Elements

/// PINSRW into an MMX register; the element's index is in `auxiliary`.
@inline(__always)
func mmxInsert(_ cpu: CPU, _ op: Op, _ value: UInt16) -> Next {
    unsafe vectorDestination(cpu, op).storeBytes(
        of: value, toByteOffset: Int(op.pointee.auxiliary & 3) &* 2, as: UInt16.self)
    unsafe mmxWritten(cpu, op)
    return unsafe op + 1
}

/// INSERTPS from a register: the upper two bits of the immediate select the element.
@inline(__always)
func insertElement(_ cpu: CPU, _ op: Op) -> Next {
    let immediate = unsafe op.pointee.auxiliary
    unsafe vector_insertps(
        vectorDestination(cpu, op), vectorSource(cpu, op) + Int(immediate >> 6) &* 4,
        UInt32(immediate))
    return unsafe op + 1
}

@inline(__always)
func insertElementLoaded(_ cpu: CPU, _ op: Op) -> Next {
    guard let source = unsafe vectorUnaligned(cpu, op, 4) else { return nil }
    unsafe vector_insertps(
        vectorDestination(cpu, op), source, UInt32(op.pointee.auxiliary))
    return unsafe op + 1
}

/// MASKMOVQ and MASKMOVDQU: the bytes of `destination` whose byte in `source` has its sign set go
/// to DS:RDI, which the core has put into the memory operand. Bytes that are not selected are
/// neither written nor checked.
@inline(never)
func storeMasked(_ cpu: CPU, _ op: Op, _ byteCount: Int) -> Next {
    let address = unsafe effectiveAddress(cpu, op)
    let data = unsafe vectorDestination(cpu, op)
    let mask = unsafe vectorSource(cpu, op)
    for index in 0..<byteCount
    where unsafe mask.load(fromByteOffset: index, as: UInt8.self) & 0x80 != 0 {
        let value = unsafe data.load(fromByteOffset: index, as: UInt8.self)
        guard unsafe store(cpu, op, address &+ UInt64(index), value) else { return nil }
    }
    return unsafe op + 1
}

/// BLENDVPS, BLENDVPD, PBLENDVB: XMM0 is the mask.
@inline(__always)
func blendUnderMask(
    _ cpu: CPU, _ op: Op, _ source: UnsafeRawPointer,
    _ body: @convention(c) (UnsafeMutableRawPointer, UnsafeRawPointer, UnsafeRawPointer) -> Void
) -> Next {
    let mask = unsafe UnsafeRawPointer(cpu.bytes + Int(Layout.xmm(0)))
    unsafe body(vectorDestination(cpu, op), source, mask)
    return unsafe op + 1
}

@inline(__always)
func blendUnderMaskMemory(
    _ cpu: CPU, _ op: Op,
    _ body: @convention(c) (UnsafeMutableRawPointer, UnsafeRawPointer, UnsafeRawPointer) -> Void
) -> Next {
    guard let source = unsafe vectorAligned(cpu, op) else { return nil }
    return unsafe blendUnderMask(cpu, op, source, body)
}
