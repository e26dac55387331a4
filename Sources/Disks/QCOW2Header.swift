internal import Vocabulary

/// The first cluster of a qcow2 image, and what follows from it (QEMU, docs/interop/qcow2.txt).
///
/// Everything in it was checked when it was read: sizes and offsets can be computed with.
struct QCOW2Header: Sendable, Equatable {
    static let magic: UInt32 = 0x5146_49fb
    static let largestL1ByteCount = 32 << 20
    static let largestRefcountTableByteCount = 8 << 20
    /// Offsets in tables have 56 bits.
    static let offsetMask: UInt64 = 0x00ff_ffff_ffff_fe00

    /// Bits of `incompatible`.
    static let dirtyBit: UInt64 = 1
    static let corruptBit: UInt64 = 2
    static let compressionBit: UInt64 = 8
    private static let knownIncompatible: UInt64 = 1 | 2 | 8
    private static let featureNames: [Int: String] = [
        2: "external data file", 4: "extended L2 entries",
    ]

    var version: UInt32 = 3
    var backingPath: String?
    var backingFormat: String?
    var clusterBits: Int = 16
    /// Bytes that a guest sees, a multiple of 512.
    var virtualSize: UInt64 = 0
    var l1Count: Int = 0
    var l1Offset: UInt64 = 0
    var refcountTableOffset: UInt64 = 0
    var refcountTableClusters: Int = 0
    var snapshotCount: UInt32 = 0
    var incompatible: UInt64 = 0
    var compatible: UInt64 = 0
    var autoclear: UInt64 = 0
    /// Refcounts have 2^n bits, 0 to 6.
    var refcountOrder: Int = 4
    var isZstandard = false

    var clusterSize: Int { 1 << clusterBits }
    /// Entries of a level 2 table.
    var l2Entries: Int { 1 << (clusterBits - 3) }
    /// Refcounts in a block.
    var refcountsPerBlock: Int { 1 << (clusterBits + 3 - refcountOrder) }
    var isDirty: Bool { incompatible & Self.dirtyBit != 0 }
    var isCorrupt: Bool { incompatible & Self.corruptBit != 0 }
    /// Bytes of the piece that tables are written by.
    var tableUnit: Int { min(clusterSize, 4096) }

    /// L1 entries that a size needs.
    static func l1Count(_ size: UInt64, clusterBits: Int) -> UInt64 {
        let span = UInt64(1) << UInt64(2 * clusterBits - 3)
        return size / span + (size % span == 0 ? 0 : 1)
    }

    init() {}

    /// Reads the first cluster, or as much of it as there is.
    ///
    /// - Parameter path: for the words of errors.
    init(_ bytes: IOBuffer, path: String) throws(XError) {
        func broken(_ what: String) -> XError {
            XError(
                .invalidFormat,
                "the qcow2 image '\(path)' is broken (\(what)): take a copy that is whole")
        }
        guard bytes.byteCount >= 512, bytes.load32(0) == Self.magic else {
            throw XError(
                .invalidFormat,
                "'\(path)' is no qcow2 image: say that its format is raw, or give the path of one"
            )
        }
        version = bytes.load32(4)
        guard version == 2 || version == 3 else {
            throw XError(
                .unsupported,
                "the qcow2 image '\(path)' has version \(version), 2 and 3 are understood: convert it "
                    + "with qemu-img")
        }
        clusterBits = Int(bytes.load32(20))
        guard (9...21).contains(clusterBits) else { throw broken("clusters of 2^\(clusterBits)") }
        virtualSize = bytes.load64(24) & ~511
        guard bytes.load32(32) == 0 else {
            throw XError(
                .unsupported,
                "the qcow2 image '\(path)' is encrypted: convert it with qemu-img to one that is not"
            )
        }
        let l1 = bytes.load32(36)
        l1Offset = bytes.load64(40)
        refcountTableOffset = bytes.load64(48)
        refcountTableClusters = Int(bytes.load32(56))
        snapshotCount = bytes.load32(60)
        guard Int(l1) * 8 <= Self.largestL1ByteCount,
            UInt64(l1) >= Self.l1Count(virtualSize, clusterBits: clusterBits)
        else { throw broken("\(l1) L1 entries for \(virtualSize) bytes") }
        l1Count = Int(l1)
        guard isTable(l1Offset) || l1Count == 0 else { throw broken("L1 table at \(l1Offset)") }
        guard isTable(refcountTableOffset), refcountTableClusters > 0,
            refcountTableClusters << clusterBits
                <= max(Self.largestRefcountTableByteCount, clusterSize)
        else {
            throw broken("refcount table of \(refcountTableClusters) at \(refcountTableOffset)")
        }
        var headerLength = 72
        if version == 3 {
            incompatible = bytes.load64(72)
            compatible = bytes.load64(80)
            autoclear = bytes.load64(88)
            let order = bytes.load32(96)
            guard order <= 6 else { throw broken("refcounts of 2^\(order) bits") }
            refcountOrder = Int(order)
            headerLength = Int(bytes.load32(100))
            guard headerLength >= 104, headerLength <= min(clusterSize, bytes.byteCount),
                headerLength & 7 == 0
            else { throw broken("a header of \(headerLength) bytes") }
            try readFeatures(bytes, headerLength, path)
        }
        try readBacking(bytes, headerLength, path)
    }

    /// A table's place: a cluster that is not the header's.
    func isTable(_ offset: UInt64) -> Bool {
        offset != 0 && offset & ~Self.offsetMask == 0 && offset & UInt64(clusterSize - 1) == 0
    }

    private mutating func readFeatures(
        _ bytes: IOBuffer, _ headerLength: Int, _ path: String
    ) throws(XError) {
        let unknown = incompatible & ~Self.knownIncompatible
        if unknown != 0 {
            let names = (0..<64).filter { unknown >> UInt64($0) & 1 != 0 }
                .map { Self.featureNames[$0] ?? "bit \($0)" }.joined(separator: ", ")
            throw XError(
                .unsupported,
                "the qcow2 image '\(path)' needs what is not understood (\(names)): convert it with "
                    + "qemu-img to an image without")
        }
        let type = headerLength > 104 ? bytes[104] : 0
        let isNamed = incompatible & Self.compressionBit != 0
        guard type <= 1, isNamed == (type != 0) else {
            throw XError(
                .unsupported,
                "the qcow2 image '\(path)' has the compression type \(type): 0 (zlib) and 1 (zstd) "
                    + "are understood")
        }
        isZstandard = type == 1
    }

    /// The path of the backing image, and its format from the header's extensions.
    private mutating func readBacking(
        _ bytes: IOBuffer, _ headerLength: Int, _ path: String
    ) throws(XError) {
        let offset = bytes.load64(8)
        let length = bytes.load32(16)
        guard offset != 0, length != 0 else { return }
        guard length <= 1023, offset >= 72, offset <= UInt64(bytes.byteCount) - UInt64(length)
        else {
            throw XError(
                .invalidFormat,
                "the qcow2 image '\(path)' is broken (a backing path of \(length) bytes at \(offset)): "
                    + "take a copy that is whole")
        }
        backingPath = String(decoding: bytes.array(Int(offset), Int(length)), as: UTF8.self)
        var position = headerLength
        while position + 8 <= Int(offset) {
            let kind = bytes.load32(position)
            let size = Int(bytes.load32(position + 4))
            guard kind != 0, size <= bytes.byteCount - position - 8 else { break }
            if kind == Self.backingFormatExtension {
                backingFormat = String(
                    decoding: bytes.array(position + 8, min(size, 64)), as: UTF8.self)
            }
            position += 8 + (size + 7) & ~7
        }
    }

    private static let backingFormatExtension: UInt32 = 0xe279_2aca

    /// The header as the first bytes of a new image: `tableUnit` bytes, or more for a long path.
    func bytes() -> IOBuffer {
        let length = version == 3 ? 112 : 72
        let buffer = IOBuffer(byteCount: clusterSize)
        store(in: buffer)
        buffer.store32(0, Self.magic)
        buffer.store32(4, version)
        buffer.store32(20, UInt32(clusterBits))
        if version == 3 {
            buffer.store32(96, UInt32(refcountOrder))
            buffer.store32(100, UInt32(length))
            buffer[104] = isZstandard ? 1 : 0
        }
        var position = length
        if let backingPath {
            let format = Array((backingFormat ?? "raw").utf8)
            buffer.store32(position, Self.backingFormatExtension)
            buffer.store32(position + 4, UInt32(format.count))
            buffer.fill(format, at: position + 8)
            position += 8 + (format.count + 7) & ~7 + 8
            let path = Array(backingPath.utf8)
            buffer.store64(8, UInt64(position))
            buffer.store32(16, UInt32(path.count))
            buffer.fill(path, at: position)
        }
        return buffer
    }

    /// Bytes that the fixed part, a backing path and its format take.
    static func byteCount(backingPath: String) -> Int { 112 + 8 + 8 + 8 + backingPath.utf8.count }

    /// Puts what changes during the life of an image over the header's bytes.
    func store(in buffer: IOBuffer) {
        buffer.store64(24, virtualSize)
        buffer.store32(36, UInt32(l1Count))
        buffer.store64(40, l1Offset)
        buffer.store64(48, refcountTableOffset)
        buffer.store32(56, UInt32(refcountTableClusters))
        if version == 3 {
            buffer.store64(72, incompatible)
            buffer.store64(80, compatible)
            buffer.store64(88, autoclear)
        }
    }
}
