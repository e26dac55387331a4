internal import CHost
internal import Glibc
internal import HostIO
internal import Synchronization
internal import Vocabulary

/// A file of translations that is being written, under a name that nobody reads, until it is complete and
/// `publish` gives it its own. What is given up is removed. Owner: one thread.
final class NewCodeFile {
    private static let prefix = ".new-"
    private static let suffix = ".code"
    private static let made = Atomic<UInt64>(0)

    private let directory: PrivateDirectory
    private let name: String
    private let file: HostIO.Descriptor
    private(set) var byteCount: Int
    private var isPublished = false

    init(_ directory: PrivateDirectory) throws(XError) {
        self.directory = directory
        name = Self.prefix + Self.uniqueName
        file = try directory.makeFile(name)
        byteCount = CodeFileFormat.headerByteCount
        // What is not complete has no header.
        try write([UInt8](repeating: 0, count: CodeFileFormat.headerByteCount), at: 0)
    }

    deinit { if !isPublished { directory.remove(name) } }

    /// Later ones come later in the order of names.
    private static var uniqueName: String {
        let number = made.wrappingAdd(1, ordering: .relaxed).newValue
        return hexadecimal(chost_wall_clock()) + "-\(getpid())-\(number)"
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// What names of this build's files begin with.
    private static let ownPrefix =
        "martlet-" + hexadecimal(ContentHash.of(CodeFileFormat.identity[...])) + "-"

    /// The name of a file that this build reads.
    static func isOwn(_ name: String) -> Bool {
        name.hasPrefix(ownPrefix) && name.hasSuffix(suffix)
    }

    /// The name of a file that some build reads.
    static func isComplete(_ name: String) -> Bool {
        name.hasPrefix("martlet-") && name.hasSuffix(suffix)
    }

    /// The name of a file that somebody writes, or wrote until he was killed.
    static func isUnfinished(_ name: String) -> Bool { name.hasPrefix(prefix) }

    private func write(_ bytes: [UInt8], at offset: Int) throws(XError) {
        do throws(XError) { try writeAll(file.rawValue, bytes, at: offset) } catch {
            throw directory.failure(name, error.hostErrno?.rawValue ?? EIO)
        }
    }

    /// Adds entries.
    func append(_ entries: [UInt8]) throws(XError) {
        try write(entries, at: byteCount)
        byteCount += entries.count
    }

    /// Completes the file and gives it a name that readers look for.
    func publish(_ index: [UInt64]) throws(XError) {
        let bytes = CodeFileFormat.indexBytes(index)
        try write(bytes, at: byteCount)
        try write(
            CodeFileFormat.header(count: index.count, indexOffset: byteCount, index: bytes), at: 0)
        try directory.rename(
            name, to: Self.ownPrefix + name.dropFirst(Self.prefix.count) + Self.suffix)
        isPublished = true
    }
}
