internal import Glibc
public import Vocabulary

/// Where a part of the machine gets the time from; tests put a clock of their own here.
public protocol Clock: Sendable {
    /// Now, on a clock that never goes back.
    var now: Instant { get }
}

/// CLOCK_MONOTONIC of the host.
public struct HostClock: Clock {
    public init() {}

    public var now: Instant {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(
            nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
    }

    /// CLOCK_REALTIME of the host, in nanoseconds since 1970.
    public static var wallClockNanoseconds: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
