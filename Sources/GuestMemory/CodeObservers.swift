import Synchronization

/// What happened to a page that instructions are decoded from.
public enum CodeChange: Sendable, Equatable {
    /// Its bytes were written or are about to be: instructions decoded from it are void.
    case written
    /// An engine decodes instructions from it from now on: stores to it have to be seen.
    case decoded
}

/// Who has to know when pages with code change: a list that only grows, read without a lock.
///
/// Owner: `GuestMemory`. Any thread.
@safe
final class CodeObservers: Sendable {
    /// Called on the thread that made the change; must not block.
    typealias Body = @Sendable (_ change: CodeChange, _ page: UInt64) -> Void

    private final class Node: Sendable {
        let number: Int
        let body: Body
        let next: Node?

        init(number: Int, body: @escaping Body, next: Node?) {
            self.number = number
            self.body = body
            self.next = next
        }
    }

    /// The newest node, retained by this object; 0 for none. Nodes never change and live as long
    /// as this object.
    private let newest = Atomic<UInt>(0)

    deinit {
        let last = unsafe UnsafeRawPointer(bitPattern: newest.load(ordering: .acquiring))
        // SAFETY: the newest node was retained when it was published; it holds the others.
        if let last = unsafe last { unsafe Unmanaged<Node>.fromOpaque(last).release() }
    }

    private static func node(_ bits: UInt) -> Node? {
        // SAFETY: `bits` was made from a node that this list keeps alive.
        guard let pointer = unsafe UnsafeRawPointer(bitPattern: bits) else { return nil }
        return unsafe Unmanaged<Node>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// The number of the new observer, from 1.
    func add(_ body: @escaping Body) -> Int {
        while true {
            let bits = newest.load(ordering: .acquiring)
            let next = Self.node(bits)
            let node = Node(number: (next?.number ?? 0) &+ 1, body: body, next: next)
            let unmanaged = unsafe Unmanaged.passRetained(node)
            let desired = unsafe UInt(bitPattern: unmanaged.toOpaque())
            let (exchanged, _) = newest.compareExchange(
                expected: bits, desired: desired, ordering: .acquiringAndReleasing)
            if exchanged {
                // The list's own reference to the node before is the new node's `next`.
                if let next { unsafe Unmanaged.passUnretained(next).release() }
                return node.number
            }
            unsafe unmanaged.release()
        }
    }

    /// Tells everyone but observer number `sender`.
    func tell(_ change: CodeChange, _ page: UInt64, sender: Int) {
        var node = Self.node(newest.load(ordering: .acquiring))
        while let current = node {
            if current.number != sender { current.body(change, page) }
            node = current.next
        }
    }
}
