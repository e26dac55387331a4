internal import Glibc
internal import Vocabulary

/// The address of a snapshot on an NBD server, as a user gives it: an NBD URI, with one parameter more.
struct SnapshotAddress {
    /// For libnbd. Does not depend on the process's folder.
    let uri: String
    /// What `patience=SECONDS` says, in nanoseconds; nil: nothing.
    let patienceNanoseconds: UInt64?

    private static let schemes = [
        "nbd", "nbds", "nbd+unix", "nbds+unix", "nbd+vsock", "nbds+vsock",
    ]
    /// A day.
    private static let mostPatientSeconds: UInt64 = 86_400

    /// Whether a text is such an address and not a path.
    static func isOne(_ text: String) -> Bool {
        schemes.contains { text.hasPrefix($0 + "://") }
    }

    /// - Parameter folder: where the paths of sockets begin; nil: the process's.
    /// - Throws: `XError`: its patience is no number of seconds.
    init(_ text: String, folder: String? = nil) throws(XError) {
        let halves = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var kept: [String] = []
        var patience: UInt64?
        for part in halves.dropFirst().first?.split(separator: "&") ?? [] {
            if let value = Self.value(of: "patience", part) {
                guard let seconds = UInt64(value), (1...Self.mostPatientSeconds).contains(seconds)
                else {
                    throw XError(
                        .invalidArgument,
                        "the address '\(text)' has the patience '\(value)': give 1 to "
                            + "\(Self.mostPatientSeconds) seconds")
                }
                patience = seconds * 1_000_000_000
            } else if let path = Self.value(of: "socket", part), !Self.isAbsolute(path) {
                // The process goes to another folder later, and connects again.
                kept.append("socket=" + Self.encoded(folder ?? Self.currentFolder) + "/" + path)
            } else {
                kept.append(String(part))
            }
        }
        patienceNanoseconds = patience
        uri = halves[0] + (kept.isEmpty ? "" : "?" + kept.joined(separator: "&"))
    }

    private static func value(of name: String, _ part: Substring) -> Substring? {
        part.hasPrefix(name + "=") ? part.dropFirst(name.count + 1) : nil
    }

    private static func isAbsolute(_ path: Substring) -> Bool {
        path.hasPrefix("/") || path.lowercased().hasPrefix("%2f")
    }

    private static var currentFolder: String {
        guard let path = unsafe getcwd(nil, 0) else { return "" }
        defer { unsafe free(path) }
        return unsafe String(cString: path)
    }

    /// RFC 3986, section 2.1.
    private static func encoded(_ path: String) -> String {
        path.utf8.reduce(into: "") { text, byte in
            let character = Character(UnicodeScalar(byte))
            if byte < 0x80, character.isLetter || character.isNumber || "/-._~".contains(character)
            {
                text.append(character)
            } else {
                text += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
    }
}
