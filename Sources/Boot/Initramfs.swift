import Glibc
public import Vocabulary

/// A tree of files for the guest, written as one CPIO archive.
///
/// Entries are sorted by path and have no owner and no time: equal contents make equal bytes.
public struct Initramfs: Sendable {
    enum Content: Sendable {
        case directory
        case bytes([UInt8])
        case hostFile(path: String, byteCount: UInt32)
        case symbolicLink(String)
        case characterDevice(major: UInt32, minor: UInt32)
    }

    struct Entry: Sendable {
        var content: Content
        var permissions: UInt32
    }

    /// By path in the guest, without the leading slash.
    private(set) var entries: [String: Entry] = [:]

    public init() {}

    /// Paths in the guest, sorted; for tests and `--verbose`.
    public var paths: [String] { entries.keys.sorted { "/" + $0 < "/" + $1 }.map { "/" + $0 } }

    /// A folder. One that is there keeps its content.
    public mutating func addDirectory(_ path: String, permissions: UInt32 = 0o755) throws(XError) {
        try add(path, .directory, permissions)
    }

    /// A file of the given bytes.
    public mutating func addFile(
        _ path: String, _ bytes: [UInt8], permissions: UInt32 = 0o644
    ) throws(XError) {
        try add(path, .bytes(bytes), permissions)
    }

    public mutating func addSymbolicLink(_ path: String, to target: String) throws(XError) {
        try add(path, .symbolicLink(target), 0o777)
    }

    public mutating func addCharacterDevice(
        _ path: String, major: UInt32, minor: UInt32, permissions: UInt32
    ) throws(XError) {
        try add(path, .characterDevice(major: major, minor: minor), permissions)
    }

    /// A file of the host, or a folder with everything in it; links in it stay links. The bytes are
    /// read when the archive is written.
    ///
    /// - Throws: `XError.notFound` and the like with the path at fault.
    public mutating func addHost(_ hostPath: String, as path: String) throws(XError) {
        var information = stat()
        guard unsafe stat(hostPath, &information) == 0 else {
            throw Self.unreadable(hostPath, errno)
        }
        try addHost(hostPath, as: path, information)
    }

    private mutating func addHost(
        _ hostPath: String, as path: String, _ information: stat
    ) throws(XError) {
        let permissions = UInt32(information.st_mode) & 0o7777
        switch information.st_mode & S_IFMT {
        case S_IFDIR:
            try add(path, .directory, permissions)
            for name in try Self.names(in: hostPath) {
                let inner = hostPath + "/" + name
                var found = stat()
                guard unsafe lstat(inner, &found) == 0 else { throw Self.unreadable(inner, errno) }
                try addHost(inner, as: path + "/" + name, found)
            }
        case S_IFREG:
            guard let size = UInt32(exactly: information.st_size) else {
                throw XError(
                    .unsupported,
                    "'\(hostPath)' has \(information.st_size >> 20) MiB: an initramfs takes files "
                        + "below 4 GiB")
            }
            guard unsafe access(hostPath, R_OK) == 0 else { throw Self.unreadable(hostPath, errno) }
            try add(path, .hostFile(path: hostPath, byteCount: size), permissions)
        case S_IFLNK:
            try add(path, .symbolicLink(try Self.target(of: hostPath)), 0o777)
        default:
            break  // sockets, pipes and devices of the host mean nothing in the guest
        }
    }

    /// Writes the archive through `sink`, in pieces of at most a MiB.
    public func write(to sink: @escaping CPIOWriter.Sink) throws(XError) {
        var writer = CPIOWriter(sink: sink)
        for path in paths {
            let name = String(path.dropFirst())
            guard let entry = entries[name] else { continue }
            switch entry.content {
            case .directory: try writer.begin(name, .directory, permissions: entry.permissions)
            case .symbolicLink(let target):
                try writer.begin(
                    name, .symbolicLink(target: target), permissions: entry.permissions)
            case .characterDevice(let major, let minor):
                try writer.begin(
                    name, .characterDevice(major: major, minor: minor),
                    permissions: entry.permissions)
            case .bytes(let bytes):
                guard let count = UInt32(exactly: bytes.count) else {
                    throw XError(.unsupported, "'/\(name)' has 4 GiB or more")
                }
                try writer.begin(name, .file(byteCount: count), permissions: entry.permissions)
                if count > 0 { try writer.content(bytes[...]) }
            case .hostFile(let hostPath, let count):
                try writer.begin(name, .file(byteCount: count), permissions: entry.permissions)
                try Self.copy(hostPath, count, into: &writer)
            }
        }
        try writer.finish()
    }

    /// The whole archive.
    public func bytes() throws(XError) -> [UInt8] {
        let all = Collected()
        try write { piece throws(XError) in all.bytes += piece }
        return all.bytes
    }

    /// What `bytes` collects; lives during that call.
    private final class Collected {
        var bytes: [UInt8] = []
    }

    private mutating func add(
        _ path: String, _ content: Content, _ permissions: UInt32
    ) throws(XError) {
        let parts = path.split(separator: "/").filter { $0 != "." }
        guard !parts.contains("..") else {
            throw XError(
                .invalidArgument, "the path '\(path)' in the guest has '..': give it without")
        }
        guard !parts.isEmpty else {
            if case .directory = content { return }
            throw XError(.invalidArgument, "the path '\(path)' names the guest's root: add a name")
        }
        for count in 1..<max(1, parts.count) {
            let parent = parts[..<count].joined(separator: "/")
            switch entries[parent]?.content {
            case nil: entries[parent] = Entry(content: .directory, permissions: 0o755)
            case .directory, .symbolicLink: break
            default:
                throw XError(
                    .invalidArgument,
                    "'\(path)' cannot be put into the guest: '/\(parent)' is a file there")
            }
        }
        entries[parts.joined(separator: "/")] = Entry(content: content, permissions: permissions)
    }
}

extension Initramfs {
    static func unreadable(_ path: String, _ number: Int32) -> XError {
        let reason = unsafe String(cString: strerror(number))
        return XError(
            number == ENOENT ? .notFound : .hostCall, "cannot read '\(path)': \(reason)")
    }

    /// Sorted, without `.` and `..`.
    static func names(in path: String) throws(XError) -> [String] {
        guard let folder = unsafe opendir(path) else { throw unreadable(path, errno) }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { bytes in
                unsafe bytes.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(cString: $0)
                }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func target(of path: String) throws(XError) -> String {
        var room = [CChar](repeating: 0, count: 4097)
        let count = unsafe readlink(path, &room, 4096)
        guard count > 0 else { throw unreadable(path, errno) }
        return String(decoding: room[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func copy(
        _ path: String, _ byteCount: UInt32, into writer: inout CPIOWriter
    ) throws(XError) {
        guard byteCount > 0 else { return }
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw unreadable(path, errno) }
        defer { close(file) }
        var left = Int(byteCount)
        var buffer = [UInt8](repeating: 0, count: min(left, 1 << 20))
        while left > 0 {
            let count = unsafe read(file, &buffer, min(left, buffer.count))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw unreadable(path, errno) }
            guard count > 0 else {
                throw XError(.hostCall, "'\(path)' became shorter while it was read: try again")
            }
            try writer.content(buffer[..<count])
            left -= count
        }
    }
}
