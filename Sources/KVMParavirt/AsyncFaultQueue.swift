/// The asynchronous page faults of one vCPU that its guest has been told of and that are not over:
/// each is `waiting` until its page is there, then `ready` until the guest has its token.
///
/// At most `capacity` in all, so nothing here allocates after `init`.
struct AsyncFaultQueue: Sendable {
    /// As on KVM (ASYNC_PF_PER_VCPU).
    static let capacity = 64
    /// Wakes every task that waits on the vCPU, whatever its token.
    static let wakeAll: UInt32 = 0xffff_ffff

    private struct Fault: Sendable {
        var token: UInt32
        var page: UInt64
    }

    private var waiting: [Fault] = []
    /// In the order in which the pages came.
    private var ready: [Fault] = []
    /// `wakeAll` is delivered before all that is ready.
    private var wakesAll = false
    /// Bits 31:12 of the next token. It goes on over INIT, disabling and snapshots: a guest that still
    /// has a task on an old token takes a second task with it for proof that the page came early, and
    /// frees what the first one waits on (Linux kvm_async_pf_queue_task).
    private(set) var nextIdentifier: UInt32 = 1

    init() {
        waiting.reserveCapacity(Self.capacity)
        ready.reserveCapacity(Self.capacity)
    }

    var count: Int { waiting.count + ready.count }
    /// There is something for `next`.
    var isReady: Bool { wakesAll || !ready.isEmpty }

    /// A token for a page that is not there; nil: as many as may be are on their way, or this one is.
    mutating func add(page: UInt64, processor: UInt32) -> UInt32? {
        guard count < Self.capacity, !waiting.contains(where: { $0.page == page }),
            !ready.contains(where: { $0.page == page })
        else { return nil }
        var token: UInt32
        // After 2^20 faults identifiers come again.
        repeat {
            token = nextIdentifier << 12 | processor & 0xfff
            nextIdentifier = nextIdentifier >= 0xf_ffff ? 1 : nextIdentifier + 1
        } while token == Self.wakeAll || has(token)
        waiting.append(Fault(token: token, page: page))
        return token
    }

    private func has(_ token: UInt32) -> Bool {
        waiting.contains { $0.token == token } || ready.contains { $0.token == token }
    }

    /// The page is there. False: the token is of no fault, or of one that was dropped.
    mutating func arrived(_ token: UInt32) -> Bool {
        guard let index = waiting.firstIndex(where: { $0.token == token }) else { return false }
        ready.append(waiting[index])
        waiting.swapAt(index, waiting.count - 1)
        waiting.removeLast()
        return true
    }

    /// The token to give the guest next.
    mutating func next() -> UInt32? {
        if wakesAll {
            wakesAll = false
            return Self.wakeAll
        }
        return ready.isEmpty ? nil : ready.removeFirst().token
    }

    /// Forgets every fault, and who was to be woken.
    ///
    /// - Returns: how many faults.
    mutating func drop() -> Int {
        let dropped = count
        waiting.removeAll(keepingCapacity: true)
        ready.removeAll(keepingCapacity: true)
        wakesAll = false
        return dropped
    }

    mutating func wakeAllFirst() { wakesAll = true }

    mutating func goOn(from identifier: UInt32) {
        nextIdentifier = min(max(identifier, 1), 0xf_ffff)
    }
}
