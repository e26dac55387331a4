internal import CHost
internal import Glibc
internal import HostIO
internal import Vocabulary

/// Opening: the header, the tables that stay in memory, the images below.
extension QCOW2Image {
    /// Images that may lie over each other.
    static let deepestChain = 32

    /// For what an image is opened.
    enum Purpose {
        case use
        /// Also an image that is marked as corrupt or has snapshots, without its backing image.
        case check
    }

    /// Blocks; not on the loop's thread.
    static func opening(
        _ path: String, isWritable: Bool, loop: IOLoop,
        options: HostFile.Options = HostFile.Options(), purpose: Purpose = .use
    ) throws(XError) -> QCOW2Image {
        try loop.blocking { () async throws(XError) in
            try await open(
                path, isWritable: isWritable, loop: loop, options: options, purpose: purpose,
                above: [])
        }
    }

    private static func open(
        _ path: String, isWritable: Bool, loop: IOLoop, options: HostFile.Options,
        purpose: Purpose, above: [FileIdentity]
    ) async throws(XError) -> QCOW2Image {
        let file = try HostFile(path: path, isWritable: isWritable, loop: loop, options: options)
        let (header, bytes) = try await readHeader(file)
        if purpose == .use {
            if header.isCorrupt {
                throw XError(
                    .invalidFormat,
                    "the qcow2 image '\(path)' is marked as corrupt: see 'martlet disk check', and "
                        + "repair it with qemu-img check -r all")
            }
            if header.snapshotCount != 0, isWritable {
                throw XError(
                    .unsupported,
                    "the qcow2 image '\(path)' has \(header.snapshotCount) internal snapshots and can "
                        + "only be read: add ',readonly', or delete them with qemu-img snapshot -d")
            }
        }
        if file.alignment > header.clusterSize {
            throw XError(
                .unsupported,
                "the qcow2 image '\(path)' has clusters of \(header.clusterSize) bytes, its disk "
                    + "sectors of \(file.alignment): leave ',direct' out")
        }
        let l1 = try await words(file, header.l1Offset, header.l1Count)
        let refcounts = try await words(
            file, header.refcountTableOffset,
            header.refcountTableClusters * header.clusterSize / 8)
        var chain = [file]
        var backing: (any BlockImage)?
        if let name = header.backingPath, purpose == .use {
            let (image, files) = try await openBacking(
                name, header.backingFormat, over: file, loop: loop,
                above: above + [FileIdentity(path: path)].compactMap { $0 })
            backing = image
            chain += files
        }
        let image = QCOW2Image(
            file, header: header, headerBytes: bytes, l1: l1, refcountTable: refcounts,
            backing: backing, chain: chain, fileSize: try file.byteCount())
        if isWritable, purpose == .use { try await image.prepareForWriting() }
        return image
    }

    private static func readHeader(_ file: HostFile) async throws(XError) -> (
        QCOW2Header, IOBuffer
    ) {
        let bytes: IOBuffer
        do throws(HostErrno) {
            let start = try await file.load(0, 512)
            let bits = Int(clamping: start.load32(20))
            bytes = try await file.load(0, (9...21).contains(bits) ? 1 << bits : 512)
        } catch { throw file.failure("read", error) }
        return (try QCOW2Header(bytes, path: file.path), bytes)
    }

    private static func words(
        _ file: HostFile, _ offset: UInt64, _ count: Int
    ) async throws(XError) -> [UInt64] {
        do throws(HostErrno) {
            let buffer = try await file.load(offset, count * 8)
            return (0..<count).map { buffer.load64($0 * 8) }
        } catch { throw file.failure("read", error) }
    }

    // MARK: Images below

    /// A file of the host, whatever its path.
    struct FileIdentity: Hashable, Sendable {
        private let device: UInt64
        private let number: UInt64

        /// Nil if it is not there.
        init?(path: String) {
            var information = stat()
            guard unsafe stat(path, &information) == 0 else { return nil }
            device = UInt64(information.st_dev)
            number = UInt64(information.st_ino)
        }
    }

    private static func openBacking(
        _ name: String, _ format: String?, over file: HostFile, loop: IOLoop,
        above: [FileIdentity]
    ) async throws(XError) -> (any BlockImage, [HostFile]) {
        guard let format else {
            throw XError(
                .unsupported,
                "the qcow2 image '\(file.path)' does not say which format its backing image "
                    + "'\(name)' has: say so with qemu-img rebase -u -F")
        }
        guard let known = DiskFormat(rawValue: format), known != .nbd,
            !name.hasPrefix("json:"), !name.contains("://"), !name.utf8.contains(0)
        else {
            throw XError(
                .unsupported,
                "the qcow2 image '\(file.path)' lies over '\(name)' of format '\(format)': raw and "
                    + "qcow2 files are understood")
        }
        guard above.count < deepestChain else {
            throw XError(
                .unsupported,
                "more than \(deepestChain) images lie over each other at '\(file.path)': merge some "
                    + "with qemu-img commit")
        }
        let path = resolve(name, beside: file.path)
        do throws(XError) {
            if let identity = FileIdentity(path: path), above.contains(identity) {
                throw XError(
                    .invalidFormat,
                    "the image '\(path)' lies over itself: correct it with qemu-img rebase -u")
            }
            if known == .raw {
                let below = try HostFile(path: path, isWritable: false, loop: loop)
                return (try RawImage(below), [below])
            }
            let image = try await open(
                path, isWritable: false, loop: loop, options: HostFile.Options(), purpose: .use,
                above: above)
            return (image, image.chain)
        } catch {
            if above.count > 1 { throw error }
            throw XError(
                error.code, "\(error.message) (it lies below '\(file.path)')", cause: error.cause)
        }
    }

    /// A path in an image is relative to the folder that the image is in.
    static func resolve(_ name: String, beside path: String) -> String {
        guard !name.hasPrefix("/"), let slash = path.lastIndex(of: "/") else { return name }
        return path[...slash] + name
    }

    // MARK: Writing

    /// Puts an image in the state in which it is changed: refcounts are right, and what this program does
    /// not keep up to date is marked as such.
    private func prepareForWriting() async throws(XError) {
        do throws(HostErrno) {
            guard let first = refcountTable.first, first & QCOW2Header.offsetMask != 0 else {
                throw .ioError
            }
            if header.isDirty {
                await lockTables()
                defer { unlockTables() }
                try await rebuildRefcounts()
                header.incompatible &= ~QCOW2Header.dirtyBit
                header.autoclear = 0
                try await writeHeader()
            } else if header.autoclear != 0 {
                header.autoclear = 0
                try await writeHeader()
            }
        } catch {
            throw XError(
                .invalidFormat,
                "the refcounts of the qcow2 image '\(file.path)' cannot be used (\(error)): look at it "
                    + "with 'martlet disk check'", cause: error)
        }
    }
}
