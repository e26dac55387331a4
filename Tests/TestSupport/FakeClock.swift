public import Clocks
internal import Synchronization
public import Vocabulary

/// A clock that stands until the test moves it.
public final class FakeClock: Clock, Sendable {
    private let time: Mutex<UInt64>

    /// - Parameter nanoseconds: what the clock shows first.
    public init(nanoseconds: UInt64 = 1_000_000_000) { time = Mutex(nanoseconds) }

    public var now: Instant { Instant(nanoseconds: time.withLock { $0 }) }

    /// Moves the clock on.
    public func advance(nanoseconds: UInt64) { time.withLock { $0 &+= nanoseconds } }
}
