import Foundation

/// The results as text for a person.
public enum Table {
    /// One table for each number of vCPUs: medians, and after each the ratio to QEMU.
    public static func text(_ results: Results, rows: [Row], sides: [Side]) -> String {
        var text = ""
        for (name, value) in results.circumstances.sorted(by: { $0.key < $1.key }) {
            text += "\(name): \(value)\n"
        }
        text += """
            Medians of \(results.rounds), sides in turn. In brackets: how many times as long as \
            \(Side.reference.name) takes, so less is better.

            """
        let counts = Set(results.measurements.map(\.processorCount)).sorted()
        for count in counts {
            let shown = sides.filter { side in
                rows.contains { results.measurement($0.name, side, count) != nil }
            }
            var lines = [["\(count) vCPU" + (count == 1 ? "" : "s"), ""] + shown.map(\.name)]
            for row in rows {
                let cells = shown.map { cell(results, row, $0, count) }
                if cells.contains(where: { $0 != "-" }) {
                    lines.append([row.name, row.unit] + cells)
                }
            }
            text += "\n" + aligned(lines)
        }
        for failure in results.failures { text += "\nwithout a number: \(failure)\n" }
        let clocks = results.measurements.compactMap(\.largestClockDifference)
        if let worst = clocks.max() {
            text += "\nGuests' clocks against the host's: at most "
            text += number(worst * 100) + " % apart in a row.\n"
        }
        return text
    }

    private static func cell(
        _ results: Results, _ row: Row, _ side: Side, _ processorCount: Int
    ) -> String {
        guard let one = results.measurement(row.name, side, processorCount) else { return "-" }
        let ratio = results.ratios.first {
            $0.row == row.name && $0.side == side.name && $0.processorCount == processorCount
        }
        return number(one.median) + (ratio.map { " (\(number($0.timesAsLong)))" } ?? "")
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
            return text + "\n"
        }.joined()
    }
}
