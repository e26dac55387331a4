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
/// SDM 6.15 says. False: triple fault. A delivery that needs an absent page is put off: `undelivered`.
func deliverRecordedFault(_ cpu: CPU) -> Bool {
    let event = unsafe takeRecordedFault(cpu)
    return unsafe deliver(cpu, orWhatFollows: event)
}

private func deliver(_ cpu: CPU, orWhatFollows first: Event) -> Bool {
    let op = unsafe UnsafePointer(context(cpu).transient)
    var event = first
    // A task switch may end in a fault of the new task, which is a first fault again.
    for _ in 0..<16 {
        if event.vector != Vector.debug { unsafe cpu.pointee.systemFlags |= Flags.resume }
        if unsafe deliver(cpu, op, event) {
            if unsafe cpu.pointee.leaveReason != LeaveReason.fault { return true }
            event = unsafe takeRecordedFault(cpu)
            continue
        }
        if unsafe putOff(cpu, event) { return true }
        let second = unsafe takeRecordedFault(cpu)
        if event.vector == Vector.doubleFault { return false }
        event = combine(first: event, second: second)
    }
    return false
}

/// Delivers an interrupt; faults on the way are delivered in its place. False: triple fault.
func deliverInterrupt(_ cpu: CPU, _ event: Event) -> Bool {
    let op = unsafe UnsafePointer(context(cpu).transient)
    unsafe cpu.pointee.leaveReason = LeaveReason.none
    if unsafe deliver(cpu, op, event), unsafe cpu.pointee.leaveReason != LeaveReason.fault {
        return true
    }
    if unsafe putOff(cpu, event) { return true }
    unsafe cpu.pointee.leaveReason = LeaveReason.fault
    return unsafe deliverRecordedFault(cpu)
}

/// Keeps an event whose delivery found a page absent, and has changed nothing: nothing else happens
/// before it is delivered.
private func putOff(_ cpu: CPU, _ event: Event) -> Bool {
    guard unsafe cpu.pointee.faultVector == Vector.absentPage else { return false }
    unsafe cpu.pointee.leaveReason = LeaveReason.none
    unsafe context(cpu).undelivered = event
    return true
}

/// Delivers what was put off. False: triple fault.
func deliverWhatWasPutOff(_ cpu: CPU) -> Bool {
    let engine = unsafe context(cpu)
    guard let event = engine.undelivered else { return true }
    engine.undelivered = nil
    return unsafe event.kind == .external
        ? deliverInterrupt(cpu, event) : deliver(cpu, orWhatFollows: event)
}

private func takeRecordedFault(_ cpu: CPU) -> Event {
    unsafe cpu.pointee.leaveReason = LeaveReason.none
    if unsafe cpu.pointee.faultVector == Vector.pageFault {
        unsafe cpu.pointee.cr2 = unsafe cpu.pointee.faultAddress
    }
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
    unsafe cpu.pointee.stepping = 0
    if event.vector == Vector.debug, event.kind == .exception { unsafe clearGeneralDetect(cpu) }
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
    let traces = unsafe cpu.pointee.systemFlags & Flags.trap != 0
    unsafe cpu.pointee.stepping = traces ? Stepping.trap : 0
    if event.kind != .software {
        unsafe cpu.pointee.pendingDebug = 0
    } else if unsafe cpu.pointee.pendingDebug != 0 {
        // A data breakpoint of the load of SS before INT n: the trap comes before the first
        // instruction of the handler.
        unsafe cpu.pointee.stepping |= Stepping.armed
    }
    unsafe cpu.pointee.replayCount = 0
    unsafe cpu.pointee.replayCursor = 0
    unsafe refreshContexts(cpu)
    unsafe refreshPendingMask(cpu)
    return true
}

/// A debug exception clears DR7.GD, so that its handler may use the debug registers.
private func clearGeneralDetect(_ cpu: CPU) {
    let dr7 =
        unsafe (cpu.bytes + CPUOffsets.debugRegisters).assumingMemoryBound(to: UInt64.self) + 7
    unsafe dr7.pointee &= ~(1 << 13)
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
    var frame = unsafe Frame(
        stack: cpu.segment(Segment.ss), pointer: cpu.gpr(GPR.rsp), width: 2, isLong: false,
        privilege: 0, faultCode: 0)
    if unsafe !frame.push(cpu, op, readFlags(cpu))
        || !frame.push(cpu, op, UInt64(cpu.segment(Segment.cs).selector))
        || !frame.push(cpu, op, cpu.pointee.rip)
    {
        return false
    }
    unsafe frame.setPointer(cpu)
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
        guard
            let pointer = unsafe innerStackPointer(
                cpu, op, newCPL, table: ist, external: event.isExternalToProgram ? 1 : 0)
        else { return false }
        stack = pointer
    }
    // SDM volume 2, INT n: the new instruction pointer is looked at before anything is pushed.
    if !isCanonical(target) { return unsafe fail(cpu, Vector.generalProtection, 0, event) }
    stack &= ~0xf
    let oldStack = unsafe cpu.segment(Segment.ss).selector
    var frame = unsafe Frame(
        stack: cpu.segment(Segment.ss), pointer: stack, width: 8, isLong: true,
        privilege: newCPL, faultCode: event.isExternalToProgram ? 1 : 0)
    guard unsafe frame.push(cpu, op, UInt64(oldStack)),
        unsafe frame.push(cpu, op, cpu.gpr(GPR.rsp)),
        unsafe frame.push(cpu, op, readFlags(cpu)),
        unsafe frame.push(cpu, op, UInt64(cpu.segment(Segment.cs).selector)),
        unsafe frame.push(cpu, op, cpu.pointee.rip)
    else { return false }
    if let code = event.errorCode, unsafe !frame.push(cpu, op, UInt64(code)) { return false }
    unsafe frame.setPointer(cpu)
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
    if type & 0x17 != 0x6 && type & 0x17 != 0x7 && type != 5
        || event.kind == .software && UInt32(truncatingIfNeeded: gate &>> 45) & 3 < cpl
    {
        return unsafe fail(cpu, Vector.generalProtection, selectorCode, event)
    }
    if gate & (1 << 47) == 0 {
        return unsafe fail(cpu, Vector.segmentNotPresent, selectorCode, event)
    }
    let selector = UInt16(truncatingIfNeeded: gate &>> 16)
    if type == 5 {
        let external: UInt16 = event.isExternalToProgram ? 1 : 0
        return unsafe enterTask(
            cpu, op, selector, by: .interrupt(external: external, errorCode: event.errorCode),
            returningTo: cpu.pointee.rip)
    }
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
        guard
            let (inner, innerPointer) = unsafe innerStack(
                cpu, op, newCPL, external: event.isExternalToProgram ? 1 : 0)
        else { return false }
        if fromVirtual8086 {
            for number in [Segment.gs, Segment.fs, Segment.ds, Segment.es] {
                unsafe words.append(UInt64(cpu.segment(number).selector))
            }
        }
        words.append(UInt64(stackSegment.selector))
        unsafe words.append(cpu.gpr(GPR.rsp))
        stackSegment = inner
        pointer = innerPointer
    }
    unsafe words.append(readFlags(cpu))
    unsafe words.append(UInt64(cpu.segment(Segment.cs).selector))
    unsafe words.append(cpu.pointee.rip)
    if let errorCode = event.errorCode { words.append(UInt64(errorCode)) }
    if target > UInt64(code.limit) {
        return unsafe fail(cpu, Vector.generalProtection, 0, event)
    }
    let external: UInt16 = event.isExternalToProgram ? 1 : 0
    var frame = Frame(
        stack: stackSegment, pointer: pointer, width: wide ? 4 : 2, isLong: false,
        privilege: newCPL,
        faultCode: (newCPL < cpl ? stackSegment.selector & 0xfffc : 0) | external)
    for word in words where unsafe !frame.push(cpu, op, word) { return false }
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
    unsafe frame.setPointer(cpu)
    unsafe cpu.pointee.rip = target
    return true
}
