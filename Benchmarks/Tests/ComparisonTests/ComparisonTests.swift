import Testing

@testable import Comparison

struct ComparisonTests {
    private static let materials = Materials(martlet: "martlet", folder: "/made")

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
        #expect(seen.rowInProgress == nil)
        #expect(seen.failures.isEmpty)
    }

    @Test func wrongWorkHasNoNumber() {
        let seen = observation([
            ("bench: up", 1), ("bench: begin integer 0", 1), ("integer 1 ms", 2),
            ("wrong result: order", 2), ("bench: end integer 5 1", 2),
            ("bench: begin floating 7", 2), ("integer 9 ms", 3), ("bench: end floating 8 0", 3),
            ("bench: begin pipe 9", 4), ("pipe 3 us", 4),
        ])
        #expect(seen.values.filter { $0.key != "pipe" }.isEmpty)
        #expect(seen.failures["integer"] == "status 1, 'wrong result: order'")
        #expect(seen.failures["floating"] != nil)
        #expect(!seen.isComplete)
        #expect(seen.rowInProgress == "pipe", "the others are run behind it")
    }

    @Test func rowsAreChosenByName() throws {
        #expect(try Row.selected([]) == Row.all)
        #expect(try Row.selected(["integer", "boot"]).map(\.name) == ["boot", "integer"])
        #expect(throws: ComparisonError.self) { try Row.selected(["steam"]) }
        #expect(Set(Row.all.map(\.name)).count == Row.all.count)
    }

    @Test func everyProgramPrintsItsRowsName() {
        for row in Row.all {
            guard case .program(let script) = row.kind else { continue }
            let words = script.split { !$0.isLetter && !$0.isNumber && $0 != "-" }
            let isOurs = script.hasPrefix("$BENCH/") && !script.hasPrefix("$BENCH/busybox")
            #expect(isOurs || words.contains(row.name[...]), "\(row.name)")
            #expect(!script.contains("\\("))
        }
    }

    @Test func enginesAreChosenByName() throws {
        let available = ["interpreter", "translator"]
        let all = try Side.all(engines: [], available: available).map(\.name)
        #expect(
            all == [
                "interpreter", "translator", "translator-no-yield", "qemu", "qemu-pvh",
                "qemu-microvm", "native",
            ])
        let one = try Side.all(engines: ["interpreter"], available: available).map(\.name)
        #expect(one.prefix(3) == ["interpreter", "interpreter-no-yield", "qemu"])
        #expect(throws: ComparisonError.self) {
            try Side.all(engines: ["kvm"], available: available)
        }
    }

    @Test func everySideHasItsRows() throws {
        let sides = try Side.all(engines: [], available: ["translator"])
        func names(_ row: Row, _ count: Int) -> [String] {
            sides.filter { $0.measures(row, processorCount: count) }.map(\.name)
        }
        let boot = Row("boot", "s", .boot)
        let program = Row("integer", "ms", .program(""))
        let rate = Row("rate", "MIPS", .instructionRate(of: "integer"))
        #expect(names(boot, 2) == ["translator", "qemu", "qemu-pvh", "qemu-microvm"])
        #expect(names(boot, 3) == ["translator", "translator-no-yield", "qemu"])
        #expect(names(program, 2) == ["translator", "qemu", "native"])
        #expect(names(program, 4) == names(program, 2))
        #expect(names(rate, 1) == ["translator"])
    }

    @Test func everySideGetsTheSameKernelMemoryAndRequest() {
        let martlet = Side(.martlet(engine: "interpreter", yields: true))
        for work in [Work.boot, .rows(["integer", "floating"])] {
            for side in [martlet, .reference] {
                let words = side.command(processorCount: 2, work, Self.materials)
                #expect(words.contains("/made/vmlinuz"))
                #expect(words.contains(work == .boot ? "/made/initramfs-boot" : "/made/initramfs"))
                #expect(words.contains("2"))
                #expect(words.contains { $0.hasPrefix("512") })
                #expect(
                    words.last?.hasSuffix(
                        work == .boot ? "bench.rows=" : "bench.rows=integer,floating") == true)
            }
        }
        let small = Side(.qemu(.microvm)).command(processorCount: 1, .boot, Self.materials)
        #expect(small.contains("/made/vmlinux"))
        #expect(small.contains("microvm"))
        let off = Side(.martlet(engine: "interpreter", yields: false))
            .command(processorCount: 4, .boot, Self.materials)
        #expect(off.suffix(2) == ["--directed-yield", "off"])
        let native = Side.native.command(
            processorCount: 1, .rows(["integer"]), Self.materials)
        #expect(native.suffix(2) == ["/made/programs/rows.sh", "integer"])
        #expect(native.contains("processors"), "as many as the guests have")
    }

    @Test func theTextIsAlwaysTheSame() {
        let text = SampleText.bytes(10_000)
        #expect(text.count == 10_000)
        #expect(text == Array(SampleText.bytes(20_000).prefix(10_000)))
        #expect(text.starts(with: "[".utf8))
        #expect(Set(text).count > 20)
    }
}
