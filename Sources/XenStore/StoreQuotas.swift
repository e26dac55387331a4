/// What a domain may have. 0 is no limit. The defaults are xenstored's; they hold for domains only,
/// never for the host's side.
public struct StoreQuotas: Hashable, Codable, Sendable {
    /// Nodes that the domain owns.
    public var nodes = 1000
    public var watches = 128
    /// Transactions that are open.
    public var transactions = 10
    /// Requests whose reply, or whose watch events at other clients, have not been taken. A domain
    /// that has so many is not listened to (XSA-326).
    public var outstandingRequests = 20
    /// Nodes that a transaction may read or write.
    public var transactionNodes = 1024
    /// Entries in the permissions of a node.
    public var permissions = 5
    /// Length of a path without `/local/domain/N/`, in bytes.
    public var pathByteCount = 2048
    /// A node: value, names of children, 8 for each permission, 16.
    public var nodeByteCount = 2048
    /// Nodes, watches, transactions and what waits to be taken, in bytes.
    public var memoryByteCount = 2560 << 10

    public init() {}

    /// The names of GET_QUOTA and SET_QUOTA.
    static var names: [(name: String, key: WritableKeyPath<StoreQuotas, Int>)] {
        [
            ("nodes", \.nodes), ("watches", \.watches), ("outstanding", \.outstandingRequests),
            ("memory", \.memoryByteCount), ("transactions", \.transactions),
            ("transaction-nodes", \.transactionNodes), ("node-permissions", \.permissions),
            ("path-max", \.pathByteCount), ("node-size", \.nodeByteCount),
        ]
    }

    /// By its name in the protocol; nil for a name that is none.
    public subscript(name: String) -> Int? {
        Self.names.first { $0.name == name }.map { self[keyPath: $0.key] }
    }

    /// False: there is no such quota.
    mutating func set(_ name: String, _ value: Int) -> Bool {
        guard let key = Self.names.first(where: { $0.name == name })?.key else { return false }
        self[keyPath: key] = value
        return true
    }

    /// Whether `count` is more than `limit` allows.
    static func exceeds(_ count: Int, _ limit: Int) -> Bool { limit != 0 && count > limit }

    /// How much is left of `limit`.
    static func room(_ count: Int, _ limit: Int) -> Int {
        limit == 0 ? .max : max(0, limit - count)
    }
}
