internal import Vocabulary

/// A copy of the tree that one client works on, and what it has read and changed there. Operations
/// outside transactions get one for themselves, which ends with the operation.
struct StoreTransaction: Sendable {
    /// Which watches hear of a change.
    enum Notice: UInt8, Sendable {
        case none
        /// Those of this very path: the node went with one above it.
        case exact
        /// Those of this path and of paths above.
        case subtree
    }

    /// What accounting and watches have to know of a node.
    struct Summary: Sendable {
        var permissions: [StorePermission]
        /// Of path and node.
        var byteCount: Int

        var owner: DomainID { permissions.first?.domain ?? .host }

        init?(_ node: StoreNode?, at path: StorePath) {
            guard let node else { return nil }
            permissions = node.permissions
            byteCount = node.byteCount + path.text.utf8.count
        }
    }

    struct Access: Sendable {
        /// When first read; nil: there was no such node.
        let generation: UInt64?
        var isModified = false
        /// Before the first change.
        var old: Summary?
        /// After the last change; nil: removed.
        var new: Summary?
        var notice = Notice.none
    }

    private(set) var tree: StoreTree
    /// A client has started it, and will end it.
    let isExplicit: Bool
    private(set) var accesses: [StorePath: Access] = [:]
    /// In the order of the first change.
    private(set) var modified: [StorePath] = []
    /// How many nodes more the client owns.
    private(set) var ownNodeDelta = 0
    /// About what it takes beside the tree.
    private(set) var byteCount = 0
    /// What `byteCount` may come to; set before each operation.
    var byteCountCeiling = Int.max
    /// A quota was met in the middle of an operation; it cannot be committed.
    private(set) var hasFailed = false
    /// It is known that it cannot be committed, because others have changed what it has read.
    private(set) var isStale = false
    /// `discardedByteCount` of the tree that it was copied from.
    private var baseDiscard: UInt64

    init(_ tree: StoreTree, isExplicit: Bool) {
        self.tree = tree
        self.isExplicit = isExplicit
        baseDiscard = tree.discardedByteCount
    }

    // MARK: What it has read and changed

    /// Notes that the client has seen `node`, or that there is none.
    mutating func access(
        _ path: StorePath, _ node: StoreNode?, for requester: StoreRequester
    ) throws(StoreError) {
        guard isExplicit, accesses[path] == nil else { return }
        let isTooMany =
            !requester.isPrivileged
            && StoreQuotas.exceeds(accesses.count + 1, requester.quotas.transactionNodes)
        try grow(by: path.text.utf8.count + 64, unless: isTooMany)
        accesses[path] = Access(generation: node?.generation)
    }

    private mutating func grow(by count: Int, unless isTooMuch: Bool = false) throws(StoreError) {
        guard !isTooMuch, byteCount + count <= byteCountCeiling else {
            hasFailed = true
            throw .noSpace
        }
        byteCount += count
    }

    /// Notes a change; `old` is the node before it, `new` after it.
    private mutating func note(
        _ path: StorePath, old: StoreNode?, new: StoreNode?, _ notice: Notice,
        for requester: StoreRequester
    ) {
        var access = accesses[path] ?? Access(generation: old?.generation)
        let before = Summary(old, at: path)
        let after = Summary(new, at: path)
        if !access.isModified {
            access.isModified = true
            access.old = before
            modified.append(path)
        } else {
            byteCount -= access.new?.byteCount ?? 0
        }
        access.new = after
        byteCount += after?.byteCount ?? 0
        if access.notice.rawValue < notice.rawValue { access.notice = notice }
        if before?.owner == requester.domain { ownNodeDelta -= 1 }
        if after?.owner == requester.domain { ownNodeDelta += 1 }
        accesses[path] = access
    }

    // MARK: Operations

    /// The node, for a client that has the rights `needs`.
    /// - Returns: nil if there is none and the client may know.
    mutating func find(
        _ path: StorePath, needs: StoreRights, for requester: StoreRequester
    ) throws(StoreError) -> StoreNode? {
        let (nearest, level) = tree.deepest(path)
        if level == path.level {
            try access(path, nearest, for: requester)
            guard requester.rights(nearest.permissions).isSuperset(of: needs) else {
                throw .accessDenied
            }
            return nearest
        }
        try access(path, nil, for: requester)
        // What is nearest above says whether the client may know that there is nothing.
        let above = level == 0 ? StorePath.root : path.prefix(level)
        let judge = level == 0 ? tree.node(at: .root) : nearest
        try access(above, judge, for: requester)
        guard let judge, !requester.rights(judge.permissions).isDisjoint(with: needs) else {
            throw .accessDenied
        }
        return nil
    }

    /// The node, for reading.
    mutating func read(_ path: StorePath, for requester: StoreRequester) throws(StoreError)
        -> StoreNode
    {
        guard let node = try find(path, needs: .read, for: requester) else { throw .notFound }
        return node
    }

    /// Gives a node a value; makes it and what is missing above it.
    mutating func write(
        _ path: StorePath, _ value: [UInt8], for requester: StoreRequester,
        _ generation: inout UInt64
    ) throws(StoreError) {
        guard value.count <= StoreMessage.payloadByteCountLimit else { throw .tooBig }
        guard let node = try find(path, needs: .write, for: requester) else {
            return try create(path, value, for: requester, &generation)
        }
        try change(
            path, node, value: value, permissions: node.permissions, .subtree, for: requester,
            &generation)
    }

    /// Makes a node and what is missing above it; one that is there stays as it is.
    mutating func makeDirectory(
        _ path: StorePath, for requester: StoreRequester, _ generation: inout UInt64
    ) throws(StoreError) {
        guard try find(path, needs: .write, for: requester) == nil else { return }
        try create(path, [], for: requester, &generation)
    }

    /// Gives a node permissions. The caller has checked who they name.
    mutating func setPermissions(
        _ path: StorePath, _ permissions: [StorePermission], _ notice: Notice = .subtree,
        for requester: StoreRequester, _ generation: inout UInt64
    ) throws(StoreError) {
        guard let node = try find(path, needs: [.write, .owner], for: requester) else {
            throw .notFound
        }
        // XSA-352.
        guard requester.isPrivileged || permissions.first?.domain == node.permissions.first?.domain
        else { throw .notPermitted }
        try change(
            path, node, value: node.value, permissions: permissions, notice, for: requester,
            &generation)
    }

    private mutating func change(
        _ path: StorePath, _ node: StoreNode, value: [UInt8], permissions: [StorePermission],
        _ notice: Notice, for requester: StoreRequester, _ generation: inout UInt64
    ) throws(StoreError) {
        try checkSize(
            value.count, permissions.count, node.childNamesByteCount, for: requester)
        if isExplicit { try grow(by: 0, unless: byteCount + value.count > byteCountCeiling) }
        generation &+= 1
        tree.replace(path, value: value, permissions: permissions, generation: generation)
        note(path, old: node, new: tree.node(at: path), notice, for: requester)
    }

    private func checkSize(
        _ value: Int, _ permissions: Int, _ childNames: Int, for requester: StoreRequester
    ) throws(StoreError) {
        guard !requester.isPrivileged else { return }
        let count = StoreNode.byteCount(
            value: value, permissions: permissions, childNames: childNames)
        guard !StoreQuotas.exceeds(count, requester.quotas.nodeByteCount) else { throw .noSpace }
    }

    private mutating func create(
        _ path: StorePath, _ value: [UInt8], for requester: StoreRequester,
        _ generation: inout UInt64
    ) throws(StoreError) {
        let (parent, level) = tree.deepest(path)
        let count = path.level - level
        guard count > 0 else { return }
        // Who creates a node owns it; the rest is as above.
        var permissions = parent.permissions
        if !requester.isPrivileged, !permissions.isEmpty {
            permissions[0].domain = requester.domain
            permissions[0].isIgnored = false
        }
        // Everything that can be refused comes before the first change (XSA-414, XSA-415).
        guard requester.isPrivileged || ownNodeDelta + count <= requester.nodeRoom else {
            throw .noSpace
        }
        let lengths = path.components.dropFirst(level).map(\.utf8.count)
        try checkSize(value.count, permissions.count, 0, for: requester)
        try checkSize(
            parent.value.count, parent.permissions.count,
            parent.childNamesByteCount + (lengths.first ?? 0) + 1, for: requester)
        if let longest = lengths.dropFirst().max() {
            try checkSize(0, permissions.count, longest + 1, for: requester)
        }
        let paths = Array(path.upwards.prefix(count + 1))
        for path in paths.dropLast() { try access(path, nil, for: requester) }
        let above = paths.last ?? .root
        try access(above, parent, for: requester)
        if isExplicit { try grow(by: 0, unless: byteCount + value.count > byteCountCeiling) }
        generation &+= 1
        tree.insert(
            path, below: level, value: value, permissions: permissions, generation: generation)
        // The nodes from the new parent down, for the accounts.
        var node = tree.node(at: above)
        note(above, old: parent, new: node, .none, for: requester)
        for (path, name) in zip(paths.dropLast().reversed(), path.components.dropFirst(level)) {
            node = node?.child(name)
            let isLast = path.level == level + count
            note(path, old: nil, new: node, isLast ? .subtree : .none, for: requester)
        }
    }

    /// Takes a node and all below it away. It is no error if there is none but its parent is there.
    mutating func remove(
        _ path: StorePath, for requester: StoreRequester, _ generation: inout UInt64
    ) throws(StoreError) {
        let parentPath = path.parent ?? .root
        guard try find(path, needs: .write, for: requester) != nil else {
            let parent = tree.node(at: parentPath)
            try access(parentPath, parent, for: requester)
            guard parent != nil else { throw .notFound }
            return
        }
        guard path.level > 0 else { throw .invalidArgument }
        let nodes = tree.descendants(of: path)
        for (path, node) in nodes { try access(path, node, for: requester) }
        let parent = tree.node(at: parentPath)
        try access(parentPath, parent, for: requester)
        generation &+= 1
        tree.remove(path, generation: generation)
        for (each, node) in nodes {
            tree.discard(node.copyByteCount &+ UInt64(node.value.count))
            note(each, old: node, new: nil, each == path ? .subtree : .exact, for: requester)
        }
        note(parentPath, old: parent, new: tree.node(at: parentPath), .none, for: requester)
    }

    // MARK: Commit

    /// Whether what was read or changed is as it was.
    func isUnchanged(in current: StoreTree) -> Bool {
        !isStale
            && accesses.allSatisfy { path, access in
                current.node(at: path)?.generation == access.generation
            }
    }

    /// `current` with the changes of this transaction; without those that no longer have a place,
    /// which there are none of if nothing of what it has read has changed.
    func applied(to current: StoreTree, _ generation: inout UInt64) -> StoreTree {
        var result = current
        // Parents come first.
        for path in modified.sorted(by: { $0.level < $1.level }) {
            generation &+= 1
            guard let node = tree.node(at: path) else {
                result.remove(path, generation: generation)
                continue
            }
            let isThere = result.replace(
                path, value: node.value, permissions: node.permissions, generation: generation)
            guard !isThere else { continue }
            result.insert(
                path, below: path.level - 1, value: node.value, permissions: node.permissions,
                generation: generation)
        }
        return result
    }

    /// Lets go of nodes that others have replaced since, if they take more than `byteCount` bytes: a
    /// transaction that is left open would keep them all (XSA-326). The transaction then sees the
    /// newer tree where it has not looked yet.
    mutating func renew(
        from current: StoreTree, ifMoreThan byteCount: UInt64, _ generation: inout UInt64
    ) {
        guard current.discardedByteCount &- baseDiscard > byteCount else { return }
        if !isUnchanged(in: current) { markStale() }
        // Also if it is stale: its client still expects to see what it has written.
        tree = applied(to: current, &generation)
        baseDiscard = current.discardedByteCount
    }

    /// It can no longer be committed.
    mutating func markStale() { isStale = true }

    /// Whether it has put `domain` into the permissions of a node.
    func names(_ domain: DomainID) -> Bool {
        modified.contains { path in
            accesses[path]?.new?.permissions.contains { $0.domain == domain } ?? false
        }
    }
}
