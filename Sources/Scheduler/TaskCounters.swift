internal import Synchronization

/// What the scheduler counted for one vCPU.
public struct VCPUSchedulingStatistics: Codable, Sendable, Equatable {
    /// Processor time of the host, in nanoseconds.
    public var runNanoseconds: UInt64 = 0
    /// Wanted to run and did not: in a queue, or while the host ran something else.
    public var stolenNanoseconds: UInt64 = 0
    /// Times it came onto a worker.
    public var slices: UInt64 = 0
    /// Times it left one and would have run on.
    public var preemptions: UInt64 = 0
    /// Times it came onto another worker than before.
    public var migrations: UInt64 = 0
    public var wakeUps: UInt64 = 0
    /// From the wake-up to the first instruction, in all and at most.
    public var wakeUpNanoseconds: UInt64 = 0
    public var longestWakeUpNanoseconds: UInt64 = 0
    /// Pause loops seen.
    public var pauseLoops: UInt64 = 0
    /// Times it wanted to give its slice away: pause loops, and what the guest asked for.
    public var yieldsAttempted: UInt64 = 0
    /// Times somebody took it.
    public var yieldsDone: UInt64 = 0
    /// Slices it was given.
    public var yieldsReceived: UInt64 = 0

    public init() {}
}

/// The counters themselves: written by the task's holder alone, read by anyone.
struct TaskCounters: ~Copyable, Sendable {
    private let run = Atomic<UInt64>(0)
    private let stolen = Atomic<UInt64>(0)
    private let slices = Atomic<UInt64>(0)
    private let preemptions = Atomic<UInt64>(0)
    private let migrations = Atomic<UInt64>(0)
    private let wakeUps = Atomic<UInt64>(0)
    private let wakeUpTime = Atomic<UInt64>(0)
    private let longestWakeUp = Atomic<UInt64>(0)
    private let pauseLoops = Atomic<UInt64>(0)
    private let attempted = Atomic<UInt64>(0)
    private let done = Atomic<UInt64>(0)
    private let received = Atomic<UInt64>(0)

    private func raise(_ counter: borrowing Atomic<UInt64>, by amount: UInt64 = 1) {
        counter.store(counter.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    func ran(_ nanoseconds: UInt64) { raise(run, by: nanoseconds) }
    func waited(_ nanoseconds: UInt64) { raise(stolen, by: nanoseconds) }
    func countSlice() { raise(slices) }
    func countPreemption() { raise(preemptions) }
    func countMigration() { raise(migrations) }
    func countPauseLoop() { raise(pauseLoops) }
    func countReceivedSlice() { raise(received) }

    func countYield(isDone: Bool) {
        raise(attempted)
        if isDone { raise(done) }
    }

    func wokeUp(after nanoseconds: UInt64) {
        raise(wakeUps)
        raise(wakeUpTime, by: nanoseconds)
        if nanoseconds > longestWakeUp.load(ordering: .relaxed) {
            longestWakeUp.store(nanoseconds, ordering: .relaxed)
        }
    }

    var values: VCPUSchedulingStatistics {
        var result = VCPUSchedulingStatistics()
        result.runNanoseconds = run.load(ordering: .relaxed)
        result.stolenNanoseconds = stolen.load(ordering: .relaxed)
        result.slices = slices.load(ordering: .relaxed)
        result.preemptions = preemptions.load(ordering: .relaxed)
        result.migrations = migrations.load(ordering: .relaxed)
        result.wakeUps = wakeUps.load(ordering: .relaxed)
        result.wakeUpNanoseconds = wakeUpTime.load(ordering: .relaxed)
        result.longestWakeUpNanoseconds = longestWakeUp.load(ordering: .relaxed)
        result.pauseLoops = pauseLoops.load(ordering: .relaxed)
        result.yieldsAttempted = attempted.load(ordering: .relaxed)
        result.yieldsDone = done.load(ordering: .relaxed)
        result.yieldsReceived = received.load(ordering: .relaxed)
        return result
    }
}
