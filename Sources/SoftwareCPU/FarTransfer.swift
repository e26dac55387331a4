internal import CEngine
internal import VirtualCPU

// Far transfers, interrupts by instruction and returns from them, SYSCALL and SYSENTER.
// `op.auxiliary` is the operand size in bytes; `op.immediate` the offset of a direct far pointer and
// `op.displacement` its selector.

enum FarTransfer {
    static let jumpDirect: InstructionHandler = { cpu, op in
        unsafe farJump(
            cpu, op, selector: UInt16(truncatingIfNeeded: op.pointee.displacement),
            offset: op.pointee.immediate)
    }
    static let callDirect: InstructionHandler = { cpu, op in
        unsafe farCall(
            cpu, op, selector: UInt16(truncatingIfNeeded: op.pointee.displacement),
            offset: op.pointee.immediate)
    }
    static let jumpMemory: InstructionHandler = { cpu, op in
        guard let (selector, offset) = unsafe farPointer(cpu, op) else { return nil }
        return unsafe farJump(cpu, op, selector: selector, offset: offset)
    }
    static let callMemory: InstructionHandler = { cpu, op in
        guard let (selector, offset) = unsafe farPointer(cpu, op) else { return nil }
        return unsafe farCall(cpu, op, selector: selector, offset: offset)
    }
    static let farReturn: InstructionHandler = { cpu, op in unsafe returnFar(cpu, op) }
    static let interruptReturn: InstructionHandler = { cpu, op in
        serialize()
        return unsafe returnFromInterrupt(cpu, op)
    }

    static let interrupt: InstructionHandler = { cpu, op in
        unsafe softwareInterrupt(
            cpu, op, UInt8(truncatingIfNeeded: op.pointee.immediate), sensitive: true)
    }
    /// INT3 as one byte: IOPL does not matter in virtual-8086 mode.
    static let breakpoint: InstructionHandler = { cpu, op in
        unsafe softwareInterrupt(cpu, op, Vector.breakpoint, sensitive: false)
    }
    static let overflowInterrupt: InstructionHandler = { cpu, op in
        unsafe cpu.pointee.statusFlags & 1 != 0
            ? softwareInterrupt(cpu, op, Vector.overflow, sensitive: false) : op + 1
    }
    static let debugInterrupt: InstructionHandler = { cpu, op in
        unsafe cpu.pointee.rip = unsafe cpu.nextInstructionPointer(of: op)
        return unsafe recordFault(cpu, vector: Vector.debug, errorCode: nil)
    }
}

private func farPointer(_ cpu: CPU, _ op: Op) -> (UInt16, UInt64)? {
    let size = unsafe Int(op.pointee.auxiliary)
    let address = unsafe effectiveAddress(cpu, op)
    guard let pointer = unsafe readPointer(cpu, op, address, size &+ 2) else { return nil }
    let selector = unsafe pointer.loadUnaligned(fromByteOffset: size, as: UInt16.self)
    let offset: UInt64 =
        switch size {
        case 8: unsafe pointer.loadUnaligned(as: UInt64.self)
        case 4: unsafe UInt64(pointer.loadUnaligned(as: UInt32.self))
        default: unsafe UInt64(pointer.loadUnaligned(as: UInt16.self))
        }
    return (selector, offset)
}

private func protection(_ cpu: CPU, _ op: Op, _ selector: UInt16) -> Next {
    unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: selector & 0xfffc)
}

private func continueAt(_ cpu: CPU, _ rip: UInt64) -> Next { unsafe jump(cpu, to: rip) }

private func farJump(_ cpu: CPU, _ op: Op, selector: UInt16, offset: UInt64) -> Next {
    if unsafe cpu.pointee.blockMode & BlockMode.protected == 0 {
        if unsafe offset > UInt64(cpu.segment(Segment.cs).limit) {
            return unsafe protection(cpu, op, 0)
        }
        unsafe loadRealSegment(cpu, Segment.cs, selector)
        return unsafe continueAt(cpu, offset)
    }
    return unsafe farProtected(cpu, op, selector, offset, call: false)
}

private func farCall(_ cpu: CPU, _ op: Op, selector: UInt16, offset: UInt64) -> Next {
    let size = unsafe UInt64(op.pointee.auxiliary)
    if unsafe cpu.pointee.blockMode & BlockMode.protected != 0 {
        return unsafe farProtected(cpu, op, selector, offset, call: true)
    }
    if unsafe offset > UInt64(cpu.segment(Segment.cs).limit) {
        return unsafe protection(cpu, op, 0)
    }
    let pointer = unsafe cpu.gpr(GPR.rsp)
    let oldCode = unsafe UInt64(cpu.segment(Segment.cs).selector)
    if unsafe !pushAt(cpu, op, pointer &- size, oldCode)
        || !pushAt(cpu, op, pointer &- 2 &* size, cpu.nextInstructionPointer(of: op))
    {
        return nil
    }
    unsafe setStackPointer(cpu, pointer &- 2 &* size)
    unsafe loadRealSegment(cpu, Segment.cs, selector)
    return unsafe continueAt(cpu, offset)
}

private func pushAt(_ cpu: CPU, _ op: Op, _ pointer: UInt64, _ value: UInt64) -> Bool {
    let address = unsafe stackAddress(cpu, pointer)
    switch unsafe op.pointee.auxiliary {
    case 8: return unsafe storeStack(cpu, op, address, value)
    case 4: return unsafe storeStack(cpu, op, address, UInt32(truncatingIfNeeded: value))
    default: return unsafe storeStack(cpu, op, address, UInt16(truncatingIfNeeded: value))
    }
}

/// RETF: `op.immediate` bytes of parameters are dropped too.
private func returnFar(_ cpu: CPU, _ op: Op) -> Next {
    let size = unsafe UInt64(op.pointee.auxiliary)
    guard let offset = unsafe popLegacy(cpu, op, 0),
        let selectorWord = unsafe popLegacy(cpu, op, size)
    else {
        return nil
    }
    let selector = UInt16(truncatingIfNeeded: selectorWord)
    let dropped = unsafe 2 &* size &+ op.pointee.immediate
    if unsafe cpu.pointee.blockMode & BlockMode.protected == 0 {
        unsafe setStackPointer(cpu, cpu.gpr(GPR.rsp) &+ dropped)
        unsafe loadRealSegment(cpu, Segment.cs, selector)
        return unsafe continueAt(cpu, offset)
    }
    return unsafe returnTo(
        cpu, op, selector: selector, offset: offset, stackAbove: dropped,
        outer: op.pointee.immediate, flags: nil)
}

/// The common end of RETF and IRET in protected and IA-32e mode. `stackAbove` is how far above the
/// stack pointer SS:SP of an outer level lie.
private func returnTo(
    _ cpu: CPU, _ op: Op, selector: UInt16, offset: UInt64, stackAbove: UInt64, outer: UInt64,
    flags: UInt64?
) -> Next {
    unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
    let size = unsafe UInt64(op.pointee.auxiliary)
    let cpl = unsafe cpu.currentPrivilegeLevel
    let rpl = UInt32(selector & 3)
    if selector & 0xfffc == 0 { return unsafe protection(cpu, op, 0) }
    guard var code = unsafe readDescriptor(cpu, op, selector, failing: Vector.generalProtection)
    else {
        return nil
    }
    if !code.isCode || rpl < cpl
        || (code.isConforming ? code.privilegeLevel > rpl : code.privilegeLevel != rpl)
    {
        return unsafe protection(cpu, op, selector)
    }
    if !code.isPresent {
        return unsafe raise(cpu, op, vector: Vector.segmentNotPresent, errorCode: selector & 0xfffc)
    }
    let isLongMode = unsafe cpu.pointee.efer & EFER.lma != 0
    let toLong = isLongMode && code.isLong
    if toLong ? !isCanonical(offset) : offset > UInt64(code.limit) {
        return unsafe protection(cpu, op, 0)
    }
    let fromLong = unsafe cpu.isLongCode
    // IRET in 64-bit code always takes SS:RSP; other returns only to an outer level.
    if rpl == cpl, !(flags != nil && fromLong) {
        if unsafe !markAccessed(cpu, op, selector, &code) { return nil }
        unsafe setStackPointer(cpu, cpu.gpr(GPR.rsp) &+ stackAbove)
        unsafe setCodeSegment(cpu, code, selector: selector, cpl: cpl)
        if let flags { unsafe returnFlags(cpu, op, flags, from: cpl) }
        return unsafe continueAt(cpu, offset)
    }
    guard let newPointer = unsafe popLegacy(cpu, op, stackAbove),
        let stackWord = unsafe popLegacy(cpu, op, stackAbove &+ size)
    else { return nil }
    let stackSelector = UInt16(truncatingIfNeeded: stackWord)
    var stack = SegmentRegister(
        base: 0, limit: 0xffff_ffff, selector: stackSelector,
        attributes: 0xc093 | UInt16(truncatingIfNeeded: rpl &<< 5))
    if stackSelector & 0xfffc == 0 {
        if !toLong || rpl == 3 { return unsafe protection(cpu, op, 0) }
    } else {
        guard
            var descriptor = unsafe readDescriptor(
                cpu, op, stackSelector, failing: Vector.generalProtection)
        else { return nil }
        if UInt32(stackSelector & 3) != rpl || !descriptor.isWritableData
            || descriptor.privilegeLevel != rpl
        {
            return unsafe protection(cpu, op, stackSelector)
        }
        if !descriptor.isPresent {
            return unsafe raise(
                cpu, op, vector: Vector.stackFault, errorCode: stackSelector & 0xfffc)
        }
        if unsafe !markAccessed(cpu, op, stackSelector, &descriptor) { return nil }
        stack = descriptor.register(selector: stackSelector)
    }
    if unsafe !markAccessed(cpu, op, selector, &code) { return nil }
    unsafe cpu.setSegment(Segment.ss, stack)
    unsafe setCodeSegment(cpu, code, selector: selector, cpl: rpl)
    unsafe setStackPointer(cpu, newPointer &+ outer)
    if let flags { unsafe returnFlags(cpu, op, flags, from: cpl) }
    if rpl > cpl { unsafe dropInnerSegments(cpu, rpl) }
    return unsafe continueAt(cpu, offset)
}

/// Data segments that the outer level may not use become null, and null selectors 0, whatever their
/// RPL was (SDM volume 2, IRET and RET: "NULL segment selectors"); bases of FS and GS stay.
private func dropInnerSegments(_ cpu: CPU, _ cpl: UInt32) {
    for number in [Segment.es, Segment.ds, Segment.fs, Segment.gs] {
        var segment = unsafe cpu.segment(number)
        if segment.selector & 0xfffc == 0 {
            if segment.selector == 0 { continue }
            segment.selector = 0
            unsafe cpu.setSegment(number, segment)
            continue
        }
        let isConforming = segment.attributes & 0x1c == 0x1c
        let dpl = UInt32(segment.attributes &>> 5) & 3
        if segment.attributes & 0x80 != 0, !isConforming, dpl < cpl {
            unsafe cpu.setSegment(
                number,
                SegmentRegister(base: segment.base, limit: 0, selector: 0, attributes: 0))
        }
    }
    unsafe refreshMode(cpu)
}

/// POPF's and IRET's rules for which flags change.
func returnFlags(_ cpu: CPU, _ op: Op, _ flags: UInt64, from cpl: UInt32) {
    var changeable = Flags.arithmetic | Flags.trap | Flags.direction | Flags.nestedTask
    if unsafe op.pointee.auxiliary != 2 {
        changeable |= Flags.resume | Flags.alignmentCheck | Flags.identification
    }
    let iopl = unsafe UInt32(truncatingIfNeeded: cpu.pointee.systemFlags &>> 12) & 3
    if cpl == 0 {
        changeable |= Flags.ioPrivilegeLevel
        if unsafe op.pointee.auxiliary != 2 {
            changeable |= Flags.virtualInterrupt | Flags.virtualInterruptPending
        }
    }
    if cpl <= iopl { changeable |= Flags.interrupt }
    unsafe writeFlags(cpu, readFlags(cpu) & ~changeable | flags & changeable)
}

private func returnFromInterrupt(_ cpu: CPU, _ op: Op) -> Next {
    let size = unsafe UInt64(op.pointee.auxiliary)
    let engine = unsafe context(cpu)
    unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
    if unsafe cpu.pointee.blockMode & BlockMode.virtual8086 != 0,
        unsafe cpu.pointee.systemFlags & Flags.ioPrivilegeLevel != Flags.ioPrivilegeLevel
    {
        return unsafe protection(cpu, op, 0)
    }
    if unsafe cpu.pointee.blockMode & BlockMode.protected != 0,
        unsafe cpu.pointee.systemFlags & Flags.nestedTask != 0
    {
        // A return to the task that the back link names; IA-32e mode has none.
        if unsafe cpu.pointee.efer & EFER.lma != 0 { return unsafe protection(cpu, op, 0) }
        guard
            let link = unsafe readSystem(
                cpu, op, cpu.pointee.taskRegister.base, as: UInt16.self)
        else { return nil }
        unblockNonMaskableInterrupts(engine)
        return unsafe switchTask(cpu, op, to: link, by: .interruptReturn)
    }
    guard let offset = unsafe popLegacy(cpu, op, 0),
        let selectorWord = unsafe popLegacy(cpu, op, size),
        let flags = unsafe popLegacy(cpu, op, 2 &* size)
    else { return nil }
    let selector = UInt16(truncatingIfNeeded: selectorWord)
    if unsafe cpu.pointee.blockMode & BlockMode.protected == 0 {
        unblockNonMaskableInterrupts(engine)
        unsafe setStackPointer(cpu, cpu.gpr(GPR.rsp) &+ 3 &* size)
        var kept = Flags.virtual8086 | Flags.virtualInterrupt | Flags.virtualInterruptPending
        if size == 2 { kept |= 0xffff_0000 }
        if unsafe cpu.pointee.blockMode & BlockMode.virtual8086 != 0 {
            kept |= Flags.ioPrivilegeLevel
        }
        unsafe loadRealSegment(cpu, Segment.cs, selector)
        unsafe writeFlags(cpu, readFlags(cpu) & kept | flags & ~kept)
        return unsafe continueAt(cpu, offset)
    }
    if flags & Flags.virtual8086 != 0, unsafe cpu.currentPrivilegeLevel == 0, size == 4,
        unsafe cpu.pointee.efer & EFER.lma == 0
    {
        return unsafe returnToVirtual8086(cpu, op, offset, selector, flags)
    }
    // NMIs are let in even if the return faults.
    unblockNonMaskableInterrupts(engine)
    return unsafe returnTo(
        cpu, op, selector: selector, offset: offset, stackAbove: 3 &* size, outer: 0, flags: flags)
}

/// An NMI that waited is announced, so that the next block's header finds it.
private func unblockNonMaskableInterrupts(_ engine: EngineContext) {
    if !engine.nonMaskableInterruptsBlocked { return }
    engine.nonMaskableInterruptsBlocked = false
    if engine.nonMaskableInterruptPending { engine.events.raise(.nonMaskableInterrupt) }
}

private func returnToVirtual8086(
    _ cpu: CPU, _ op: Op, _ offset: UInt64, _ selector: UInt16, _ flags: UInt64
) -> Next {
    var words: [UInt64] = []
    if offset > 0xffff { return unsafe protection(cpu, op, 0) }
    for index in 3..<9 {
        guard let word = unsafe popLegacy(cpu, op, UInt64(truncatingIfNeeded: index) &* 4) else {
            return nil
        }
        words.append(word)
    }
    unsafe writeFlags(cpu, flags)
    unsafe refreshMode(cpu)
    unsafe cpu.setGPR(GPR.rsp, words[0])
    unsafe loadRealSegment(cpu, Segment.cs, selector)
    let order = [Segment.ss, Segment.es, Segment.ds, Segment.fs, Segment.gs]
    for (index, number) in order.enumerated() {
        unsafe loadRealSegment(cpu, number, UInt16(truncatingIfNeeded: words[index &+ 1]))
    }
    return unsafe continueAt(cpu, offset & 0xffff)
}

private func softwareInterrupt(_ cpu: CPU, _ op: Op, _ vector: UInt8, sensitive: Bool) -> Next {
    if unsafe cpu.pointee.blockMode & BlockMode.virtual8086 != 0, sensitive,
        unsafe cpu.pointee.systemFlags & Flags.ioPrivilegeLevel != Flags.ioPrivilegeLevel
    {
        return unsafe protection(cpu, op, 0)
    }
    let start = unsafe cpu.instructionPointer(of: op)
    unsafe cpu.pointee.rip = unsafe cpu.nextInstructionPointer(of: op)
    if unsafe deliver(cpu, op, Event(vector: vector, kind: .software, errorCode: nil)) {
        if unsafe cpu.pointee.leaveReason == LeaveReason.fault { return nil }
        return unsafe lookUpBlock(cpu)
    }
    unsafe cpu.pointee.rip = start
    return nil
}
