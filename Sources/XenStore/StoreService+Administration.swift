internal import Vocabulary

/// Requests about domains, features and quotas, nearly all for the host's side only.
extension StoreService {
    /// Nil: the request is of another kind.
    mutating func answerAdministration(
        _ message: StoreMessage, from id: StoreConnectionID, isPrivileged: Bool
    ) throws(StoreError) -> Answer? {
        switch message.kind {
        case .getDomainPath: return Answer(StorePath.home(of: try domain(message)).text)
        case .isDomainIntroduced:
            let domain = try domain(message)
            let isThere = domain == .host || domain == .itself || connection(of: domain) != nil
            return Answer(isThere ? "T" : "F")
        case .introduce: try answerIntroduce(message)
        case .release:
            let domain = try introducedDomain(message)
            try releaseDomain(domain)
            effects.append(.released(domain))
        case .resume: try resume(try introducedDomain(message))
        case .setTarget:
            let strings = message.strings
            guard strings.count >= 2, let domain = DomainID(decimal: strings[0]),
                let target = DomainID(decimal: strings[1])
            else { throw .invalidArgument }
            try setTarget(of: domain, to: target)
        case .getFeature: return try answerGetFeature(message, from: id, isPrivileged)
        case .setFeature: try answerSetFeature(message)
        case .getQuota: return Answer(try answerGetQuota(message.strings))
        case .setQuota: try answerSetQuota(message.strings)
        case .control: return try answerControl(message)
        default: return nil
        }
        return .done
    }

    private func domain(_ message: StoreMessage) throws(StoreError) -> DomainID {
        guard let domain = DomainID(decimal: try only(message)) else { throw .invalidArgument }
        return domain
    }

    private func introducedDomain(_ message: StoreMessage) throws(StoreError) -> DomainID {
        let domain = try domain(message)
        guard domain != .host else { throw .invalidArgument }
        guard connection(of: domain) != nil else { throw .notFound }
        return domain
    }

    private func knownDomain(_ text: String) throws(StoreError) -> DomainID {
        guard let domain = DomainID(decimal: text) else { throw .invalidArgument }
        guard domains[domain] != nil else { throw .notFound }
        return domain
    }

    /// `domid|gfn|evtchn|`. The domain has to exist. One that is introduced begins anew.
    private mutating func answerIntroduce(_ message: StoreMessage) throws(StoreError) {
        let strings = message.strings
        guard strings.count >= 3, let domain = DomainID(decimal: strings[0]),
            let frame = Int64(strings[1]), let port = UInt32(strings[2]), port > 0,
            port <= UInt32(Int32.max)
        else { throw .invalidArgument }
        let id: StoreConnectionID
        if let known = connection(of: domain) {
            reset(known)
            id = known
        } else {
            id = try introduce(domain)
        }
        effects.append(.introduced(domain, connection: id, frame: frame, port: port))
    }

    // MARK: Features

    private func answerGetFeature(
        _ message: StoreMessage, from id: StoreConnectionID, _ isPrivileged: Bool
    ) throws(StoreError) -> Answer {
        let strings = message.strings
        guard let first = strings.first else {
            let own = client(id).map { $0.isPrivileged ? Self.features : features(of: $0.domain) }
            return Answer(String(own ?? 0))
        }
        guard isPrivileged else { throw .accessDenied }
        guard strings.count == 1 else { throw .invalidArgument }
        return Answer(String(features(of: try knownDomain(first))))
    }

    private mutating func answerSetFeature(_ message: StoreMessage) throws(StoreError) {
        let strings = message.strings
        guard strings.count == 2 else { throw .invalidArgument }
        let domain = try knownDomain(strings[0])
        guard connection(of: domain) == nil else { throw .busy }
        guard let features = UInt32(strings[1]), features & ~Self.features == 0 else {
            throw .invalidArgument
        }
        domains[domain]?.features = features
    }

    // MARK: Quotas

    /// Nothing: the names. `name|`: the default. `domid|name|`: that of a domain.
    private func answerGetQuota(_ strings: [String]) throws(StoreError) -> String {
        switch strings.count {
        case 0: return StoreQuotas.names.map(\.name).joined(separator: " ")
        case 1:
            guard let value = defaultQuotas[strings[0]] else { throw .invalidArgument }
            return String(value)
        case 2:
            let domain = try knownDomain(strings[0])
            guard let value = quotas(of: domain)[strings[1]] else { throw .invalidArgument }
            return String(value)
        default: throw .invalidArgument
        }
    }

    private mutating func answerSetQuota(_ strings: [String]) throws(StoreError) {
        guard strings.count == 2 || strings.count == 3,
            let value = strings.last.flatMap({ Self.number($0) })
        else { throw .invalidArgument }
        if strings.count == 2 {
            guard defaultQuotas.set(strings[0], value) else { throw .invalidArgument }
        } else {
            try setQuota(strings[1], value, of: try knownDomain(strings[0]))
        }
    }

    /// Sets a quota of a domain by its name in the protocol; 0 is no limit.
    /// - Throws: `.invalidArgument` for another name, `.notFound` for a domain that was not added.
    mutating func setQuota(
        _ name: String, _ value: Int, of domain: DomainID
    ) throws(StoreError) {
        guard var quotas = domains[domain]?.quotas else { throw .notFound }
        guard quotas.set(name, value) else { throw .invalidArgument }
        domains[domain]?.quotas = quotas
    }

    // MARK: Control

    /// Commands of `xenstore-control` that mean something here.
    private mutating func answerControl(_ message: StoreMessage) throws(StoreError) -> Answer {
        let strings = message.strings
        let arguments = Array(strings.dropFirst())
        switch (strings.first, arguments.count) {
        case ("help", 0):
            return Answer(
                "check           \nhelp            \nprint           <string>\n"
                    + "quota           [set <name> <val>|<domid>]\n")
        case ("check", 0):
            return Answer(isConsistent ? "OK" : "the accounts differ from the tree")
        case ("print", 1):
            effects.append(.note(arguments[0]))
            return .done
        case ("quota", 0): return Answer(Self.table(defaultQuotas))
        case ("quota", 1):
            let domain = try knownDomain(arguments[0])
            let known = usage[domain] ?? StoreUsage()
            return Answer(
                "Domain \(domain.rawValue): \(known.nodes) nodes, "
                    + "\(memoryByteCount(of: domain)) bytes\n" + Self.table(quotas(of: domain)))
        case ("quota", 3) where arguments[0] == "set":
            guard let value = Self.number(arguments[2]), value > 0 else { throw .invalidArgument }
            guard defaultQuotas.set(arguments[1], value) else { throw .invalidArgument }
            return .done
        default: throw .invalidArgument
        }
    }

    private static func table(_ quotas: StoreQuotas) -> String {
        StoreQuotas.names.map { "\($0.name): \(quotas[keyPath: $0.key])\n" }.joined()
    }

    /// Whether the accounts are what the tree says.
    public var isConsistent: Bool {
        var counted = self
        counted.recount()
        return counted.usage == usage
    }
}
