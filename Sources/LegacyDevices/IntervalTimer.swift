public import Bus
public import Clocks
internal import HostIO
public import Interrupts
public import Vocabulary

/// The 8254 interval timer: three counters of 1.193182 MHz at ports 0x40 to 0x43. The output of
/// counter 0 is an interrupt line, counter 1 once refreshed memory, counter 2 drives the speaker
/// and has its gate in port 0x61.
///
/// Any thread. Counts are worked out when somebody looks; the alarm is set only for the line.
public final class IntervalTimer: Device {
    public let name = "pit"
    /// Ticks a second.
    public static let frequency: UInt64 = 1_193_182
    /// The global system interrupt: ACPI says that the timer's line 0 is at input 2.
    public static let line: UInt32 = 2

    struct Channels: Sendable {
        var channels = (Channel(), Channel(), Channel())
        /// Rises of OUT 0 up to this tick have been told.
        var toldUntil: UInt64 = 0
    }

    let channels = RankedLock(Channels(), owner: "pit", rank: .device)
    private let clock: any Clock
    private let interrupts: any InterruptSink
    private let setDeadline: @Sendable (Instant?) -> Void
    let counters = AccessCounters()

    /// - Parameter setDeadline: has `timerExpired` called then, on any thread; nil cancels.
    public init(
        clock: any Clock, interrupts: any InterruptSink,
        setDeadline: @escaping @Sendable (Instant?) -> Void
    ) {
        self.clock = clock
        self.interrupts = interrupts
        self.setDeadline = setDeadline
    }

    // MARK: Time

    /// Nanoseconds between two alarms at least, whatever the guest asks.
    private static let shortestPeriod: UInt64 = 20_000

    var now: UInt64 {
        let (high, low) = clock.now.nanoseconds.multipliedFullWidth(by: Self.frequency)
        return UInt64(1_000_000_000).dividingFullWidth((high, low)).quotient
    }

    /// The first instant of a tick.
    private static func instant(_ tick: UInt64) -> Instant {
        let (high, low) = tick.multipliedFullWidth(by: 1_000_000_000)
        guard high < frequency else { return Instant(nanoseconds: .max) }
        let nanoseconds = frequency.dividingFullWidth((high, low)).quotient
        return Instant(nanoseconds: nanoseconds).advanced(by: 1)
    }

    /// Tells the line what OUT 0 did since the last time, and sets the alarm for its next rise. With
    /// the lock held, before and after counter 0 is changed.
    func announce(_ state: inout Channels, _ now: UInt64) {
        let before = state.toldUntil
        // A load at a period's end in between moves the rises, not whether there was one.
        let rise = state.channels.0.nextRise(after: before).flatMap { $0 <= now ? $0 : nil }
        state.channels.0.settle(now)
        state.toldUntil = now
        if let rise {
            interrupts.setLine(Self.line, asserted: false)
            interrupts.setLine(Self.line, asserted: true, since: Self.instant(rise))
            counters.countInterrupt()
        }
        interrupts.setLine(Self.line, asserted: state.channels.0.output(now))
    }

    /// The line's level after a restore: no edge is told that was told before.
    func setLine(_ level: Bool) { interrupts.setLine(Self.line, asserted: level) }

    func setAlarm(_ state: Channels, _ now: UInt64) {
        guard let rise = state.channels.0.nextRise(after: now) else { return setDeadline(nil) }
        let earliest = clock.now.advanced(by: Self.shortestPeriod)
        setDeadline(max(Self.instant(rise), earliest))
    }

    /// The deadline has come. Any thread.
    public func timerExpired() {
        channels.withLock { state in
            let now = now
            announce(&state, now)
            setAlarm(state, now)
        }
    }

    // MARK: Counter 2

    /// The gate of counter 2 (port 0x61, bit 0).
    public func setGate2(_ on: Bool) {
        channels.withLock { $0.channels.2.setGate(on, now) }
    }

    public var gate2: Bool { channels.withLock { $0.channels.2.gate } }

    /// OUT of counter 2 (port 0x61, bit 5).
    public var output2: Bool {
        channels.withLock { state in
            let now = now
            state.channels.2.settle(now)
            return state.channels.2.output(now)
        }
    }
}
