internal import Comparison
import Foundation

/// Runs the sides in turn, so that what the host does meanwhile falls on all of them alike.
struct Campaign {
    var rows: [Row]
    var sides: [Side]
    var processorCounts: [Int]
    var materials: Materials
    var results: Results

    /// One side's part of a round: a boot, a rate, or all programs.
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
                fail("\(error)")
            }
        }
    }

    private func boots(_ count: Int) -> [Step] {
        separate(count) { $0.kind == .boot }
    }

    private func rates(_ count: Int) -> [Step] {
        separate(count) { $0.kind != .boot && !$0.isProgram }
    }

    /// A step for each row.
    private func separate(_ count: Int, _ isWanted: (Row) -> Bool) -> [Step] {
        rows.filter { isWanted($0) && $0.processorCounts.contains(count) }.flatMap { row in
            sides.filter { $0.measures(row, processorCount: count) }.map {
                Step(side: $0, processorCount: count, rows: [row])
            }
        }
    }

    /// All programs in one step.
    private func programs(_ count: Int) -> [Step] {
        let wanted = rows.filter { $0.isProgram && $0.processorCounts.contains(count) }
        return sides.compactMap { side in
            let measured = wanted.filter { side.measures($0, processorCount: count) }
            return measured.isEmpty
                ? nil : Step(side: side, processorCount: count, rows: measured)
        }
    }

    private mutating func run(_ step: Step) throws {
        let start = ContinuousClock.now
        let names =
            step.rows.count > 4
            ? "\(step.rows.count) rows" : step.rows.map(\.name).joined(separator: ", ")
        say("  \(step.side.name), \(step.processorCount) vCPU: \(names)")
        defer { say("    \(Int((ContinuousClock.now - start) / .seconds(1))) s") }
        switch step.rows[0].kind {
        case .boot:
            let run = try SideRun.run(
                step.side, processorCount: step.processorCount, .boot, materials)
            if let ending = run.ending { throw ComparisonError(ending) }
            if let seconds = run.observation.secondsToFirstCommand {
                add(seconds, step.rows[0], step)
            }
        case .program: try runPrograms(step)
        case .instructionRate(let program): try runRate(step.rows[0], of: program, step)
        }
    }

    /// If the side ends before its work, another takes the rows behind the one it ended in.
    private mutating func runPrograms(_ step: Step) throws {
        var waiting = step.rows[...]
        while !waiting.isEmpty {
            let run = try SideRun.run(
                step.side, processorCount: step.processorCount, .rows(waiting.map(\.name)),
                materials)
            try take(run.observation, waiting, step)
            guard let ending = run.ending else { return }
            guard let name = run.observation.rowInProgress,
                let place = waiting.firstIndex(where: { $0.name == name })
            else { throw ComparisonError(ending) }
            fail("\(ending), in \(name)")
            waiting = waiting[(place + 1)...]
        }
    }

    private mutating func take(
        _ observation: Observation, _ rows: ArraySlice<Row>, _ step: Step
    ) throws {
        for row in rows {
            if let reason = observation.failures[row.name] {
                fail(
                    "\(row.name) on \(step.side.name) with \(step.processorCount) vCPU: \(reason)")
            }
            guard let value = observation.values[row.name] else { continue }
            guard value.unit == row.unit else {
                throw ComparisonError(
                    "\(row.name) is printed in \(value.unit), the row says \(row.unit)")
            }
            let stretch = observation.stretches[row.name]
            add(
                value.number, row, step,
                clockDifference: stretch.map {
                    abs($0.guestSeconds - $0.hostSeconds) / max($0.hostSeconds, 1e-3)
                })
        }
    }

    /// Instructions and processor time of a run with the program less those of one without.
    private mutating func runRate(_ row: Row, of program: String, _ step: Step) throws {
        func statistics(_ rows: [String]) throws -> SideRun.Statistics {
            let run = try SideRun.run(
                step.side, processorCount: step.processorCount, .rows(rows), materials)
            if let ending = run.ending { throw ComparisonError(ending) }
            if let reason = run.observation.failures[program] {
                throw ComparisonError("\(row.name) on \(step.side.name): \(reason)")
            }
            guard let statistics = run.statistics else {
                throw ComparisonError("\(step.side.name) printed no statistics to take a rate from")
            }
            return statistics
        }
        let without = try statistics([])
        let with = try statistics([program])
        guard with.instructionsRetired > without.instructionsRetired,
            with.processorSeconds > without.processorSeconds
        else {
            throw ComparisonError(
                "\(step.side.name) did not work more with \(program) than without")
        }
        let count = Double(with.instructionsRetired - without.instructionsRetired)
        add(count / (with.processorSeconds - without.processorSeconds) / 1e6, row, step)
    }

    private mutating func fail(_ reason: String) {
        say("  " + reason)
        results.failures.append(reason)
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
