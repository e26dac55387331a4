public import Vocabulary

/// Names a client of a `StoreService`; no number is used again.
public struct StoreConnectionID: RawRepresentable, Hashable, Codable, Sendable {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// One client: a domain behind its ring, or one on the host's side.
struct StoreConnection: Sendable {
    let id: StoreConnectionID
    let domain: DomainID
    /// On the host's side: all rights, no quotas.
    let isPrivileged: Bool
    /// It has violated the protocol; nothing is taken from it or sent to it any more.
    var isIgnored = false
    var decoder = StoreMessageDecoder()
    var transactions: [UInt32: StoreTransaction] = [:]
    var nextTransactionID: UInt32 = 1
    var output = StoreOutput()
    /// By request of this domain: the messages that come from it and have not been taken.
    var outstanding: [UInt64: Int] = [:]
    var nextRequest: UInt64 = 0

    /// A number that no open transaction has.
    mutating func newTransactionID() -> UInt32 {
        var id = nextTransactionID
        while id == 0 || transactions[id] != nil { id &+= 1 }
        nextTransactionID = id &+ 1
        return id
    }

    /// What its open transactions take, in bytes.
    var transactionByteCount: Int { transactions.values.reduce(0) { $0 + $1.byteCount } }
}

/// What is known of one domain from its creation to its end.
struct StoreDomain: Codable, Sendable {
    var features: UInt32
    var quotas: StoreQuotas
    var isShutDown = false
    /// The domain it acts for.
    var target: DomainID?
    /// Since it was introduced.
    var connection: StoreConnectionID?
}

/// What the nodes of one owner add up to.
struct StoreUsage: Hashable, Sendable {
    var nodes = 0
    /// Of paths and nodes.
    var byteCount = 0
}

/// A watch event as a client in this process takes it.
public struct StoreWatchEvent: Hashable, Sendable {
    /// What has changed; relative if the watch was set with a relative path.
    public var path: String
    /// That of the watch.
    public var token: String

    public init(path: String, token: String) {
        self.path = path
        self.token = token
    }
}

/// What the owner of a service has to do because a client on the host's side asked for it.
public enum StoreEffect: Hashable, Sendable {
    /// Serve the ring of `domain`, in page `frame`, with `port` of the domain, as `connection`. It
    /// comes again, for the same connection, when the domain is introduced once more: begin with an
    /// empty ring.
    case introduced(
        DomainID, connection: StoreConnectionID, frame: Int64, port: UInt32)
    /// The ring of the domain is to be served no longer. Its connection is gone.
    case released(DomainID)
    /// A line for the log (`CONTROL print`).
    case note(String)
}

/// What `StoreService.receive` made of some bytes.
public struct StoreReceipt: Hashable, Sendable {
    /// From the front. Bring the others again once the client has taken output.
    public var consumedByteCount: Int
    /// Not nil: the client is ignored from now on. A socket should be closed, a ring told (`error`).
    public var violation: StoreProtocolViolation?
}

/// What a service has done since it was made.
public struct StoreCounters: Hashable, Codable, Sendable {
    public var requests: UInt64 = 0
    public var refusals: UInt64 = 0
    public var events: UInt64 = 0
    /// Events that were too long, too many or not taken in time.
    public var droppedEvents: UInt64 = 0
    public var commits: UInt64 = 0
    /// Transactions that ended with `EAGAIN`.
    public var conflicts: UInt64 = 0
}
