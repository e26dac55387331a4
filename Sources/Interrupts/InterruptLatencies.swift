internal import Histogram

/// How long interrupts took from the host's event until a vCPU had the vector in service: a
/// histogram for each source, with two significant digits, 64 ns to 137 s.
///
/// A value; each local APIC has one, which the vCPU's worker alone writes, and readers add up.
public struct InterruptLatencies: Sendable {
    /// In nanoseconds.
    private static let largest: UInt64 = 1 << 37

    /// By `InterruptSource.rawValue`; made when the source is first heard of.
    private var histograms = [Histogram<UInt32>?](repeating: nil, count: InterruptSource.count)

    public init() {}

    /// Allocates only at the first value of a source.
    mutating func record(_ source: InterruptSource, _ nanoseconds: UInt64) {
        let index = Int(source.rawValue)
        guard source != .unknown, index < histograms.count else { return }
        if histograms[index] == nil {
            histograms[index] = Histogram(
                lowestDiscernibleValue: 64, highestTrackableValue: Self.largest,
                numberOfSignificantValueDigits: .two)
        }
        histograms[index]?.record(min(nanoseconds, Self.largest))
    }

    /// Adds what another one has.
    public mutating func add(_ other: InterruptLatencies) {
        for index in histograms.indices {
            guard let theirs = other.histograms[index] else { continue }
            if histograms[index] == nil {
                histograms[index] = theirs
            } else {
                histograms[index]?.add(theirs)
            }
        }
    }

    /// What was recorded of one source.
    public struct Summary: Codable, Sendable, Equatable {
        public var count: UInt64
        /// Nanoseconds that so many of a hundred stay within.
        public var p50: UInt64
        public var p99: UInt64
        public var p999: UInt64
        /// Nanoseconds of the slowest.
        public var max: UInt64
    }

    /// The sources that were heard of.
    public var summaries: [(source: InterruptSource, summary: Summary)] {
        histograms.indices.compactMap { index in
            guard let histogram = histograms[index] else { return nil }
            return (
                InterruptSource(rawValue: UInt8(truncatingIfNeeded: index)),
                Summary(
                    count: histogram.totalCount, p50: histogram.valueAtPercentile(50),
                    p99: histogram.valueAtPercentile(99), p999: histogram.valueAtPercentile(99.9),
                    max: histogram.maxRecorded)
            )
        }
    }
}
