public import Vocabulary

/// What one domain may do with a node. Of a node's list the first entry names the owner, who may do
/// everything, and what everybody may who is not in the list.
public struct StorePermission: Hashable, Codable, Sendable {
    public enum Access: String, Codable, Sendable {
        case none = "n"
        case read = "r"
        case write = "w"
        case readWrite = "b"
    }

    public var access: Access
    /// `DomainID.any` is every domain; it cannot own a node.
    public var domain: DomainID
    /// The domain did not exist when this was set: one that gets the number later is not meant
    /// (XSA-322).
    var isIgnored = false

    public init(_ access: Access, _ domain: DomainID) {
        self.access = access
        self.domain = domain
    }

    /// From `r3`; nil for another form, and for numbers above 65535.
    init?(_ text: String) {
        guard let letter = text.first, let access = Access(rawValue: String(letter)),
            let domain = DomainID(decimal: text.dropFirst())
        else { return nil }
        self.init(access, domain)
    }

    /// As the protocol writes it, `r3`.
    public var text: String { access.rawValue + String(domain.rawValue) }

    var rights: StoreRights {
        switch access {
        case .none: []
        case .read: .read
        case .write: .write
        case .readWrite: [.read, .write]
        }
    }
}

extension DomainID {
    /// Decimal digits only, 0 to 65535 (XSA-420: no number wraps).
    init?(decimal text: some StringProtocol) {
        guard !text.isEmpty, text.utf8.count <= 10, text.utf8.allSatisfy(StorePath.isDigit),
            let number = UInt16(text)
        else { return nil }
        self.init(number)
    }
}

/// What a client may do with a node.
struct StoreRights: OptionSet, Sendable {
    let rawValue: UInt8

    static let read = StoreRights(rawValue: 1)
    static let write = StoreRights(rawValue: 2)
    /// May change the permissions.
    static let owner = StoreRights(rawValue: 4)
    static let all: StoreRights = [.read, .write, .owner]
}

/// Who asks, and what is left of its quotas. Made anew for each operation.
struct StoreRequester: Sendable {
    var domain: DomainID
    /// The domain it acts for (SET_TARGET).
    var target: DomainID?
    /// The host's side: has all rights and no quotas.
    var isPrivileged: Bool
    var quotas = StoreQuotas()
    /// How many nodes it may still create.
    var nodeRoom = Int.max
    /// How many bytes its transactions may still grow by.
    var memoryRoom = Int.max

    private func isMeant(_ permission: StorePermission) -> Bool {
        permission.domain == domain || permission.domain == target || permission.domain == .any
    }

    func rights(_ permissions: [StorePermission]) -> StoreRights {
        guard !isPrivileged else { return .all }
        guard let first = permissions.first else { return [] }
        if isMeant(first) { return .all }
        for permission in permissions.dropFirst() where !permission.isIgnored {
            if isMeant(permission) { return permission.rights }
        }
        return first.rights
    }
}
