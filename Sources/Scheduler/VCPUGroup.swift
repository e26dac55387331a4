internal import Synchronization
public import VirtualCPU
public import Vocabulary

/// The vCPUs of one VM: what the VMs of a process share fairly, by weight and under a cap.
///
/// Owner: the machine. Any thread.
public final class VCPUGroup: @unchecked Sendable {
    /// What a VM asks of the scheduler.
    public struct Settings: Sendable, Equatable {
        /// Of a VM that asks for nothing.
        public static let defaultWeight = 100
        public static let weightRange = 1...10_000

        /// The VM's part of the processors when all are wanted, against the weights of the others.
        public var weight = Settings.defaultWeight
        /// At most so many cores' worth of time; nil: no cap.
        public var limit: Double?
        /// Numbers of the host processors that may run it; nil: all.
        public var affinity: [Int]?
        /// A vCPU that spins gives its slice to one that was preempted.
        public var directedYield = true
        /// How long a vCPU runs while others wait, in nanoseconds.
        public var slice: UInt64 = 4_000_000
        /// The least time that a receiver of a slice runs, in nanoseconds.
        public var boost: UInt64 = 1_000_000

        public init() {}
    }

    public let settings: Settings
    let scheduler: VCPUScheduler
    let bandwidth: CPUBandwidth?
    /// Nil: all.
    let workers: WorkerSet?
    let recorder: (any SchedulerRecorder)?
    /// Set once, at the end of `init`.
    private(set) var tasks: [VCPUTask] = []
    /// Tasks that run or want to.
    let runnableCount = Atomic<Int>(0)
    /// The number of the task that last got a slice: the search goes on behind it.
    let lastReceiver = Atomic<Int>(0)

    /// - Parameters:
    ///   - pending: the word of each vCPU.
    /// - Throws: `XError` for host processors that are not there.
    public init(
        _ scheduler: VCPUScheduler, pending: [PendingEvents], settings: Settings = Settings(),
        recorder: (any SchedulerRecorder)? = nil
    ) throws(XError) {
        self.scheduler = scheduler
        self.settings = settings
        self.recorder = recorder
        workers = try scheduler.workers(for: settings.affinity)
        bandwidth = settings.limit.map { CPUBandwidth(cores: $0, now: scheduler.clock()) }
        tasks = pending.enumerated().map { number, pending in
            VCPUTask(number: number, group: self, pending: pending)
        }
    }

    /// Gives each vCPU its body and lets it run. Once.
    public func start(_ bodies: [any VCPUBody]) throws(XError) {
        precondition(bodies.count == tasks.count, "\(bodies.count) bodies, \(tasks.count) vCPUs")
        try scheduler.start()
        for (task, body) in zip(tasks, bodies) { task.start(body) }
    }

    /// Lets a vCPU run if it waits for what is pending now. After each `PendingEvents.raise`; any
    /// thread.
    public func wake(_ number: Int) {
        if number >= 0, number < tasks.count { tasks[number].wake() }
    }

    /// What each vCPU counted.
    public var statistics: [VCPUSchedulingStatistics] { tasks.map { $0.counters.values } }

    /// What so much processor time costs one of the vCPUs now.
    func cost(of nanoseconds: UInt64) -> UInt64 {
        VirtualTime.cost(
            of: nanoseconds, weight: settings.weight,
            runnableCount: runnableCount.load(ordering: .relaxed))
    }

    /// The cap leaves no time now.
    func isHeld(_ now: Instant) -> Bool {
        guard let bandwidth else { return false }
        return bandwidth.remaining(now: now) <= 0
    }
}
