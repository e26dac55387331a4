public import Vocabulary

/// A XenStore: tree, transactions, watches, permissions and quotas for the domains of one process
/// and for clients on the host's side. What xenstored does, without its rings and sockets.
///
/// A value without locks, clocks and threads; its owner calls it from one thread at a time. A client
/// is a connection. Bytes from rings and sockets go to `receive`, and `takeOutput` gives the bytes to
/// send. Clients in this process call the operations and take their events with `takeEvents`. Any
/// call may give output to any connection: look at `connectionsWithOutput` after it.
public struct StoreService: Sendable {
    var tree: StoreTree
    /// Of the last change.
    var generation: UInt64 = 0
    var connections: [StoreConnectionID: StoreConnection] = [:]
    var domains: [DomainID: StoreDomain] = [:]
    var watches = StoreWatches()
    /// By owner; 0 is counted too, without limit.
    var usage: [DomainID: StoreUsage] = [:]
    /// Of domains that are made from now on.
    public internal(set) var defaultQuotas = StoreQuotas()
    public internal(set) var counters = StoreCounters()
    var effects: [StoreEffect] = []
    var nextConnection: UInt64 = 1
    /// The request that is being answered, if a domain has sent it.
    var origin: StoreOutput.Origin?
    /// `discardedByteCount` of the tree when transactions were last looked at.
    private var lastRenewal: UInt64 = 0

    /// Bits of the ring page's `server_features` that are there: `error` field (2), depth of watches
    /// (4), `DOMID_ANY` in permissions (8).
    public static let features: UInt32 = 14
    static let watchDepthFeature: UInt32 = 4
    static let anyDomainFeature: UInt32 = 8
    /// How much of replaced nodes an open transaction may hold, in bytes.
    static let transactionDiscardLimit: UInt64 = 256 << 10
    /// A client on the host's side that leaves so much untaken is not listened to, in bytes.
    public static let privilegedOutputLimit = 1 << 20

    /// A store as xenstored begins with: `/tool/xenstored` and the special events, all for the
    /// host's side only.
    public init() {
        let permissions = [StorePermission(.none, .host)]
        tree = StoreTree(rootPermissions: permissions)
        for text in ["/tool", "/tool/xenstored"] {
            guard let path = StorePath(text) else { continue }
            generation += 1
            tree.insert(
                path, below: path.level - 1, value: [], permissions: permissions,
                generation: generation)
        }
        for path in Self.specials {
            generation += 1
            tree.addSpecial(path, permissions: permissions, generation: generation)
        }
        recount()
    }

    static let introduceDomain = StorePath("@introduceDomain")
    static let releaseDomain = StorePath("@releaseDomain")
    static var specials: [StorePath] { [introduceDomain, releaseDomain].compactMap { $0 } }

    /// Makes the accounts from the tree.
    mutating func recount() {
        usage = [:]
        for (path, node) in tree.all {
            guard let summary = StoreTransaction.Summary(node, at: path) else { continue }
            usage[summary.owner, default: StoreUsage()].nodes += 1
            usage[summary.owner, default: StoreUsage()].byteCount += summary.byteCount
        }
    }

    // MARK: Connections

    /// A client on the host's side. Its relative paths begin at `/local/domain/0`.
    public mutating func connect() -> StoreConnectionID {
        makeConnection(.host, isPrivileged: true)
    }

    mutating func makeConnection(_ domain: DomainID, isPrivileged: Bool) -> StoreConnectionID {
        let id = StoreConnectionID(rawValue: nextConnection)
        nextConnection &+= 1
        connections[id] = StoreConnection(id: id, domain: domain, isPrivileged: isPrivileged)
        return id
    }

    /// The client has gone: its watches, transactions and output go too. For a client on the host's
    /// side; that of a domain lives until `releaseDomain`.
    public mutating func disconnect(_ id: StoreConnectionID) {
        guard connections[id]?.isPrivileged ?? false else { return }
        reset(id)
        connections[id] = nil
    }

    /// The client has done what no client may, as a ring with impossible indices: it is heard and
    /// told nothing any more. The domain stays known, and its end is told (XSA-325).
    public mutating func ignore(_ id: StoreConnectionID) {
        reset(id)
        connections[id]?.isIgnored = true
    }

    /// The client begins anew, as after a reconnection of its ring: without watches, transactions,
    /// output, or half a message.
    public mutating func reset(_ id: StoreConnectionID) {
        watches.removeAll(of: id)
        connections[id]?.transactions = [:]
        connections[id]?.decoder = StoreMessageDecoder()
        connections[id]?.isIgnored = false
        settle(connections[id]?.output.removeAll() ?? [])
    }

    /// All clients, in the order they came.
    public var connectionIDs: [StoreConnectionID] {
        connections.keys.sorted { $0.rawValue < $1.rawValue }
    }

    /// What they are: the domain of a client, and whether it is on the host's side; nil if it is gone.
    public func client(_ id: StoreConnectionID) -> (domain: DomainID, isPrivileged: Bool)? {
        connections[id].map { ($0.domain, $0.isPrivileged) }
    }

    // MARK: Who asks

    func requester(_ id: StoreConnectionID) throws(StoreError) -> StoreRequester {
        guard let connection = connections[id] else { throw .notFound }
        var requester = StoreRequester(
            domain: connection.domain, isPrivileged: connection.isPrivileged)
        guard !connection.isPrivileged else { return requester }
        let domain = domains[connection.domain]
        requester.target = domain?.target
        requester.quotas = domain?.quotas ?? defaultQuotas
        requester.nodeRoom = StoreQuotas.room(
            usage[connection.domain]?.nodes ?? 0, requester.quotas.nodes)
        requester.memoryRoom = StoreQuotas.room(
            memoryByteCount(of: connection.domain), requester.quotas.memoryByteCount)
        return requester
    }

    /// What counts for the memory quota of a domain, in bytes.
    public func memoryByteCount(of domain: DomainID) -> Int {
        var count = usage[domain]?.byteCount ?? 0
        if let id = domains[domain]?.connection, let connection = connections[id] {
            count += connection.output.byteCount + connection.transactionByteCount
            count += watches.byteCount(of: id)
        }
        return count
    }

    /// How many nodes a domain owns.
    public func nodeCount(of domain: DomainID) -> Int { usage[domain]?.nodes ?? 0 }

    /// The path that a client means.
    func resolve(
        _ text: String, for id: StoreConnectionID, allowsSpecial: Bool = false
    ) throws(StoreError) -> (path: StorePath, isRelative: Bool) {
        guard let connection = connections[id] else { throw .notFound }
        let first = text.utf8.first
        let isRelative = first != UInt8(ascii: "/") && first != UInt8(ascii: "@")
        // Checked before and after what is put before it (XSA-323).
        if isRelative, text.utf8.count > StorePath.relativeByteCountLimit {
            throw .invalidArgument
        }
        let home = isRelative ? StorePath.home(of: connection.domain).text + "/" : ""
        guard let path = StorePath(home + text), allowsSpecial || !path.isSpecial else {
            throw .invalidArgument
        }
        if !connection.isPrivileged {
            let quotas = domains[connection.domain]?.quotas ?? defaultQuotas
            guard !StoreQuotas.exceeds(path.quotaByteCount, quotas.pathByteCount) else {
                throw .invalidArgument
            }
        }
        return (path, isRelative)
    }

    // MARK: Changes

    /// Does one operation in a transaction of the client, or on its own if `transaction` is 0: then
    /// it happens wholly or, if it throws, not at all.
    mutating func perform<Result>(
        as id: StoreConnectionID, in transaction: UInt32,
        _ body: (inout StoreTransaction, StoreRequester, inout UInt64) throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        let requester = try requester(id)
        guard transaction != 0 else {
            var single = StoreTransaction(tree, isExplicit: false)
            let result = try body(&single, requester, &generation)
            try finish(single, single.tree, requester)
            return result
        }
        guard var open = connections[id]?.transactions.removeValue(forKey: transaction) else {
            throw .notFound
        }
        defer { connections[id]?.transactions[transaction] = open }
        let room = requester.memoryRoom
        open.byteCountCeiling = room == .max ? .max : open.byteCount + room
        return try body(&open, requester, &generation)
    }

    /// Makes `newTree`, with the changes of `transaction`, the tree: checks quotas, keeps accounts,
    /// tells watches.
    mutating func finish(
        _ transaction: StoreTransaction, _ newTree: StoreTree, _ requester: StoreRequester
    ) throws(StoreError) {
        guard !transaction.modified.isEmpty else { return }
        var deltas: [DomainID: StoreUsage] = [:]
        for path in transaction.modified {
            guard let access = transaction.accesses[path] else { continue }
            if let old = access.old {
                deltas[old.owner, default: StoreUsage()].nodes -= 1
                deltas[old.owner, default: StoreUsage()].byteCount -= old.byteCount
            }
            if let new = access.new {
                deltas[new.owner, default: StoreUsage()].nodes += 1
                deltas[new.owner, default: StoreUsage()].byteCount += new.byteCount
            }
        }
        if !requester.isPrivileged {
            for (domain, delta) in deltas { try checkQuotas(domain, delta) }
        }
        for (domain, delta) in deltas {
            var total = usage[domain] ?? StoreUsage()
            total.nodes += delta.nodes
            total.byteCount += delta.byteCount
            usage[domain] = total == StoreUsage() ? nil : total
        }
        let oldTree = tree
        tree = newTree
        for path in transaction.modified {
            guard let access = transaction.accesses[path], access.notice != .none else { continue }
            tell(path, access, oldTree)
        }
        renewTransactions()
    }

    private func checkQuotas(_ domain: DomainID, _ delta: StoreUsage) throws(StoreError) {
        guard domain != .host else { return }
        let quotas = domains[domain]?.quotas ?? defaultQuotas
        let nodes = (usage[domain]?.nodes ?? 0) + delta.nodes
        guard delta.nodes <= 0 || !StoreQuotas.exceeds(nodes, quotas.nodes) else { throw .noSpace }
        let memory = memoryByteCount(of: domain) + delta.byteCount
        guard delta.byteCount <= 0 || !StoreQuotas.exceeds(memory, quotas.memoryByteCount) else {
            throw .outOfMemory
        }
    }

    /// Lets open transactions go on with the newer tree before they hold too much of older ones.
    private mutating func renewTransactions() {
        let limit = Self.transactionDiscardLimit
        guard tree.discardedByteCount &- lastRenewal > limit / 4 else { return }
        lastRenewal = tree.discardedByteCount
        for (id, connection) in connections {
            for number in connection.transactions.keys {
                connections[id]?.transactions[number]?.renew(
                    from: tree, ifMoreThan: limit, &generation)
            }
        }
    }
}
