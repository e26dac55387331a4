/// A tagged part of a snapshot's file.
public struct SnapshotSection: Equatable, Sendable {
    /// Four characters.
    public struct Tag: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public var rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// The first four characters of a text in ASCII.
        public init(_ text: StaticString) {
            rawValue = text.description.utf8.prefix(4).reversed().reduce(0) {
                $0 << 8 | UInt32($1)
            }
        }

        public static let manifest = Tag("mani")
        public static let memoryTable = Tag("mtab")
        public static let memoryData = Tag("mdat")

        public var description: String {
            let bytes = (0..<4).map { UInt8(truncatingIfNeeded: rawValue >> ($0 * 8)) }
            guard bytes.allSatisfy({ (0x20..<0x7f).contains($0) }) else {
                return "0x" + String(rawValue, radix: 16)
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    public var tag: Tag
    /// A reader that does not know it may do without.
    public var isOptional: Bool
    /// Where it begins in the file.
    public var offset: UInt64
    public var byteCount: UInt64
    /// CRC-64, or CRC-32 in a file of version 1.
    public var checksum: UInt64

    /// The first byte after it.
    var end: UInt64 { offset &+ byteCount }
}

/// The first bytes of a snapshot of version 2, written last.
struct SnapshotHeader: Equatable {
    var memoryByteCount: UInt64
    /// Of the whole file.
    var fileByteCount: UInt64
    /// Since 1970; 0: not known.
    var createdNanoseconds: UInt64
    var compression: SnapshotCompression
    var sections: [SnapshotSection]

    private static let directory = 64
    private static let entryByteCount = 32
    private static let checksumOffset = SnapshotFormat.headerByteCount - 8
    static let largestSectionCount = (checksumOffset - directory) / entryByteCount

    func section(_ tag: SnapshotSection.Tag) -> SnapshotSection? {
        sections.first { $0.tag == tag }
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(little: SnapshotFormat.magic)
        bytes.append(little: SnapshotFormat.version)
        bytes.append(little: UInt32(SnapshotFormat.chunkByteCount))
        for value in [memoryByteCount, fileByteCount, createdNanoseconds] {
            bytes.append(little: value)
        }
        bytes.append(little: compression.rawValue)
        bytes.append(little: UInt32(sections.count))
        bytes += [UInt8](repeating: 0, count: Self.directory - bytes.count)
        for section in sections {
            bytes.append(little: section.tag.rawValue)
            bytes.append(little: UInt32(section.isOptional ? 1 : 0))
            for value in [section.offset, section.byteCount, section.checksum] {
                bytes.append(little: value)
            }
        }
        bytes += [UInt8](repeating: 0, count: Self.checksumOffset - bytes.count)
        bytes.append(little: SnapshotFormat.checksum(bytes))
        return bytes
    }

    /// Nil, with what is wrong, if the bytes are no header of this version that a reader can go by.
    static func parse(_ bytes: [UInt8]) -> (SnapshotHeader?, mistake: String) {
        let damaged = "its header is damaged; take another copy"
        guard bytes.count == SnapshotFormat.headerByteCount,
            SnapshotFormat.checksum(Array(bytes[..<checksumOffset]))
                == bytes.little(checksumOffset, UInt64.self),
            bytes.little(12, UInt32.self) == UInt32(SnapshotFormat.chunkByteCount)
        else { return (nil, damaged) }
        guard let compression = SnapshotCompression(rawValue: bytes.little(40, UInt32.self)) else {
            return (
                nil, "it is compressed in a way that this Martlet does not know; use a newer one"
            )
        }
        let count = Int(bytes.little(44, UInt32.self))
        guard count <= largestSectionCount else { return (nil, damaged) }
        var header = SnapshotHeader(
            memoryByteCount: bytes.little(16, UInt64.self),
            fileByteCount: bytes.little(24, UInt64.self),
            createdNanoseconds: bytes.little(32, UInt64.self), compression: compression,
            sections: [])
        for index in 0..<count {
            let place = directory + index * entryByteCount
            header.sections.append(
                SnapshotSection(
                    tag: SnapshotSection.Tag(rawValue: bytes.little(place, UInt32.self)),
                    isOptional: bytes.little(place + 4, UInt32.self) & 1 != 0,
                    offset: bytes.little(place + 8, UInt64.self),
                    byteCount: bytes.little(place + 16, UInt64.self),
                    checksum: bytes.little(place + 24, UInt64.self)))
        }
        if let mistake = header.mistake { return (nil, mistake) }
        return (header, "")
    }

    /// What is wrong with it although its checksum is right: anybody can make one.
    private var mistake: String? {
        let damaged = "its header is damaged; take another copy"
        guard memoryByteCount <= SnapshotFormat.largestMemory, fileByteCount < UInt64(Int64.max)
        else { return damaged }
        var end = UInt64(SnapshotFormat.headerByteCount)
        // One without bytes lies before what begins where it does.
        let ascending = sections.sorted {
            ($0.offset, $0.byteCount) < ($1.offset, $1.byteCount)
        }
        for section in ascending {
            guard section.offset >= end, section.offset <= fileByteCount,
                section.byteCount <= fileByteCount - section.offset
            else { return damaged }
            end = section.end
        }
        let known: [SnapshotSection.Tag] = [.manifest, .memoryTable, .memoryData]
        for tag in known where sections.filter({ $0.tag == tag }).count != 1 {
            return "it has no section '\(tag)', or several; take another copy"
        }
        if let other = sections.first(where: { !$0.isOptional && !known.contains($0.tag) }) {
            return
                "it needs the section '\(other.tag)', which this Martlet does not know; use a newer one"
        }
        guard let manifest = section(.manifest),
            manifest.byteCount <= SnapshotFormat.largestManifest
        else { return damaged }
        return nil
    }
}

/// The first bytes of a snapshot of version 1.
struct SnapshotHeader1: Equatable {
    static let tableEntryByteCount = 16

    var memoryByteCount: UInt64
    var tableOffset: UInt64
    var tableChecksum: UInt32
    var manifestOffset: UInt64
    var manifestByteCount: UInt64
    var manifestChecksum: UInt32

    /// Nil if it is damaged. Its magic and its version are right.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 60,
            SnapshotFormat.checksum1(Array(bytes[..<56])) == bytes.little(56, UInt32.self),
            bytes.little(12, UInt32.self) == UInt32(SnapshotFormat.chunkByteCount)
        else { return nil }
        memoryByteCount = bytes.little(16, UInt64.self)
        tableOffset = bytes.little(24, UInt64.self)
        tableChecksum = bytes.little(48, UInt32.self)
        manifestOffset = bytes.little(32, UInt64.self)
        manifestByteCount = bytes.little(40, UInt64.self)
        manifestChecksum = bytes.little(52, UInt32.self)
        guard memoryByteCount <= SnapshotFormat.largestMemory,
            manifestByteCount <= SnapshotFormat.largestManifest
        else { return nil }
    }

    var tableByteCount: UInt64 {
        UInt64(SnapshotFormat.chunkCount(of: memoryByteCount) * Self.tableEntryByteCount)
    }

    /// The runs of a table; nil if it makes no sense.
    func runs(_ table: [UInt8]) -> [SnapshotRun]? {
        var runs: [SnapshotRun] = []
        for chunk in 0..<SnapshotFormat.chunkCount(of: memoryByteCount) {
            let place = chunk * Self.tableEntryByteCount
            let offset = table.little(place, UInt64.self)
            if offset == 0 { continue }
            let pages = SnapshotFormat.pages(ofChunk: chunk, memoryByteCount: memoryByteCount)
            let byteCount = table.little(place + 8, UInt32.self)
            guard byteCount <= pages.nonzeroBitCount * SnapshotFormat.pageByteCount,
                offset < UInt64(Int64.max) - UInt64(byteCount)
            else { return nil }
            runs.append(
                SnapshotRun(
                    chunk: UInt32(chunk), byteCount: byteCount, offset: offset,
                    checksum: UInt64(table.little(place + 12, UInt32.self)), pages: pages,
                    encoding: .chunk))
        }
        return runs
    }
}
