internal import CHost
internal import Glibc
internal import Vocabulary

/// The guest's time-stamp counter: the host's plus an offset, at the host's frequency.
public struct TimeStampCounter: Sendable {
    /// In hertz.
    public let frequency: UInt64
    /// Added to the host's counter, modulo 2^64.
    public let offset: UInt64

    public init(frequency: UInt64, offset: UInt64) {
        self.frequency = frequency
        self.offset = offset
    }

    /// Starts at 0 now. Measures the host's frequency against its monotonic clock for about 20 ms.
    public static func starting() -> TimeStampCounter {
        let clock = HostClock()
        let startTime = clock.now.nanoseconds
        let start = chost_rdtsc()
        var pause = timespec(tv_sec: 0, tv_nsec: 20_000_000)
        unsafe nanosleep(&pause, nil)
        let ticks = chost_rdtsc() &- start
        let elapsed = max(1, clock.now.nanoseconds &- startTime)
        let (high, low) = ticks.multipliedFullWidth(by: 1_000_000_000)
        let measured = high < elapsed ? elapsed.dividingFullWidth((high, low)).quotient : 1
        // Counters run at whole megahertz; the measurement is off by less than one.
        let rounded = (measured &+ 500_000) / 1_000_000 &* 1_000_000
        return TimeStampCounter(frequency: max(1_000_000, rounded), offset: 0 &- chost_rdtsc())
    }

    /// The guest's counter now.
    public var now: UInt64 { chost_rdtsc() &+ offset }

    /// Nanoseconds until the guest's counter reaches `value`; 0 when it has.
    public func nanoseconds(until value: UInt64) -> UInt64 {
        let current = now
        if value <= current { return 0 }
        let (high, low) = (value &- current).multipliedFullWidth(by: 1_000_000_000)
        return high < frequency ? frequency.dividingFullWidth((high, low)).quotient : .max
    }
}
