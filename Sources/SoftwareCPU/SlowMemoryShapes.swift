internal import CEngine

// Bodies of handlers with a memory operand that does not have to be in the TLB, or whose address is
// more than a sum. They return to the run loop, so that what they need of the host's stack is given
// back before the next instruction runs.

@inline(__always)
func registerMemorySlowly<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, writes: Bool, _ operation: Binary<T>
) -> Next {
    guard let b = unsafe load(cpu, op, effectiveAddress(cpu, op), as: T.self) else { return nil }
    let a = unsafe cpu.read(op.pointee.destination, as: T.self)
    let result = unsafe operation(a, b, status(cpu))
    if writes { unsafe cpu.write(op.pointee.destination, result) }
    return unsafe op + 1
}

/// Memory is the first operand; `b` comes from a register or is immediate.
@inline(__always)
private func inPlaceSlowly<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ b: T, writes: Bool, _ operation: Binary<T>
) -> Next {
    let address = unsafe effectiveAddress(cpu, op)
    if !writes {
        guard let a = unsafe load(cpu, op, address, as: T.self) else { return nil }
        _ = unsafe operation(a, b, status(cpu))
        return unsafe op + 1
    }
    if let pointer = unsafe modifyPointer(cpu, op, address, MemoryLayout<T>.size) {
        let a = unsafe pointer.loadUnaligned(as: T.self)
        unsafe pointer.storeBytes(of: operation(a, b, status(cpu)), as: T.self)
        return unsafe op + 1
    }
    // A device, a page border or a page that holds code.
    if unsafe cpu.pointee.leaveReason != LeaveReason.none { return nil }
    guard let a = unsafe load(cpu, op, address, as: T.self) else { return nil }
    var flags = unsafe cpu.pointee.statusFlags
    let result = unsafe withUnsafeMutablePointer(to: &flags) { unsafe operation(a, b, $0) }
    if unsafe !store(cpu, op, address, result) { return nil }
    unsafe cpu.pointee.statusFlags = flags
    return unsafe op + 1
}

@inline(__always)
func memoryRegisterSlowly<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, writes: Bool, _ operation: Binary<T>
) -> Next {
    unsafe inPlaceSlowly(
        cpu, op, cpu.read(op.pointee.source, as: T.self), writes: writes, operation)
}

@inline(__always)
func memoryImmediateSlowly<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, writes: Bool, _ operation: Binary<T>
) -> Next {
    unsafe inPlaceSlowly(
        cpu, op, T(truncatingIfNeeded: op.pointee.immediate), writes: writes, operation)
}

@inline(__always)
func unaryMemorySlowly<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ operation: Unary<T>
) -> Next {
    unsafe inPlaceSlowly(cpu, op, 0, writes: true) { a, _, flags in unsafe operation(a, flags) }
}

@inline(__always)
func shiftMemory<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ operation: Shift<T>
) -> Next {
    let count = unsafe shiftCount(cpu, op)
    return unsafe inPlaceSlowly(cpu, op, 0, writes: true) { a, _, flags in
        unsafe operation(a, count, flags)
    }
}

// MARK: Moves

@inline(__always)
func moveLoadSlowly<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, as type: T.Type) -> Next {
    guard let value = unsafe load(cpu, op, effectiveAddress(cpu, op), as: T.self) else {
        return nil
    }
    unsafe cpu.write(op.pointee.destination, value)
    return unsafe op + 1
}

@inline(__always)
func moveStoreSlowly<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, as type: T.Type) -> Next {
    let value = unsafe cpu.read(op.pointee.source, as: T.self)
    return unsafe store(cpu, op, effectiveAddress(cpu, op), value) ? op + 1 : nil
}

@inline(__always)
func moveStoreImmediateSlowly<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, as type: T.Type) -> Next {
    let value = unsafe T(truncatingIfNeeded: op.pointee.immediate)
    return unsafe store(cpu, op, effectiveAddress(cpu, op), value) ? op + 1 : nil
}

@inline(__always)
func extendLoadSlowly<From: FixedWidthInteger, To: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ from: From.Type, _ to: To.Type
) -> Next {
    guard let value = unsafe load(cpu, op, effectiveAddress(cpu, op), as: From.self) else {
        return nil
    }
    unsafe cpu.write(op.pointee.destination, To(truncatingIfNeeded: value))
    return unsafe op + 1
}
