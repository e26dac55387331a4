internal import CEngine
internal import VirtualCPU

// Delivery of exceptions and interrupts through the IDT (SDM volume 3, chapter 6), in real mode,
// protected mode and IA-32e mode.

/// What is being delivered.
struct Event {
    enum Kind {
        case exception
        case external
        /// INT n, INT3, INTO: the gate's DPL is checked and RIP is that of the next instruction.
        case software
    }
    var vector: UInt8
    var kind: Kind
    var errorCode: UInt16?
    /// INT n in the error code of faults during delivery: EXT is 0.
    var isExternalToProgram: Bool { kind != .software }
}

/// Delivers what `recordFault` recorded, going on to double fault and shutdown as the table in
/// SDM 6.15 says. False: triple fault.
func deliverRecordedFault(_ cpu: CPU) -> Bool {
    let op = unsafe UnsafePointer(context(cpu).code.transient)
    var event = unsafe takeRecordedFault(cpu)
    for _ in 0..<3 {
        if event.vector == Vector.pageFault {
            unsafe cpu.pointee.cr2 = unsafe cpu.pointee.faultAddress
        }
        if event.vector != Vector.debug { unsafe cpu.pointee.systemFlags |= Flags.resume }
        if unsafe deliver(cpu, op, event) { return true }
        let second = unsafe takeRecordedFault(cpu)
        if event.vector == Vector.doubleFault { return false }
        event = combine(first: event, second: second)
    }
    return false
}

/// Delivers an interrupt; faults on the way are delivered in its place. False: triple fault.
func deliverInterrupt(_ cpu: CPU, _ event: Event) -> Bool {
    let op = unsafe UnsafePointer(context(cpu).code.transient)
    if unsafe deliver(cpu, op, event) { return true }
    unsafe cpu.pointee.leaveReason = LeaveReason.fault
    return unsafe deliverRecordedFault(cpu)
}

private func takeRecordedFault(_ cpu: CPU) -> Event {
    unsafe cpu.pointee.leaveReason = LeaveReason.none
    return unsafe Event(
        vector: cpu.pointee.faultVector, kind: .exception,
        errorCode: cpu.pointee.faultHasErrorCode != 0 ? cpu.pointee.faultErrorCode : nil)
}

private func isContributory(_ vector: UInt8) -> Bool {
    switch vector {
    case Vector.divideError, Vector.invalidTSS, Vector.segmentNotPresent, Vector.stackFault,
        Vector.generalProtection:
        return true
    default:
        return false
    }
}

private func combine(first: Event, second: Event) -> Event {
    let double = Event(vector: Vector.doubleFault, kind: .exception, errorCode: 0)
    if isContributory(first.vector), isContributory(second.vector) { return double }
    if first.vector == Vector.pageFault,
        isContributory(second.vector) || second.vector == Vector.pageFault
    {
        return double
    }
    return second
}

/// Delivers once. False: a fault of the delivery itself is recorded, and no state has changed.
func deliver(_ cpu: CPU, _ op: Op, _ event: Event) -> Bool {
    unsafe cpu.pointee.interruptShadow = 0
    let stepping = unsafe cpu.pointee.stepping
    unsafe cpu.pointee.stepping &= Stepping.trap
    let saved = unsafe cpu.pointee.rip
    let done: Bool
    if unsafe cpu.pointee.cr0 & CR0.pe == 0 {
        done = unsafe deliverReal(cpu, op, event)
    } else if unsafe cpu.pointee.efer & EFER.lma != 0 {
        done = unsafe deliverLong(cpu, op, event)
    } else {
        done = unsafe deliverProtected(cpu, op, event)
    }
    if !done {
        unsafe cpu.pointee.rip = saved
        unsafe cpu.pointee.stepping = stepping
        return false
    }
    unsafe cpu.pointee.stepping = 0
    unsafe cpu.pointee.replayCount = 0
    unsafe cpu.pointee.replayCursor = 0
    unsafe refreshContexts(cpu)
    unsafe refreshPendingMask(cpu)
    return true
}

private func fail(_ cpu: CPU, _ vector: UInt8, _ code: UInt16, _ event: Event) -> Bool {
    unsafe recordFault(
        cpu, vector: vector, errorCode: code | (event.isExternalToProgram ? 1 : 0))
    return false
}

private func deliverReal(_ cpu: CPU, _ op: Op, _ event: Event) -> Bool {
    let entry = UInt64(event.vector) &* 4
    if unsafe entry &+ 3 > UInt64(cpu.pointee.idtLimit) {
        return unsafe fail(cpu, Vector.generalProtection, UInt16(event.vector) &* 8 | 2, event)
    }
    guard let gate = unsafe readSystem(cpu, op, cpu.pointee.idtBase &+ entry, as: UInt32.self)
    else {
        return false
    }
    let sp = unsafe cpu.gpr(GPR.rsp)
    let frame: [UInt16] = unsafe [
        UInt16(truncatingIfNeeded: readFlags(cpu)), cpu.segment(Segment.cs).selector,
        UInt16(truncatingIfNeeded: cpu.pointee.rip),
    ]
    for (index, word) in frame.enumerated() {
        let address = unsafe stackAddress(cpu, sp &- 2 &* UInt64(truncatingIfNeeded: index &+ 1))
        if unsafe !writeSystem(cpu, op, address, word) { return false }
    }
    unsafe setStackPointer(cpu, sp &- 6)
    unsafe cpu.pointee.systemFlags &=
        ~(Flags.interrupt | Flags.trap | Flags.alignmentCheck | Flags.resume)
    unsafe loadRealSegment(cpu, Segment.cs, UInt16(truncatingIfNeeded: gate &>> 16))
    unsafe cpu.pointee.rip = UInt64(gate & 0xffff)
    return true
}

private func deliverLong(_ cpu: CPU, _ op: Op, _ event: Event) -> Bool {
    let selectorCode = UInt16(event.vector) &* 8 | 2
    let entry = UInt64(event.vector) &* 16
    if unsafe entry &+ 15 > UInt64(cpu.pointee.idtLimit) {
        return unsafe fail(cpu, Vector.generalProtection, selectorCode, event)
    }
    let address = unsafe cpu.pointee.idtBase &+ entry
    guard let low = unsafe readSystem(cpu, op, address, as: UInt64.self),
        let high = unsafe readSystem(cpu, op, address &+ 8, as: UInt64.self)
    else { return false }
    let type = (low &>> 40) & 0x1f
    let gateDPL = UInt32(truncatingIfNeeded: low &>> 45) & 3
    let cpl = unsafe cpu.currentPrivilegeLevel
    if type != 0xe && type != 0xf || event.kind == .software && gateDPL < cpl {
        return unsafe fail(cpu, Vector.generalProtection, selectorCode, event)
    }
    if low & (1 << 47) == 0 {
        return unsafe fail(cpu, Vector.segmentNotPresent, selectorCode, event)
    }
    let selector = UInt16(truncatingIfNeeded: low &>> 16)
    let target = low & 0xffff | (low &>> 32) & 0xffff_0000 | high &<< 32
    let ist = (low &>> 32) & 7
    if selector & 0xfffc == 0 { return unsafe fail(cpu, Vector.generalProtection, 0, event) }
    guard let descriptorAddress = unsafe descriptorAddress(cpu, selector) else {
        return unsafe fail(cpu, Vector.generalProtection, selector & 0xfffc, event)
    }
    guard let raw = unsafe readSystem(cpu, op, descriptorAddress, as: UInt64.self) else {
        return false
    }
    let code = Descriptor(raw: raw)
    if !code.isCode || code.privilegeLevel > cpl || !code.isLong || code.isBig {
        return unsafe fail(cpu, Vector.generalProtection, selector & 0xfffc, event)
    }
    if !code.isPresent {
        return unsafe fail(cpu, Vector.segmentNotPresent, selector & 0xfffc, event)
    }
    let newCPL = code.isConforming ? cpl : code.privilegeLevel
    var stack = unsafe cpu.gpr(GPR.rsp)
    if ist != 0 || newCPL < cpl {
        let offset = ist != 0 ? 0x24 &+ (ist &- 1) &* 8 : 4 &+ UInt64(newCPL) &* 8
        if unsafe offset &+ 7 > UInt64(cpu.pointee.taskRegister.limit) {
            return unsafe fail(
                cpu, Vector.invalidTSS, cpu.pointee.taskRegister.selector & 0xfffc, event)
        }
        guard
            let pointer = unsafe readSystem(
                cpu, op, cpu.pointee.taskRegister.base &+ offset, as: UInt64.self)
        else { return false }
        stack = pointer
    }
    stack &= ~0xf
    let oldStack = unsafe cpu.segment(Segment.ss).selector
    var frame: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = unsafe (
        UInt64(oldStack), cpu.gpr(GPR.rsp), readFlags(cpu),
        UInt64(cpu.segment(Segment.cs).selector), cpu.pointee.rip, 0
    )
    var count = 5
    if let errorCode = event.errorCode {
        frame.5 = UInt64(errorCode)
        count = 6
    }
    let words = [frame.0, frame.1, frame.2, frame.3, frame.4, frame.5]
    for index in 0..<count {
        let slot = stack &- 8 &* UInt64(truncatingIfNeeded: index &+ 1)
        if Int64(bitPattern: slot) &>> 47 != 0, Int64(bitPattern: slot) &>> 47 != -1 {
            return unsafe fail(cpu, Vector.stackFault, 0, event)
        }
        if unsafe !writeFrame(cpu, op, slot, words[index], mode: newCPL == 3) { return false }
    }
    unsafe cpu.setGPR(GPR.rsp, stack &- 8 &* UInt64(truncatingIfNeeded: count))
    if newCPL < cpl {
        unsafe cpu.setSegment(
            Segment.ss,
            SegmentRegister(
                base: 0, limit: 0xffff_ffff, selector: UInt16(truncatingIfNeeded: newCPL),
                attributes: 0xc093 | UInt16(truncatingIfNeeded: newCPL &<< 5)))
    }
    unsafe cpu.pointee.systemFlags &=
        ~(Flags.trap | Flags.nestedTask | Flags.resume | Flags.virtual8086)
    if type == 0xe { unsafe cpu.pointee.systemFlags &= ~Flags.interrupt }
    unsafe setCodeSegment(cpu, code, selector: selector, cpl: newCPL)
    unsafe cpu.pointee.rip = target
    return true
}

/// A push of the interrupt frame: with the rights of the new privilege level.
private func writeFrame<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ value: T, mode userStack: Bool
) -> Bool {
    unsafe writeSystem(cpu, op, address, value)
}

private func deliverProtected(_ cpu: CPU, _ op: Op, _ event: Event) -> Bool {
    let selectorCode = UInt16(event.vector) &* 8 | 2
    let entry = UInt64(event.vector) &* 8
    if unsafe entry &+ 7 > UInt64(cpu.pointee.idtLimit) {
        return unsafe fail(cpu, Vector.generalProtection, selectorCode, event)
    }
    guard let gate = unsafe readSystem(cpu, op, cpu.pointee.idtBase &+ entry, as: UInt64.self)
    else {
        return false
    }
    let type = (gate &>> 40) & 0x1f
    let cpl = unsafe cpu.currentPrivilegeLevel
    let wide = type & 8 != 0
    // Task gates (type 5) are not offered: Linux and its user programs use none outside 32-bit
    // double fault handling.
    if type & 0x17 != 0x6 && type & 0x17 != 0x7
        || event.kind == .software && UInt32(truncatingIfNeeded: gate &>> 45) & 3 < cpl
    {
        return unsafe fail(cpu, Vector.generalProtection, selectorCode, event)
    }
    if gate & (1 << 47) == 0 {
        return unsafe fail(cpu, Vector.segmentNotPresent, selectorCode, event)
    }
    let selector = UInt16(truncatingIfNeeded: gate &>> 16)
    let target = wide ? gate & 0xffff | (gate &>> 32) & 0xffff_0000 : gate & 0xffff
    guard selector & 0xfffc != 0, let address = unsafe descriptorAddress(cpu, selector) else {
        return unsafe fail(cpu, Vector.generalProtection, selector & 0xfffc, event)
    }
    guard let raw = unsafe readSystem(cpu, op, address, as: UInt64.self) else { return false }
    let code = Descriptor(raw: raw)
    if !code.isCode || code.privilegeLevel > cpl {
        return unsafe fail(cpu, Vector.generalProtection, selector & 0xfffc, event)
    }
    if !code.isPresent {
        return unsafe fail(cpu, Vector.segmentNotPresent, selector & 0xfffc, event)
    }
    let fromVirtual8086 = unsafe cpu.pointee.systemFlags & Flags.virtual8086 != 0
    let newCPL = code.isConforming && !fromVirtual8086 ? cpl : code.privilegeLevel
    if fromVirtual8086, newCPL != 0 {
        return unsafe fail(cpu, Vector.generalProtection, selector & 0xfffc, event)
    }
    var stackSegment = unsafe cpu.segment(Segment.ss)
    var pointer = unsafe cpu.gpr(GPR.rsp)
    var words: [UInt64] = []
    if newCPL < cpl {
        let task = unsafe cpu.pointee.taskRegister
        let wideTask = task.attributes & 8 != 0
        let offset = wideTask ? 4 &+ UInt64(newCPL) &* 8 : 2 &+ UInt64(newCPL) &* 4
        if offset &+ (wideTask ? 5 : 3) > UInt64(task.limit) {
            return unsafe fail(cpu, Vector.invalidTSS, task.selector & 0xfffc, event)
        }
        let newSelector: UInt16
        if wideTask {
            guard let esp = unsafe readSystem(cpu, op, task.base &+ offset, as: UInt32.self),
                let ss = unsafe readSystem(cpu, op, task.base &+ offset &+ 4, as: UInt16.self)
            else { return false }
            pointer = UInt64(esp)
            newSelector = ss
        } else {
            guard let sp = unsafe readSystem(cpu, op, task.base &+ offset, as: UInt16.self),
                let ss = unsafe readSystem(cpu, op, task.base &+ offset &+ 2, as: UInt16.self)
            else { return false }
            pointer = UInt64(sp)
            newSelector = ss
        }
        guard newSelector & 0xfffc != 0, let ssAddress = unsafe descriptorAddress(cpu, newSelector)
        else {
            return unsafe fail(cpu, Vector.invalidTSS, newSelector & 0xfffc, event)
        }
        guard let ssRaw = unsafe readSystem(cpu, op, ssAddress, as: UInt64.self) else {
            return false
        }
        let descriptor = Descriptor(raw: ssRaw)
        if !descriptor.isWritableData || descriptor.privilegeLevel != newCPL
            || UInt32(newSelector & 3) != newCPL
        {
            return unsafe fail(cpu, Vector.invalidTSS, newSelector & 0xfffc, event)
        }
        if !descriptor.isPresent {
            return unsafe fail(cpu, Vector.stackFault, newSelector & 0xfffc, event)
        }
        if fromVirtual8086 {
            for number in [Segment.gs, Segment.fs, Segment.ds, Segment.es] {
                unsafe words.append(UInt64(cpu.segment(number).selector))
            }
        }
        words.append(UInt64(stackSegment.selector))
        unsafe words.append(cpu.gpr(GPR.rsp))
        stackSegment = descriptor.register(selector: newSelector)
    }
    unsafe words.append(readFlags(cpu))
    unsafe words.append(UInt64(cpu.segment(Segment.cs).selector))
    unsafe words.append(cpu.pointee.rip)
    if let errorCode = event.errorCode { words.append(UInt64(errorCode)) }
    let step: UInt64 = wide ? 4 : 2
    let mask: UInt64 = stackSegment.attributes & 0x4000 != 0 ? 0xffff_ffff : 0xffff
    var sp = pointer
    for word in words {
        sp = sp &- step
        let offset = sp & mask
        if !segmentPermits(stackSegment, offset, Int(truncatingIfNeeded: step), write: true) {
            return unsafe fail(
                cpu, Vector.stackFault, newCPL < cpl ? stackSegment.selector & 0xfffc : 0, event)
        }
        let linear = (stackSegment.base &+ offset) & 0xffff_ffff
        let done =
            unsafe wide
            ? writeFrame(cpu, op, linear, UInt32(truncatingIfNeeded: word), mode: newCPL == 3)
            : writeFrame(cpu, op, linear, UInt16(truncatingIfNeeded: word), mode: newCPL == 3)
        if !done { return false }
    }
    if newCPL < cpl { unsafe cpu.setSegment(Segment.ss, stackSegment) }
    if fromVirtual8086 {
        for number in [Segment.gs, Segment.fs, Segment.ds, Segment.es] {
            unsafe cpu.setSegment(
                number, SegmentRegister(base: 0, limit: 0, selector: 0, attributes: 0))
        }
    }
    unsafe cpu.pointee.systemFlags &=
        ~(Flags.trap | Flags.nestedTask | Flags.resume | Flags.virtual8086)
    if type & 1 == 0 { unsafe cpu.pointee.systemFlags &= ~Flags.interrupt }
    unsafe setCodeSegment(cpu, code, selector: selector, cpl: newCPL)
    unsafe cpu.setGPR(
        GPR.rsp,
        mask == 0xffff ? cpu.gpr(GPR.rsp) & ~0xffff | sp & 0xffff : sp & 0xffff_ffff)
    unsafe cpu.pointee.rip = target
    return true
}
