public import Vocabulary

/// The life of domains: `addDomain`, `introduce`, `shutDown` and `resume`, `releaseDomain`.
extension StoreService {
    /// A domain exists from now on; nodes can be given to it before it is introduced.
    /// - Throws: `.exists`; `.invalidArgument` for 0, reserved numbers and features that are none.
    public mutating func addDomain(
        _ domain: DomainID, features: UInt32 = StoreService.features, quotas: StoreQuotas? = nil
    ) throws(StoreError) {
        guard domain != .host, domain < .firstReserved, features & ~Self.features == 0 else {
            throw .invalidArgument
        }
        guard domains[domain] == nil else { throw .exists }
        domains[domain] = StoreDomain(features: features, quotas: quotas ?? defaultQuotas)
    }

    /// A domain can be a client from now on; `@introduceDomain` is told.
    /// - Returns: the connection to serve its ring as.
    /// - Throws: `.notFound` if it was not added, `.exists` if it is introduced.
    public mutating func introduce(_ domain: DomainID) throws(StoreError) -> StoreConnectionID {
        guard let known = domains[domain] else { throw .notFound }
        guard known.connection == nil else { throw .exists }
        let id = makeConnection(domain, isPrivileged: false)
        domains[domain]?.connection = id
        domains[domain]?.isShutDown = false
        tellSpecial(Self.introduceDomain, domain)
        return id
    }

    /// The connection of a domain since it was introduced.
    public func connection(of domain: DomainID) -> StoreConnectionID? {
        domains[domain]?.connection
    }

    /// The domains that exist, in order.
    public var domainIDs: [DomainID] { domains.keys.sorted() }

    /// The bits for `server_features` in the ring page of a domain.
    public func features(of domain: DomainID) -> UInt32 {
        domains[domain]?.features ?? Self.features
    }

    /// The quotas of a domain.
    public func quotas(of domain: DomainID) -> StoreQuotas {
        domains[domain]?.quotas ?? defaultQuotas
    }

    /// The domain has stopped, but is not gone; `@releaseDomain` is told, once until it is resumed.
    public mutating func shutDown(_ domain: DomainID) throws(StoreError) {
        guard let known = domains[domain], known.connection != nil else { throw .notFound }
        guard !known.isShutDown else { return }
        domains[domain]?.isShutDown = true
        tellSpecial(Self.releaseDomain, domain)
    }

    /// The domain runs again after `shutDown`.
    public mutating func resume(_ domain: DomainID) throws(StoreError) {
        guard domains[domain]?.connection != nil else { throw .notFound }
        domains[domain]?.isShutDown = false
    }

    /// `domain` may do what `target` may, as a device model for its guest.
    public mutating func setTarget(
        of domain: DomainID, to target: DomainID
    ) throws(StoreError) {
        guard domains[domain]?.connection != nil, domains[target]?.connection != nil else {
            throw .notFound
        }
        domains[domain]?.target = target
    }

    /// The domain is gone: with it its connection, the nodes it owned with all below them (XSA-419),
    /// and its entries in permissions of others (XSA-417). `@releaseDomain` is told.
    public mutating func releaseDomain(_ domain: DomainID) throws(StoreError) {
        guard let known = domains[domain] else { throw .notFound }
        if let id = known.connection {
            reset(id)
            connections[id] = nil
        }
        domains[domain]?.connection = nil
        removeNodes(of: domain)
        for (id, connection) in connections {
            for (number, open) in connection.transactions where open.names(domain) {
                connections[id]?.transactions[number]?.markStale()
            }
        }
        for other in domains.keys where domains[other]?.target == domain {
            domains[other]?.target = nil
        }
        domains[domain] = nil
        if known.connection != nil { tellSpecial(Self.releaseDomain, domain) }
    }

    private mutating func removeNodes(of domain: DomainID) {
        let requester = StoreRequester(domain: .host, isPrivileged: true)
        var removed: StorePath?
        // Parents come first; what was below a removed one is gone.
        for (path, node) in tree.all {
            if let removed, path.text.hasPrefix(removed.text + "/") { continue }
            guard node.permissions.contains(where: { $0.domain == domain }) else { continue }
            var single = StoreTransaction(tree, isExplicit: false)
            let isOwner = node.permissions.first?.domain == domain
            if isOwner, path.level > 0, !path.isSpecial {
                try? single.remove(path, for: requester, &generation)
                removed = path
            } else {
                var permissions = node.permissions
                // The root and the special events stay.
                if isOwner { permissions[0].domain = .host }
                permissions.removeAll { $0.domain == domain }
                try? single.setPermissions(path, permissions, .none, for: requester, &generation)
            }
            try? finish(single, single.tree, requester)
        }
    }

    /// The effects since the last call, which the owner has to bring about.
    public mutating func takeEffects() -> [StoreEffect] {
        defer { effects = [] }
        return effects
    }
}
