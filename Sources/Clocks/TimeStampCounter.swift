internal import CHost
internal import Glibc
internal import Synchronization
public import Vocabulary

/// The guest's time-stamp counter: the host's plus an offset, at the host's frequency.
///
/// Owner: the machine. Any thread. Engines keep a copy of the offset.
public final class TimeStampCounter: MachinePart {
    public let name = "tsc"
    /// In hertz, as exact as the host's clocks can be compared: better than 1 ppm.
    public let frequency: UInt64
    private let offsetWord: Atomic<UInt64>

    /// Added to the host's counter, modulo 2^64.
    public var offset: UInt64 { offsetWord.load(ordering: .acquiring) }

    /// - Parameters:
    ///   - frequency: in hertz, at least 1.
    public init(frequency: UInt64, offset: UInt64) {
        self.frequency = max(1, frequency)
        offsetWord = Atomic(offset)
    }

    /// A counter that shows `value` now.
    public convenience init(frequency: UInt64, startingAt value: UInt64) {
        self.init(frequency: frequency, offset: value &- chost_rdtsc())
    }

    /// The guest's counter now.
    public var now: UInt64 { chost_rdtsc() &+ offset }

    func start(at value: UInt64) {
        offsetWord.store(value &- chost_rdtsc(), ordering: .releasing)
    }

    /// Nanoseconds until the guest's counter reaches `value`, rounded up; 0 when it has.
    ///
    /// - Parameter adjustment: what the vCPU's own counter shows above this one, modulo 2^64.
    public func nanoseconds(until value: UInt64, adjustment: UInt64 = 0) -> UInt64 {
        Self.nanoseconds(from: now &+ adjustment, until: value, frequency: frequency)
    }

    /// - Parameter frequency: at least 1.
    static func nanoseconds(from now: UInt64, until value: UInt64, frequency: UInt64) -> UInt64 {
        if value <= now { return 0 }
        let (high, low) = (value &- now).multipliedFullWidth(by: 1_000_000_000)
        guard high < frequency else { return .max }
        let (quotient, remainder) = frequency.dividingFullWidth((high, low))
        return remainder == 0 || quotient == .max ? quotient : quotient &+ 1
    }
}

/// The host's counter and its monotonic clock at one moment.
public struct CounterSample: Sendable, Equatable {
    /// Of the host's time-stamp counter.
    public var counter: UInt64
    /// CLOCK_MONOTONIC.
    public var nanoseconds: UInt64

    public init(counter: UInt64, nanoseconds: UInt64) {
        self.counter = counter
        self.nanoseconds = nanoseconds
    }

    /// The tightest of a few looks at both: tens of nanoseconds apart.
    public static func take(
        counter: () -> UInt64, nanoseconds: () -> UInt64
    ) -> CounterSample {
        var best = CounterSample(counter: 0, nanoseconds: 0)
        var width = UInt64.max
        for _ in 0..<16 {
            let before = counter()
            let time = nanoseconds()
            let around = counter() &- before
            if around < width {
                width = around
                best = CounterSample(counter: before &+ around / 2, nanoseconds: time)
            }
        }
        return best
    }

    /// The host's counter and clock now.
    public static func now() -> CounterSample {
        let clock = HostClock()
        return take(counter: { chost_rdtsc() }, nanoseconds: { clock.now.nanoseconds })
    }

    /// Frequency in hertz of the counter between this sample and a later one, rounded.
    public func frequency(to later: CounterSample) -> UInt64 {
        let elapsed = max(1, later.nanoseconds &- nanoseconds)
        let (high, low) = (later.counter &- counter).multipliedFullWidth(by: 1_000_000_000)
        guard high < elapsed else { return 1 }
        let (quotient, remainder) = elapsed.dividingFullWidth((high, low))
        return max(1, remainder >= elapsed / 2 ? quotient &+ 1 : quotient)
    }
}

/// Compares the host's counter with its clock while something else is done.
public struct FrequencyMeasurement: Sendable {
    private let start = CounterSample.now()

    /// The shortest time that gives better than 1 ppm, in nanoseconds.
    public static let exact: UInt64 = 50_000_000
    /// The shortest that tells two processors apart: to some 50 ppm.
    public static let rough: UInt64 = 2_000_000

    public init() {}

    /// The frequency in hertz. Waits until `shortest` nanoseconds have passed since `init`, less than a second.
    public func finish(after shortest: UInt64 = exact) -> UInt64 {
        let passed = HostClock().now.nanoseconds &- start.nanoseconds
        if passed < shortest {
            var pause = timespec(tv_sec: 0, tv_nsec: Int(shortest &- passed))
            unsafe nanosleep(&pause, nil)
        }
        return start.frequency(to: .now())
    }
}
