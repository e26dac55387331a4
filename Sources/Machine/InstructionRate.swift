/// How many instructions a vCPU runs in a given time: engines count instructions, turns are measured
/// in time. Follows what is measured, and never far at once: the host may have run something else.
struct InstructionRate: Equatable {
    /// The longest time, in nanoseconds, between two looks at the clock.
    static let longestRun: UInt64 = 500_000
    /// Below this an engine's entry and exit would cost more than it runs.
    static let leastBudget = 2_000
    static let greatestBudget = 4_000_000

    private(set) var instructionsPerMicrosecond = 100

    /// The budget for a run that is to take at most `nanoseconds`.
    func budget(nanoseconds: UInt64) -> Int {
        let microseconds = Int(min(nanoseconds, Self.longestRun) / 1000)
        return min(
            max(microseconds &* instructionsPerMicrosecond, Self.leastBudget), Self.greatestBudget)
    }

    /// A whole budget was spent in so much time.
    mutating func spent(_ budget: Int, nanoseconds: UInt64) {
        let measured = budget &* 1000 / Int(clamping: max(1, min(nanoseconds, 1 << 40)))
        let near = min(
            max(measured, instructionsPerMicrosecond / 2), instructionsPerMicrosecond &* 2)
        instructionsPerMicrosecond = min(
            max((instructionsPerMicrosecond &* 3 &+ near) / 4, 1), 100_000)
    }
}
