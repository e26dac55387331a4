internal import CEngine

// One instruction at a time: the trap flag, breakpoints, the shadows of STI and MOV SS, and
// instructions that run again after an exit.

/// Bits of `CPUState.stepping`.
enum Stepping {
    /// EFLAGS.TF is set.
    static let trap: UInt32 = 1
    /// The instruction runs again with the machine's answers.
    static let replay: UInt32 = 2
    /// The one instruction runs: the next look-up is its end.
    static let armed: UInt32 = 4
    /// TF was set when the instruction that runs began.
    static let trapFollows: UInt32 = 8
    /// The next instruction runs alone and no interrupt comes before it.
    static let alone: UInt32 = 16
    /// The instruction just run was a load of SS: debug traps wait for one more.
    static let stackShadow: UInt32 = 32
}

private let singleStep: UInt64 = 1 << 14

/// Finds out what the next instruction is, or ends the one that has run.
@inline(never)
func step(_ cpu: CPU, _ engine: EngineContext) -> Next {
    if unsafe cpu.pointee.stepping & Stepping.armed != 0 {
        let traps = unsafe endStep(cpu)
        // An IRET that sets RF may go on for ever with IRETs that set it again.
        if unsafe traps || cpu.pointee.budget <= 0
            || cpu.pointee.stepping & (Stepping.alone | Stepping.stackShadow) == 0
        {
            return nil
        }
        unsafe cpu.pointee.leaveReason = LeaveReason.none
    }
    if unsafe isInterruptible(cpu) {
        unsafe cpu.pointee.leaveReason = LeaveReason.poll
        return nil
    }
    guard let (linear, physical) = unsafe fetchAddress(cpu, engine) else { return nil }
    let shadowed = unsafe cpu.pointee.stepping & Stepping.stackShadow != 0
    if engine.breakpoints.hasExecute, unsafe cpu.pointee.stepping & Stepping.replay == 0, !shadowed,
        unsafe cpu.pointee.systemFlags & Flags.resume == 0
    {
        let bits = engine.breakpoints.execute(linear)
        if bits != 0 {
            unsafe setDebugStatus(cpu, bits)
            return unsafe recordFault(cpu, vector: Vector.debug, errorCode: nil)
        }
    }
    unsafe cpu.pointee.systemFlags &= ~Flags.resume
    unsafe cpu.pointee.interruptShadow = 0
    unsafe cpu.pointee.stepping &= ~(Stepping.alone | Stepping.stackShadow)
    unsafe cpu.pointee.stepping |= Stepping.armed
    if unsafe cpu.pointee.stepping & Stepping.trap != 0 {
        unsafe cpu.pointee.stepping |= Stepping.trapFollows
    }
    unsafe refreshContexts(cpu)
    return unsafe transientBlock(cpu, engine, linear: linear, physical: physical)
}

/// Time is up, or an event is pending, and the next instruction need not come first. An instruction that
/// transfers control and ends stepping by that, as INT does, comes by here and not by `endStep`.
private func isInterruptible(_ cpu: CPU) -> Bool {
    let firm = Stepping.replay | Stepping.armed | Stepping.alone | Stepping.stackShadow
    if unsafe cpu.pointee.stepping & firm != 0 { return false }
    let pending = unsafe cengine_load32(cpu.pointee.pendingWord) & cpu.pointee.pendingMask
    return unsafe cpu.pointee.budget <= 0 || pending != 0
}

/// The one instruction is done. True: a debug trap is recorded.
private func endStep(_ cpu: CPU) -> Bool {
    var bits = unsafe cpu.pointee.pendingDebug
    if unsafe cpu.pointee.stepping & Stepping.trapFollows != 0 { bits |= singleStep }
    unsafe cpu.pointee.stepping &=
        Stepping.trap | Stepping.alone | Stepping.stackShadow
    unsafe cpu.pointee.replayCount = 0
    unsafe cpu.pointee.replayCursor = 0
    if unsafe cpu.pointee.systemFlags & Flags.trap == 0 {
        unsafe cpu.pointee.stepping &= ~Stepping.trap
    }
    unsafe refreshContexts(cpu)
    unsafe cpu.pointee.leaveReason = LeaveReason.resume
    // A load of SS keeps data breakpoints for later and loses the single step.
    if unsafe cpu.pointee.stepping & Stepping.stackShadow != 0 { return false }
    unsafe cpu.pointee.pendingDebug = 0
    if bits == 0 { return false }
    unsafe setDebugStatus(cpu, bits)
    unsafe recordFault(cpu, vector: Vector.debug, errorCode: nil)
    return true
}

/// SYSCALL and SYSRET look at TF when they are done: the trap comes before the next instruction, and
/// not at all if TF has been masked.
func trapAtOnce(_ cpu: CPU) {
    if unsafe cpu.pointee.systemFlags & Flags.trap != 0 {
        unsafe cpu.pointee.stepping |= Stepping.armed | Stepping.trapFollows
    } else {
        unsafe cpu.pointee.stepping &= ~(Stepping.trapFollows | Stepping.trap)
    }
    unsafe refreshContexts(cpu)
}

/// The next instruction runs before any interrupt; after a load of SS also before any debug trap.
func shadowNextInstruction(_ cpu: CPU, stack: Bool) {
    unsafe cpu.pointee.interruptShadow = 1
    unsafe cpu.pointee.stepping |= stack ? Stepping.stackShadow : Stepping.alone
    unsafe refreshContexts(cpu)
}
