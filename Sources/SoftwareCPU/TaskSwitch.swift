internal import CEngine

// Hardware task switches outside IA-32e mode (SDM volume 3, chapter 7).

/// What makes the processor switch tasks.
enum TaskSwitchCause {
    case jump
    case call
    /// IRET with NT set.
    case interruptReturn
    /// A task gate in the IDT. EXT of error codes is 0 for INT n.
    case interrupt(external: UInt16, errorCode: UInt16?)

    var external: UInt16 {
        if case .interrupt(let external, _) = self { external } else { 0 }
    }
    /// The new task returns to this one.
    var nests: Bool {
        switch self {
        case .call, .interrupt: true
        case .jump, .interruptReturn: false
        }
    }
    var isReturn: Bool { if case .interruptReturn = self { true } else { false } }
}

/// A task state segment of either size.
struct TaskState {
    var isWide: Bool
    var eip: UInt32 = 0
    var eflags: UInt32 = 0
    /// EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI.
    var registers = [UInt32](repeating: 0, count: 8)
    /// ES, CS, SS, DS, FS, GS.
    var selectors = [UInt16](repeating: 0, count: 6)
    var localDescriptorTable: UInt16 = 0
    var cr3: UInt32?
    var debugTrap = false

    /// Reads the image at `base`. Nil: fault recorded.
    init?(_ cpu: CPU, _ op: Op, at base: UInt64, isWide: Bool) {
        self.isWide = isWide
        func word(_ offset: UInt64) -> UInt16? {
            unsafe readSystem(cpu, op, base &+ offset, as: UInt16.self)
        }
        func long(_ offset: UInt64) -> UInt32? {
            isWide
                ? unsafe readSystem(cpu, op, base &+ offset, as: UInt32.self)
                : word(offset).map { UInt32($0) }
        }
        guard let eip = long(isWide ? 0x20 : 0x0e), let eflags = long(isWide ? 0x24 : 0x10),
            let table = word(isWide ? 0x60 : 0x2a)
        else { return nil }
        self.eip = eip
        self.eflags = eflags
        localDescriptorTable = table
        for index in 0..<8 {
            let step = UInt64(truncatingIfNeeded: index)
            guard let value = long(isWide ? 0x28 &+ step &* 4 : 0x12 &+ step &* 2) else {
                return nil
            }
            registers[index] = isWide ? value : value | 0xffff_0000
        }
        for index in 0..<(isWide ? 6 : 4) {
            let step = UInt64(truncatingIfNeeded: index)
            guard let value = word(isWide ? 0x48 &+ step &* 4 : 0x22 &+ step &* 2) else {
                return nil
            }
            selectors[index] = value
        }
        if isWide {
            guard let cr3 = long(0x1c), let trap = word(0x64) else { return nil }
            self.cr3 = cr3
            debugTrap = trap & 1 != 0
        }
    }
}

/// Saves what the outgoing task's TSS takes. False: fault recorded.
private func saveTask(_ cpu: CPU, _ op: Op, eip: UInt64, eflags: UInt64) -> Bool {
    let task = unsafe cpu.pointee.taskRegister
    let isWide = task.attributes & 8 != 0
    func put(_ offset: UInt64, _ value: UInt64) -> Bool {
        isWide
            ? unsafe writeSystem(
                cpu, op, task.base &+ offset, UInt32(truncatingIfNeeded: value))
            : unsafe writeSystem(
                cpu, op, task.base &+ offset, UInt16(truncatingIfNeeded: value))
    }
    if !put(isWide ? 0x20 : 0x0e, eip) || !put(isWide ? 0x24 : 0x10, eflags) { return false }
    for index in 0..<8 {
        let step = UInt64(truncatingIfNeeded: index)
        if unsafe !put(isWide ? 0x28 &+ step &* 4 : 0x12 &+ step &* 2, cpu.gpr(index)) {
            return false
        }
    }
    for index in 0..<(isWide ? 6 : 4) {
        let step = UInt64(truncatingIfNeeded: index)
        let address = task.base &+ (isWide ? 0x48 &+ step &* 4 : 0x22 &+ step &* 2)
        if unsafe !writeSystem(cpu, op, address, cpu.segment(index).selector) { return false }
    }
    return true
}

/// JMP, CALL and IRET: `op` is the instruction.
func switchTask(_ cpu: CPU, _ op: Op, to selector: UInt16, by cause: TaskSwitchCause) -> Next {
    let next = unsafe cpu.nextInstructionPointer(of: op)
    guard unsafe enterTask(cpu, op, selector, by: cause, returningTo: next) else { return nil }
    if unsafe cpu.pointee.leaveReason == LeaveReason.fault { return nil }
    return unsafe lookUpBlock(cpu)
}

/// The switch. False: a fault of the outgoing task is recorded and nothing has changed. True: the new
/// task is there; if the leave reason is a fault, that fault is the new task's.
func enterTask(
    _ cpu: CPU, _ op: Op, _ selector: UInt16, by cause: TaskSwitchCause, returningTo rip: UInt64
) -> Bool {
    func refuse(_ vector: UInt8) -> Bool {
        unsafe recordFault(cpu, vector: vector, errorCode: selector & 0xfffc | cause.external)
        return false
    }
    let wrong = cause.isReturn ? Vector.invalidTSS : Vector.generalProtection
    guard selector & 0xfffc != 0, selector & 4 == 0,
        let address = unsafe descriptorAddress(cpu, selector)
    else { return refuse(wrong) }
    guard let raw = unsafe readSystem(cpu, op, address, as: UInt64.self) else { return false }
    var descriptor = Descriptor(raw: raw)
    let isBusy = descriptor.type & 2 != 0
    if !descriptor.isSystem || descriptor.type & 5 != 1 || isBusy != cause.isReturn {
        return refuse(wrong)
    }
    if !descriptor.isPresent { return refuse(Vector.segmentNotPresent) }
    let isWide = descriptor.type & 8 != 0
    if descriptor.limit < (isWide ? 0x67 : 0x2b) { return refuse(Vector.invalidTSS) }
    guard let new = unsafe TaskState(cpu, op, at: descriptor.base, isWide: isWide) else {
        return false
    }
    let old = unsafe cpu.pointee.taskRegister
    var saved = unsafe readFlags(cpu)
    if cause.isReturn { saved &= ~Flags.nestedTask }
    if unsafe !saveTask(cpu, op, eip: rip, eflags: saved) { return false }
    if unsafe !cause.nests && !setBusy(cpu, op, old.selector, false) { return false }
    if cause.nests, unsafe !writeSystem(cpu, op, descriptor.base, old.selector) { return false }
    if unsafe !cause.isReturn && !setBusy(cpu, op, selector, true) { return false }
    // From here on faults are the new task's.
    descriptor.raw |= 2 << 40
    unsafe cpu.pointee.taskRegister = descriptor.register(selector: selector)
    unsafe loadTask(cpu, new, nested: cause.nests)
    unsafe loadTaskSegments(cpu, op, new)
    if unsafe cpu.pointee.leaveReason == LeaveReason.fault { return true }
    if case .interrupt(_, let code?) = cause {
        var frame = unsafe Frame(
            stack: cpu.segment(Segment.ss), pointer: cpu.gpr(GPR.rsp), width: isWide ? 4 : 2,
            isLong: false, privilege: cpu.currentPrivilegeLevel, faultCode: cause.external)
        if unsafe !frame.push(cpu, op, UInt64(code)) { return true }
        unsafe frame.setPointer(cpu)
    }
    if new.debugTrap {
        unsafe setDebugStatus(cpu, 1 << 15)
        unsafe recordFault(cpu, vector: Vector.debug, errorCode: nil)
    }
    return true
}

/// The busy bit of a TSS descriptor.
private func setBusy(_ cpu: CPU, _ op: Op, _ selector: UInt16, _ busy: Bool) -> Bool {
    guard let address = unsafe descriptorAddress(cpu, selector),
        let access = unsafe readSystem(cpu, op, address &+ 5, as: UInt8.self)
    else { return unsafe cpu.pointee.leaveReason != LeaveReason.fault }
    return unsafe writeSystem(cpu, op, address &+ 5, busy ? access | 2 : access & ~2)
}

/// Everything that cannot fault.
private func loadTask(_ cpu: CPU, _ task: TaskState, nested: Bool) {
    unsafe cpu.pointee.leaveReason = LeaveReason.none
    unsafe cpu.pointee.stepping = 0
    unsafe cpu.pointee.pendingDebug = 0
    if let cr3 = task.cr3, unsafe cpu.pointee.cr0 & CR0.pg != 0 {
        unsafe cpu.pointee.cr3 = UInt64(cr3)
        unsafe reloadPageDirectoryPointers(cpu)
        unsafe flushEverything(cpu)
    }
    unsafe cpu.pointee.cr0 |= CR0.ts
    for index in 0..<8 { unsafe cpu.setGPR(index, UInt64(task.registers[index])) }
    unsafe cpu.pointee.rip = UInt64(task.eip)
    // Null until they are loaded, so that nothing of the old task remains.
    for number in 0..<6 {
        unsafe cpu.setSegment(
            number,
            SegmentRegister(
                base: 0, limit: 0, selector: task.selectors[number], attributes: 0))
    }
    let privilege = UInt32(task.selectors[Segment.cs] & 3)
    unsafe setPrivilegeLevel(cpu, privilege)
    unsafe cpu.pointee.localDescriptorTable = SegmentRegister(
        base: 0, limit: 0, selector: task.localDescriptorTable, attributes: 0)
    var flags = UInt64(task.eflags)
    if nested { flags |= Flags.nestedTask }
    unsafe writeFlags(cpu, flags)
    // The local enables of breakpoints belong to the task that is left.
    let dr7 =
        unsafe (cpu.bytes + CPUOffsets.debugRegisters).assumingMemoryBound(to: UInt64.self)
        + 7
    if unsafe dr7.pointee & 0x155 != 0 {
        unsafe dr7.pointee &= ~0x155
        unsafe refreshBreakpoints(cpu)
    }
    unsafe refreshMode(cpu)
}

/// LDTR and the segment registers: #TS, #NP or #SS in the new task.
private func loadTaskSegments(_ cpu: CPU, _ op: Op, _ task: TaskState) {
    func refuse(_ vector: UInt8, _ selector: UInt16) {
        unsafe recordFault(cpu, vector: vector, errorCode: selector & 0xfffc)
    }
    let table = task.localDescriptorTable
    if table & 0xfffc != 0 {
        guard table & 4 == 0, let address = unsafe descriptorAddress(cpu, table) else {
            return refuse(Vector.invalidTSS, table)
        }
        guard let raw = unsafe readSystem(cpu, op, address, as: UInt64.self) else { return }
        let descriptor = Descriptor(raw: raw)
        if !descriptor.isSystem || descriptor.type != 2 || !descriptor.isPresent {
            return refuse(Vector.invalidTSS, table)
        }
        unsafe cpu.pointee.localDescriptorTable = descriptor.register(selector: table)
    }
    if task.eflags & UInt32(Flags.virtual8086) != 0, task.isWide {
        for number in 0..<6 { unsafe loadRealSegment(cpu, number, task.selectors[number]) }
        return
    }
    let selector = task.selectors[Segment.cs]
    let privilege = UInt32(selector & 3)
    if selector & 0xfffc == 0 { return refuse(Vector.invalidTSS, 0) }
    guard var code = unsafe readDescriptor(cpu, op, selector, failing: Vector.invalidTSS) else {
        return
    }
    if !code.isCode
        || (code.isConforming
            ? code.privilegeLevel > privilege : code.privilegeLevel != privilege)
    {
        return refuse(Vector.invalidTSS, selector)
    }
    if !code.isPresent { return refuse(Vector.segmentNotPresent, selector) }
    if unsafe !markAccessed(cpu, op, selector, &code) { return }
    unsafe setCodeSegment(cpu, code, selector: selector, cpl: privilege)
    if unsafe !loadStackOfTask(cpu, op, task.selectors[Segment.ss], privilege) { return }
    for number in [Segment.ds, Segment.es, Segment.fs, Segment.gs] {
        if unsafe loadSegment(cpu, op, number, task.selectors[number]) { continue }
        // What would be #GP for an instruction is #TS here.
        if unsafe cpu.pointee.faultVector == Vector.generalProtection {
            unsafe cpu.pointee.faultVector = Vector.invalidTSS
        }
        return
    }
    if unsafe cpu.pointee.rip > UInt64(code.limit) {
        unsafe recordFault(cpu, vector: Vector.generalProtection, errorCode: 0)
    }
}

private func loadStackOfTask(_ cpu: CPU, _ op: Op, _ selector: UInt16, _ privilege: UInt32) -> Bool
{
    func refuse(_ vector: UInt8) -> Bool {
        unsafe recordFault(cpu, vector: vector, errorCode: selector & 0xfffc)
        return false
    }
    if selector & 0xfffc == 0 { return refuse(Vector.invalidTSS) }
    guard var stack = unsafe readDescriptor(cpu, op, selector, failing: Vector.invalidTSS) else {
        return false
    }
    if !stack.isWritableData || stack.privilegeLevel != privilege
        || UInt32(selector & 3) != privilege
    {
        return refuse(Vector.invalidTSS)
    }
    if !stack.isPresent { return refuse(Vector.stackFault) }
    if unsafe !markAccessed(cpu, op, selector, &stack) { return false }
    unsafe cpu.setSegment(Segment.ss, stack.register(selector: selector))
    unsafe refreshMode(cpu)
    return true
}
