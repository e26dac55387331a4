internal import Comparison
import Foundation

/// `make bench`: the same work on Martlet, on QEMU and on the host, in turn.
///
/// Set by the environment: ROUNDS, ONLY (names of rows), CPUS (numbers of vCPUs), ENGINES (of
/// Martlet), KERNEL (a stock kernel's name), JSON (where the numbers go), MARTLET and PROGRAMS (what
/// is measured).
@main
struct Bench {
    static func main() {
        do {
            try run(ProcessInfo.processInfo.environment)
        } catch {
            say("bench: \(error)")
            exit(1)
        }
    }

    private static func run(_ environment: [String: String]) throws {
        func list(_ name: String) -> [String] {
            (environment[name] ?? "").split { $0 == "," || $0 == " " }.map(String.init)
        }
        guard let rounds = Int(environment["ROUNDS"] ?? "5"), rounds > 0 else {
            throw ComparisonError("ROUNDS is no number above 0")
        }
        let counts = try list("CPUS").map { word in
            guard let count = Int(word), (1...255).contains(count) else {
                throw ComparisonError("CPUS takes numbers of vCPUs, 1 to 255, not '\(word)'")
            }
            return count
        }
        let rows = try Row.selected(list("ONLY"))
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-bench-\(getpid())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let martlet = environment["MARTLET"] ?? "martlet"
        let sides = try Side.all(
            engines: list("ENGINES"), available: Circumstances.engines(martlet))
        let (materials, release) = try GuestImage.prepare(
            martlet: martlet,
            programs: environment["PROGRAMS"] ?? "Benchmarks/.build/programs",
            kernelName: environment["KERNEL"].flatMap { $0.isEmpty ? nil : $0 } ?? "debian",
            hasPrograms: rows.contains { $0.kind != .boot }, in: folder)
        var campaign = Campaign(
            rows: rows, sides: sides, processorCounts: counts.isEmpty ? [1, 2] : counts,
            materials: materials,
            results: Results(
                circumstances: try Circumstances.describe(materials, kernel: release),
                rounds: rounds))
        let path = environment["JSON"] ?? ""
        for round in 1...rounds {
            say("round \(round) of \(rounds)")
            try campaign.runRound(reversed: round.isMultiple(of: 2))
            campaign.results.compare(rows: rows)
            // After each round: what was measured is kept if the rest is not waited for.
            if !path.isEmpty { try write(campaign.results, to: path) }
        }
        print(Table.text(campaign.results, rows: rows, sides: sides), terminator: "")
        if !path.isEmpty { say("the numbers are in \(path)") }
    }

    private static func write(_ results: Results, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(results).write(to: URL(fileURLWithPath: path))
    }
}
