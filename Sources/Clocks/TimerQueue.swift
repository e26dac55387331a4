internal import CHost
public import HostIO
internal import Synchronization
public import Trace
public import Vocabulary

/// Deadlines and what to do at them, on one thread of its own that sleeps in between.
///
/// Owner: the machine. Any thread sets and cancels, and takes no lock for it: each timer has its
/// deadline in a word of its own, so that vCPUs that set their timers have nothing in common.
/// Actions run on the queue's thread, which must not be blocked. Has no state to keep: deadlines
/// belong to the parts that set them.
public final class TimerQueue: Sendable {
    /// One timer of a queue; setting it again replaces the deadline.
    public struct TimerID: Sendable {
        let timer: QueuedTimer
    }

    /// An action that found a lock taken is called again so many nanoseconds later.
    static let retryInterval: UInt64 = 20_000

    /// Of the thread.
    public let name: String
    private let priority: HostThread.Priority
    private let track: TraceTrack
    /// Taken when a timer is made, and by the queue's thread.
    private let timers: RankedLock<[QueuedTimer]>
    /// What the thread sleeps until, so that a later deadline does not wake it. 0: it is awake.
    private let sleepsUntil = Atomic<UInt64>(0)
    private let isStopping = Atomic<Bool>(false)
    private let bell = SleepWord()
    private let firedCount = Atomic<UInt64>(0)
    private let retryCount = Atomic<UInt64>(0)
    /// Nanoseconds that an action was late at most. The queue's thread alone writes it.
    private let lateness = Atomic<UInt64>(0)

    /// - Parameters:
    ///   - name: of the thread, at most 15 bytes.
    ///   - track: where a trace shows what the thread does.
    public init(
        name: String = "timers", priority: HostThread.Priority = .inherited,
        track: TraceTrack = .off
    ) {
        self.name = name
        self.priority = priority
        self.track = track
        timers = RankedLock([], owner: name, rank: .timerQueue)
    }

    /// Starts the thread. Once; `stop` ends it.
    public func start() throws(XError) {
        _ = try HostThread.spawn(name: name, priority: priority) { [self] in loop() }
    }

    public func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        bell.ring()
    }

    /// A new timer, not set. `action` waits for nothing: if it finds a lock taken it says false and
    /// is called again soon.
    public func makeTimer(_ action: @escaping @Sendable () -> Bool) -> TimerID {
        let timer = QueuedTimer(action)
        timers.withLock { $0.append(timer) }
        return TimerID(timer: timer)
    }

    /// Sets the deadline, or with nil cancels it. An action that has begun still ends.
    public func set(_ timer: TimerID, _ deadline: Instant?) {
        if place(timer, deadline?.nanoseconds) { bell.ring() }
    }

    /// Actions run, calls that found a lock taken, and the most nanoseconds an action was late.
    public var metrics: [String: UInt64] {
        [
            "fired": firedCount.load(ordering: .relaxed),
            "retries": retryCount.load(ordering: .relaxed),
            "longestLatenessNanoseconds": lateness.load(ordering: .relaxed),
        ]
    }

    // MARK: The queue without its thread

    /// True if the thread sleeps too long for the deadline.
    func place(_ timer: TimerID, _ deadline: UInt64?) -> Bool {
        timer.timer.deadline.store(deadline ?? .max, ordering: .sequentiallyConsistent)
        // The thread says how long it will sleep before it looks at the deadlines for the last
        // time, and this is the other way round: one of the two sees the other.
        guard let deadline else { return false }
        return deadline < sleepsUntil.load(ordering: .sequentiallyConsistent)
    }

    /// Runs the actions whose time has come, in the order of their deadlines; of equal ones the
    /// older timer first. Their timers are no longer set. False if there are none.
    func fire(now: UInt64) -> Bool {
        sleepsUntil.store(0, ordering: .sequentiallyConsistent)
        var due: [(deadline: UInt64, number: Int, timer: QueuedTimer)] = []
        for (number, timer) in current.enumerated() {
            let deadline = timer.deadline.load(ordering: .acquiring)
            if deadline <= now { due.append((deadline, number, timer)) }
        }
        if due.count > 1 { due.sort { ($0.deadline, $0.number) < ($1.deadline, $1.number) } }
        for (deadline, _, timer) in due {
            // Cancelled or moved since.
            guard timer.replace(deadline, .max) else { continue }
            if timer.action() {
                firedCount.wrappingAdd(1, ordering: .relaxed)
                if now - deadline > lateness.load(ordering: .relaxed) {
                    lateness.store(now - deadline, ordering: .relaxed)
                }
            } else {
                retryCount.wrappingAdd(1, ordering: .relaxed)
                // Whoever had the lock may have set a new deadline, which then counts.
                _ = timer.replace(.max, now &+ Self.retryInterval)
            }
        }
        return !due.isEmpty
    }

    /// The earliest deadline, which the thread now sleeps until; `UInt64.max` if none is set.
    func prepareSleep() -> UInt64 {
        while true {
            let earliest = earliestDeadline
            sleepsUntil.store(earliest, ordering: .sequentiallyConsistent)
            if earliestDeadline >= earliest { return earliest }
        }
    }

    private var current: [QueuedTimer] { timers.withLock { $0 } }

    private var earliestDeadline: UInt64 {
        current.reduce(UInt64.max) {
            min($0, $1.deadline.load(ordering: .sequentiallyConsistent))
        }
    }

    // MARK: The thread

    private func loop() {
        let clock = HostClock()
        while true {
            let rings = bell.rings
            if isStopping.load(ordering: .sequentiallyConsistent) { return }
            let now = clock.now.nanoseconds
            if fire(now: now) {
                track.record(.slice("timers", .interrupt, from: now, to: track.now))
            } else {
                bell.wait(after: rings, until: prepareSleep())
            }
        }
    }
}

/// A deadline in nanoseconds, `UInt64.max` for none, and what to do then.
final class QueuedTimer: Sendable {
    let deadline = Atomic<UInt64>(.max)
    let action: @Sendable () -> Bool

    init(_ action: @escaping @Sendable () -> Bool) { self.action = action }

    /// False if the deadline is another by now.
    func replace(_ old: UInt64, _ new: UInt64) -> Bool {
        deadline.compareExchange(
            expected: old, desired: new, ordering: .sequentiallyConsistent
        ).exchanged
    }
}
