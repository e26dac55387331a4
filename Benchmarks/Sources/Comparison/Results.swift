import Foundation

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
        /// The largest value less the least, as a part of the median.
        public var spread: Double
        /// The largest relative difference between the guest's clock and the host's over the row.
        public var largestClockDifference: Double?
    }

    /// A side against another: how many times as long it takes, so less is better.
    public struct Ratio: Codable, Sendable, Equatable {
        public var row: String
        public var side: String
        public var reference: String
        public var processorCount: Int
        public var timesAsLong: Double
    }

    /// The geometric mean of a side's ratios.
    public struct Mean: Codable, Sendable, Equatable {
        public enum Rows: String, Codable, Sendable, CaseIterable {
            case all, compute
        }

        public var rows: Rows
        public var side: String
        public var reference: String
        public var processorCount: Int
        public var timesAsLong: Double
        /// How many rows are in it.
        public var rowCount: Int
    }

    /// Where and with what, e.g. `host`, `kernel`, `qemu`, `martlet`.
    public var circumstances: [String: String]
    public var rounds: Int
    public private(set) var measurements: [Measurement] = []
    public private(set) var ratios: [Ratio] = []
    public private(set) var means: [Mean] = []
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
                        values: [], median: value, spread: 0))
                return measurements.count - 1
            }()
        measurements[index].values.append(value)
        let values = measurements[index].values
        measurements[index].median = Self.median(values)
        measurements[index].spread = Self.spread(values)
        if let clockDifference {
            measurements[index].largestClockDifference = max(
                clockDifference, measurements[index].largestClockDifference ?? 0)
        }
    }

    public func measurement(_ row: String, _ side: Side, _ processorCount: Int) -> Measurement? {
        index(row, side.name, processorCount).map { measurements[$0] }
    }

    public func ratio(
        _ row: String, _ side: Side, to reference: Side, _ processorCount: Int
    ) -> Double? {
        ratios.first {
            $0.row == row && $0.side == side.name && $0.reference == reference.name
                && $0.processorCount == processorCount
        }?.timesAsLong
    }

    private func index(_ row: String, _ side: String, _ processorCount: Int) -> Int? {
        measurements.firstIndex {
            $0.row == row && $0.side == side && $0.processorCount == processorCount
        }
    }

    /// Compares every side but the host with each of the references, as far as both were measured,
    /// and takes the means over `rows`.
    public mutating func compare(with references: [Side] = [.reference, .native], rows: [Row]) {
        ratios = references.flatMap { reference in
            measurements.compactMap { one in
                guard one.side != reference.name, one.side != Side.native.name,
                    let other = measurement(one.row, reference, one.processorCount),
                    one.median > 0, other.median > 0
                else { return nil }
                let isRate = Row.isBetterWhenMore(one.unit)
                return Ratio(
                    row: one.row, side: one.side, reference: reference.name,
                    processorCount: one.processorCount,
                    timesAsLong: isRate ? other.median / one.median : one.median / other.median)
            }
        }
        means = Mean.Rows.allCases.flatMap { kind in
            let names = Set(rows.filter { kind == .all || $0.isCompute }.map(\.name))
            return meansOverRatios(ratios.filter { names.contains($0.row) }, kind)
        }
    }

    /// One for each side, reference and number of vCPUs, in the order of `ratios`.
    private func meansOverRatios(_ ratios: [Ratio], _ rows: Mean.Rows) -> [Mean] {
        var means: [Mean] = []
        for one in ratios {
            let same = ratios.filter {
                $0.side == one.side && $0.reference == one.reference
                    && $0.processorCount == one.processorCount
            }
            guard same.first == one else { continue }
            means.append(
                Mean(
                    rows: rows, side: one.side, reference: one.reference,
                    processorCount: one.processorCount,
                    timesAsLong: Self.geometricMean(same.map(\.timesAsLong)), rowCount: same.count))
        }
        return means
    }

    /// The middle one, or the mean of the two in the middle; 0 of none.
    public static func median(_ values: [Double]) -> Double {
        guard !values.isEmpty else { return 0 }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count.isMultiple(of: 2)
            ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }

    /// The largest less the least, as a part of the median; 0 of none.
    static func spread(_ values: [Double]) -> Double {
        guard let least = values.min(), let most = values.max(), median(values) > 0 else {
            return 0
        }
        return (most - least) / median(values)
    }

    /// Of numbers above 0; 0 of none.
    static func geometricMean(_ values: [Double]) -> Double {
        guard !values.isEmpty else { return 0 }
        return exp(values.reduce(0) { $0 + log($1) } / Double(values.count))
    }
}
