/// The nodes. A value: a copy takes no time and shares what neither side changes. A change makes
/// new nodes from the place up to the root.
struct StoreTree: Sendable {
    private var root: StoreNode
    /// Has the special events as children; they carry permissions.
    private var specials: StoreNode
    /// How much memory of older nodes changes have left behind, in bytes, about; it is taken while
    /// a copy from before lives. Only grows.
    private(set) var discardedByteCount: UInt64 = 0

    /// A root and nothing else.
    init(rootPermissions: [StorePermission]) {
        root = StoreNode(permissions: rootPermissions, generation: 0)
        specials = StoreNode(permissions: rootPermissions, generation: 0)
    }

    func node(at path: StorePath) -> StoreNode? {
        var node = path.isSpecial ? specials : root
        for name in path.components {
            guard let child = node.child(name) else { return nil }
            node = child
        }
        return node
    }

    /// The nodes from the root to `path`, as far as there are any.
    private func line(to path: StorePath) -> [StoreNode] {
        var node = path.isSpecial ? specials : root
        var line = [node]
        for name in path.components {
            guard let child = node.child(name) else { break }
            node = child
            line.append(node)
        }
        return line
    }

    /// The last node on the way to `path` that exists, and its level; the root is at 0.
    func deepest(_ path: StorePath) -> (node: StoreNode, level: Int) {
        var node = path.isSpecial ? specials : root
        var level = 0
        for name in path.components {
            guard let child = node.child(name) else { break }
            node = child
            level += 1
        }
        return (node, level)
    }

    /// Gives a node new content; it keeps its children.
    /// - Returns: false if there is no such node.
    @discardableResult
    mutating func replace(
        _ path: StorePath, value: [UInt8], permissions: [StorePermission], generation: UInt64
    ) -> Bool {
        var line = line(to: path)
        guard line.count == path.level + 1, let old = line.popLast() else { return false }
        discard(old.copyByteCount &+ UInt64(old.value.count))
        rebuild(
            path, line,
            old.with(value: value, permissions: permissions, generation: generation))
        return true
    }

    /// Puts `node` below the node at `level` of `path`, with `between` down to it: what is made has
    /// no content and the permissions of `node`. The node at `level` gets `generation`.
    /// - Returns: false if the place is taken or there is no node at `level`.
    @discardableResult
    mutating func insert(
        _ path: StorePath, below level: Int, value: [UInt8], permissions: [StorePermission],
        generation: UInt64
    ) -> Bool {
        var line = line(to: path)
        let components = path.components
        guard line.count == level + 1, level < components.count, let last = line.popLast()
        else { return false }
        var node = StoreNode(value: value, permissions: permissions, generation: generation)
        for name in components[(level + 1)...].reversed() {
            node = StoreNode(
                permissions: permissions, generation: generation,
                children: [StoreNode.Child(name: name, node: node)],
                childNamesByteCount: name.utf8.count + 1)
        }
        let name = components[level]
        let index = last.place(of: name).index
        discard(last.copyByteCount)
        rebuild(
            path, line, last.insertingChild(name, node, at: index, generation: generation))
        return true
    }

    /// Takes a node and all below it away. Its parent gets `generation`.
    /// - Returns: false if there is no such node, and for a root.
    @discardableResult
    mutating func remove(_ path: StorePath, generation: UInt64) -> Bool {
        var line = line(to: path)
        guard let name = path.components.last, line.count == path.level + 1,
            let old = line.popLast(), let parent = line.popLast()
        else { return false }
        let (index, isThere) = parent.place(of: name)
        guard isThere else { return false }
        discard(parent.copyByteCount &+ old.copyByteCount &+ UInt64(old.value.count))
        rebuild(path, line, parent.removingChild(at: index, generation: generation))
        return true
    }

    /// `line` are the nodes above `node`, which takes its place at level `line.count`.
    private mutating func rebuild(_ path: StorePath, _ line: [StoreNode], _ node: StoreNode) {
        var node = node
        let components = path.components
        for level in line.indices.reversed() where level < components.count {
            let parent = line[level]
            let (index, isThere) = parent.place(of: components[level])
            guard isThere else { return }
            discard(parent.copyByteCount)
            node = parent.replacingChild(at: index, by: node)
        }
        if path.isSpecial { specials = node } else { root = node }
    }

    mutating func discard(_ byteCount: UInt64) { discardedByteCount &+= byteCount }

    /// All nodes at and below `path`, children before their parents, each with its path. Without
    /// recursion: a guest chooses how deep the tree is (XSA-418).
    func descendants(of path: StorePath) -> [(path: StorePath, node: StoreNode)] {
        guard let start = node(at: path) else { return [] }
        var found: [(path: StorePath, node: StoreNode)] = []
        var waiting = [(path: path, node: start)]
        // Parents before children, the last child first; then the other way round.
        while let next = waiting.popLast() {
            found.append(next)
            for child in next.node.children {
                waiting.append((next.path.appending(child.name), child.node))
            }
        }
        found.reverse()
        return found
    }

    /// Every node of the tree, parents first, then the special events.
    var all: [(path: StorePath, node: StoreNode)] {
        descendants(of: .root).reversed()
            + specials.children.flatMap { child in
                StorePath("@" + child.name.dropFirst()).map { descendants(of: $0).reversed() } ?? []
            }
    }

    /// Adds a special event; for the start and for a state that is taken back.
    mutating func addSpecial(_ path: StorePath, permissions: [StorePermission], generation: UInt64)
    {
        guard path.isSpecial, node(at: path) == nil else { return }
        insert(
            path, below: deepest(path).level, value: [], permissions: permissions,
            generation: generation)
    }
}
