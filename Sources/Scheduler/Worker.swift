internal import CHost
internal import HostIO
internal import Synchronization
import Vocabulary

/// One host core's run queue, and the thread that runs what is in it.
///
/// Owner: the scheduler. `carry` and `isBound` are the worker's thread's; the queue has a lock of its
/// own; the rest is atomic.
@safe final class Worker: @unchecked Sendable {
    /// What the worker does next, as far as the last turn decided it.
    enum Carry {
        case nothing
        /// Goes back into the queue, unless it is its turn again.
        case previous(VCPUTask)
        /// Goes on with its slice.
        case resume(Assignment)
        /// `giver` goes back into the queue; the receiver is already out of its own.
        case handOver(giver: VCPUTask, receiver: Assignment)
    }

    let number: Int
    /// The host processor it stands for.
    let core: Int
    let queue: RankedLock<RunQueue>
    var carry = Carry.nothing
    /// The thread keeps to `core`.
    var isBound = false

    // What others may read without the lock. Written under it.
    private let readyCount = Atomic<Int>(0)
    private let unboundReadyCount = Atomic<Int>(0)
    private let minimumWord = Atomic<UInt64>(0)
    private let floorWord = Atomic<UInt64>(0)

    /// Sleeps or is about to. Who sets it back owes the worker a `ring`.
    private let isIdle = Atomic<Bool>(false)
    /// Was claimed and has not yet come.
    private let isComing = Atomic<Bool>(false)
    // SAFETY: never changes, points at an atomic, freed in deinit.
    private nonisolated(unsafe) let bell: UnsafeMutablePointer<Atomic<UInt32>>

    init(number: Int, core: Int) {
        self.number = number
        self.core = core
        queue = RankedLock(RunQueue(), owner: "worker\(number)-queue", rank: .scheduler)
        unsafe bell = .allocate(capacity: 1)
        unsafe bell.initialize(to: Atomic(0))
    }

    deinit {
        unsafe bell.deinitialize(count: 1)
        unsafe bell.deallocate()
    }

    /// Changes the queue and tells the others.
    func withQueue<Result>(_ body: (inout RunQueue) -> Result) -> Result {
        queue.withLock { queue in
            let result = body(&queue)
            minimumWord.store(queue.minimum?.units ?? 0, ordering: .relaxed)
            floorWord.store(queue.floor.units, ordering: .relaxed)
            readyCount.store(queue.count, ordering: .sequentiallyConsistent)
            unboundReadyCount.store(queue.unboundCount, ordering: .sequentiallyConsistent)
            return result
        }
    }

    /// Tasks that wait, as of the last change.
    var count: Int { readyCount.load(ordering: .sequentiallyConsistent) }
    /// Those of them that any worker may run.
    var unboundCount: Int { unboundReadyCount.load(ordering: .sequentiallyConsistent) }
    /// The least virtual time of those that wait. Meaningless if `count` is 0.
    var minimum: VirtualTime { VirtualTime(units: minimumWord.load(ordering: .relaxed)) }
    var floor: VirtualTime { VirtualTime(units: floorWord.load(ordering: .relaxed)) }
    var sleeps: Bool { isIdle.load(ordering: .sequentiallyConsistent) }

    // MARK: Sleeping

    /// Takes an idle worker for work that is about to be in its queue. False: it is not idle.
    func claim() -> Bool {
        let (isClaimed, _) = isIdle.compareExchange(
            expected: true, desired: false, ordering: .sequentiallyConsistent)
        if isClaimed { isComing.store(true, ordering: .relaxed) }
        return isClaimed
    }

    /// It is about to run what it was claimed for.
    var wakesUp: Bool { isComing.load(ordering: .relaxed) }

    /// Wakes the thread that was claimed.
    func ring() {
        unsafe bell.pointee.add(1, ordering: .sequentiallyConsistent)
        // SAFETY: the word lives as long as `self`.
        unsafe chost_futex_wake(UnsafeRawPointer(bell))
    }

    /// Sleeps until `ring`, or for `nanoseconds`. `hasWork` is asked once others can see that the
    /// worker is idle, so that work that comes in between is not missed.
    func sleep(nanoseconds: UInt64?, unless hasWork: () -> Bool) {
        let ringing = unsafe bell.pointee.load(ordering: .sequentiallyConsistent)
        isIdle.store(true, ordering: .sequentiallyConsistent)
        if !hasWork() {
            // SAFETY: as above.
            unsafe chost_futex_wait_for(UnsafeRawPointer(bell), ringing, nanoseconds ?? 0)
        }
        isIdle.store(false, ordering: .sequentiallyConsistent)
        isComing.store(false, ordering: .relaxed)
    }

    /// Ties the thread to its core, or lets it go. Threads roam unless a VM asks for certain cores:
    /// the host knows better which of its cores is free.
    func bind(_ binds: Bool, all cores: [Int]) {
        guard binds != isBound else { return }
        isBound = binds
        HostCores.setAffinity(binds ? [core] : cores)
    }
}

/// A task on a worker, and until when.
struct Assignment {
    var task: VCPUTask
    var sliceEnd: Instant
    /// Whose slice it is, if another had it first and gave it away.
    var payer: VCPUTask?
    /// When a slice that is handed on and on is over, with all the boosts of those who had it.
    var latestEnd: Instant
    /// No wake-up ends it before.
    var protectedUntil = Instant(nanoseconds: 0)
    /// The virtual time that wake-ups are compared with: that which whose slice it is has come to.
    var time: VirtualTime
}
