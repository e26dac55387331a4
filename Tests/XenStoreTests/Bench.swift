import Testing
import Vocabulary
import XenStore

/// A service with clients that speak the protocol. Payloads are written as the specification does:
/// `|` is a zero byte.
struct Bench {
    var service = StoreService()
    /// A client on the host's side.
    let tool: StoreConnectionID
    private var lastRequest: UInt32 = 100
    private var events: [StoreConnectionID: [String]] = [:]

    init() { tool = service.connect() }

    /// A domain that is introduced and owns its home; nobody else may read that.
    mutating func guest(_ number: UInt16, quotas: StoreQuotas? = nil) throws -> StoreConnectionID {
        try service.addDomain(DomainID(number), quotas: quotas)
        let home = "/local/domain/\(number)"
        try service.write(home, "", as: tool)
        try service.setPermissions(home, [StorePermission(.none, DomainID(number))], as: tool)
        return try service.introduce(DomainID(number))
    }

    static func bytes(_ text: String) -> [UInt8] {
        text.utf8.map { $0 == UInt8(ascii: "|") ? 0 : $0 }
    }

    static func text(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.map { $0 == 0 ? UInt8(ascii: "|") : $0 }, as: UTF8.self)
    }

    /// Sends a request and gives the payload of the reply. Kind and numbers of the reply are checked;
    /// events that come are kept for `events`.
    @discardableResult
    mutating func ask(
        _ kind: StoreMessageKind, _ payload: String, transaction: UInt32 = 0,
        as id: StoreConnectionID? = nil
    ) -> String {
        ask(kind, bytes: Self.bytes(payload), transaction: transaction, as: id ?? tool)
    }

    @discardableResult
    mutating func ask(
        _ kind: StoreMessageKind, bytes: [UInt8], transaction: UInt32 = 0, as id: StoreConnectionID
    ) -> String {
        collect(id)
        lastRequest += 1
        let message = StoreMessage(
            kind, requestID: lastRequest, transactionID: transaction, payload: bytes)
        let receipt = service.receive(message.wireBytes, from: id)
        #expect(receipt.consumedByteCount == message.byteCount && receipt.violation == nil)
        var reply: StoreMessage?
        for each in service.takeMessages(id) {
            if each.kind == .watchEvent {
                events[id, default: []].append(Self.text(each.payload))
            } else {
                #expect(reply == nil)
                reply = each
            }
        }
        #expect(reply?.requestID == lastRequest && reply?.transactionID == transaction)
        let text = reply.map { Self.text($0.payload) } ?? "no reply"
        #expect(reply?.kind == (text.hasPrefix("E") && text.hasSuffix("|") ? .error : kind))
        return text
    }

    private mutating func collect(_ id: StoreConnectionID) {
        for each in service.takeMessages(id) where each.kind == .watchEvent {
            events[id, default: []].append(Self.text(each.payload))
        }
    }

    /// The events of a client since the last call, as `path|token|`.
    mutating func events(_ id: StoreConnectionID) -> [String] {
        collect(id)
        return events.removeValue(forKey: id) ?? []
    }

    /// Starts a transaction by a request.
    mutating func start(as id: StoreConnectionID) -> UInt32 {
        UInt32(ask(.transactionStart, "|", as: id).dropLast()) ?? 0
    }
}

/// Numbers that are the same in each run.
struct Dice: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
