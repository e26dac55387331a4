internal import Glibc
internal import HostIO
public import Vocabulary

/// What `martlet disk` does with images that no machine uses. Every function blocks; any thread but a
/// disk's.
public enum DiskImage {
    /// How an image is made.
    public struct CreationOptions: Sendable {
        /// qcow2: bytes of a cluster, a power of two from 512 to 2 MiB.
        public var clusterSize = 65536
        /// qcow2: the image below the new one, as a path of the host or relative to the new image's
        /// folder.
        public var backingPath: String?
        /// What format the image below has; must be given with `backingPath`.
        public var backingFormat: DiskFormat?
        /// qcow2: refcounts of 2^n bits, 0 to 6; other programs make all of these.
        var refcountOrder = 4
        /// qcow2: 2 or 3.
        var version: UInt32 = 3

        public init() {}
    }

    /// What others on the host do with an image, as far as they lock it: Martlet's and QEMU's programs.
    public enum Usage: String, Sendable, Codable {
        case unused
        case read
        case written
    }

    /// What `info` finds.
    public struct Info: Sendable, Codable, Equatable {
        public var path: String
        public var format: DiskFormat
        /// Bytes that a guest sees.
        public var byteCount: UInt64
        /// Bytes that the file takes on the host.
        public var allocatedByteCount: UInt64
        public var clusterSize: Int?
        /// 2 or 3.
        public var version: Int?
        /// As the image names it.
        public var backingPath: String?
        public var backingFormat: String?
        /// `zlib` or `zstd`.
        public var compression: String?
        public var refcountBits: Int?
        public var snapshotCount: Int?
        public var isDirty: Bool?
        public var isCorrupt: Bool?
        public var usage = Usage.unused
        /// A raw disk that begins as a qcow2 image does. Its guest may have written that.
        public var beginsLikeQCOW2: Bool?
    }

    static func withLoop<Result>(
        _ engine: DiskEngine = .automatic, _ body: (IOLoop) throws(XError) -> Result
    ) throws(XError) -> Result {
        let loop = try IOLoop(name: "disk-image", choice: engine)
        defer { loop.stopAndWait() }
        return try body(loop)
    }

    static func noNetwork(_ format: DiskFormat, _ what: String) throws(XError) {
        if format == .nbd {
            throw XError(
                .unsupported, "cannot \(what) a disk on an NBD server: give a raw or qcow2 file")
        }
    }

    /// Makes a new image, which reads as zeros or as the image below it.
    ///
    /// - Parameter byteCount: rounded up to 512; nil: as the image below has.
    /// Throws if the path is taken.
    public static func create(
        path: String, format: DiskFormat, byteCount: UInt64?,
        options: CreationOptions = CreationOptions()
    ) throws(XError) {
        try noNetwork(format, "create")
        try withLoop { loop throws(XError) in
            var count = byteCount
            if let backing = options.backingPath {
                let size = try backingByteCount(path, backing, format, options, loop)
                count = count ?? size
            }
            guard let count, count <= UInt64(Int64.max) - 511 else {
                throw XError(
                    .invalidArgument,
                    "the new disk '\(path)' has no size: give one, or an image below")
            }
            try make(path, format, (count + 511) & ~511, options, loop, HostFile.Options())
        }
    }

    private static func backingByteCount(
        _ path: String, _ backing: String, _ format: DiskFormat, _ options: CreationOptions,
        _ loop: IOLoop
    ) throws(XError) -> UInt64 {
        guard format == .qcow2 else {
            throw XError(
                .invalidArgument,
                "the new disk '\(path)' is \(format.rawValue) and cannot lie over '\(backing)': make it "
                    + "qcow2")
        }
        guard let kind = options.backingFormat, kind != .nbd else {
            throw XError(
                .invalidArgument,
                "the format of '\(backing)', below '\(path)', is not said: give raw or qcow2")
        }
        let place = QCOW2Image.resolve(backing, beside: path)
        return try open(place, kind, isWritable: false, loop).byteCount
    }

    /// Makes the file; takes it away again if that fails in the middle.
    static func make(
        _ path: String, _ format: DiskFormat, _ byteCount: UInt64, _ options: CreationOptions,
        _ loop: IOLoop, _ fileOptions: HostFile.Options
    ) throws(XError) {
        let header = format == .qcow2 ? try newHeader(path, byteCount, options) : nil
        var fileOptions = fileOptions
        fileOptions.isNew = true
        let file = try HostFile(path: path, isWritable: true, loop: loop, options: fileOptions)
        do throws(XError) {
            guard let header else {
                try file.setByteCount(byteCount)
                return
            }
            try loop.blocking { () async throws(XError) in
                do throws(HostErrno) { try await write(header, file) } catch {
                    throw file.failure("write", error)
                }
            }
        } catch {
            unsafe unlink(path)
            throw error
        }
    }

    private static func newHeader(
        _ path: String, _ byteCount: UInt64, _ options: CreationOptions
    ) throws(XError) -> QCOW2Header {
        let size = options.clusterSize
        guard size >= 512, size <= 2 << 20, size & (size - 1) == 0 else {
            throw XError(
                .invalidArgument,
                "clusters of \(size) bytes cannot be: give a power of two from 512 to 2097152")
        }
        var header = QCOW2Header()
        header.clusterBits = size.trailingZeroBitCount
        header.virtualSize = byteCount
        header.refcountOrder = options.refcountOrder
        header.version = options.version
        header.backingPath = options.backingPath
        header.backingFormat = options.backingFormat?.rawValue
        if let backing = options.backingPath {
            guard (1...1023).contains(backing.utf8.count), !backing.utf8.contains(0),
                QCOW2Header.byteCount(backingPath: backing) <= size
            else {
                throw XError(
                    .invalidArgument,
                    "the path '\(backing)' is too long for a qcow2 image with clusters of \(size) bytes"
                )
            }
        }
        let l1 = max(QCOW2Header.l1Count(byteCount, clusterBits: header.clusterBits), 1)
        guard l1 * 8 <= UInt64(QCOW2Header.largestL1ByteCount) else {
            throw XError(
                .invalidArgument,
                "\(byteCount) bytes are too many for clusters of \(size): give larger clusters")
        }
        header.l1Count = Int(l1)
        let l1Clusters = (header.l1Count * 8 + size - 1) / size
        // Room for the counts of all clusters, of the tables, and some more.
        let clusters = byteCount / UInt64(size) + l1 + UInt64(l1Clusters) + 16
        let perBlock = UInt64(header.refcountsPerBlock)
        let blocks = (clusters + clusters / 64) / perBlock + 1
        let tableByteCount = min(
            blocks * 8, UInt64(max(QCOW2Header.largestRefcountTableByteCount / 2, size)))
        header.refcountTableClusters = (Int(tableByteCount) + size - 1) / size
        header.refcountTableOffset = UInt64(size)
        return header
    }

    /// Header, refcount table, refcount blocks, L1 table.
    private static func write(
        _ new: QCOW2Header, _ file: HostFile
    ) async throws(HostErrno) {
        var header = new
        let size = header.clusterSize
        let perBlock = header.refcountsPerBlock
        let l1Clusters = (header.l1Count * 8 + size - 1) / size
        var blocks = 1
        while blocks * perBlock < 1 + header.refcountTableClusters + blocks + l1Clusters {
            blocks += 1
        }
        let firstBlock = 1 + header.refcountTableClusters
        let used = firstBlock + blocks + l1Clusters
        header.l1Offset = UInt64((firstBlock + blocks) * size)
        let table = IOBuffer(byteCount: header.refcountTableClusters * size)
        for block in 0..<blocks {
            let offset = UInt64((firstBlock + block) * size)
            table.store64(block * 8, offset)
            let counts = QCOW2Table(
                offset: offset, buffer: IOBuffer(byteCount: size), unit: header.tableUnit)
            for index in 0..<perBlock where block * perBlock + index < used {
                counts.setRefcount(index, 1, order: header.refcountOrder)
            }
            try await file.write(offset, Segments(counts.buffer))
        }
        try await file.write(header.refcountTableOffset, Segments(table))
        try await file.write(header.l1Offset, Segments(IOBuffer(byteCount: l1Clusters * size)))
        try await file.sync()
        try await file.write(0, Segments(header.bytes()))
        try await file.sync()
    }

    static func open(
        _ path: String, _ format: DiskFormat, isWritable: Bool, _ loop: IOLoop,
        purpose: QCOW2Image.Purpose = .use
    ) throws(XError) -> any BlockImage {
        switch format {
        case .raw: return try RawImage(HostFile(path: path, isWritable: isWritable, loop: loop))
        case .qcow2:
            return try QCOW2Image.opening(
                path, isWritable: isWritable, loop: loop, purpose: purpose)
        case .nbd: return try NBDSource(uri: path, loop: loop)
        }
    }

    /// What an image says about itself. While it is written to by others, that may be past already.
    public static func info(path: String, format: DiskFormat) throws(XError) -> Info {
        try noNetwork(format, "look into")
        return try withLoop { loop throws(XError) in
            var options = HostFile.Options()
            options.isGlance = true
            if format == .raw {
                let file = try HostFile(
                    path: path, isWritable: false, loop: loop, options: options)
                return Info(
                    path: path, format: format, byteCount: try RawImage(file).byteCount,
                    allocatedByteCount: file.allocatedByteCount, usage: file.usage,
                    beginsLikeQCOW2: try beginsLikeQCOW2(file, loop))
            }
            let image = try QCOW2Image.opening(
                path, isWritable: false, loop: loop, options: options, purpose: .check)
            let header = try loop.blocking { () async throws(XError) in await image.header }
            return Info(
                path: path, format: format, byteCount: header.virtualSize,
                allocatedByteCount: image.file.allocatedByteCount,
                clusterSize: header.clusterSize, version: Int(header.version),
                backingPath: header.backingPath, backingFormat: header.backingFormat,
                compression: header.isZstandard ? "zstd" : "zlib",
                refcountBits: 1 << header.refcountOrder,
                snapshotCount: Int(header.snapshotCount), isDirty: header.isDirty,
                isCorrupt: header.isCorrupt, usage: image.file.usage)
        }
    }

    private static func beginsLikeQCOW2(_ file: HostFile, _ loop: IOLoop) throws(XError) -> Bool {
        try loop.blocking { () async throws(XError) in
            do throws(HostErrno) {
                return try await file.load(0, 512).load32(0) == QCOW2Header.magic
            } catch { throw file.failure("read", error) }
        }
    }
}
