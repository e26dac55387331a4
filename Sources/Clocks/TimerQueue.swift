internal import Glibc
internal import HostIO
public import Vocabulary

/// Deadlines and what to do at them, on one thread of its own that sleeps in between.
///
/// Owner: the machine. Any thread sets and cancels; actions run on the queue's thread, which must
/// not be blocked.
public final class TimerQueue: Sendable {
    /// Names one timer; setting it again replaces the deadline.
    public struct TimerID: Hashable, Sendable {
        fileprivate let number: Int
    }

    private struct Timer {
        var deadline: UInt64?
        let action: @Sendable () -> Void
    }

    private struct Timers {
        var timers: [Timer] = []
        var stopping = false
        /// What the thread sleeps until, so that a later deadline does not wake it.
        var sleepsUntil: UInt64 = 0
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
        timers.withLock { $0.stopping = true }
        wakeUp.signal()
    }

    /// A new timer, not set.
    public func makeTimer(_ action: @escaping @Sendable () -> Void) -> TimerID {
        timers.withLock {
            $0.timers.append(Timer(deadline: nil, action: action))
            return TimerID(number: $0.timers.count - 1)
        }
    }

    /// Sets the deadline, or with nil cancels it. An action that has begun still ends.
    public func set(_ timer: TimerID, _ deadline: Instant?) {
        let wakes = timers.withLock { state in
            state.timers[timer.number].deadline = deadline?.nanoseconds
            guard let deadline else { return false }
            return deadline.nanoseconds < state.sleepsUntil
        }
        if wakes { wakeUp.signal() }
    }

    private func loop() {
        let clock = HostClock()
        while true {
            var due: [@Sendable () -> Void] = []
            let next: UInt64? = timers.withLock { state in
                if state.stopping { return nil }
                let now = clock.now.nanoseconds
                var earliest = UInt64.max
                for index in state.timers.indices {
                    guard let deadline = state.timers[index].deadline else { continue }
                    if deadline <= now {
                        state.timers[index].deadline = nil
                        due.append(state.timers[index].action)
                    } else {
                        earliest = min(earliest, deadline)
                    }
                }
                state.sleepsUntil = due.isEmpty ? earliest : 0
                return earliest
            }
            guard let next else { return }
            if due.isEmpty {
                sleep(until: next, clock)
            } else {
                for action in due { action() }
            }
        }
    }

    private func sleep(until deadline: UInt64, _ clock: HostClock) {
        alarm.set(deadline == .max ? nil : Instant(nanoseconds: deadline))
        var descriptors = [
            pollfd(fd: wakeUp.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: alarm.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        _ = unsafe poll(&descriptors, 2, -1)
        wakeUp.take()
    }
}
