internal import Synchronization

extension LocalAPIC {
    /// What is counted; any thread counts.
    struct Counters: ~Copyable, Sendable {
        enum Kind { case accepted, acknowledged, nonMaskable, timer, errors, endsWithoutWrite }

        private let accepted = Atomic<UInt64>(0)
        private let acknowledged = Atomic<UInt64>(0)
        private let nonMaskable = Atomic<UInt64>(0)
        private let timer = Atomic<UInt64>(0)
        private let errors = Atomic<UInt64>(0)
        private let endsWithoutWrite = Atomic<UInt64>(0)

        borrowing func add(_ kind: Kind) {
            switch kind {
            case .accepted: accepted.wrappingAdd(1, ordering: .relaxed)
            case .acknowledged: acknowledged.wrappingAdd(1, ordering: .relaxed)
            case .nonMaskable: nonMaskable.wrappingAdd(1, ordering: .relaxed)
            case .timer: timer.wrappingAdd(1, ordering: .relaxed)
            case .errors: errors.wrappingAdd(1, ordering: .relaxed)
            case .endsWithoutWrite: endsWithoutWrite.wrappingAdd(1, ordering: .relaxed)
            }
        }

        var values: [String: UInt64] {
            get {
                [
                    "acceptedInterrupts": accepted.load(ordering: .relaxed),
                    "acknowledgedInterrupts": acknowledged.load(ordering: .relaxed),
                    "nonMaskableInterrupts": nonMaskable.load(ordering: .relaxed),
                    "timerInterrupts": timer.load(ordering: .relaxed),
                    "errors": errors.load(ordering: .relaxed),
                    "endOfInterruptWritesAvoided": endsWithoutWrite.load(ordering: .relaxed),
                ]
            }
        }
    }

    /// Interrupts accepted, acknowledged, from the timer, NMIs, errors, and ends of interrupts that
    /// the guest made in its memory; each a count.
    public var metrics: [String: UInt64] { counters.values }
}
