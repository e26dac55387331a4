internal import Dispatch
internal import HostIO
internal import Vocabulary

/// Where somebody who asked the guest to suspend meets the vCPU by which it does: SCHEDOP_shutdown with
/// SHUTDOWN_suspend (Linux, drivers/xen/manage.c).
///
/// Owner: the machine. Any thread.
final class Suspension: Sendable {
    private struct Meeting: Sendable {
        var isAwaited = false
        var caller: VCPUIndex?
    }

    /// RAX of the hypercall: 0, the guest goes on in a new domain; 1, where it is.
    static let resumed: UInt64 = 0
    static let cancelled: UInt64 = 1

    private let meeting = RankedLock(Meeting(), owner: "suspension", rank: .leaf)
    private let arrived = DispatchSemaphore(value: 0)

    /// Somebody waits from now on.
    func begin() {
        meeting.withLock { $0 = Meeting(isAwaited: true) }
    }

    /// A vCPU suspends the guest. True: it is to stand still; false: nobody waits for it.
    func arrive(_ vcpu: VCPUIndex) -> Bool {
        let isAwaited = meeting.withLock { meeting in
            guard meeting.isAwaited, meeting.caller == nil else { return false }
            meeting.caller = vcpu
            return true
        }
        if isAwaited { arrived.signal() }
        return isAwaited
    }

    /// The vCPU that has suspended the guest; nil: none has in so many seconds, or before `givesUp`, and
    /// nobody waits any more.
    func wait(seconds: Double, givesUp: () -> Bool = { false }) -> VCPUIndex? {
        let end = DispatchTime.now() + seconds
        var hasCome = false
        repeat {
            hasCome = arrived.wait(timeout: min(end, .now() + 0.05)) == .success
        } while !hasCome && DispatchTime.now() < end && !givesUp()
        let caller = meeting.withLock { meeting in
            meeting.isAwaited = false
            return meeting.caller
        }
        // It came between the end of the wait and now.
        if !hasCome, caller != nil { arrived.wait() }
        return caller
    }
}
