internal import Synchronization
import VirtualCPU
import Vocabulary

/// One vCPU to the scheduler.
///
/// Owner: its group. What is not atomic belongs to whoever holds the task: the worker that runs it,
/// the lock of the queue it is in, or the thread that took it out of `blocked`.
final class VCPUTask: @unchecked Sendable {
    enum Phase: UInt8, AtomicRepresentable {
        /// Not started, or over.
        case idle
        /// Waits for an event; in no queue.
        case blocked
        /// Wants to run.
        case queued
        case running
    }

    let number: Int
    let pending: PendingEvents
    /// Alive: who has a task that is not started has its group too.
    unowned let group: VCPUGroup
    /// From the start to the end the tasks keep their group, so that its owner may forget it.
    private var keptGroup: VCPUGroup?
    let phase = Atomic<Phase>(.idle)
    /// The worker in whose queue it is, or that last ran it.
    let home = Atomic<Int>(0)
    /// What ends the wait of a blocked task.
    let wakers = Atomic<UInt32>(0)
    /// Virtual time that others used of the slices it gave away, and that it has not paid yet.
    let debt = Atomic<UInt64>(0)
    let counters = TaskCounters()

    // What a spinning vCPU looks at in the others.
    let wasInKernel = Atomic<Bool>(false)
    let isSpinning = Atomic<Bool>(false)
    /// Since when it spins without a break, in nanoseconds.
    let spinningSince = Atomic<UInt64>(0)
    /// Searches that found it spinning and went on.
    let passedOverCount = Atomic<Int>(0)

    // The holder's.
    var body: (any VCPUBody)?
    var virtualTime = VirtualTime()
    /// Since when it wants to run.
    var readySince = Instant(nanoseconds: 0)
    /// It wants to run because an event woke it, not because it was preempted.
    var isWoken = false
    /// Wanted to run and did not, since it last was told.
    var stolen: UInt64 = 0
    /// The body knows that it is on a worker.
    var isScheduledIn = false

    init(number: Int, group: VCPUGroup, pending: PendingEvents) {
        self.number = number
        self.group = group
        self.pending = pending
    }

    var index: VCPUIndex { VCPUIndex(UInt32(truncatingIfNeeded: number)) }

    func start(_ body: any VCPUBody) {
        let now = group.scheduler.clock()
        self.body = body
        keptGroup = group
        readySince = now
        wakers.store(.max, ordering: .relaxed)
        // Workers take turns at being the first home.
        home.store(number % group.scheduler.workers.count, ordering: .relaxed)
        group.runnableCount.add(1, ordering: .relaxed)
        phase.store(.queued, ordering: .sequentiallyConsistent)
        group.scheduler.place(self, now: now)
    }

    func wake() {
        // Raised before, looked at here; the worker that blocks it does it the other way round.
        guard phase.load(ordering: .sequentiallyConsistent) == .blocked, isWanted else { return }
        guard leaveBlocked(for: .queued) else { return }
        let now = group.scheduler.clock()
        isWoken = true
        readySince = now
        group.scheduler.place(self, now: now)
    }

    /// Adds the debt to its virtual time: true if there was any. The holder.
    @discardableResult
    func payDebt() -> Bool {
        guard debt.load(ordering: .relaxed) != 0 else { return false }
        virtualTime = virtualTime.advanced(by: debt.exchange(0, ordering: .relaxed))
        return true
    }

    /// Something is pending that ends the wait.
    private var isWanted: Bool {
        pending.current.rawValue & wakers.load(ordering: .sequentiallyConsistent) != 0
    }

    /// Waits for one of `events`, or goes on: true if one is there already. The worker that ran it.
    func block(until events: PendingEvents.Events) -> Bool {
        wakers.store(events.rawValue, ordering: .sequentiallyConsistent)
        let group = group
        group.runnableCount.subtract(1, ordering: .relaxed)
        // From here on another thread may have it.
        phase.store(.blocked, ordering: .sequentiallyConsistent)
        return isWanted && leaveBlocked(for: .running)
    }

    /// False: somebody else did.
    private func leaveBlocked(for next: Phase) -> Bool {
        guard
            phase.compareExchange(
                expected: .blocked, desired: next, ordering: .sequentiallyConsistent
            ).exchanged
        else { return false }
        group.runnableCount.add(1, ordering: .relaxed)
        return true
    }

    /// It runs no more. The worker that ran it.
    func end() {
        group.runnableCount.subtract(1, ordering: .relaxed)
        phase.store(.idle, ordering: .sequentiallyConsistent)
        let body = body
        self.body = nil
        keptGroup = nil
        body?.ended()
    }
}
