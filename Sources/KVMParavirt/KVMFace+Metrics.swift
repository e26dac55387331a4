internal import HostIO
internal import Synchronization

extension ProcessorFace {
    /// What is counted of one vCPU; its own worker counts.
    struct Counters: ~Copyable, Sendable {
        enum Kind {
            case polls, kicks, yields, interruptCommands, interrupts, refused, unknown
            case preemptions, flushes, stolenNanoseconds
            case asyncFaultsInjected, asyncFaultsReady, asyncFaultsAcknowledged
            case asyncFaultsHalted, asyncFaultsDropped, asyncFaultWakeAlls
        }

        private let polls = Atomic<UInt64>(0)
        private let kicks = Atomic<UInt64>(0)
        private let yields = Atomic<UInt64>(0)
        private let interruptCommands = Atomic<UInt64>(0)
        private let interrupts = Atomic<UInt64>(0)
        private let refused = Atomic<UInt64>(0)
        private let unknown = Atomic<UInt64>(0)
        private let preemptions = Atomic<UInt64>(0)
        private let flushes = Atomic<UInt64>(0)
        private let stolenNanoseconds = Atomic<UInt64>(0)
        private let asyncFaultsInjected = Atomic<UInt64>(0)
        private let asyncFaultsReady = Atomic<UInt64>(0)
        private let asyncFaultsAcknowledged = Atomic<UInt64>(0)
        private let asyncFaultsHalted = Atomic<UInt64>(0)
        private let asyncFaultsDropped = Atomic<UInt64>(0)
        private let asyncFaultWakeAlls = Atomic<UInt64>(0)

        borrowing func add(_ kind: Kind, _ amount: UInt64 = 1) {
            switch kind {
            case .polls: polls.wrappingAdd(amount, ordering: .relaxed)
            case .kicks: kicks.wrappingAdd(amount, ordering: .relaxed)
            case .yields: yields.wrappingAdd(amount, ordering: .relaxed)
            case .interruptCommands: interruptCommands.wrappingAdd(amount, ordering: .relaxed)
            case .interrupts: interrupts.wrappingAdd(amount, ordering: .relaxed)
            case .refused: refused.wrappingAdd(amount, ordering: .relaxed)
            case .unknown: unknown.wrappingAdd(amount, ordering: .relaxed)
            case .preemptions: preemptions.wrappingAdd(amount, ordering: .relaxed)
            case .flushes: flushes.wrappingAdd(amount, ordering: .relaxed)
            case .stolenNanoseconds: stolenNanoseconds.wrappingAdd(amount, ordering: .relaxed)
            case .asyncFaultsInjected: asyncFaultsInjected.wrappingAdd(amount, ordering: .relaxed)
            case .asyncFaultsReady: asyncFaultsReady.wrappingAdd(amount, ordering: .relaxed)
            case .asyncFaultsAcknowledged:
                asyncFaultsAcknowledged.wrappingAdd(amount, ordering: .relaxed)
            case .asyncFaultsHalted: asyncFaultsHalted.wrappingAdd(amount, ordering: .relaxed)
            case .asyncFaultsDropped: asyncFaultsDropped.wrappingAdd(amount, ordering: .relaxed)
            case .asyncFaultWakeAlls: asyncFaultWakeAlls.wrappingAdd(amount, ordering: .relaxed)
            }
        }

        var values: [String: UInt64] {
            get {
                [
                    "hypercallsPollInterrupt": polls.load(ordering: .relaxed),
                    "hypercallsKick": kicks.load(ordering: .relaxed),
                    "hypercallsYield": yields.load(ordering: .relaxed),
                    "hypercallsSendInterrupts": interruptCommands.load(ordering: .relaxed),
                    "interruptsSentByHypercall": interrupts.load(ordering: .relaxed),
                    "hypercallsRefused": refused.load(ordering: .relaxed),
                    "hypercallsUnknown": unknown.load(ordering: .relaxed),
                    "preemptionsMarked": preemptions.load(ordering: .relaxed),
                    "flushInterruptsAvoided": flushes.load(ordering: .relaxed),
                    "stolenNanoseconds": stolenNanoseconds.load(ordering: .relaxed),
                    "asyncFaultsInjected": asyncFaultsInjected.load(ordering: .relaxed),
                    "asyncFaultsReady": asyncFaultsReady.load(ordering: .relaxed),
                    "asyncFaultsAcknowledged": asyncFaultsAcknowledged.load(ordering: .relaxed),
                    "asyncFaultsHalted": asyncFaultsHalted.load(ordering: .relaxed),
                    "asyncFaultsDropped": asyncFaultsDropped.load(ordering: .relaxed),
                    "asyncFaultWakeAlls": asyncFaultWakeAlls.load(ordering: .relaxed),
                ]
            }
        }
    }
}

extension KVMFace {
    /// Counts, over all vCPUs, of clock pages written, hypercalls by kind, interrupts they sent,
    /// preemptions marked and TLB flushes done on the next run instead of by an interrupt;
    /// the stolen time in nanoseconds; and of asynchronous page faults: told to the guest as not
    /// present, told as ready, acknowledged by it, not told because it could not take it, forgotten
    /// because it turned the interface off, and how often all that wait were woken. Told as not
    /// present = told as ready + forgotten + outstanding.
    public var metrics: [String: UInt64] {
        var result = ["clockPagesPublished": registers.withLock { $0.published }]
        var outstanding = 0
        for processor in processors {
            result.merge(processor.counters.values) { $0 &+ $1 }
            outstanding += processor.asyncFaults.withLock { $0.count }
        }
        result["asyncFaultsOutstanding"] = UInt64(outstanding)
        return result
    }
}
