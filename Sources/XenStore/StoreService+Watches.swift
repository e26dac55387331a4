internal import Vocabulary

extension StoreService {
    // MARK: Setting watches

    /// Sets a watch: the client gets an event at once, and then for each change of the node at
    /// `path` and of all below, or of those at most `depth` levels below. `path` may be
    /// `@introduceDomain` or `@releaseDomain`. The token comes back with each event.
    /// - Throws: `.exists` for the same path and token, `.noSpace` for the quota.
    public mutating func watch(
        _ path: String, token: String, depth: Int? = nil, as id: StoreConnectionID
    ) throws(StoreError) {
        let watch = try addWatch(path, Array(token.utf8), depth: depth, as: id)
        post(watch, at: watch.path, origin: nil)
    }

    /// Takes a watch away. Events that wait already stay.
    /// - Throws: `.notFound` if there is none with this path and token.
    public mutating func unwatch(
        _ path: String, token: String, as id: StoreConnectionID
    ) throws(StoreError) {
        try removeWatch(path, Array(token.utf8), as: id)
    }

    mutating func addWatch(
        _ text: String, _ token: [UInt8], depth: Int?, as id: StoreConnectionID
    ) throws(StoreError) -> StoreWatch {
        let (path, isRelative) = try resolve(text, for: id, allowsSpecial: true)
        guard !token.contains(0), (depth ?? 0) >= 0 else { throw .invalidArgument }
        guard !watches.has(id, path, token) else { throw .exists }
        let requester = try requester(id)
        if !requester.isPrivileged {
            guard
                !StoreQuotas.exceeds(watches.count(of: id) + 1, requester.quotas.watches)
            else { throw .noSpace }
            guard path.text.utf8.count + token.count <= requester.memoryRoom else {
                throw .outOfMemory
            }
        }
        let prefix = isRelative ? path.text.utf8.count - text.utf8.count : 0
        return watches.add(id, path, token, depth: depth, prefixByteCount: prefix)
    }

    mutating func removeWatch(
        _ text: String, _ token: [UInt8], as id: StoreConnectionID
    ) throws(StoreError) {
        let path = try resolve(text, for: id, allowsSpecial: true).path
        guard watches.remove(id, path, token) else { throw .notFound }
    }

    /// Takes all watches and transactions of a client away.
    public mutating func resetWatches(as id: StoreConnectionID) {
        watches.removeAll(of: id)
        connections[id]?.transactions = [:]
    }

    // MARK: Events

    /// Tells the watches of a change of `path`; `oldTree` is from before it.
    mutating func tell(
        _ path: StorePath, _ access: StoreTransaction.Access, _ oldTree: StoreTree
    ) {
        let match: StoreWatches.Match = access.notice == .exact ? .exact : .subtree
        var known: [StoreConnectionID: Bool] = [:]
        for watch in watches.matching(path, match) {
            let mayKnow =
                known[watch.connection] ?? mayKnow(watch.connection, path, access, oldTree)
            known[watch.connection] = mayKnow
            if mayKnow { post(watch, at: path, origin: origin) }
        }
    }

    /// A client hears of a change only if it may read the node, as it was or as it is, or the list
    /// that the node is in (XSA-115).
    private func mayKnow(
        _ id: StoreConnectionID, _ path: StorePath, _ access: StoreTransaction.Access,
        _ oldTree: StoreTree
    ) -> Bool {
        guard let requester = try? requester(id) else { return false }
        func mayRead(_ permissions: [StorePermission]?) -> Bool {
            permissions.map { requester.rights($0).contains(.read) } ?? false
        }
        if mayRead(access.old?.permissions) || mayRead(access.new?.permissions) { return true }
        guard !path.isSpecial, let parent = path.parent else { return false }
        return mayRead((tree.node(at: parent) ?? oldTree.node(at: parent))?.permissions)
    }

    /// Puts an event into the output of who has set `watch`. The same event does not wait twice.
    mutating func post(_ watch: StoreWatch, at path: StorePath, origin: StoreOutput.Origin?) {
        var payload = Array(path.text.utf8.dropFirst(watch.prefixByteCount))
        payload.append(0)
        payload.append(contentsOf: watch.token)
        payload.append(0)
        switch reception(of: payload, at: watch.connection) {
        case .superfluous: return
        case .impossible:
            counters.droppedEvents &+= 1
            return
        case .welcome: break
        }
        counters.events &+= 1
        connections[watch.connection]?.output.append(
            StoreMessage(.watchEvent, payload: payload), origin: origin)
        if let origin {
            connections[origin.connection]?.outstanding[origin.request, default: 0] += 1
        }
    }

    private enum Reception { case welcome, superfluous, impossible }

    private func reception(of payload: [UInt8], at id: StoreConnectionID) -> Reception {
        guard let connection = connections[id], !connection.isIgnored else { return .superfluous }
        // A path below the watched one can be too long together with the token (XSA-324).
        guard payload.count <= StoreMessage.payloadByteCountLimit else { return .impossible }
        guard !connection.output.contains(event: payload) else { return .superfluous }
        guard !connection.isPrivileged else { return .welcome }
        let count =
            memoryByteCount(of: connection.domain) + payload.count + StoreMessage.headerByteCount
        let limit = quotas(of: connection.domain).memoryByteCount
        return StoreQuotas.exceeds(count, limit) ? .impossible : .welcome
    }

    /// Tells of a special event, for each watch as it asks for: without or with the domain's number.
    mutating func tellSpecial(_ path: StorePath?, _ domain: DomainID) {
        guard let path, let node = tree.node(at: path) else { return }
        let withDomain = path.appending(String(domain.rawValue))
        for (path, match) in [(path, StoreWatches.Match.special), (withDomain, .specialOfDomain)] {
            for watch in watches.matching(path, match) {
                guard let requester = try? requester(watch.connection),
                    requester.rights(node.permissions).contains(.read)
                else { continue }
                post(watch, at: path, origin: nil)
            }
        }
    }

    // MARK: Output

    /// The clients that have output to take.
    public var connectionsWithOutput: [StoreConnectionID] {
        connectionIDs.filter { hasOutput($0) }
    }

    /// Whether something waits for the client.
    public func hasOutput(_ id: StoreConnectionID) -> Bool {
        connections[id].map { !$0.output.isEmpty } ?? false
    }

    /// Takes up to `limit` bytes of what is to be sent to the client; the next call goes on there.
    public mutating func takeOutput(_ id: StoreConnectionID, limit: Int) -> [UInt8] {
        guard let (bytes, done) = connections[id]?.output.takeBytes(limit) else { return [] }
        settle(done)
        return bytes
    }

    /// Takes all messages that wait for a client, whole. Not together with `takeOutput`.
    public mutating func takeMessages(_ id: StoreConnectionID) -> [StoreMessage] {
        guard let (messages, done) = connections[id]?.output.takeMessages() else { return [] }
        settle(done)
        return messages
    }

    /// Takes the events that wait for a client in this process.
    public mutating func takeEvents(_ id: StoreConnectionID) -> [StoreWatchEvent] {
        takeMessages(id).compactMap { message in
            let strings = message.strings
            guard message.kind == .watchEvent, strings.count == 2 else { return nil }
            return StoreWatchEvent(path: strings[0], token: strings[1])
        }
    }

    /// Takes away the events of domains that have waited since before the last call. To be called
    /// every ten seconds or so: a domain that takes no events else stops the domains that cause
    /// them (XSA-326).
    public mutating func dropStaleEvents() {
        for id in connectionIDs where connections[id]?.isPrivileged == false {
            guard let (count, done) = connections[id]?.output.dropStaleEvents() else { continue }
            counters.droppedEvents &+= UInt64(count)
            settle(done)
        }
    }

    /// Messages were taken or dropped; requests of which all are, are no longer outstanding.
    mutating func settle(_ origins: [StoreOutput.Origin]) {
        for origin in origins {
            guard let count = connections[origin.connection]?.outstanding[origin.request] else {
                continue
            }
            connections[origin.connection]?.outstanding[origin.request] =
                count > 1 ? count - 1 : nil
        }
    }
}
