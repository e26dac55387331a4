/// All numbers of a comparison: rows by sides by numbers of vCPUs.
public struct Results: Codable, Sendable {
    /// One row on one side.
    public struct Measurement: Codable, Sendable, Equatable {
        public var row: String
        public var side: String
        public var processorCount: Int
        public var unit: String
        /// In the order they were taken.
        public var values: [Double]
        public var median: Double
        /// The largest relative difference between the guest's clock and the host's over the row.
        public var largestClockDifference: Double?
    }

    /// A side against QEMU: how many times as long it takes, so less is better.
    public struct Ratio: Codable, Sendable, Equatable {
        public var row: String
        public var side: String
        public var processorCount: Int
        public var timesAsLong: Double
    }

    /// Where and with what, e.g. `host`, `kernel`, `qemu`, `martlet`.
    public var circumstances: [String: String]
    public var rounds: Int
    public private(set) var measurements: [Measurement] = []
    public private(set) var ratios: [Ratio] = []
    /// Runs that did not come to their end, and so have no number.
    public var failures: [String] = []

    public init(circumstances: [String: String], rounds: Int) {
        self.circumstances = circumstances
        self.rounds = rounds
    }

    public mutating func add(
        _ value: Double, unit: String, row: String, side: Side, processorCount: Int,
        clockDifference: Double? = nil
    ) {
        let index =
            index(row, side.name, processorCount)
            ?? {
                measurements.append(
                    Measurement(
                        row: row, side: side.name, processorCount: processorCount, unit: unit,
                        values: [], median: value))
                return measurements.count - 1
            }()
        measurements[index].values.append(value)
        measurements[index].median = Self.median(measurements[index].values)
        if let clockDifference {
            measurements[index].largestClockDifference = max(
                clockDifference, measurements[index].largestClockDifference ?? 0)
        }
    }

    public func measurement(_ row: String, _ side: Side, _ processorCount: Int) -> Measurement? {
        index(row, side.name, processorCount).map { measurements[$0] }
    }

    private func index(_ row: String, _ side: String, _ processorCount: Int) -> Int? {
        measurements.firstIndex {
            $0.row == row && $0.side == side && $0.processorCount == processorCount
        }
    }

    /// Compares every side with the reference, as far as both were measured.
    public mutating func compare(with reference: Side = .reference) {
        ratios = measurements.compactMap { one in
            guard one.side != reference.name,
                let other = measurement(one.row, reference, one.processorCount),
                one.median > 0, other.median > 0
            else { return nil }
            let isRate = Row.isBetterWhenMore(one.unit)
            return Ratio(
                row: one.row, side: one.side, processorCount: one.processorCount,
                timesAsLong: isRate ? other.median / one.median : one.median / other.median)
        }
    }

    /// The middle one, or the mean of the two in the middle; 0 of none.
    public static func median(_ values: [Double]) -> Double {
        guard !values.isEmpty else { return 0 }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count.isMultiple(of: 2)
            ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }
}
