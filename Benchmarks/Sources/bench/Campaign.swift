internal import Comparison
import Foundation

/// Runs the sides in turn, so that what the host does meanwhile falls on all of them alike.
struct Campaign {
    var rows: [Row]
    var sides: [Side]
    var processorCounts: [Int]
    var materials: Materials
    var results: Results

    /// One run of a side: with the row `boot` alone, or with programs.
    private struct Step {
        var side: Side
        var processorCount: Int
        var rows: [Row]
    }

    /// Each side once with each number of vCPUs; every second round the other way round.
    mutating func runRound(reversed: Bool) throws {
        var steps = processorCounts.flatMap { count in
            boots(count) + programs(count) + rates(count)
        }
        if reversed { steps.reverse() }
        for step in steps {
            do {
                try run(step)
            } catch let error as ComparisonError {
                // The others go on: a guest that hangs is a result too.
                say("  \(error)")
                results.failures.append("\(error)")
            }
        }
    }

    private func boots(_ count: Int) -> [Step] {
        let wanted = rows.filter { $0.kind == .boot && $0.processorCounts.contains(count) }
        return wanted.flatMap { row in
            sides.filter { $0.measures(row) }.map {
                Step(side: $0, processorCount: count, rows: [row])
            }
        }
    }

    private func programs(_ count: Int) -> [Step] {
        let wanted = rows.filter { row in
            if case .program = row.kind { return row.processorCounts.contains(count) }
            return false
        }
        if wanted.isEmpty { return [] }
        return sides.filter { side in wanted.contains { side.measures($0) } }.map {
            Step(side: $0, processorCount: count, rows: wanted)
        }
    }

    private func rates(_ count: Int) -> [Step] {
        rows.filter { row in
            if case .instructionRate = row.kind { return row.processorCounts.contains(count) }
            return false
        }.flatMap { row in
            sides.filter { $0.measures(row) }.map {
                Step(side: $0, processorCount: count, rows: [row])
            }
        }
    }

    private mutating func run(_ step: Step) throws {
        say(
            "  \(step.side.name), \(step.processorCount) vCPU: "
                + step.rows.map(\.name).joined(separator: ", "))
        if let row = step.rows.first, case .instructionRate(let program) = row.kind {
            return try runRate(row, of: program, step)
        }
        let names = step.rows.filter { $0.kind != .boot }.map(\.name)
        let run = try SideRun.run(
            step.side, processorCount: step.processorCount, rows: names, materials)
        for row in step.rows {
            if row.kind == .boot, let seconds = run.observation.secondsToFirstCommand {
                add(seconds, row, step)
            } else if let value = run.observation.values[row.name] {
                guard value.unit == row.unit else {
                    throw ComparisonError(
                        "\(row.name) is printed in \(value.unit), the row says \(row.unit)")
                }
                let stretch = run.observation.stretches[row.name]
                add(
                    value.number, row, step,
                    clockDifference: stretch.map {
                        abs($0.guestSeconds - $0.hostSeconds) / max($0.hostSeconds, 1e-3)
                    })
            }
        }
    }

    /// Instructions and processor time of a run with the program less those of one without.
    private mutating func runRate(_ row: Row, of program: String, _ step: Step) throws {
        let without = try SideRun.run(
            step.side, processorCount: step.processorCount, rows: [], materials)
        let with = try SideRun.run(
            step.side, processorCount: step.processorCount, rows: [program], materials)
        guard let less = without.statistics, let more = with.statistics,
            more.instructionsRetired > less.instructionsRetired,
            more.processorSeconds > less.processorSeconds
        else {
            throw ComparisonError("\(step.side.name) printed no statistics to take a rate from")
        }
        let count = Double(more.instructionsRetired - less.instructionsRetired)
        add(count / (more.processorSeconds - less.processorSeconds) / 1e6, row, step)
    }

    private mutating func add(
        _ value: Double, _ row: Row, _ step: Step, clockDifference: Double? = nil
    ) {
        // The host's own programs have no clock but the host's.
        results.add(
            value, unit: row.unit, row: row.name, side: step.side,
            processorCount: step.processorCount,
            clockDifference: step.side.kind == .native ? nil : clockDifference)
    }
}
