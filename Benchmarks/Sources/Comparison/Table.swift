import Foundation

/// The results as text for a person.
public enum Table {
    /// A table of boots by numbers of vCPUs, one of everything else for each number of vCPUs, the
    /// means, and what went wrong.
    public static func text(_ results: Results, rows: [Row], sides: [Side]) -> String {
        var text = ""
        for (name, value) in results.circumstances.sorted(by: { $0.key < $1.key }) {
            text += "\(name): \(value)\n"
        }
        text += """
            Medians of \(results.rounds), sides in turn. "+-" is the largest less the least. \
            "/\(Side.reference.name)" and "/\(Side.native.name)": how many times as long as those \
            take, so less is better.

            """
        for row in rows where row.kind == .boot { text += boots(results, row, sides) }
        for count in processorCounts(results) {
            text += others(results, rows.filter { $0.kind != .boot }, sides, count)
        }
        text += means(results, sides)
        for failure in results.failures { text += "\nwithout a number: \(failure)\n" }
        if let worst = results.measurements.compactMap(\.largestClockDifference).max() {
            text += "\nGuests' clocks against the host's: at most "
            text += number(worst * 100) + " % apart in a row.\n"
        }
        return text
    }

    private static func processorCounts(_ results: Results) -> [Int] {
        Set(results.measurements.map(\.processorCount)).sorted()
    }

    /// A line for each number of vCPUs, and how many times as long as with the least, above one,
    /// a boot takes: what waiting for each other costs.
    private static func boots(_ results: Results, _ row: Row, _ sides: [Side]) -> String {
        let counts = processorCounts(results).filter { count in
            sides.contains { results.measurement(row.name, $0, count) != nil }
        }
        let shown = sides.filter { side in
            counts.contains { results.measurement(row.name, side, $0) != nil }
        }
        guard !counts.isEmpty else { return "" }
        let base = counts.first { $0 > 1 } ?? counts[0]
        let scales = counts.count > 1
        var lines = [[row.name, row.unit]]
        for side in shown {
            lines[0] += header(side, results, shown, references: [.reference])
            if scales { lines[0].append("/\(base) vCPU") }
        }
        for count in counts {
            var line = ["\(count) vCPU" + (count == 1 ? "" : "s"), ""]
            for side in shown {
                line += cells(results, row, side, count, shown, references: [.reference])
                if scales {
                    let median = results.measurement(row.name, side, count)?.median
                    // A side that starts with more is compared with the same engine's others.
                    let least = results.measurement(row.name, side.yielding, base)?.median
                    line.append(ratio(median, least))
                }
            }
            lines.append(line)
        }
        return "\n" + aligned(lines)
    }

    private static func others(
        _ results: Results, _ rows: [Row], _ sides: [Side], _ count: Int
    ) -> String {
        let shown = sides.filter { side in
            rows.contains { results.measurement($0.name, side, count) != nil }
        }
        let references = [Side.reference, .native]
        var lines = [["\(count) vCPU" + (count == 1 ? "" : "s"), ""]]
        for side in shown { lines[0] += header(side, results, shown, references: references) }
        for row in rows
        where shown.contains(where: { results.measurement(row.name, $0, count) != nil }) {
            lines.append(
                [row.name, row.unit]
                    + shown.flatMap {
                        cells(results, row, $0, count, shown, references: references)
                    })
        }
        return shown.isEmpty ? "" : "\n" + aligned(lines)
    }

    /// The columns of a side: its median, the spread if there is one, and a ratio to each of the
    /// references that are shown and are others.
    private static func header(
        _ side: Side, _ results: Results, _ shown: [Side], references: [Side]
    ) -> [String] {
        [side.name] + (results.rounds > 1 ? ["+-"] : [])
            + compared(side, references, shown).map { "/" + $0.name }
    }

    private static func compared(
        _ side: Side, _ references: [Side], _ shown: [Side]
    ) -> [Side] {
        side == .native ? [] : references.filter { $0 != side && shown.contains($0) }
    }

    private static func cells(
        _ results: Results, _ row: Row, _ side: Side, _ count: Int, _ shown: [Side],
        references: [Side]
    ) -> [String] {
        let one = results.measurement(row.name, side, count)
        return [one.map { number($0.median) } ?? "-"]
            + (results.rounds > 1 ? [one.map { "\(Int(($0.spread * 100).rounded()))%" } ?? ""] : [])
            + compared(side, references, shown).map {
                results.ratio(row.name, side, to: $0, count).map(number) ?? ""
            }
    }

    private static func ratio(_ value: Double?, _ other: Double?) -> String {
        guard let value, let other, other > 0 else { return "" }
        return number(value / other)
    }

    /// A line for each kind of mean and number of vCPUs, a column for each side and reference. A mean
    /// of one row is left out.
    private static func means(_ results: Results, _ sides: [Side]) -> String {
        let means = results.means.filter { $0.rowCount > 1 }
        var columns: [(side: String, reference: String)] = []
        for side in sides {
            for reference in [Side.reference, .native]
            where means.contains(where: {
                $0.side == side.name && $0.reference == reference.name
            }) {
                columns.append((side.name, reference.name))
            }
        }
        var lines = [
            ["geometric means, with the number of rows", ""]
                + columns.map { "\($0.side)/\($0.reference)" }
        ]
        for kind in Results.Mean.Rows.allCases {
            for count in processorCounts(results) {
                let found = columns.map { column in
                    means.first {
                        $0.rows == kind && $0.processorCount == count && $0.side == column.side
                            && $0.reference == column.reference
                    }
                }
                guard found.contains(where: { $0 != nil }) else { continue }
                lines.append(
                    ["\(kind.rawValue) rows, \(count) vCPU" + (count == 1 ? "" : "s"), ""]
                        + found.map {
                            $0.map { "\(number($0.timesAsLong)) (\($0.rowCount))" } ?? ""
                        })
            }
        }
        return lines.count > 1 ? "\n" + aligned(lines) : ""
    }

    /// Three digits that count.
    static func number(_ value: Double) -> String {
        let magnitude = abs(value)
        let digits = magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : magnitude >= 1 ? 2 : 3
        return String(format: "%.\(digits)f", value)
    }

    /// Columns with two spaces between them, the first two flush left.
    static func aligned(_ lines: [[String]]) -> String {
        let columns = lines.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            lines.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return lines.map { line in
            var text = ""
            for (column, cell) in line.enumerated() {
                let space = String(repeating: " ", count: widths[column] - cell.count)
                text += (column == 0 ? "" : "  ") + (column < 2 ? cell + space : space + cell)
            }
            while text.last == " " { text.removeLast() }
            return text + "\n"
        }.joined()
    }
}
