/// The client's end of the protocol: makes requests into bytes to send, and tells replies and events
/// apart in the bytes that come.
///
/// A value without a socket; its owner has the bytes sent and brings what is received.
public struct StoreCaller: Sendable {
    private var decoder = StoreMessageDecoder()
    private var nextRequestID: UInt32 = 1
    /// By request.
    private var replies: [UInt32: StoreMessage] = [:]
    private var events: [StoreWatchEvent] = []

    public init() {}

    /// A request with its payload.
    /// - Returns: the bytes to send, and what its reply is asked for with.
    /// - Throws: `.tooBig` for more than `StoreMessage.payloadByteCountLimit` bytes.
    public mutating func request(
        _ kind: StoreMessageKind, _ payload: [UInt8], transaction: UInt32 = 0
    ) throws(StoreError) -> (bytes: [UInt8], id: UInt32) {
        guard payload.count <= StoreMessage.payloadByteCountLimit else { throw .tooBig }
        let id = nextRequestID
        nextRequestID &+= 1
        let message = StoreMessage(
            kind, requestID: id, transactionID: transaction, payload: payload)
        return (message.wireBytes, id)
    }

    /// A request of strings, each with a zero byte at its end.
    public mutating func request(
        _ kind: StoreMessageKind, _ strings: [String], transaction: UInt32 = 0
    ) throws(StoreError) -> (bytes: [UInt8], id: UInt32) {
        try request(
            kind, strings.flatMap { Array($0.utf8) + [0] }, transaction: transaction)
    }

    /// Takes bytes that have come, in pieces of any length.
    public mutating func receive(_ bytes: [UInt8]) throws(StoreProtocolViolation) {
        var rest = bytes[...]
        while let message = try decoder.next(from: &rest) {
            guard message.kind == .watchEvent else {
                replies[message.requestID] = message
                continue
            }
            let strings = message.strings
            guard strings.count >= 2 else { continue }
            events.append(StoreWatchEvent(path: strings[0], token: strings[1]))
        }
    }

    /// The payload of the reply to a request, once; nil while it has not come.
    /// - Throws: what the request was refused with.
    public mutating func takeReply(to id: UInt32) throws(StoreError) -> [UInt8]? {
        guard let reply = replies.removeValue(forKey: id) else { return nil }
        guard reply.kind == .error else { return reply.payload }
        // Stores of others know a few more names, which no request of ours ends with.
        throw reply.strings.first.flatMap(StoreError.init(rawValue:)) ?? .invalidArgument
    }

    /// The next event of the client's watches, in the order they came.
    public mutating func takeEvent() -> StoreWatchEvent? {
        events.isEmpty ? nil : events.removeFirst()
    }
}
