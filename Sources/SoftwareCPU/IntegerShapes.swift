internal import CEngine

// The bodies that the handlers in IntegerTables.generated.swift are made of: one for each shape of
// operands, generic over the width and over the operation, which is inlined into each handler. Those
// with memory operands are in IntegerMemoryShapes.swift and SlowMemoryShapes.swift.

typealias Status = UnsafeMutablePointer<UInt64>

/// Result of the operation on `a` and `b`; the status word is read and replaced through the pointer.
typealias Binary<T> = (T, T, Status) -> T
typealias Unary<T> = (T, Status) -> T
typealias Shift<T> = (T, UInt8, Status) -> T

@inline(__always)
func status(_ cpu: CPU) -> Status {
    unsafe UnsafeMutableRawPointer(cpu).advanced(by: CPUOffsets.statusFlags)
        .assumingMemoryBound(to: UInt64.self)
}

@inline(__always)
func registerRegister<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, writes: Bool, _ operation: Binary<T>
) -> Next {
    let a = unsafe cpu.read(op.pointee.destination, as: T.self)
    let b = unsafe cpu.read(op.pointee.source, as: T.self)
    let result = unsafe operation(a, b, status(cpu))
    if writes { unsafe cpu.write(op.pointee.destination, result) }
    return unsafe following(cpu, op)
}

@inline(__always)
func registerImmediate<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, writes: Bool, _ operation: Binary<T>
) -> Next {
    let a = unsafe cpu.read(op.pointee.destination, as: T.self)
    let result = unsafe operation(a, T(truncatingIfNeeded: op.pointee.immediate), status(cpu))
    if writes { unsafe cpu.write(op.pointee.destination, result) }
    return unsafe following(cpu, op)
}

/// LOCK: a compare-and-swap loop around the operation; `source` is zero's offset for an immediate.
@inline(__always)
func lockedOperation<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ exchange: (UnsafeMutableRawPointer, T, T) -> T,
    _ operation: Binary<T>
) -> Next {
    let b =
        unsafe op.pointee.source != Layout.zero
        ? cpu.read(op.pointee.source, as: T.self) : T(truncatingIfNeeded: op.pointee.immediate)
    let address = unsafe effectiveAddress(cpu, op)
    guard !isSplit(address, MemoryLayout<T>.size),
        let pointer = unsafe modifyPointer(cpu, op, address, MemoryLayout<T>.size)
    else { return unsafe slowLockedOperation(cpu, op, address, b, operation) }
    while true {
        var flags = unsafe cpu.pointee.statusFlags
        let a = unsafe pointer.loadUnaligned(as: T.self)
        let result = unsafe withUnsafeMutablePointer(to: &flags) { unsafe operation(a, b, $0) }
        if unsafe exchange(pointer, a, result) == a {
            unsafe cpu.pointee.statusFlags = flags
            return unsafe op + 1
        }
    }
}

@inline(__always)
private func slowLockedOperation<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ b: T, _ operation: Binary<T>
) -> Next {
    var flags = unsafe cpu.pointee.statusFlags
    let old = unsafe modifySlowly(cpu, op, address) { (a: T) in
        unsafe withUnsafeMutablePointer(to: &flags) { unsafe operation(a, b, $0) }
    }
    if old == nil { return nil }
    unsafe cpu.pointee.statusFlags = flags
    return unsafe op + 1
}

@inline(__always)
func unaryRegister<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ operation: Unary<T>
) -> Next {
    let a = unsafe cpu.read(op.pointee.destination, as: T.self)
    unsafe cpu.write(op.pointee.destination, operation(a, status(cpu)))
    return unsafe following(cpu, op)
}

/// Shift counts: in CL when `auxiliary` is 0, else immediate.
@inline(__always)
func shiftCount(_ cpu: CPU, _ op: Op) -> UInt8 {
    unsafe op.pointee.auxiliary == 0
        ? UInt8(truncatingIfNeeded: cpu.gpr(GPR.rcx))
        : UInt8(truncatingIfNeeded: op.pointee.immediate)
}

@inline(__always)
func shiftRegister<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ operation: Shift<T>
) -> Next {
    let a = unsafe cpu.read(op.pointee.destination, as: T.self)
    unsafe cpu.write(op.pointee.destination, operation(a, shiftCount(cpu, op), status(cpu)))
    return unsafe following(cpu, op)
}

// MARK: Moves

@inline(__always)
func moveRegister<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, as type: T.Type) -> Next {
    unsafe cpu.write(op.pointee.destination, cpu.read(op.pointee.source, as: T.self))
    return unsafe following(cpu, op)
}

@inline(__always)
func moveImmediate<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, as type: T.Type) -> Next {
    unsafe cpu.write(op.pointee.destination, T(truncatingIfNeeded: op.pointee.immediate))
    return unsafe following(cpu, op)
}

/// MOVZX, MOVSX, MOVSXD from a register: `From` says how the value is extended.
@inline(__always)
func extendRegister<From: FixedWidthInteger, To: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ from: From.Type, _ to: To.Type
) -> Next {
    let value = unsafe cpu.read(op.pointee.source, as: From.self)
    unsafe cpu.write(op.pointee.destination, To(truncatingIfNeeded: value))
    return unsafe following(cpu, op)
}

// MARK: Conditions

@inline(__always)
func conditionalMove<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, as type: T.Type, _ holds: Bool
) -> Next {
    let value = unsafe cpu.read(op.pointee.source, as: T.self)
    let old = unsafe cpu.read(op.pointee.destination, as: T.self)
    unsafe cpu.write(op.pointee.destination, holds ? value : old)
    return unsafe following(cpu, op)
}
