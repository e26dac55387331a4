internal import Synchronization
import Vocabulary

/// The cap of a VM: so much processor time in each period.
///
/// A bucket that is filled once a period and never holds more than one period's time. A turn that
/// takes more than was left is a debt for the next period, so the average holds however long the
/// turns are. Any worker; no lock.
final class CPUBandwidth: Sendable {
    /// Nanoseconds of a period.
    static let period: UInt64 = 20_000_000

    /// Processor nanoseconds for each period.
    private let quota: Int64
    private let tokens: Atomic<Int64>
    /// The number of the period that `tokens` was last filled for.
    private let filledPeriod: Atomic<UInt64>

    /// - Parameters:
    ///   - cores: processor time for each second of real time, above 0.
    init(cores: Double, now: Instant) {
        quota = max(1, Int64((cores * Double(Self.period)).rounded()))
        tokens = Atomic(quota)
        filledPeriod = Atomic(now.nanoseconds / Self.period)
    }

    /// Takes what a turn used.
    func charge(_ nanoseconds: UInt64) {
        tokens.subtract(Int64(clamping: nanoseconds), ordering: .relaxed)
    }

    /// Nanoseconds that the VM may still run in this period; 0 or less: it waits for the next.
    func remaining(now: Instant) -> Int64 {
        fill(now)
        return tokens.load(ordering: .relaxed)
    }

    /// When the VM that has used up its time may run again.
    func nextPeriod(after now: Instant) -> Instant {
        Instant(nanoseconds: (now.nanoseconds / Self.period &+ 1) &* Self.period)
    }

    private func fill(_ now: Instant) {
        let current = now.nanoseconds / Self.period
        let old = filledPeriod.load(ordering: .relaxed)
        guard current > old,
            filledPeriod.compareExchange(expected: old, desired: current, ordering: .relaxed)
                .exchanged
        else { return }
        let (gain, overflow) = quota.multipliedReportingOverflow(
            by: Int64(clamping: current &- old))
        var found = tokens.load(ordering: .relaxed)
        while true {
            let full =
                overflow ? quota : min(quota, found.addingReportingOverflow(gain).partialValue)
            let (done, now) = tokens.weakCompareExchange(
                expected: found, desired: full, ordering: .relaxed)
            if done { return }
            found = now
        }
    }
}
