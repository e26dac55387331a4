internal import Synchronization

/// Accesses of a device's registers and rises of its interrupt; any thread counts.
struct AccessCounters: ~Copyable, Sendable {
    private let reads = Atomic<UInt64>(0)
    private let writes = Atomic<UInt64>(0)
    private let interrupts = Atomic<UInt64>(0)

    borrowing func countRead() { reads.wrappingAdd(1, ordering: .relaxed) }
    borrowing func countWrite() { writes.wrappingAdd(1, ordering: .relaxed) }
    borrowing func countInterrupt() { interrupts.wrappingAdd(1, ordering: .relaxed) }

    /// The counts by name.
    var values: [String: UInt64] {
        get {
            [
                "reads": reads.load(ordering: .relaxed), "writes": writes.load(ordering: .relaxed),
                "interrupts": interrupts.load(ordering: .relaxed),
            ]
        }
    }
}
