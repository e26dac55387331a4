internal import CZlib

/// How a snapshot lies in its file: a header, the chunks of memory that hold anything, each compressed by
/// itself so that it can be read by itself, a table of them, and a manifest. All integers are
/// little-endian, and everything has a checksum.
enum SnapshotFormat {
    /// "MARTLETS".
    static let magic: UInt64 = 0x5354_454c_5452_414d
    /// Raised when a file of the old kind cannot be read any more.
    static let version: UInt32 = 1
    /// Bytes of memory in a chunk.
    static let chunkByteCount = 64 << 10
    static let headerByteCount = 4096
    static let tableEntryByteCount = 16
    /// A manifest is no larger.
    static let largestManifest = 256 << 20
    static let largestMemory: UInt64 = 1 << 46

    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
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

    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe checksum($0) }
    }
}

/// The first bytes of a snapshot, written last.
struct SnapshotHeader: Equatable {
    var memoryByteCount: UInt64
    var tableOffset: UInt64
    var tableChecksum: UInt32
    var manifestOffset: UInt64
    var manifestByteCount: UInt64
    var manifestChecksum: UInt32

    /// Chunks of the memory; the last one may be shorter.
    var chunkCount: Int {
        Int(
            (memoryByteCount + UInt64(SnapshotFormat.chunkByteCount) - 1)
                / UInt64(SnapshotFormat.chunkByteCount))
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(little: SnapshotFormat.magic)
        bytes.append(little: SnapshotFormat.version)
        bytes.append(little: UInt32(SnapshotFormat.chunkByteCount))
        for value in [memoryByteCount, tableOffset, manifestOffset, manifestByteCount] {
            bytes.append(little: value)
        }
        bytes.append(little: tableChecksum)
        bytes.append(little: manifestChecksum)
        bytes.append(little: SnapshotFormat.checksum(bytes))
        return bytes + [UInt8](repeating: 0, count: SnapshotFormat.headerByteCount - bytes.count)
    }

    /// Nil, with what is wrong, if the bytes are no header of this version.
    static func parse(_ bytes: [UInt8]) -> (SnapshotHeader?, mistake: String) {
        guard bytes.count >= 60, bytes.little(0, UInt64.self) == SnapshotFormat.magic else {
            return (nil, "it is no snapshot")
        }
        let version = bytes.little(8, UInt32.self)
        guard version == SnapshotFormat.version else {
            return (
                nil, "it is of version \(version), and this Martlet reads \(SnapshotFormat.version)"
            )
        }
        guard SnapshotFormat.checksum(Array(bytes[..<56])) == bytes.little(56, UInt32.self),
            bytes.little(12, UInt32.self) == UInt32(SnapshotFormat.chunkByteCount)
        else { return (nil, "its header is damaged") }
        let header = SnapshotHeader(
            memoryByteCount: bytes.little(16, UInt64.self),
            tableOffset: bytes.little(24, UInt64.self),
            tableChecksum: bytes.little(48, UInt32.self),
            manifestOffset: bytes.little(32, UInt64.self),
            manifestByteCount: bytes.little(40, UInt64.self),
            manifestChecksum: bytes.little(52, UInt32.self))
        guard header.memoryByteCount <= SnapshotFormat.largestMemory,
            header.manifestByteCount <= UInt64(SnapshotFormat.largestManifest)
        else { return (nil, "its header is damaged") }
        return (header, "")
    }
}

extension [UInt8] {
    mutating func append(little value: some FixedWidthInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// An integer that lies in the bytes.
    func little<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
        var value: T = 0
        for index in 0..<(T.bitWidth / 8) {
            value |= T(truncatingIfNeeded: self[offset + index]) << T(index * 8)
        }
        return value
    }
}
