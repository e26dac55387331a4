internal import GuestMemory
internal import Synchronization
internal import VirtualCPU

/// The pages that other engines have begun to decode from: one engine's letters.
///
/// Owner: `EngineContext`. Anyone posts; the vCPU's worker takes, before it looks a block up.
@safe
final class CodeMailbox: Sendable {
    struct Post {
        var pages: [UInt64] = []
        /// Letters were lost: any page may have been decoded from.
        var overflowed = false
    }

    private static let capacity = 64
    private let post = Mutex(Post())
    private let waiting = Atomic<Bool>(false)
    /// Letters have been taken and are being dealt with.
    private let dealing = Atomic<Bool>(false)
    private let events: PendingEvents

    init(_ events: PendingEvents) {
        self.events = events
        post.withLock { $0.pages.reserveCapacity(Self.capacity) }
    }

    /// Leaves a letter. The vCPU is not woken: one that halts reads its post before it runs on.
    func leave(_ page: UInt64) {
        post.withLock { post in
            if post.pages.last == page { return }
            if post.pages.count < Self.capacity {
                post.pages.append(page)
            } else {
                post.overflowed = true
            }
            waiting.store(true, ordering: .releasing)
        }
        events.raise(.codeChanged)
    }

    var isEmpty: Bool { !waiting.load(ordering: .acquiring) }

    /// All letters so far have been dealt with. Any thread.
    var isDone: Bool {
        // In this order: who takes sets the second before it clears the first.
        !waiting.load(ordering: .sequentiallyConsistent)
            && !dealing.load(ordering: .sequentiallyConsistent)
    }

    /// What was taken has been dealt with.
    func done() { dealing.store(false, ordering: .releasing) }

    /// Takes what is there, until `done`.
    func take() -> Post {
        post.withLock { post in
            dealing.store(true, ordering: .sequentiallyConsistent)
            waiting.store(false, ordering: .sequentiallyConsistent)
            let taken = post
            post.pages.removeAll(keepingCapacity: true)
            post.overflowed = false
            return taken
        }
    }
}
