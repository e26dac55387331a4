import Testing

@testable import Comparison

struct ComparisonTests {
    private static let materials = Materials(
        martlet: "martlet", bzImage: "vmlinuz", uncompressedKernel: "vmlinux", initramfs: "initrd",
        programs: "/programs")

    private func observation(_ lines: [(String, Double)]) -> Observation {
        var result = Observation()
        for (line, time) in lines { result.take(line, at: time) }
        return result
    }

    @Test func aRunIsReadFromItsConsole() {
        let seen = observation([
            ("[    0.5] Run /init as init process", 1.9), ("[    0.6] x bench: up", 2.0),
            ("bench: begin integer 1000000000", 2.5), ("integer 812.5 ms", 3.3),
            ("bench: end integer 1900000000 0", 3.45), ("bench: done", 3.5),
        ])
        #expect(seen.secondsToFirstCommand == 2.0)
        #expect(seen.values["integer"] == Observation.Value(number: 812.5, unit: "ms"))
        let stretch = seen.stretches["integer"]
        #expect(abs((stretch?.guestSeconds ?? 0) - 0.9) < 1e-9)
        #expect(abs((stretch?.hostSeconds ?? 0) - 0.95) < 1e-9)
        #expect(seen.isComplete)
        #expect(seen.failures.isEmpty)
    }

    @Test func wrongWorkHasNoNumber() {
        let seen = observation([
            ("bench: up", 1), ("bench: begin integer 0", 1), ("integer 1 ms", 2),
            ("wrong result: order", 2), ("bench: end integer 5 1", 2),
            ("bench: begin floating 7", 2), ("integer 9 ms", 3), ("bench: end floating 8 0", 3),
        ])
        #expect(seen.values.isEmpty)
        #expect(seen.failures["integer"] == "status 1, 'wrong result: order'")
        #expect(seen.failures["floating"] != nil)
        #expect(!seen.isComplete)
    }

    @Test func theMedianIsTheMiddle() {
        #expect(Results.median([5, 1, 9]) == 5)
        #expect(Results.median([4, 1, 2, 9]) == 3)
        #expect(Results.median([]) == 0)
    }

    @Test func ratiosAreTimesWhateverTheUnit() {
        var results = Results(circumstances: [:], rounds: 2)
        let engine = Side(.martlet(engine: "interpreter"))
        for value in [10.0, 30] {
            results.add(value, unit: "ms", row: "integer", side: engine, processorCount: 1)
            results.add(
                value * 10, unit: "MB/s", row: "memory-copy", side: engine, processorCount: 1)
        }
        results.add(5, unit: "ms", row: "integer", side: .reference, processorCount: 1)
        results.add(400, unit: "MB/s", row: "memory-copy", side: .reference, processorCount: 1)
        results.add(400, unit: "MB/s", row: "memory-copy", side: .reference, processorCount: 2)
        results.compare()
        #expect(results.ratios.map(\.timesAsLong) == [4, 2])
        results.failures = ["microvm hung"]
        let text = Table.text(results, rows: Row.all, sides: [engine, .reference])
        #expect(text.contains("without a number: microvm hung"))
        #expect(text.contains("20.0 (4.00)"), "\(text)")
        #expect(text.contains("200 (2.00)"), "\(text)")
    }

    @Test func rowsAreChosenByName() throws {
        #expect(try Row.selected([]) == Row.all)
        #expect(try Row.selected(["integer", "boot"]).map(\.name) == ["boot", "integer"])
        #expect(throws: ComparisonError.self) { try Row.selected(["steam"]) }
        #expect(Set(Row.all.map(\.name)).count == Row.all.count)
    }

    @Test func everySideGetsTheSameKernelMemoryAndRequest() {
        let martlet = Side(.martlet(engine: "interpreter"))
            .command(processorCount: 2, rows: ["integer", "floating"], Self.materials)
        let qemu = Side.reference
            .command(processorCount: 2, rows: ["integer", "floating"], Self.materials)
        for words in [martlet, qemu] {
            #expect(words.contains("vmlinuz"))
            #expect(words.contains("initrd"))
            #expect(words.contains("2"))
            #expect(words.contains { $0.hasPrefix("512") })
            #expect(words.last?.hasSuffix("bench.rows=integer,floating") == true)
        }
        let small = Side(.qemu(.microvm)).command(processorCount: 1, rows: [], Self.materials)
        #expect(small.contains("vmlinux"))
        #expect(small.contains("microvm"))
        let native = Side(.native).command(processorCount: 1, rows: ["integer"], Self.materials)
        #expect(native.suffix(2) == ["/programs/rows.sh", "integer"])
    }
}
