public import Vocabulary

/// A port of the host behind which a port of the guest is, in user networking:
/// `[HOSTADDRESS:]HOSTPORT:GUESTPORT[/tcp|/udp]`.
public struct PublishedPort: Hashable, Sendable, CustomStringConvertible {
    public enum TransportProtocol: String, Sendable, Hashable { case tcp, udp }

    public var transportProtocol: TransportProtocol
    /// The IPv4 address of the host, its first byte highest. 127.0.0.1, this host alone, if none is
    /// said; 0.0.0.0 is every interface.
    public var hostAddress: UInt32
    public var hostPort: UInt16
    public var guestPort: UInt16

    public init(
        _ transportProtocol: TransportProtocol = .tcp, hostAddress: UInt32 = 0x7f00_0001,
        hostPort: UInt16, guestPort: UInt16
    ) {
        self.transportProtocol = transportProtocol
        self.hostAddress = hostAddress
        self.hostPort = hostPort
        self.guestPort = guestPort
    }

    public init(_ text: String) throws(XError) {
        func mistake(_ what: String) -> XError {
            XError(
                .invalidArgument,
                "'\(text)' is no published port: \(what); write "
                    + "[HOSTADDRESS:]HOSTPORT:GUESTPORT[/udp], like 8080:80 or 0.0.0.0:5353:53/udp")
        }
        let halves = text.split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count <= 2 else { throw mistake("it has more than one '/'") }
        var kind = TransportProtocol.tcp
        if halves.count == 2 {
            guard let named = TransportProtocol(rawValue: String(halves[1])) else {
                throw mistake("'\(halves[1])' is neither tcp nor udp")
            }
            kind = named
        }
        guard !halves[0].contains("[") else { throw mistake("addresses of IPv6 are not taken") }
        let parts = halves[0].split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3 else {
            throw mistake("it does not have two ports")
        }
        func port(_ text: Substring) throws(XError) -> UInt16 {
            guard text.allSatisfy(\.isASCIIDigit), let number = UInt16(text), number > 0 else {
                throw mistake("the port '\(text)' is not a number from 1 to 65535")
            }
            return number
        }
        var address: UInt32 = 0x7f00_0001
        if parts.count == 3 {
            guard let named = Self.address(parts[0]) else {
                throw mistake("'\(parts[0])' is not an address like 127.0.0.1")
            }
            address = named
        }
        self.init(
            kind, hostAddress: address, hostPort: try port(parts[parts.count - 2]),
            guestPort: try port(parts[parts.count - 1]))
    }

    /// An IPv4 address of four decimal numbers.
    static func address(_ text: Substring) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { $0.allSatisfy(\.isASCIIDigit) ? UInt8($0) : nil }
        guard parts.count == 4, bytes.count == 4 else { return nil }
        return bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// An IPv4 address as people write it.
    public static func text(_ address: UInt32) -> String {
        [24, 16, 8, 0].map { String(address >> $0 & 255) }.joined(separator: ".")
    }

    public var description: String {
        "\(Self.text(hostAddress)):\(hostPort):\(guestPort)/\(transportProtocol.rawValue)"
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { isASCII && isWholeNumber }
}
