internal import CEngine

// The stack that the task state segment has for an inner privilege level (SDM volume 3, 5.8.5), for
// interrupts and call gates.

/// SS:ESP of `privilege` from the TSS outside IA-32e mode, checked. `external` is EXT of the error
/// codes. Nil: fault recorded.
func innerStack(_ cpu: CPU, _ op: Op, _ privilege: UInt32, external: UInt16)
    -> (SegmentRegister, UInt64)?
{
    func refuse(_ vector: UInt8, _ selector: UInt16) -> (SegmentRegister, UInt64)? {
        unsafe recordFault(cpu, vector: vector, errorCode: selector & 0xfffc | external)
        return nil
    }
    let task = unsafe cpu.pointee.taskRegister
    let isWide = task.attributes & 8 != 0
    let offset = isWide ? 4 &+ UInt64(privilege) &* 8 : 2 &+ UInt64(privilege) &* 4
    if offset &+ (isWide ? 5 : 3) > UInt64(task.limit) {
        return refuse(Vector.invalidTSS, task.selector)
    }
    let pointer: UInt64
    let selector: UInt16
    if isWide {
        guard let esp = unsafe readSystem(cpu, op, task.base &+ offset, as: UInt32.self),
            let ss = unsafe readSystem(cpu, op, task.base &+ offset &+ 4, as: UInt16.self)
        else { return nil }
        pointer = UInt64(esp)
        selector = ss
    } else {
        guard let sp = unsafe readSystem(cpu, op, task.base &+ offset, as: UInt16.self),
            let ss = unsafe readSystem(cpu, op, task.base &+ offset &+ 2, as: UInt16.self)
        else { return nil }
        pointer = UInt64(sp)
        selector = ss
    }
    guard selector & 0xfffc != 0, let address = unsafe descriptorAddress(cpu, selector) else {
        return refuse(Vector.invalidTSS, selector)
    }
    guard let raw = unsafe readSystem(cpu, op, address, as: UInt64.self) else { return nil }
    var descriptor = Descriptor(raw: raw)
    if !descriptor.isWritableData || descriptor.privilegeLevel != privilege
        || UInt32(selector & 3) != privilege
    {
        return refuse(Vector.invalidTSS, selector)
    }
    if !descriptor.isPresent { return refuse(Vector.stackFault, selector) }
    if unsafe !markAccessed(cpu, op, selector, &descriptor) { return nil }
    return (descriptor.register(selector: selector), pointer)
}

/// RSP in IA-32e mode: the interrupt stack table's entry `table`, or that of `privilege` when it is 0.
func innerStackPointer(
    _ cpu: CPU, _ op: Op, _ privilege: UInt32, table: UInt64, external: UInt16
) -> UInt64? {
    let offset = table != 0 ? 0x24 &+ (table &- 1) &* 8 : 4 &+ UInt64(privilege) &* 8
    let task = unsafe cpu.pointee.taskRegister
    if offset &+ 7 > UInt64(task.limit) {
        unsafe recordFault(
            cpu, vector: Vector.invalidTSS, errorCode: task.selector & 0xfffc | external)
        return nil
    }
    return unsafe readSystem(cpu, op, task.base &+ offset, as: UInt64.self)
}

/// Words that go onto a stack before control does; nothing of the processor's state changes here.
struct Frame {
    var stack: SegmentRegister
    /// Outside 64-bit mode: within the segment.
    var pointer: UInt64
    /// 2, 4 or 8.
    var width: UInt64
    var isLong: Bool
    /// With whose rights the words are pushed.
    var privilege: UInt32
    /// Error code of the #SS that a limit makes.
    var faultCode: UInt16

    private var mask: UInt64 {
        isLong ? .max : stack.attributes & 0x4000 != 0 ? 0xffff_ffff : 0xffff
    }

    /// False: fault recorded.
    mutating func push(_ cpu: CPU, _ op: Op, _ word: UInt64) -> Bool {
        let next = (pointer &- width) & mask
        var linear = next
        if isLong {
            if !isCanonical(next) || !isCanonical(next &+ width &- 1) { return unsafe refuse(cpu) }
        } else {
            if !isUnlimited(stack),
                !segmentPermits(stack, next, Int(truncatingIfNeeded: width), write: true)
            {
                return unsafe refuse(cpu)
            }
            linear = (stack.base &+ next) & 0xffff_ffff
        }
        let done =
            switch width {
            case 8: unsafe writeFrame(cpu, op, linear, word, privilege: privilege)
            case 4:
                unsafe writeFrame(
                    cpu, op, linear, UInt32(truncatingIfNeeded: word), privilege: privilege)
            default:
                unsafe writeFrame(
                    cpu, op, linear, UInt16(truncatingIfNeeded: word), privilege: privilege)
            }
        if done { pointer = next }
        return done
    }

    private func refuse(_ cpu: CPU) -> Bool {
        unsafe recordFault(cpu, vector: Vector.stackFault, errorCode: faultCode)
        return false
    }

    /// The stack pointer once control has gone: a 16-bit stack keeps the upper half of ESP.
    func setPointer(_ cpu: CPU) {
        unsafe cpu.setGPR(
            GPR.rsp, mask == 0xffff ? cpu.gpr(GPR.rsp) & ~0xffff | pointer : pointer)
    }
}
