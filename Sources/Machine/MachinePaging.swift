internal import GuestMemory
internal import HostIO
internal import Paging
import Synchronization
import Vocabulary

/// The pager of a machine, if it has one.
///
/// Owner: the machine, which is made after it: it brings pages while the kernel is loaded. It ends with this
/// object at the latest.
final class MachinePaging: Sendable {
    let pager: Pager
    private let failure: Failure

    /// Whom to tell that memory is lost.
    private final class Failure: Sendable {
        private struct State: Sendable {
            var reason: String?
            var tell: (@Sendable (String) -> Void)?
        }
        private let state = RankedLock(State(), owner: "memory-lost", rank: .leaf)

        func lose(_ reason: String) {
            let tell = state.withLock { state in
                state.reason = reason
                return state.tell
            }
            tell?(reason)
        }

        var reason: String? { state.withLock { $0.reason } }

        func whenLost(_ tell: @escaping @Sendable (String) -> Void) {
            let reason = state.withLock { state in
                state.tell = tell
                return state.reason
            }
            if let reason { tell(reason) }
        }
    }

    /// Nil: all of the memory is always present.
    init?(
        _ configuration: MachineConfiguration, _ memory: GuestMemory, source: (any PageSource)?
    ) throws {
        guard memory.residency != nil else { return nil }
        var options = Pager.Options()
        options.residentByteCount = configuration.residentByteCount
        options.swapDirectory = configuration.swapDirectory
        options.prefetches = configuration.prefetches
        let failure = Failure()
        self.failure = failure
        pager = try Pager(memory: memory, source: source, options) { failure.lose($0) }
        try pager.start()
    }

    deinit { pager.stop() }

    /// Runs `body`, which puts something into the memory; if that is lost meanwhile, its reason is the error.
    func filling<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            // No vCPU waits yet: what is counted is theirs, and devices'.
            defer { pager.forgetWaits() }
            return try body()
        } catch {
            guard let reason = failure.reason else { throw error }
            throw XError(.outOfMemory, "\(StopReason.memoryLost(reason))", cause: error)
        }
    }

    /// Called once with the reason when memory is lost, or at once if it is; any thread.
    func whenLost(_ tell: @escaping @Sendable (String) -> Void) { failure.whenLost(tell) }
}

extension MachineConfiguration {
    /// Pages of the memory may be absent.
    var isPaged: Bool { residentByteCount != nil || restoresLazily }
}
