internal import GuestMemory
internal import Synchronization
internal import VirtualCPU

/// What other engines and devices have to say to one engine about pages with code.
///
/// Owner: `EngineContext`. Anyone posts; the vCPU's worker takes, before it looks a block up.
@safe
final class CodeMailbox: Sendable {
    /// A page's address, and in bit 0 what happened to it.
    struct Letter {
        let rawValue: UInt64
        init(_ change: CodeChange, _ page: UInt64) {
            rawValue = page & ~0xfff | (change == .decoded ? 1 : 0)
        }
        var page: UInt64 { rawValue & ~0xfff }
        var change: CodeChange { rawValue & 1 != 0 ? .decoded : .written }
    }

    struct Post {
        var letters: [Letter] = []
        /// Letters were lost: any page may have changed in either way.
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
        post.withLock { $0.letters.reserveCapacity(Self.capacity) }
    }

    /// Leaves a letter. The vCPU is not woken: one that halts reads its post before it runs on.
    func leave(_ letter: Letter) {
        post.withLock { post in
            if post.letters.last?.rawValue == letter.rawValue { return }
            if post.letters.count < Self.capacity {
                post.letters.append(letter)
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
            post.letters.removeAll(keepingCapacity: true)
            post.overflowed = false
            return taken
        }
    }
}
