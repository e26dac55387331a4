internal import HostIO
internal import Synchronization
internal import VirtualCPU
import Vocabulary

/// Puts vCPUs on host cores: as many workers as the process has cores, each with a run queue.
///
/// One for the whole process, so that VMs share fairly; tests make their own. Any thread. No lock is
/// common to all vCPUs: a wake-up takes that of the queue it chooses, a worker that of its own and,
/// when it has less to do than another, that one's; never two at a time.
public final class VCPUScheduler: Sendable {
    /// That of the process.
    public static let shared = VCPUScheduler()

    let workers: [Worker]
    let clock: @Sendable () -> Instant
    private let cores: [Int]
    private let isStarted = Atomic<Bool>(false)
    private let isStopping = Atomic<Bool>(false)
    private let threads = RankedLock([HostThread](), owner: "scheduler-threads", rank: .leaf)

    /// Who runs less than this ahead of one that wakes up is left alone, in nanoseconds.
    static let wakeUpGranularity: UInt64 = 1_000_000
    /// The part of a slice that a vCPU gets on top for having slept.
    static let sleeperCreditDivisor: UInt64 = 2
    /// Slices that a vCPU can be ahead or behind when it comes into a queue.
    static let longestLead: UInt64 = 4

    /// One worker for each core of the process, on the host's monotonic clock.
    public convenience init() {
        self.init(cores: HostCores.forWorkers) { HostThread.monotonicNow }
    }

    /// - Parameters:
    ///   - cores: the host processor of each worker.
    init(cores: [Int], clock: @escaping @Sendable () -> Instant) {
        self.cores = cores
        self.clock = clock
        workers = cores.enumerated().map { Worker(number: $0, core: $1) }
    }

    /// The host processors that have a worker.
    public var workerCores: [Int] { cores }

    /// Threads that run vCPUs, numbered from 0.
    public var workerCount: Int { workers.count }

    /// The workers for these host processors; nil: all.
    func workers(for affinity: [Int]?) throws(XError) -> WorkerSet? {
        guard let affinity else { return nil }
        let missing = affinity.filter { !cores.contains($0) }
        guard missing.isEmpty, !affinity.isEmpty else {
            let list = cores.map(String.init).joined(separator: ", ")
            let wrong = missing.isEmpty ? "none" : missing.map(String.init).joined(separator: ", ")
            throw XError(
                .invalidArgument,
                "host processors \(wrong): this process may run on \(list); name those with --cpu-affinity"
            )
        }
        return WorkerSet(affinity.compactMap { cores.firstIndex(of: $0) })
    }

    // MARK: Threads

    /// Starts the workers' threads; again does nothing.
    func start() throws(XError) {
        let (first, _) = isStarted.compareExchange(
            expected: false, desired: true, ordering: .sequentiallyConsistent)
        guard first else { return }
        for worker in workers {
            let thread = try HostThread.spawn(name: "worker/\(worker.number)") { [self] in
                loop(worker)
            }
            threads.withLock { $0.append(thread) }
        }
    }

    /// Returns when the threads have ended after their turns. For tests: the process's own runs on.
    func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        for worker in workers { worker.ring() }
        let ended = threads.withLock { threads in
            defer { threads.removeAll() }
            return threads
        }
        for thread in ended { thread.join() }
    }

    private func loop(_ worker: Worker) {
        while !isStopping.load(ordering: .relaxed) {
            guard let assignment = next(on: worker, now: clock()) else {
                idle(worker)
                continue
            }
            let task = assignment.task
            guard let body = task.body else {
                preconditionFailure("vCPU \(task.number) runs and has no body")
            }
            worker.bind(task.group.workers != nil, all: cores)
            let start = clock()
            let used = HostThread.processorNanoseconds
            let end = body.run(Turn(deadline: assignment.sliceEnd, worker: worker.number))
            let spent = HostThread.processorNanoseconds &- used
            finish(assignment, on: worker, end, started: start, ran: spent, now: clock())
        }
    }

    private func idle(_ worker: Worker) {
        let now = clock()
        let release = worker.queue.withLock { $0.nextRelease(after: now) }
        worker.sleep(nanoseconds: release.map { max(1, $0.nanoseconds &- now.nanoseconds) }) {
            isStopping.load(ordering: .sequentiallyConsistent) || worker.count > 0
                || workers.contains { $0.unboundCount > 0 }
        }
    }

    // MARK: Wake-up

    /// Puts a task that wants to run into a queue. Whoever made it `queued`.
    func place(_ task: VCPUTask, now: Instant) {
        let group = task.group
        let home = workers[task.home.load(ordering: .relaxed)]
        let isClaimed: Bool
        let target: Worker
        if let idle = claimIdle(for: group, first: home) {
            (target, isClaimed) = (idle, true)
        } else {
            (target, isClaimed) = (leastLoaded(for: group, first: home), false)
        }
        // An idle queue's time stood still.
        let frame = isClaimed ? frame(besides: target) : nil
        let slice = group.cost(of: group.settings.slice)
        let loser = target.withQueue { queue in
            if let frame { queue.raiseFloor(to: frame) }
            queue.bring(
                task, credit: slice / Self.sleeperCreditDivisor, lead: slice &* Self.longestLead)
            task.home.store(target.number, ordering: .relaxed)
            queue.insert(task)
            return Self.loser(against: task, queue.running, now)
        }
        if isClaimed {
            target.ring()
        } else {
            loser?.pending.raise(.reschedule)
            alertIdle(for: group)
        }
    }

    /// The running task, if the woken one is to take its place.
    private static func loser(
        against task: VCPUTask, _ running: RunQueue.Running?, _ now: Instant
    ) -> VCPUTask? {
        guard let running, running.protectedUntil <= now else { return nil }
        let ran = now.nanoseconds &- min(running.since.nanoseconds, now.nanoseconds)
        let reached = running.time.advanced(by: running.task.group.cost(of: ran))
        let needed = task.virtualTime.advanced(by: task.group.cost(of: wakeUpGranularity))
        return needed < reached ? running.task : nil
    }

    private func mayRun(_ group: VCPUGroup, on worker: Worker) -> Bool {
        group.workers?.contains(worker.number) ?? true
    }

    private func claimIdle(for group: VCPUGroup, first home: Worker?) -> Worker? {
        if let home, mayRun(group, on: home), home.claim() { return home }
        return workers.first { $0.sleeps && mayRun(group, on: $0) && $0.claim() }
    }

    /// A worker that became idle while others got something to do comes and takes it.
    func alertIdle(for group: VCPUGroup) { claimIdle(for: group, first: nil)?.ring() }

    private func leastLoaded(for group: VCPUGroup, first home: Worker) -> Worker {
        var best = mayRun(group, on: home) ? home : nil
        for worker in workers where mayRun(group, on: worker) {
            if best.map({ worker.count < $0.count }) ?? true { best = worker }
        }
        // A group's set is never empty.
        return best ?? home
    }

    /// The virtual time that the busy queues have come to; if none is busy, the latest of all.
    private func frame(besides target: Worker) -> VirtualTime {
        var least: VirtualTime?
        var latest = target.floor
        for worker in workers where worker !== target {
            let floor = worker.floor
            if latest < floor { latest = floor }
            if !worker.sleeps, least.map({ floor < $0 }) ?? true { least = floor }
        }
        return least ?? latest
    }
}
