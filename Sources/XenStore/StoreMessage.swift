/// The `type` of a message (`xs_wire.h`). Others may come from a peer; compare, do not switch
/// exhaustively.
public struct StoreMessageKind: RawRepresentable, Hashable, Codable, Sendable {
    public var rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let control = Self(rawValue: 0)
    public static let directory = Self(rawValue: 1)
    public static let read = Self(rawValue: 2)
    public static let getPermissions = Self(rawValue: 3)
    public static let watch = Self(rawValue: 4)
    public static let unwatch = Self(rawValue: 5)
    public static let transactionStart = Self(rawValue: 6)
    public static let transactionEnd = Self(rawValue: 7)
    public static let introduce = Self(rawValue: 8)
    public static let release = Self(rawValue: 9)
    public static let getDomainPath = Self(rawValue: 10)
    public static let write = Self(rawValue: 11)
    public static let makeDirectory = Self(rawValue: 12)
    public static let remove = Self(rawValue: 13)
    public static let setPermissions = Self(rawValue: 14)
    public static let watchEvent = Self(rawValue: 15)
    public static let error = Self(rawValue: 16)
    public static let isDomainIntroduced = Self(rawValue: 17)
    public static let resume = Self(rawValue: 18)
    public static let setTarget = Self(rawValue: 19)
    public static let resetWatches = Self(rawValue: 21)
    public static let directoryPart = Self(rawValue: 22)
    public static let getFeature = Self(rawValue: 23)
    public static let setFeature = Self(rawValue: 24)
    public static let getQuota = Self(rawValue: 25)
    public static let setQuota = Self(rawValue: 26)
}

/// One message of the protocol, either way.
public struct StoreMessage: Hashable, Codable, Sendable {
    /// Bytes of the header: `type`, `req_id`, `tx_id`, `len`, 32 bits each, little-endian.
    public static let headerByteCount = 16
    /// `XENSTORE_PAYLOAD_MAX`, in bytes.
    public static let payloadByteCountLimit = 4096

    public var kind: StoreMessageKind
    /// Chosen by the client; the reply has the same.
    public var requestID: UInt32
    /// 0: no transaction.
    public var transactionID: UInt32
    /// At most `payloadByteCountLimit` bytes; a longer one is not sent.
    public var payload: [UInt8]

    public init(
        _ kind: StoreMessageKind, requestID: UInt32 = 0, transactionID: UInt32 = 0,
        payload: [UInt8] = []
    ) {
        self.kind = kind
        self.requestID = requestID
        self.transactionID = transactionID
        self.payload = payload
    }

    /// A payload of strings, each with a zero byte at its end.
    public init(
        _ kind: StoreMessageKind, requestID: UInt32 = 0, transactionID: UInt32 = 0,
        strings: [String]
    ) {
        self.init(
            kind, requestID: requestID, transactionID: transactionID,
            payload: strings.flatMap { Array($0.utf8) + [0] })
    }

    /// Header and payload in bytes.
    public var byteCount: Int { Self.headerByteCount + payload.count }

    /// Header and payload as they are sent.
    public var wireBytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        let length = UInt32(truncatingIfNeeded: payload.count)
        for word in [kind.rawValue, requestID, transactionID, length] {
            for shift in stride(from: UInt32(0), to: 32, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        bytes.append(contentsOf: payload)
        return bytes
    }

    /// The strings of the payload that a zero byte ends; what follows the last one is left out.
    public var strings: [String] {
        terminatedStrings.map { String(decoding: $0, as: UTF8.self) }
    }

    /// The same as bytes, since tokens may be of any.
    var terminatedStrings: [ArraySlice<UInt8>] {
        var parts = payload.split(separator: 0, omittingEmptySubsequences: false)
        // What comes after the last zero byte is no string.
        if !parts.isEmpty { parts.removeLast() }
        return parts
    }

    /// The payload as one string; nil unless there is exactly one zero byte, at the end.
    var onlyString: String? {
        guard payload.last == 0, payload.firstIndex(of: 0) == payload.count - 1 else { return nil }
        return String(decoding: payload.dropLast(), as: UTF8.self)
    }
}
