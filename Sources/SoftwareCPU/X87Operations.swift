internal import CEngine

// Handlers of x87 instructions that compute, and what all of them share. X87.h says where the
// guest's state is while they run.
//
// FIP is kept for every instruction that is not a control instruction, FDP for those with a memory
// operand, FOP for both, as processors without the exception-only rule for them do.

/// A pending unmasked exception is raised by every waiting instruction before it does anything.
/// CR0.NE clear: nothing is connected to FERR#, and IGNNE# is asserted (SDM volume 3, 2.5).
@inline(__always)
func x87Pending(_ cpu: CPU, _ op: Op) -> Bool {
    if _fastPath(unsafe cpu.pointee.x87Status & UInt16(X87_SUMMARY) == 0) { return false }
    if unsafe cpu.pointee.cr0 & 0x20 == 0 { return false }
    unsafe raise(cpu, op, vector: Vector.floatingPoint)
    return true
}

/// Keeps the data pointer: an offset in its segment.
@inline(__always)
func x87NoteOperand(_ cpu: CPU, _ op: Op, _ address: UInt64) {
    unsafe x87_note(cpu, op)
    let offset = unsafe address &- cpu.read(slot: op.pointee.segmentBase)
    unsafe cpu.pointee.x87DataSelector = cpu.segment(segmentNumber(op)).selector
    unsafe cpu.pointee.x87DataPointer = cpu.isLongCode ? offset : offset & 0xffff_ffff
}

/// The low three opcode bits and ModRM.reg: what chooses a memory form.
@inline(__always)
func x87MemoryCode(_ op: Op) -> UInt32 {
    let code = unsafe UInt32(truncatingIfNeeded: op.pointee.immediate)
    return (code &>> 5) & 0x38 | (code &>> 3) & 7
}

/// A form without memory operand whose guest does not mask all exceptions: `CPUState.x87Exact`.
func x87Register(_ cpu: CPU, _ op: Op) -> Next {
    if unsafe x87Pending(cpu, op) { return nil }
    unsafe x87_register(cpu, UInt32(truncatingIfNeeded: op.pointee.immediate))
    unsafe x87_note(cpu, op)
    return unsafe op + 1
}

/// A form that reads memory. `operation` runs it with the guest's state in the host's FPU.
@inline(__always)
func x87Load(
    _ cpu: CPU, _ op: Op, _ byteCount: Int, _ operation: (UnsafeRawPointer) -> Void
) -> Next {
    if unsafe x87_acquire(cpu) == 0 { return unsafe x87LoadExact(cpu, op, byteCount) }
    let address = unsafe effectiveAddress(cpu, op)
    guard let operand = unsafe readPointer(cpu, op, address, byteCount) else { return nil }
    unsafe operation(operand)
    unsafe x87NoteOperand(cpu, op, address)
    return unsafe op + 1
}

@inline(never)
private func x87LoadExact(_ cpu: CPU, _ op: Op, _ byteCount: Int) -> Next {
    if unsafe x87Pending(cpu, op) { return nil }
    let address = unsafe effectiveAddress(cpu, op)
    guard let operand = unsafe readPointer(cpu, op, address, byteCount) else { return nil }
    unsafe x87_load(cpu, x87MemoryCode(op), operand)
    unsafe x87NoteOperand(cpu, op, address)
    return unsafe op + 1
}

/// A form that writes memory: at once where a store cannot fail, through a copy otherwise.
@inline(__always)
func x87Store(
    _ cpu: CPU, _ op: Op, _ byteCount: Int, _ operation: (UnsafeRawPointer) -> Void
) -> Next {
    if unsafe _fastPath(x87_acquire(cpu) != 0) {
        let address = unsafe effectiveAddress(cpu, op)
        let entry = unsafe tlbEntry(cpu, address)
        if unsafe _fastPath(entry.pointee.writeTag == expectedTag(cpu, address, byteCount)),
            let target = unsafe hostPointer(entry.pointee.addend, address)
        {
            unsafe operation(UnsafeRawPointer(target))
            unsafe x87NoteOperand(cpu, op, address)
            return unsafe op + 1
        }
    }
    return unsafe x87StoreExact(cpu, op, byteCount)
}

/// An unmasked invalid operation, overflow or underflow leaves memory as it was (SDM volume 1,
/// 8.5), but it has to be writable.
@inline(never)
private func x87StoreExact(_ cpu: CPU, _ op: Op, _ byteCount: Int) -> Next {
    unsafe x87_release(cpu)
    if unsafe x87Pending(cpu, op) { return nil }
    let address = unsafe effectiveAddress(cpu, op)
    var image = X87Image()
    var value: (UInt64, UInt64) = (0, 0)
    let done = unsafe withUnsafeMutableBytes(of: &value) { buffer -> Bool in
        guard let operand = buffer.baseAddress else { return false }
        unsafe x87_memory(cpu, x87MemoryCode(op), operand, &image)
        let unmasked = unsafe image.status & ~UInt32(cpu.pointee.x87Control) & 0x19
        return unmasked != 0
            ? unsafe probeStore(cpu, op, address, byteCount)
            : unsafe storeBytes(cpu, op, address, from: operand, byteCount)
    }
    if !done { return nil }
    unsafe x87_commit(cpu, &image)
    unsafe x87NoteOperand(cpu, op, address)
    return unsafe op + 1
}

func x87NotAvailable(_ cpu: CPU, _ op: Op) -> Next {
    unsafe raise(cpu, op, vector: Vector.deviceNotAvailable)
}

/// WAIT.
func x87Wait(_ cpu: CPU, _ op: Op) -> Next {
    unsafe x87Pending(cpu, op) ? nil : op + 1
}
