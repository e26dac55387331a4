internal import CEngine

// Bodies of handlers with a memory operand, for as long as the TLB answers. They call nothing but the
// next instruction, as their last act, and so need no frame of the host's stack. What the TLB does not
// answer they leave, unchanged, to the slow handler of the same instruction.

/// The rows that a table has for memory operands.
enum Addressing {
    /// Base and displacement.
    static let simple = 0
    /// Index and segment base too.
    static let plain = 4
    /// Whatever else there is: the slow handlers.
    static let slow = 8

    /// Where the row begins for the operand that `op` has.
    static func row(_ op: DecodedInstruction) -> Int {
        if unsafe op.flags & slowAddress != 0 { return slow }
        return unsafe op.index == Slot.zero && op.segmentBase == Slot.zero ? simple : plain
    }
}

/// The same instruction from its start, on the slow path.
typealias SlowHandler = (CPU, Op) -> Next

@inline(__always)
func registerMemory<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ address: UInt64, writes: Bool, _ operation: Binary<T>,
    slow: SlowHandler
) -> Next {
    let operand = unsafe Probe(cpu, reading: address, MemoryLayout<T>.size)
    guard _fastPath(operand.hits) else {
        return unsafe slow(cpu, op)
    }
    let a = unsafe cpu.read(op.pointee.destination, as: T.self)
    let result = unsafe operation(a, operand.pointer.loadUnaligned(as: T.self), status(cpu))
    if writes { unsafe cpu.write(op.pointee.destination, result) }
    return unsafe following(cpu, op)
}

/// Memory is the first operand.
@inline(__always)
private func inPlace<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ b: T, writes: Bool, _ operation: Binary<T>,
    _ slow: SlowHandler
) -> Next {
    let operand =
        unsafe writes
        ? Probe(cpu, writing: address, MemoryLayout<T>.size)
        : Probe(cpu, reading: address, MemoryLayout<T>.size)
    guard _fastPath(operand.hits) else { return unsafe slow(cpu, op) }
    let result = unsafe operation(operand.pointer.loadUnaligned(as: T.self), b, status(cpu))
    if writes { unsafe operand.pointer.storeBytes(of: result, as: T.self) }
    return unsafe following(cpu, op)
}

@inline(__always)
func memoryRegister<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ address: UInt64, writes: Bool, _ operation: Binary<T>,
    slow: SlowHandler
) -> Next {
    let b = unsafe cpu.read(op.pointee.source, as: T.self)
    return unsafe inPlace(cpu, op, address, b, writes: writes, operation, slow)
}

@inline(__always)
func memoryImmediate<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ address: UInt64, writes: Bool, _ operation: Binary<T>,
    slow: SlowHandler
) -> Next {
    let b = unsafe T(truncatingIfNeeded: op.pointee.immediate)
    return unsafe inPlace(cpu, op, address, b, writes: writes, operation, slow)
}

@inline(__always)
func unaryMemory<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ operation: Unary<T>, slow: SlowHandler
) -> Next {
    unsafe inPlace(
        cpu, op, address, 0, writes: true, { a, _, flags in unsafe operation(a, flags) }, slow)
}

// MARK: Moves

@inline(__always)
func moveLoad<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ address: UInt64, as type: T.Type, slow: SlowHandler
) -> Next {
    let operand = unsafe Probe(cpu, reading: address, MemoryLayout<T>.size)
    guard _fastPath(operand.hits) else {
        return unsafe slow(cpu, op)
    }
    unsafe cpu.write(op.pointee.destination, operand.pointer.loadUnaligned(as: T.self))
    return unsafe following(cpu, op)
}

@inline(__always)
func moveStore<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ address: UInt64, as type: T.Type, slow: SlowHandler
) -> Next {
    let operand = unsafe Probe(cpu, writing: address, MemoryLayout<T>.size)
    guard _fastPath(operand.hits) else {
        return unsafe slow(cpu, op)
    }
    unsafe operand.pointer.storeBytes(of: cpu.read(op.pointee.source, as: T.self), as: T.self)
    return unsafe following(cpu, op)
}

@inline(__always)
func moveStoreImmediate<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ address: UInt64, as type: T.Type, slow: SlowHandler
) -> Next {
    let operand = unsafe Probe(cpu, writing: address, MemoryLayout<T>.size)
    guard _fastPath(operand.hits) else {
        return unsafe slow(cpu, op)
    }
    unsafe operand.pointer.storeBytes(of: T(truncatingIfNeeded: op.pointee.immediate), as: T.self)
    return unsafe following(cpu, op)
}

/// MOVZX, MOVSX, MOVSXD from memory: `From` says how the value is extended.
@inline(__always)
func extendLoad<From: FixedWidthInteger, To: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ from: From.Type, _ to: To.Type, slow: SlowHandler
) -> Next {
    let operand = unsafe Probe(cpu, reading: address, MemoryLayout<From>.size)
    guard _fastPath(operand.hits) else {
        return unsafe slow(cpu, op)
    }
    let value = unsafe operand.pointer.loadUnaligned(as: From.self)
    unsafe cpu.write(op.pointee.destination, To(truncatingIfNeeded: value))
    return unsafe following(cpu, op)
}
