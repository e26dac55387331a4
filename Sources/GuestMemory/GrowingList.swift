import Synchronization

/// A list that only grows, read without a lock.
///
/// Any thread.
@safe
final class GrowingList<Element: Sendable>: Sendable {
    private final class Node: Sendable {
        let number: Int
        let element: Element
        let next: Node?

        init(number: Int, element: Element, next: Node?) {
            self.number = number
            self.element = element
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

    /// The number of the new element, from 1.
    func append(_ element: Element) -> Int {
        while true {
            let bits = newest.load(ordering: .acquiring)
            let next = Self.node(bits)
            let node = Node(number: (next?.number ?? 0) &+ 1, element: element, next: next)
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

    /// The elements and their numbers, newest first.
    @inline(__always)
    func forEach(_ body: (_ number: Int, _ element: Element) -> Void) {
        var node = Self.node(newest.load(ordering: .acquiring))
        while let current = node {
            body(current.number, current.element)
            node = current.next
        }
    }
}
