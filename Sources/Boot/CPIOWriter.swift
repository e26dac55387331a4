public import Vocabulary

/// Writes a CPIO archive in the "newc" format, as the kernel's initramfs takes it
/// (Documentation/driver-api/early-userspace/buffer-format.rst), through a sink and without holding it.
public struct CPIOWriter {
    /// What an entry is, with the values stored for it.
    public enum Kind: Sendable, Equatable {
        case directory
        /// A file of so many bytes, at most 4 GiB - 1; they are given with `content`.
        case file(byteCount: UInt32)
        case symbolicLink(target: String)
        case characterDevice(major: UInt32, minor: UInt32)
    }

    /// Takes the next bytes of the archive.
    public typealias Sink = (ArraySlice<UInt8>) throws(XError) -> Void

    private let sink: Sink
    private var inode: UInt32 = 0
    private var contentLeft: UInt64 = 0
    private var position: UInt64 = 0

    public init(sink: @escaping Sink) { self.sink = sink }

    /// Begins an entry. Owner and time are always 0, so that equal trees make equal archives.
    ///
    /// - Parameters:
    ///   - path: without a leading slash.
    ///   - permissions: the low twelve bits of the mode.
    public mutating func begin(_ path: String, _ kind: Kind, permissions: UInt32) throws(XError) {
        guard contentLeft == 0 else {
            throw XError(.invalidArgument, "'\(path)' begins before the file before it is whole")
        }
        inode &+= 1
        var content: [UInt8] = []
        var type: UInt32
        var byteCount: UInt32 = 0
        var device: (major: UInt32, minor: UInt32) = (0, 0)
        switch kind {
        case .directory: type = 0o040000
        case .file(let count):
            type = 0o100000
            byteCount = count
        case .symbolicLink(let target):
            type = 0o120000
            content = Array(target.utf8)
            byteCount = UInt32(truncatingIfNeeded: content.count)
        case .characterDevice(let major, let minor):
            type = 0o020000
            device = (major, minor)
        }
        type |= permissions & 0o7777
        try header(path, mode: type, inode: inode, byteCount: byteCount, device: device)
        contentLeft = UInt64(byteCount)
        if !content.isEmpty { try self.content(content[...]) }
    }

    /// The next bytes of the file begun last.
    public mutating func content(_ bytes: ArraySlice<UInt8>) throws(XError) {
        guard UInt64(bytes.count) <= contentLeft else {
            throw XError(
                .invalidArgument,
                "a file has \(UInt64(bytes.count) - contentLeft) bytes more than its entry says")
        }
        try put(bytes)
        contentLeft -= UInt64(bytes.count)
        if contentLeft == 0 { try align() }
    }

    /// Writes the trailer.
    public mutating func finish() throws(XError) {
        guard contentLeft == 0 else {
            throw XError(.invalidArgument, "the last file lacks \(contentLeft) bytes")
        }
        try header("TRAILER!!!", mode: 0, inode: 0, byteCount: 0, device: (0, 0))
    }

    private mutating func header(
        _ path: String, mode: UInt32, inode: UInt32, byteCount: UInt32,
        device: (major: UInt32, minor: UInt32)
    ) throws(XError) {
        let name = Array(path.utf8) + [0]
        let fields: [UInt32] = [
            inode, mode, 0, 0, 1, 0, byteCount, 0, 0, device.major, device.minor,
            UInt32(truncatingIfNeeded: name.count), 0,
        ]
        var bytes = Array("070701".utf8)
        for field in fields {
            for shift in stride(from: UInt32(28), through: 0, by: -4) {
                let digit = UInt8(truncatingIfNeeded: (field >> shift) & 15)
                bytes.append(digit < 10 ? 0x30 + digit : 0x37 + digit)
            }
        }
        try put((bytes + name)[...])
        try align()
    }

    private mutating func put(_ bytes: ArraySlice<UInt8>) throws(XError) {
        try sink(bytes)
        position &+= UInt64(bytes.count)
    }

    private mutating func align() throws(XError) {
        let padding = Int((4 &- position & 3) & 3)
        if padding > 0 { try put([UInt8](repeating: 0, count: padding)[...]) }
    }
}
