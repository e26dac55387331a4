/// The peer sent what the protocol does not allow; nothing more from it can be understood.
public enum StoreProtocolViolation: String, Error, Hashable, Codable, Sendable {
    /// `len` is more than `StoreMessage.payloadByteCountLimit` (`XENSTORE_ERROR_PROTO`).
    case payloadTooLong
}

/// Makes messages from the bytes of a peer, which come in pieces of any length. Keeps at most one
/// message that is not complete.
public struct StoreMessageDecoder: Codable, Sendable {
    private var buffer: [UInt8] = []
    private var violation: StoreProtocolViolation?

    public init() {}

    /// Bytes of a message that is not complete.
    public var pendingByteCount: Int { buffer.count }

    /// Takes bytes from the front of `bytes` up to the end of one message.
    /// - Returns: the message, or nil if all bytes are taken and more are needed.
    /// - Throws: the violation, again at each later call.
    public mutating func next(
        from bytes: inout ArraySlice<UInt8>
    ) throws(StoreProtocolViolation) -> StoreMessage? {
        if let violation { throw violation }
        fill(to: StoreMessage.headerByteCount, from: &bytes)
        guard buffer.count >= StoreMessage.headerByteCount else { return nil }
        let length = word(12)
        guard length <= UInt32(StoreMessage.payloadByteCountLimit) else {
            violation = .payloadTooLong
            buffer = []
            throw .payloadTooLong
        }
        let whole = StoreMessage.headerByteCount + Int(length)
        fill(to: whole, from: &bytes)
        guard buffer.count >= whole else { return nil }
        defer { buffer.removeAll(keepingCapacity: true) }
        return StoreMessage(
            StoreMessageKind(rawValue: word(0)), requestID: word(4), transactionID: word(8),
            payload: Array(buffer[StoreMessage.headerByteCount..<whole]))
    }

    private mutating func fill(to count: Int, from bytes: inout ArraySlice<UInt8>) {
        let piece = bytes.prefix(max(0, count - buffer.count))
        buffer.append(contentsOf: piece)
        bytes = bytes.dropFirst(piece.count)
    }

    /// The little-endian word at `offset`; 0 for bytes that are not there.
    private func word(_ offset: Int) -> UInt32 {
        buffer.dropFirst(offset).prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}
