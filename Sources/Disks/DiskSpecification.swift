public import Vocabulary

/// How the bytes of a disk are kept. Named by the user or by the image that is laid over it; never
/// guessed from what the file holds, because a guest that writes a header could then choose.
public enum DiskFormat: String, Sendable, Codable, CaseIterable {
    case raw
    case qcow2
    /// A server of the NBD protocol, by its URI.
    case nbd
}

/// What a user says about a disk: `PATH[,format=raw|qcow2|nbd][,readonly][,direct][,serial=TEXT]
/// [,iops=NUMBER]`, where `,,` in the path or the serial stands for a comma.
public struct DiskSpecification: Sendable, Codable, Equatable, CustomStringConvertible {
    /// A path of the host, or an NBD URI.
    public var path: String
    /// `raw` unless named; `nbd` for a URI.
    public var format: DiskFormat
    public var isReadOnly = false
    /// The host's page cache is not used (`O_DIRECT`).
    public var isDirect = false
    /// At most 20 printable ASCII characters, what a guest is shown; nil: none.
    public var serial: String?
    /// Requests a second at most, 1 to 10,000,000; nil: as many as there are.
    public var requestsPerSecond: Int?

    public static let mostRequestsPerSecond = 10_000_000
    /// What ATA and virtio have room for.
    public static let longestSerial = 20

    public init(path: String, format: DiskFormat = .raw) {
        self.path = path
        self.format = format
    }

    private static let schemes = [
        "nbd", "nbds", "nbd+unix", "nbds+unix", "nbd+vsock", "nbds+vsock",
    ]

    /// Whether a path is an NBD URI.
    public static func isNetworkAddress(_ path: String) -> Bool {
        schemes.contains { path.hasPrefix($0 + ":") }
    }

    /// Reads a user's text. Throws what is wrong with it.
    public init(parsing text: String) throws(XError) {
        let parts = Self.split(text)
        let path = parts.first ?? ""
        if path.isEmpty {
            throw XError(
                .invalidArgument,
                "the disk '\(text)' has no path: write PATH[,format=..][,readonly]")
        }
        self.path = path
        format = .raw
        var named: DiskFormat?
        var seen: Set<String> = []
        for part in parts.dropFirst() {
            let pieces = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let key = String(pieces[0])
            let value = pieces.count > 1 ? String(pieces[1]) : nil
            guard seen.insert(key).inserted else {
                throw XError(
                    .invalidArgument, "the disk '\(path)' says '\(key)' twice: say it once")
            }
            switch key {
            case "format": named = try Self.format(value, path)
            case "readonly":
                try Self.refuseValue(key, value, path)
                isReadOnly = true
            case "direct":
                try Self.refuseValue(key, value, path)
                isDirect = true
            case "serial": serial = try Self.serial(value, path)
            case "iops": requestsPerSecond = try Self.rate(value, path)
            default:
                throw XError(
                    .invalidArgument,
                    "the disk '\(path)' has no option '\(part)': there are format, readonly, direct, "
                        + "serial and iops; a comma in the path is written ',,'")
            }
        }
        let isAddress = Self.isNetworkAddress(path)
        format = named ?? (isAddress ? .nbd : .raw)
        if format == .nbd, !isAddress {
            throw XError(
                .invalidArgument,
                "'\(path)' is no NBD URI: write nbd://HOST/EXPORT or nbd+unix:///EXPORT?socket=PATH"
            )
        }
        if format != .nbd, isAddress {
            throw XError(
                .unsupported,
                "the disk '\(path)' is on an NBD server and cannot have format=\(format.rawValue): "
                    + "leave the format out, or write ./\(path) for a file of that name")
        }
        if format == .nbd, isDirect {
            throw XError(
                .invalidArgument, "the disk '\(path)' is on an NBD server: leave ',direct' out")
        }
    }

    /// The parts between single commas, `,,` read as a comma.
    private static func split(_ text: String) -> [String] {
        var parts: [String] = []
        var current = ""
        var rest = text[...]
        while let character = rest.popFirst() {
            if character != "," {
                current.append(character)
            } else if rest.first == "," {
                rest.removeFirst()
                current.append(",")
            } else {
                parts.append(current)
                current = ""
            }
        }
        return parts + [current]
    }

    private static func refuseValue(
        _ key: String, _ value: String?, _ path: String
    ) throws(XError) {
        guard let value else { return }
        throw XError(
            .invalidArgument,
            "the disk '\(path)' says '\(key)=\(value)': write ',\(key)' or leave it out")
    }

    private static func format(_ value: String?, _ path: String) throws(XError) -> DiskFormat {
        if let format = value.flatMap(DiskFormat.init(rawValue:)) { return format }
        throw XError(
            .invalidArgument,
            "the disk '\(path)' has the format '\(value ?? "")': there are raw, qcow2 and nbd")
    }

    private static func serial(_ value: String?, _ path: String) throws(XError) -> String {
        let text = value ?? ""
        guard (1...longestSerial).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x20...0x7e).contains($0) })
        else {
            throw XError(
                .invalidArgument,
                "the disk '\(path)' has the serial '\(text)': give 1 to \(longestSerial) printable "
                    + "ASCII characters")
        }
        return text
    }

    private static func rate(_ value: String?, _ path: String) throws(XError) -> Int {
        guard let number = value.flatMap({ Int($0) }), (1...mostRequestsPerSecond).contains(number)
        else {
            throw XError(
                .invalidArgument,
                "the disk '\(path)' has iops=\(value ?? ""): give a number from 1 to "
                    + "\(mostRequestsPerSecond)")
        }
        return number
    }

    /// The text that `init(parsing:)` reads.
    public var description: String {
        func escaped(_ text: String) -> String {
            String(text.flatMap { $0 == "," ? [",", ","] : [$0] })
        }
        var text = escaped(path) + ",format=\(format.rawValue)"
        if isReadOnly { text += ",readonly" }
        if isDirect { text += ",direct" }
        if let serial { text += ",serial=" + escaped(serial) }
        if let requestsPerSecond { text += ",iops=\(requestsPerSecond)" }
        return text
    }
}
