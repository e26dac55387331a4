public import Bus
public import Clocks
internal import HostIO
public import Interrupts
internal import Synchronization
public import Vocabulary

/// The real-time clock and its 128 bytes of memory, MC146818A: index at offset 0, data at offset 1.
/// The time is the host's in UTC until the guest sets its own.
///
/// Any thread. Flags are worked out when somebody looks; the alarm is set only while an interrupt is
/// enabled.
public final class RealTimeClock: Device {
    public let name = "rtc"
    /// The global system interrupt.
    public static let line: UInt32 = 8

    let registers: RankedLock<Registers>
    private let clock: any Clock
    private let wallClock: @Sendable () -> UInt64
    private let interrupts: any InterruptSink
    private let setDeadline: @Sendable (Instant?) -> Void
    /// What the alarm was last set to, in nanoseconds. Written under the lock.
    private let alarm = Atomic<UInt64>(0)
    let counters = AccessCounters()

    /// - Parameters:
    ///   - clock: for the alarm.
    ///   - wallClock: nanoseconds since 1970.
    ///   - setDeadline: has `timerExpired` called then, on any thread; nil cancels.
    public init(
        clock: any Clock, wallClock: @escaping @Sendable () -> UInt64,
        interrupts: any InterruptSink, setDeadline: @escaping @Sendable (Instant?) -> Void
    ) {
        self.clock = clock
        self.wallClock = wallClock
        self.interrupts = interrupts
        self.setDeadline = setDeadline
        registers = RankedLock(Registers(now: wallClock()), owner: "rtc", rank: .device)
    }

    /// Brings the flags up to now, lets `body` at the registers, and tells the line and the alarm.
    func access<R>(
        since event: Instant? = nil, _ body: (inout Registers, _ now: UInt64) -> R
    ) -> R {
        registers.withLock { registers in
            let now = wallClock()
            let wasInterrupting = registers.isInterrupting
            registers.advance(to: now)
            let result = body(&registers, now)
            let isInterrupting = registers.isInterrupting
            if isInterrupting != wasInterrupting {
                interrupts.setLine(Self.line, asserted: isInterrupting, since: event)
                if isInterrupting { counters.countInterrupt() }
            }
            let next = registers.nanosecondsToEvent(now).map { clock.now.advanced(by: $0) }
            alarm.store(next?.nanoseconds ?? 0, ordering: .relaxed)
            setDeadline(next)
            return result
        }
    }

    /// The deadline has come. Any thread.
    public func timerExpired() {
        access(since: Instant(nanoseconds: alarm.load(ordering: .relaxed))) { _, _ in }
    }

    /// The line's level after a restore.
    func announce(_ level: Bool) { interrupts.setLine(Self.line, asserted: level) }
}
