internal import Synchronization
public import Vocabulary

/// The deadline a part has set; the test moves the clock and lets it expire.
public final class ScriptedAlarm: Sendable {
    private let value = Mutex<Instant?>(nil)

    public init() {}

    /// In nanoseconds; nil: not set.
    public var deadline: UInt64? { value.withLock { $0?.nanoseconds } }

    public func set(_ deadline: Instant?) { value.withLock { $0 = deadline } }

    /// Moves `clock` on, stopping at each deadline in between to call `expired`.
    public func advance(_ clock: FakeClock, _ nanoseconds: UInt64, _ expired: () -> Void) {
        let end = clock.now.nanoseconds &+ nanoseconds
        while let next = deadline, next <= end {
            clock.advance(nanoseconds: max(next, clock.now.nanoseconds) - clock.now.nanoseconds)
            set(nil)
            expired()
        }
        clock.advance(nanoseconds: end - clock.now.nanoseconds)
    }
}
