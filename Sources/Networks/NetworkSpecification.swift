public import Vocabulary

/// Where a guest's network interface leads, as `--net` says it: `user[,OPTION...]`, `tap:NAME`,
/// `socket:PATH` or `none`.
public enum NetworkSpecification: Hashable, Sendable, CustomStringConvertible {
    /// The host's own connections, without privileges: NAT, DHCP and DNS by libslirp.
    case user(UserNetworkOptions)
    /// A TAP device of the host.
    case tap(device: String)
    /// A stream between two machines; whoever comes first makes the file.
    case socket(path: String)
    /// Nowhere.
    case none

    public init(_ text: String) throws(XError) {
        if text == "none" {
            self = .none
        } else if text == "user" || text.hasPrefix("user,") {
            self = .user(try UserNetworkOptions(text.dropFirst(5)))
        } else if text.hasPrefix("tap:") {
            self = .tap(device: try Self.device(String(text.dropFirst(4)), text))
        } else if text.hasPrefix("socket:") {
            self = .socket(path: try Self.path(String(text.dropFirst(7)), text))
        } else {
            throw XError(
                .invalidArgument,
                "'\(text)' is no network; write user, tap:NAME, socket:PATH or none")
        }
    }

    private static func device(_ name: String, _ text: String) throws(XError) -> String {
        // Linux, dev_valid_name().
        let isName =
            !name.isEmpty && name.utf8.count <= 15 && name != "." && name != ".."
            && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x2f && $0 != 0x3a }
            && !name.contains("%")
        guard isName else {
            throw XError(
                .invalidArgument,
                "'\(text)' names no TAP device; write tap:NAME, 1 to 15 letters or digits, like "
                    + "tap:tap0")
        }
        return name
    }

    private static func path(_ path: String, _ text: String) throws(XError) -> String {
        guard !path.isEmpty else {
            throw XError(
                .invalidArgument, "'\(text)' has no path; write socket:PATH, like socket:/tmp/net")
        }
        // sockaddr_un has 108 bytes, the last one 0: unix(7).
        guard path.utf8.count <= 107, !path.utf8.contains(0) else {
            throw XError(
                .invalidArgument,
                "the path of '\(text)' has \(path.utf8.count) bytes; a socket's has at most 107: "
                    + "take a shorter one")
        }
        return path
    }

    public var description: String {
        switch self {
        case .user(let options): "user\(options.description)"
        case .tap(let device): "tap:\(device)"
        case .socket(let path): "socket:\(path)"
        case .none: "none"
        }
    }

    /// Makes the network. It does not receive before `Network.start`.
    ///
    /// - Parameters:
    ///   - name: of the guest's interface, as threads and statistics show it, e.g. `vif1.0`.
    ///   - mtu: bytes of IP in a frame, 576 to 65521. A TAP device has its own.
    public func open(name: String, mtu: Int = 1500) throws(XError) -> any Network {
        guard (576...65521).contains(mtu) else {
            throw XError(.invalidArgument, "an MTU of \(mtu) bytes; take one from 576 to 65521")
        }
        switch self {
        case .user(let options): return try UserNetwork(name: name, options: options, mtu: mtu)
        case .tap(let device): return try TAPNetwork(name: name, device: device)
        case .socket(let path): return try SocketNetwork(name: name, path: path, mtu: mtu)
        case .none: return NullNetwork(name: name, mtu: mtu)
        }
    }
}

/// What user networking does beside the obvious.
public struct UserNetworkOptions: Hashable, Sendable, CustomStringConvertible {
    /// The guest reaches nothing but DHCP and who connects to published ports.
    public var isRestricted = false
    /// The guest reaches the host's own services, those on its loopback interface, by 10.0.2.2.
    public var reachesHost = true
    /// IPv6 beside IPv4: fec0::/64.
    public var hasIPv6 = true
    /// TCP data that the host gives the guest at once, in bytes: 1460 to 32768. More than a segment
    /// goes to the guest as one packet that is yet to be segmented.
    public var segmentByteCount = 32768
    public var publishedPorts: [PublishedPort] = []

    public init() {}

    /// Options with commas between them: `restricted`, `host=off`, `ipv6=off`, `segment=BYTES`,
    /// `publish=PORTS`.
    init(_ text: Substring) throws(XError) {
        for option in text.split(separator: ",", omittingEmptySubsequences: false)
        where !text.isEmpty || !option.isEmpty {
            let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count == 2 ? String(parts[1]) : nil
            switch (String(parts[0]), value) {
            case ("restricted", nil): isRestricted = true
            case ("host", "off"): reachesHost = false
            case ("host", "on"): reachesHost = true
            case ("ipv6", "off"): hasIPv6 = false
            case ("ipv6", "on"): hasIPv6 = true
            case ("publish", let ports?): publishedPorts.append(try PublishedPort(ports))
            case ("segment", let bytes?):
                guard let count = Int(bytes), (1460...32768).contains(count) else {
                    throw XError(
                        .invalidArgument,
                        "segments of '\(bytes)' bytes; take a number from 1460 to 32768")
                }
                segmentByteCount = count
            default:
                throw XError(
                    .invalidArgument,
                    "'\(option)' is no option of user networking; there are restricted, host=off, "
                        + "ipv6=off, segment=BYTES and publish=HOSTPORT:GUESTPORT[/udp]")
            }
        }
    }

    public var description: String {
        (isRestricted ? ",restricted" : "") + (reachesHost ? "" : ",host=off")
            + (hasIPv6 ? "" : ",ipv6=off")
            + (segmentByteCount == 32768 ? "" : ",segment=\(segmentByteCount)")
            + publishedPorts.map { ",publish=\($0)" }.joined()
    }
}
