import Testing

@testable import Comparison

struct ResultsTests {
    private let engine = Side(.martlet(engine: "translator", yields: true))
    private let rows = [
        Row("sort", "ms", .program(""), isCompute: true),
        Row("copy", "MB/s", .program(""), isCompute: true), Row("call", "ns", .program("")),
    ]

    /// Times of QEMU, the engine and the host: ratios 1/2, 1/4 and 1/8 to QEMU, 3 each to the host.
    private func results() -> Results {
        var results = Results(circumstances: [:], rounds: 2)
        let numbers: [(String, String, Double, Double, Double)] = [
            ("sort", "ms", 60, 30, 10), ("copy", "MB/s", 100, 400, 1200),
            ("call", "ns", 80, 10, 10.0 / 3),
        ]
        for (row, unit, qemu, ours, native) in numbers {
            for (side, value) in [(.reference, qemu), (engine, ours), (.native, native)] {
                results.add(value, unit: unit, row: row, side: side, processorCount: 1)
            }
        }
        results.compare(rows: rows)
        return results
    }

    @Test func theMedianIsTheMiddle() {
        #expect(Results.median([5, 1, 9]) == 5)
        #expect(Results.median([4, 1, 2, 9]) == 3)
        #expect(Results.median([]) == 0)
    }

    @Test func theSpreadIsAPartOfTheMedian() {
        #expect(Results.spread([8, 10, 13]) == 0.5)
        #expect(Results.spread([7]) == 0)
        #expect(Results.spread([]) == 0)
    }

    @Test func theGeometricMeanIsOfRatios() {
        #expect(abs(Results.geometricMean([0.5, 8]) - 2) < 1e-12)
        #expect(Results.geometricMean([]) == 0)
    }

    @Test func ratiosAreTimesWhateverTheUnit() {
        let results = results()
        #expect(results.ratio("sort", engine, to: .reference, 1) == 0.5)
        #expect(results.ratio("copy", engine, to: .reference, 1) == 0.25)
        #expect(results.ratio("copy", engine, to: .native, 1) == 3)
        #expect(results.ratio("sort", .reference, to: .native, 1) == 6)
        #expect(results.ratio("sort", .native, to: .reference, 1) == nil)
        #expect(results.ratio("sort", engine, to: .reference, 2) == nil)
    }

    @Test func meansAreOverAllRowsAndOverThoseThatCompute() {
        func mean(_ kind: Results.Mean.Rows, _ reference: Side) -> Results.Mean? {
            results().means.first {
                $0.rows == kind && $0.side == engine.name && $0.reference == reference.name
            }
        }
        #expect(abs((mean(.all, .reference)?.timesAsLong ?? 0) - 0.25) < 1e-12)
        #expect(mean(.all, .reference)?.rowCount == 3)
        #expect(abs((mean(.compute, .reference)?.timesAsLong ?? 0) - 0.125.squareRoot()) < 1e-12)
        #expect(mean(.compute, .reference)?.rowCount == 2)
        #expect(abs((mean(.compute, .native)?.timesAsLong ?? 0) - 3) < 1e-12)
    }

    @Test func theTableHasAColumnForEachRatio() {
        var results = results()
        results.add(36, unit: "ms", row: "sort", side: engine, processorCount: 1)
        results.compare(rows: rows)
        results.failures = ["microvm hung"]
        let text = Table.text(results, rows: rows, sides: [engine, .reference, .native])
        let lines = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(
            lines.contains([
                "1", "vCPU", "translator", "+-", "/qemu", "/native", "qemu", "+-", "/native",
                "native", "+-",
            ]), "\(text)")
        #expect(
            lines.contains([
                "sort", "ms", "33.0", "18%", "0.550", "3.30", "60.0", "0%", "6.00", "10.0", "0%",
            ]), "\(text)")
        #expect(text.contains("without a number: microvm hung"))
        #expect(lines.contains { $0.starts(with: ["compute", "rows,", "1", "vCPU"]) }, "\(text)")
    }

    @Test func bootsAreATableByNumbersOfProcessors() {
        var results = Results(circumstances: [:], rounds: 1)
        let off = Side(.martlet(engine: "translator", yields: false))
        for (count, on, without, qemu) in [(2, 2.0, nil, 5.0), (64, 5, 8.0, 70)] {
            let values = [(engine, on), (off, without), (Side.reference, qemu)]
            for case (let side, let seconds?) in values as [(Side, Double?)] {
                results.add(seconds, unit: "s", row: "boot", side: side, processorCount: count)
            }
        }
        let rows = Row.all.filter { $0.kind == .boot }
        results.compare(rows: rows)
        let text = Table.text(results, rows: rows, sides: [engine, off, .reference])
        let lines = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(
            lines.contains([
                "64", "vCPUs", "5.00", "0.071", "2.50", "8.00", "0.114", "4.00", "70.0", "14.0",
            ]), "\(text)")
        #expect(
            lines.contains(["2", "vCPUs", "2.00", "0.400", "1.00", "-", "5.00", "1.00"]), "\(text)")
        #expect(!text.contains("geometric"), "a mean of one row is that row")
    }
}
