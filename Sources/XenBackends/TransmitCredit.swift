internal import HostIO

/// How much an interface may send, as `rate` of a vif has it: so many bytes in each interval.
public struct NetworkRate: Sendable, Hashable, Codable {
    /// Bytes in each interval, 1 or more.
    public var byteCount: UInt64
    /// Nanoseconds.
    public var interval: UInt64

    public init(byteCount: UInt64, interval: UInt64) {
        self.byteCount = byteCount
        self.interval = interval
    }
}

/// The bytes that an interface may still send in this interval, all its queues together.
///
/// Any thread.
final class TransmitCredit: Sendable {
    private struct Registers: Sendable {
        var rest: UInt64
        var start: UInt64
    }

    let rate: NetworkRate
    private let now: @Sendable () -> UInt64
    private let wake: @Sendable (UInt64) -> Void
    private let registers: RankedLock<Registers>

    /// - Parameters:
    ///   - now: nanoseconds of a clock that does not go back.
    ///   - wake: has the queues look again at this time.
    init(
        _ rate: NetworkRate, now: @escaping @Sendable () -> UInt64,
        wake: @escaping @Sendable (UInt64) -> Void
    ) {
        self.rate = rate
        self.now = now
        self.wake = wake
        registers = RankedLock(
            Registers(rest: rate.byteCount, start: now()), owner: "credit", rank: .leaf)
    }

    /// True: a packet of so many bytes may be sent now. False: the queues will be woken.
    func take(_ byteCount: Int) -> Bool {
        let time = now()
        let (isGiven, due) = registers.withLock { registers in
            if time &- registers.start >= rate.interval {
                registers.start = time
                // A packet that is larger than the rate goes by itself.
                registers.rest = max(rate.byteCount, UInt64(byteCount))
            }
            let isGiven = registers.rest >= UInt64(byteCount)
            if isGiven { registers.rest -= UInt64(byteCount) }
            return (isGiven, registers.start &+ rate.interval)
        }
        if !isGiven { wake(due) }
        return isGiven
    }

    /// A packet was not sent after all.
    func giveBack(_ byteCount: Int) {
        registers.withLock { $0.rest &+= UInt64(byteCount) }
    }
}
