internal import Vocabulary

/// The operations on nodes. `path` is absolute, or relative to `/local/domain/N` of the client.
/// `transaction` is a number from `startTransaction`, or 0. Each throws `.invalidArgument` for a path
/// of the wrong form, `.accessDenied`, and `.notFound` for a transaction that is not open.
extension StoreService {
    /// The value of a node, in bytes.
    public mutating func read(
        _ path: String, transaction: UInt32 = 0, as id: StoreConnectionID
    ) throws(StoreError) -> [UInt8] {
        try node(path, transaction, as: id).value
    }

    /// The names of the children, in order.
    public mutating func directory(
        _ path: String, transaction: UInt32 = 0, as id: StoreConnectionID
    ) throws(StoreError) -> [String] {
        try node(path, transaction, as: id).children.map(\.name)
    }

    /// The permissions of a node or special event; the first entry is the owner's.
    public mutating func permissions(
        _ path: String, transaction: UInt32 = 0, as id: StoreConnectionID
    ) throws(StoreError) -> [StorePermission] {
        try node(path, transaction, as: id, allowsSpecial: true).permissions
    }

    /// The node itself, seen by the transaction.
    mutating func node(
        _ path: String, _ transaction: UInt32, as id: StoreConnectionID,
        allowsSpecial: Bool = false
    ) throws(StoreError) -> StoreNode {
        let path = try resolve(path, for: id, allowsSpecial: allowsSpecial).path
        return try perform(as: id, in: transaction) {
            (open, requester, _) throws(StoreError) in
            try open.read(path, for: requester)
        }
    }

    /// Gives a node a value of at most 4096 bytes; makes it, and what is missing above it.
    public mutating func write(
        _ path: String, _ value: [UInt8], transaction: UInt32 = 0, as id: StoreConnectionID
    ) throws(StoreError) {
        let path = try resolve(path, for: id).path
        try perform(as: id, in: transaction) { (open, requester, generation) throws(StoreError) in
            try open.write(path, value, for: requester, &generation)
        }
    }

    /// The same with the bytes of a text.
    public mutating func write(
        _ path: String, _ value: String, transaction: UInt32 = 0, as id: StoreConnectionID
    ) throws(StoreError) {
        try write(path, Array(value.utf8), transaction: transaction, as: id)
    }

    /// Makes a node without value, and what is missing above it; leaves one that is there as it is.
    public mutating func makeDirectory(
        _ path: String, transaction: UInt32 = 0, as id: StoreConnectionID
    ) throws(StoreError) {
        let path = try resolve(path, for: id).path
        try perform(as: id, in: transaction) { (open, requester, generation) throws(StoreError) in
            try open.makeDirectory(path, for: requester, &generation)
        }
    }

    /// Takes a node and all below it away. Throws `.notFound` only if the parent is not there either.
    public mutating func remove(
        _ path: String, transaction: UInt32 = 0, as id: StoreConnectionID
    ) throws(StoreError) {
        let path = try resolve(path, for: id).path
        try perform(as: id, in: transaction) { (open, requester, generation) throws(StoreError) in
            try open.remove(path, for: requester, &generation)
        }
    }

    /// Gives a node or special event permissions; the first entry names the owner. A domain has to
    /// own the node and cannot give it away; the owner has to exist.
    public mutating func setPermissions(
        _ path: String, _ permissions: [StorePermission], transaction: UInt32 = 0,
        as id: StoreConnectionID
    ) throws(StoreError) {
        guard !permissions.isEmpty else { throw .invalidArgument }
        let requester = try requester(id)
        guard
            requester.isPrivileged
                || !StoreQuotas.exceeds(permissions.count, requester.quotas.permissions)
        else { throw .noSpace }
        let checked = permissions.map { markIgnored($0, requester) }
        guard checked.first?.isIgnored == false else { throw .notFound }
        guard checked.first?.domain != .any else { throw .invalidArgument }
        let path = try resolve(path, for: id, allowsSpecial: true).path
        try perform(as: id, in: transaction) { (open, requester, generation) throws(StoreError) in
            try open.setPermissions(path, checked, for: requester, &generation)
        }
    }

    /// An entry for a domain that does not exist is kept but means nobody, also not one that comes
    /// later (XSA-322).
    private func markIgnored(
        _ permission: StorePermission, _ requester: StoreRequester
    ) -> StorePermission {
        var result = permission
        switch permission.domain {
        case .host: result.isIgnored = false
        case .any:
            let features = domains[requester.domain]?.features ?? Self.features
            result.isIgnored = features & Self.anyDomainFeature == 0
        default: result.isIgnored = domains[permission.domain] == nil
        }
        return result
    }

    // MARK: Transactions

    /// Begins to work on a copy of the tree.
    /// - Returns: its number, not 0.
    public mutating func startTransaction(as id: StoreConnectionID) throws(StoreError) -> UInt32 {
        let requester = try requester(id)
        let count = connections[id]?.transactions.count ?? 0
        guard
            requester.isPrivileged
                || !StoreQuotas.exceeds(count + 1, requester.quotas.transactions),
            let number = connections[id]?.newTransactionID()
        else { throw .noSpace }
        connections[id]?.transactions[number] = StoreTransaction(tree, isExplicit: true)
        return number
    }

    /// Ends a transaction, also if it throws. With `commit` its changes happen and watches are told.
    /// - Throws: `.tryAgain` if a node that was read, looked for, listed or changed in it has been
    ///   changed since; `.noSpace` or `.outOfMemory` for quotas. Nothing has happened then.
    public mutating func endTransaction(
        _ transaction: UInt32, commit: Bool, as id: StoreConnectionID
    ) throws(StoreError) {
        guard let open = connections[id]?.transactions.removeValue(forKey: transaction) else {
            throw .notFound
        }
        guard commit else { return }
        guard !open.hasFailed else { throw .outOfMemory }
        guard open.isUnchanged(in: tree) else {
            counters.conflicts &+= 1
            throw .tryAgain
        }
        let requester = try requester(id)
        try finish(open, open.applied(to: tree, &generation), requester)
        counters.commits &+= 1
    }
}
