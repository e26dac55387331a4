public import Vocabulary

/// A path that names a node or a special event, checked: `/local/domain/3/name`, `/`, `@releaseDomain`.
///
/// Characters are letters, digits and `-/_@`; there is no empty component and no slash at the end
/// (`xenstore.txt`, `canonicalize` of xenstored).
public struct StorePath: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Of the whole path, in bytes (`XENSTORE_ABS_PATH_MAX`).
    public static let byteCountLimit = 3072
    /// Of a path that a client gives relative to its own home, in bytes (`XENSTORE_REL_PATH_MAX`).
    public static let relativeByteCountLimit = 2048

    public static let root = StorePath(text: "/", level: 0)

    /// The whole path, ASCII.
    public let text: String
    /// How many names it has; 0 for the root.
    let level: Int

    private init(text: String, level: Int) {
        self.text = text
        self.level = level
    }

    /// Nil: the text is not of the right form, or longer than `byteCountLimit`.
    public init?(_ text: String) {
        guard text.utf8.count <= Self.byteCountLimit, let first = text.utf8.first else {
            return nil
        }
        let isSpecial = first == UInt8(ascii: "@")
        guard isSpecial || first == UInt8(ascii: "/") else { return nil }
        if text == "/" {
            self = .root
            return
        }
        var level = isSpecial ? 1 : 0
        var isAfterSlash = false
        for byte in text.utf8 {
            let isSlash = byte == UInt8(ascii: "/")
            guard Self.isAllowed(byte), !(isSlash && isAfterSlash) else { return nil }
            if isSlash { level += 1 }
            isAfterSlash = isSlash
        }
        guard !isAfterSlash else { return nil }
        self.init(text: text, level: level)
    }

    /// The place relative paths of `domain` begin at.
    public static func home(of domain: DomainID) -> StorePath {
        StorePath(text: "/local/domain/" + String(domain.rawValue), level: 3)
    }

    /// `@introduceDomain`, `@releaseDomain` and what is below: events, not nodes of the tree.
    public var isSpecial: Bool { text.utf8.first == UInt8(ascii: "@") }

    /// The names from the root on; of a special event the first begins with `@`. Not kept, since a
    /// guest can have thousands of paths with a thousand names each.
    var components: [String] {
        text.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
    }

    /// The path one level up; nil for the root. A special event's is the root, as in xenstored.
    public var parent: StorePath? {
        guard level > 0 else { return nil }
        guard level > 1, let slash = text.utf8.lastIndex(of: UInt8(ascii: "/")) else {
            return .root
        }
        return StorePath(text: String(text[..<slash]), level: level - 1)
    }

    /// The first `count` levels of this path; at least one of a special event's.
    func prefix(_ count: Int) -> StorePath {
        guard count < level else { return self }
        guard count > 0 else { return .root }
        var seen = isSpecial ? 1 : 0
        for index in text.utf8.indices where text.utf8[index] == UInt8(ascii: "/") {
            seen += 1
            if seen > count { return StorePath(text: String(text[..<index]), level: count) }
        }
        return self
    }

    /// This path and all above it, the nearest first, the root not for special events.
    var upwards: [StorePath] {
        var found = [self]
        while let next = found.last?.parent, next.isSpecial == isSpecial { found.append(next) }
        return found
    }

    /// The path of a child; `name` is a name that a node has.
    func appending(_ name: String) -> StorePath {
        StorePath(text: level == 0 ? "/" + name : text + "/" + name, level: level + 1)
    }

    /// The bytes that count for the quota of path lengths: without `/local/domain/N/`.
    var quotaByteCount: Int {
        guard level > 3, text.hasPrefix("/local/domain/") else { return text.utf8.count }
        let rest = text.utf8.dropFirst("/local/domain/".utf8.count)
        let number = rest.prefix { $0 != UInt8(ascii: "/") }
        guard number.count <= 5, number.allSatisfy(Self.isDigit) else { return text.utf8.count }
        return rest.count - number.count - 1
    }

    static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "/"),
            UInt8(ascii: "_"), UInt8(ascii: "@"):
            true
        default: false
        }
    }

    public var description: String { text }
    public static func == (a: Self, b: Self) -> Bool { a.text == b.text }
    public static func < (a: Self, b: Self) -> Bool { a.text < b.text }
    public func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
