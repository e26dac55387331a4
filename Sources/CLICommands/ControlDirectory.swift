import Foundation
import Glibc
import HostIO
import Vocabulary

/// Where the control sockets of this user's machines are: `$XDG_RUNTIME_DIR/martlet`, else
/// `/tmp/martlet-UID`.
struct ControlDirectory {
    private static let suffix = ".sock"
    private let directory: PrivateDirectory

    init() throws(XError) {
        let environment = ProcessInfo.processInfo.environment
        let path: String
        if let runtime = environment["XDG_RUNTIME_DIR"], runtime.hasPrefix("/") {
            path = runtime + "/martlet"
        } else {
            path = "/tmp/martlet-\(getuid())"
        }
        directory = try PrivateDirectory(path: path, option: "XDG_RUNTIME_DIR")
    }

    /// The path of a machine's socket. Throws if it can be no name.
    func path(_ name: String) throws(XError) -> String {
        let isName =
            (1...32).contains(name.utf8.count) && !name.hasPrefix(".") && !name.hasPrefix("-")
            && name.utf8.allSatisfy {
                UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 | 0x20
                    || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0
                    || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")].contains($0)
            }
        guard isName else {
            throw XError(
                .invalidArgument,
                "'\(name)' is no name of a machine: take 1 to 32 letters, digits, '-', '_' and '.'")
        }
        return directory.path + "/" + name + Self.suffix
    }

    /// Names with a socket, whoever listens there.
    var names: [String] {
        directory.entries.map(\.name).filter { $0.hasSuffix(Self.suffix) }
            .map { String($0.dropLast(Self.suffix.count)) }.sorted()
    }
}
