/// A node of the tree. Never changes once it is in a tree, so that trees share it.
///
/// Unchecked: `children` is a variable for `deinit` alone, when nobody else has the node.
final class StoreNode: @unchecked Sendable {
    struct Child: Sendable {
        let name: String
        var node: StoreNode
    }

    let value: [UInt8]
    let permissions: [StorePermission]
    /// Of the last change of value, permissions or list of children; no two changes have the same.
    let generation: UInt64
    /// In the order of their names.
    private(set) var children: [Child]
    /// Of the names of the children with a zero byte each.
    let childNamesByteCount: Int

    init(
        value: [UInt8] = [], permissions: [StorePermission], generation: UInt64,
        children: [Child] = [], childNamesByteCount: Int = 0
    ) {
        self.value = value
        self.permissions = permissions
        self.generation = generation
        self.children = children
        self.childNamesByteCount = childNamesByteCount
    }

    /// Without recursion: a guest chooses how deep the tree is (XSA-418).
    deinit {
        guard !children.isEmpty else { return }
        var rest = children
        children = []
        while var last = rest.popLast() {
            guard !last.node.children.isEmpty, isKnownUniquelyReferenced(&last.node) else {
                continue
            }
            rest.append(contentsOf: last.node.children)
            last.node.children = []
        }
    }

    /// Where the child `name` is, or where it would have to be.
    func place(of name: String) -> (index: Int, isThere: Bool) {
        var low = 0
        var high = children.count
        while low < high {
            let middle = (low + high) / 2
            if children[middle].name < name { low = middle + 1 } else { high = middle }
        }
        return (low, low < children.count && children[low].name == name)
    }

    func child(_ name: String) -> StoreNode? {
        let (index, isThere) = place(of: name)
        return isThere ? children[index].node : nil
    }

    /// The same node with another child at `index`.
    func replacingChild(at index: Int, by node: StoreNode) -> StoreNode {
        var changed = children
        changed[index].node = node
        return StoreNode(
            value: value, permissions: permissions, generation: generation, children: changed,
            childNamesByteCount: childNamesByteCount)
    }

    /// The same node with one child more, at the place that its name belongs at.
    func insertingChild(_ name: String, _ node: StoreNode, at index: Int, generation: UInt64)
        -> StoreNode
    {
        var changed = children
        changed.insert(Child(name: name, node: node), at: index)
        return StoreNode(
            value: value, permissions: permissions, generation: generation, children: changed,
            childNamesByteCount: childNamesByteCount + name.utf8.count + 1)
    }

    /// The same node with one child less.
    func removingChild(at index: Int, generation: UInt64) -> StoreNode {
        var changed = children
        let name = changed.remove(at: index).name
        return StoreNode(
            value: value, permissions: permissions, generation: generation, children: changed,
            childNamesByteCount: childNamesByteCount - name.utf8.count - 1)
    }

    /// The same children below another content.
    func with(value: [UInt8], permissions: [StorePermission], generation: UInt64) -> StoreNode {
        StoreNode(
            value: value, permissions: permissions, generation: generation, children: children,
            childNamesByteCount: childNamesByteCount)
    }

    /// What counts for the quota of node sizes, in bytes.
    var byteCount: Int {
        Self.byteCount(
            value: value.count, permissions: permissions.count, childNames: childNamesByteCount)
    }

    static func byteCount(value: Int, permissions: Int, childNames: Int) -> Int {
        16 + 8 * permissions + value + childNames
    }

    /// About what a copy of this node without its value takes, in bytes.
    var copyByteCount: UInt64 { UInt64(64 + 24 * children.count) }

    /// The names of the children, each with a zero byte at its end.
    var childList: [UInt8] {
        var list: [UInt8] = []
        list.reserveCapacity(childNamesByteCount)
        for child in children {
            list.append(contentsOf: child.name.utf8)
            list.append(0)
        }
        return list
    }
}
