/// To whom a spinning vCPU gives the rest of its slice.
///
/// The rules are those of Linux's `kvm_vcpu_on_spin` with three more, for its known weaknesses: who
/// has not answered an interrupt of the spinner comes first; a receiver keeps the processor for the
/// boost time even if it wakes somebody; and of several that spin, the one that began first is most
/// likely the next to get the lock, since queued and ticket locks serve in that order.
enum YieldPolicy {
    /// What is known of another vCPU of the VM.
    struct Candidate: Equatable {
        /// Preempted: it waits in a run queue.
        var isReady = false
        /// It was at privilege level 0 when it last ran.
        var wasInKernel = false
        /// Its last turn ended in a pause loop.
        var isSpinning = false
        /// It began before the spinner.
        var spinsLonger = false
        /// Searches in a row that found it spinning and went on.
        var passedOverCount = 0
        /// An interrupt waits for it.
        var hasInterrupt = false
        /// The spinner has lately sent it one.
        var wasInterruptedBySpinner = false
    }

    /// Lower is better.
    enum Rank: Int, Comparable {
        /// The spinner most likely waits for its answer.
        case answersSpinner
        /// Preempted in the kernel, where locks are held.
        case kernel
        /// It spins itself, but longer, or others have had their turn.
        case spinning
        /// Preempted in user mode: for a spinner in user mode, or if an interrupt takes it to the
        /// kernel.
        case user

        static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    enum Verdict: Equatable {
        case no
        /// It spins itself: a later search may take it.
        case passOver
        case take(Rank)
    }

    /// So often a vCPU that spins is passed over by those that spin longer.
    static let patience = 8

    static func judge(_ candidate: Candidate, spinnerInKernel: Bool) -> Verdict {
        guard candidate.isReady else { return .no }
        if candidate.hasInterrupt, candidate.wasInterruptedBySpinner {
            return .take(.answersSpinner)
        }
        let isUseful =
            candidate.wasInKernel || candidate.hasInterrupt || !spinnerInKernel
        guard isUseful else { return .no }
        if candidate.isSpinning {
            return candidate.spinsLonger || candidate.passedOverCount >= patience
                ? .take(.spinning) : .passOver
        }
        return .take(candidate.wasInKernel ? .kernel : .user)
    }
}
