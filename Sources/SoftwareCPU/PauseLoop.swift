internal import CEngine
internal import VirtualCPU

/// What counts as a pause loop: so many PAUSE instructions, each within so many instructions of the
/// one before. As `ple_window` and `ple_gap` of VMX (SDM volume 3, 26.1.3), in instructions because
/// a software engine's guest has no cycles.
public struct PauseLoop: Sendable, Equatable {
    public var count: Int
    public var window: Int

    public init(count: Int, window: Int) {
        self.count = count
        self.window = window
    }
}

func watchPauses(_ cpu: CPU, for loop: PauseLoop?) {
    unsafe cpu.pointee.pauseLimit = loop.map { UInt32(clamping: $0.count) } ?? 0
    unsafe cpu.pointee.pauseWindow = Int64(clamping: loop?.window ?? 0)
    unsafe cpu.pointee.pauseCount = 0
}

/// One PAUSE. Leaves behind it when the loop has had its count.
@inline(never)
func countPause(_ cpu: CPU, _ op: Op) -> Next {
    // Blocks pay for their instructions at the head, so the budget says how far the last one is, to
    // a block. A new run sets it anew: the count starts again.
    let distance = unsafe cpu.pointee.pauseMark &- cpu.pointee.budget
    unsafe cpu.pointee.pauseMark = unsafe cpu.pointee.budget
    let isNear = unsafe distance >= 0 && distance <= cpu.pointee.pauseWindow
    if isNear {
        unsafe cpu.pointee.pauseCount &+= 1
    } else {
        unsafe cpu.pointee.pauseCount = 1
        unsafe cpu.pointee.pauseBreaks &+= 1
    }
    guard unsafe cpu.pointee.pauseCount >= cpu.pointee.pauseLimit,
        unsafe cpu.pointee.stepping == 0
    else { return unsafe op + 1 }
    unsafe cpu.pointee.pauseCount = 0
    unsafe cpu.pointee.keptSpinning = unsafe cpu.pointee.pauseBreaks <= 1 ? 1 : 0
    unsafe cpu.pointee.pauseBreaks = 0
    // Far from any budget.
    unsafe cpu.pointee.pauseMark = .min
    unsafe cpu.pointee.interruptShadow = 0
    _ = unsafe leave(cpu, op, with: .pause, awaiting: .nothing)
    // While the instruction pointer says how far the block came: the PAUSE itself has run.
    unsafe refundBudget(cpu)
    unsafe cpu.pointee.rip = unsafe cpu.nextInstructionPointer(of: op)
    unsafe context(cpu).retired &+= 1
    return nil
}
