/// One thing that is measured: a line of the table.
public struct Row: Sendable, Equatable {
    /// How a row gets its number.
    public enum Kind: Sendable, Equatable {
        /// Seconds from the start of the host's process to the first user command.
        case boot
        /// Lines for the guest's shell; a program prints `NAME value unit`. `$BENCH` is the folder
        /// with the programs, `$SCRATCH` one to write to, on every side.
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
    /// Whether it stays in user mode nearly all the time: such rows have a mean of their own.
    public var isCompute: Bool
    /// vCPUs with which it makes sense.
    public var processorCounts: ClosedRange<Int>

    public init(
        _ name: String, _ unit: String, _ kind: Kind, isCompute: Bool = false,
        processorCounts: ClosedRange<Int> = 1...255
    ) {
        self.name = name
        self.unit = unit
        self.kind = kind
        self.isCompute = isCompute
        self.processorCounts = processorCounts
    }

    public var isProgram: Bool {
        if case .program = kind { return true }
        return false
    }

    public var isBetterWhenMore: Bool { Self.isBetterWhenMore(unit) }

    static func isBetterWhenMore(_ unit: String) -> Bool {
        unit.hasSuffix("/s") || unit == "MIPS"
    }

    /// A program that has no number by then is ended, in seconds.
    public static let largestSeconds = 60

    /// The rows of those names in the table's order.
    ///
    /// - Parameter names: empty for all.
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
