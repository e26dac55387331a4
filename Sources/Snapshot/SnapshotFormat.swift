internal import CLZMA
internal import CZlib

/// How a snapshot lies in its file. All integers are little-endian, and everything has a checksum.
///
/// Version 2, which is written:
///
/// ```
/// 0      header, 4096 bytes, written last
/// 4096   'mdat' the memory's runs, each the pages that are not all zeros of 64 KiB of memory
///        'mtab' a table of the runs
///        'mani' the manifest: what else belongs to the machine
/// ```
///
/// The header: magic `MARTLETS`, version (4 bytes), bytes of memory in a run (4), bytes of memory (8), bytes
/// of the file (8), when it was made in nanoseconds since 1970 (8), compression (4: 0 none, 1 zstd), count of
/// sections (4); from byte 64 on the sections: tag (4), flags (4), offset (8), byte count (8), checksum (8).
/// Its last eight bytes are the checksum of the others. A section whose tag is not known is skipped if bit 0 of
/// its flags says that it may be, and otherwise the file is refused. Sections lie where they like behind the
/// header, apart from each other; what is between them is zeros.
///
/// The table has 32 bytes for each run, ascending: chunk (4), its place in memory divided by 64 KiB; byte
/// count (4), offset (8), checksum (8) of the run as it is stored; pages (2), bit n set if page n of the
/// chunk is there, and pages of which no run speaks are zeros; encoding (2: 0 the pages themselves one behind
/// the other, from a multiple of 4096 on so that they can be mapped, 1 the same compressed by zstd); zeros (4).
/// A run that does not become smaller is not compressed. The end of a page that memory does not fill is zeros.
///
/// The checksum is CRC-64 as of `lzma_crc64`. That of `mdat` is of the checksums of its runs in turn, so that a
/// file can be opened without reading its memory.
///
/// Version 1, which is still read, has a header of its own (`SnapshotHeader1`), whole chunks that are
/// compressed where that makes them smaller, 16 bytes of the table for every chunk of memory, and CRC-32.
enum SnapshotFormat {
    /// "MARTLETS".
    static let magic: UInt64 = 0x5354_454c_5452_414d
    /// Raised when an old Martlet would misread a new file.
    static let version: UInt32 = 2
    static let pageByteCount = 4096
    static let pagesOfChunk = 16
    /// Bytes of memory in a chunk.
    static let chunkByteCount = pagesOfChunk * pageByteCount
    static let headerByteCount = 4096
    /// A manifest is no larger.
    static let largestManifest: UInt64 = 256 << 20
    /// Memory is no larger: a stranger's header makes the table of so much be read.
    static let largestMemory: UInt64 = 1 << 40

    /// CRC-64, here 2 to 5 times as fast as zlib's CRC-32 because liblzma multiplies without carries.
    ///
    /// - Parameter sum: of the bytes before, so that a sum can be made in pieces.
    static func checksum(_ bytes: UnsafeRawBufferPointer, after sum: UInt64 = 0) -> UInt64 {
        guard let base = bytes.baseAddress else { return sum }
        return unsafe lzma_crc64(base.assumingMemoryBound(to: UInt8.self), bytes.count, sum)
    }

    static func checksum(_ bytes: [UInt8]) -> UInt64 {
        unsafe bytes.withUnsafeBytes { unsafe checksum($0) }
    }

    /// CRC-32, of version 1.
    static func checksum1(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var sum = crc32(0, nil, 0)
        var rest = unsafe bytes[...]
        while unsafe !rest.isEmpty {
            let part = unsafe UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
            sum = unsafe crc32(
                sum, part.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt32(part.count))
            unsafe rest = rest.dropFirst(part.count)
        }
        return UInt32(truncatingIfNeeded: sum)
    }

    static func checksum1(_ bytes: [UInt8]) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe checksum1($0) }
    }

    /// Chunks of so much memory; the last one may be shorter.
    static func chunkCount(of memoryByteCount: UInt64) -> Int {
        Int(clamping: (memoryByteCount &+ UInt64(chunkByteCount) &- 1) / UInt64(chunkByteCount))
    }

    /// The pages of a chunk that memory has, as bits.
    static func pages(ofChunk chunk: Int, memoryByteCount: UInt64) -> UInt16 {
        let start = UInt64(chunk) &* UInt64(chunkByteCount)
        guard start < memoryByteCount else { return 0 }
        let count = (memoryByteCount - start + 4095) / 4096
        return count >= 16 ? .max : (UInt16(1) << UInt16(count)) &- 1
    }

    static func roundedToPage(_ offset: UInt64) -> UInt64 { (offset &+ 4095) & ~4095 }
}

/// How a snapshot's memory is stored.
public enum SnapshotCompression: UInt32, Sendable, CaseIterable {
    /// As it is: fast to write, and pages can be mapped.
    case none = 0
    /// Compressed by zstd, run by run.
    case zstd = 1

    /// For a person.
    public var name: String {
        switch self {
        case .none: "none"
        case .zstd: "zstd"
        }
    }
}

/// Memory of one chunk as it is stored.
struct SnapshotRun: Equatable {
    enum Encoding: UInt16 {
        /// The pages that are there, one behind the other.
        case pages = 0
        /// The same, compressed.
        case zstd = 1
        /// Of version 1: the whole chunk, compressed if it is shorter than that.
        case chunk = 0xffff
    }

    var chunk: UInt32
    var byteCount: UInt32
    var offset: UInt64
    /// CRC-32 in version 1.
    var checksum: UInt64
    /// Bit n: page n of the chunk is there.
    var pages: UInt16
    var encoding: Encoding

    static let byteCountInTable = 32

    /// Bytes of the pages that are there.
    var expandedByteCount: Int { pages.nonzeroBitCount * SnapshotFormat.pageByteCount }

    func append(to table: inout [UInt8]) {
        table.append(little: chunk)
        table.append(little: byteCount)
        table.append(little: offset)
        table.append(little: checksum)
        table.append(little: pages)
        table.append(little: encoding.rawValue)
        table.append(little: UInt32(0))
    }
}

extension [UInt8] {
    mutating func append(little value: some FixedWidthInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// An integer that lies in the bytes; 0 behind their end.
    func little<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
        guard offset >= 0, offset <= count - T.bitWidth / 8 else { return 0 }
        // SAFETY: it lies in the array.
        return unsafe withUnsafeBytes { bytes in
            T(littleEndian: unsafe bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
        }
    }
}
