internal import Glibc
internal import HostIO
public import Vocabulary

/// Deadlines and what to do at them, on one thread of its own that sleeps in between.
///
/// Owner: the machine. Any thread sets and cancels; actions run on the queue's thread, which must
/// not be blocked. Has no state to keep: deadlines belong to the parts that set them.
public final class TimerQueue: Sendable {
    /// Names one timer; setting it again replaces the deadline.
    public struct TimerID: Hashable, Sendable {
        let number: Int
    }

    private let timers = RankedLock(Timers(), owner: "timers", rank: .timerQueue)
    private let wakeUp: EventCounter
    private let alarm: HostTimer

    /// Throws when the host gives no event counter.
    public init() throws(XError) {
        wakeUp = try EventCounter()
        alarm = try HostTimer()
    }

    /// Starts the thread. Once; `stop` ends it.
    public func start() throws {
        _ = try HostThread.spawn(name: "timers") { [self] in loop() }
    }

    public func stop() {
        timers.withLock { $0.isStopping = true }
        wakeUp.signal()
    }

    /// A new timer, not set.
    public func makeTimer(_ action: @escaping @Sendable () -> Void) -> TimerID {
        timers.withLock { $0.add(action) }
    }

    /// Sets the deadline, or with nil cancels it. An action that has begun still ends.
    public func set(_ timer: TimerID, _ deadline: Instant?) {
        if timers.withLock({ $0.set(timer, deadline?.nanoseconds) }) { wakeUp.signal() }
    }

    /// Actions run, and the most nanoseconds one was late.
    public var metrics: [String: UInt64] {
        timers.withLock { ["fired": $0.firedCount, "longestLatenessNanoseconds": $0.lateness] }
    }

    private func loop() {
        let clock = HostClock()
        while true {
            var due: [@Sendable () -> Void] = []
            let next: UInt64? = timers.withLock { timers in
                if timers.isStopping { return nil }
                due = timers.takeDue(now: clock.now.nanoseconds)
                return timers.prepareSleep(due.isEmpty)
            }
            guard let next else { return }
            if due.isEmpty {
                sleep(until: next)
            } else {
                for action in due { action() }
            }
        }
    }

    private func sleep(until deadline: UInt64) {
        alarm.set(deadline == .max ? nil : Instant(nanoseconds: deadline))
        var descriptors = [
            pollfd(fd: wakeUp.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: alarm.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        _ = unsafe poll(&descriptors, 2, -1)
        wakeUp.take()
    }
}

/// The timers of a queue, without its thread.
struct Timers: Sendable {
    private struct Timer {
        /// In nanoseconds; nil: not set.
        var deadline: UInt64?
        let action: @Sendable () -> Void
    }

    private var timers: [Timer] = []
    /// What the thread sleeps until, so that a later deadline does not wake it. 0: it is awake.
    private var sleepsUntil: UInt64 = 0
    var isStopping = false
    private(set) var firedCount: UInt64 = 0
    /// Nanoseconds that an action was late at most.
    private(set) var lateness: UInt64 = 0

    mutating func add(_ action: @escaping @Sendable () -> Void) -> TimerQueue.TimerID {
        timers.append(Timer(deadline: nil, action: action))
        return TimerQueue.TimerID(number: timers.count - 1)
    }

    /// True if the thread sleeps too long for it.
    mutating func set(_ timer: TimerQueue.TimerID, _ deadline: UInt64?) -> Bool {
        timers[timer.number].deadline = deadline
        return deadline.map { $0 < sleepsUntil } ?? false
    }

    /// The actions whose time has come, in the order of their deadlines; of equal ones the older
    /// timer first. Their timers are no longer set.
    mutating func takeDue(now: UInt64) -> [@Sendable () -> Void] {
        var due: [(deadline: UInt64, number: Int)] = []
        for index in timers.indices {
            guard let deadline = timers[index].deadline, deadline <= now else { continue }
            timers[index].deadline = nil
            due.append((deadline, index))
            lateness = max(lateness, now &- deadline)
        }
        firedCount &+= UInt64(due.count)
        return due.sorted { $0 < $1 }.map { timers[$0.number].action }
    }

    /// The earliest deadline, `UInt64.max` if none is set. `sleeps`: the thread sleeps until then.
    mutating func prepareSleep(_ sleeps: Bool) -> UInt64 {
        let earliest = timers.reduce(UInt64.max) { min($0, $1.deadline ?? .max) }
        sleepsUntil = sleeps ? earliest : 0
        return earliest
    }
}
