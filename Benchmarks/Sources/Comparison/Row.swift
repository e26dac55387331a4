/// One thing that is measured: a line of the table.
public struct Row: Sendable, Equatable {
    /// How a row gets its number.
    public enum Kind: Sendable, Equatable {
        /// Seconds from the start of the host's process to the first user command.
        case boot
        /// Lines for the guest's shell; a program prints `NAME value unit`. `$BENCH` is the folder
        /// with the programs, on every side.
        case program(String)
        /// Millions of instructions per second of processor time in another row's program, by
        /// Martlet's own statistics: a run with the program less a run without.
        case instructionRate(of: String)
    }

    public var name: String
    /// What one of it is: `ms`, `us`, `ns`, `s`; a unit per second (`MB/s`, `MIPS`) is better when
    /// it is more.
    public var unit: String
    public var kind: Kind
    /// vCPUs with which it makes sense.
    public var processorCounts: [Int]

    public init(_ name: String, _ unit: String, _ kind: Kind, processorCounts: [Int] = [1, 2]) {
        self.name = name
        self.unit = unit
        self.kind = kind
        self.processorCounts = processorCounts
    }

    public var isBetterWhenMore: Bool { Self.isBetterWhenMore(unit) }

    static func isBetterWhenMore(_ unit: String) -> Bool {
        unit.hasSuffix("/s") || unit == "MIPS"
    }
}

extension Row {
    /// Rounds of the shell's loop.
    private static let shellRounds = 50_000

    /// Everything that is measured. A new row is a line here, and a program if it needs one.
    public static let all: [Row] = [
        Row("boot", "s", .boot),
        Row("shell-loop", "ms", .program(shellLoop)),
        Row("integer", "ms", .program("$BENCH/integer")),
        Row("floating", "ms", .program("$BENCH/floating")),
        Row("memory-copy", "MB/s", .program("$BENCH/memory copy")),
        Row("memory-chase", "ns", .program("$BENCH/memory chase")),
        Row("fork-exec", "us", .program("$BENCH/processes")),
        Row("integer-pair", "ms", .program(pair), processorCounts: [2]),
        Row("shell-loop-rate", "MIPS", .instructionRate(of: "shell-loop"), processorCounts: [1]),
    ]

    private static let shellLoop = """
        $BENCH/timed shell-loop \(shellRounds) $BENCH/busybox sh -c '
          i=0; while [ $i -lt \(shellRounds) ]; do i=$((i+1)); done; echo $i'
        """

    /// Two at once: what a second processor is worth.
    private static let pair = """
        $BENCH/timed integer-pair done $BENCH/busybox sh -c '
          $BENCH/integer >/dev/null & other=$!
          $BENCH/integer >/dev/null && wait $other && echo done'
        """

    /// The rows of those names in the table's order, with the rows that they need.
    ///
    /// - Parameter names: nil or empty for all.
    /// - Throws: `ComparisonError` for a name that no row has.
    public static func selected(
        _ names: [String], from all: [Row] = Row.all
    ) throws(ComparisonError) -> [Row] {
        if names.isEmpty { return all }
        for name in names where !all.contains(where: { $0.name == name }) {
            throw ComparisonError(
                "no row is named '\(name)': ONLY takes \(all.map(\.name).joined(separator: ","))")
        }
        return all.filter { names.contains($0.name) }
    }
}

/// What is wrong, in one line that says what to do.
public struct ComparisonError: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String

    public init(_ description: String) { self.description = description }
}
