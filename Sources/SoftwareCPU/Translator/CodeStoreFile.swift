internal import CHost
internal import HostIO
internal import X86

/// A file of translations. All integers are little-endian.
///
///     0   "MARTCODE"                                                          8
///     8   version of the format                                               4
///     12  entries                                                             4
///     16  which build of this program wrote it (`chost_build_identity`)      32
///     48  what the host's processor has of instruction sets                   8
///     56  offset of the index                                                 8
///     64  checksum of the index                                               8
///     72  checksum of the bytes before                                        8
///     80  entries (`StoredTranslation`), one after the other
///     ..  the index to the end: for each entry what it is looked up by, 4 bytes, and its offset
///         divided by 16, 4 bytes
///
/// Nothing of it is mapped: a file that somebody truncates would end the process by a signal.
enum CodeFileFormat {
    static let magic = Array("MARTCODE".utf8)
    static let version: UInt32 = 1
    static let headerByteCount = 80
    static let indexEntryByteCount = 8
    /// Offsets are kept in 28 bits, divided by 16.
    static let mostBytes = 128 << 20

    /// Of whose files this process reads: code of another build calls other addresses with other layouts.
    static let identity: [UInt8] = {
        var build = [UInt8](repeating: 0, count: Int(CHOST_BUILD_IDENTITY_SIZE))
        unsafe build.withUnsafeMutableBufferPointer {
            unsafe chost_build_identity($0.baseAddress.unsafelyUnwrapped)
        }
        let features = HostProcessor.features.rawValue
        return build + (0..<8).map { UInt8(truncatingIfNeeded: features >> UInt64($0 * 8)) }
    }()

    static func header(
        count: Int, indexOffset: Int, index: [UInt8], identity: [UInt8] = identity
    ) -> [UInt8] {
        var writer = LittleEndianWriter(headerByteCount)
        unsafe magic.withUnsafeBytes { unsafe writer.append($0) }
        writer.append(version)
        writer.append(UInt32(truncatingIfNeeded: count))
        unsafe identity.withUnsafeBytes { unsafe writer.append($0) }
        writer.append(UInt64(truncatingIfNeeded: indexOffset))
        writer.append(ContentHash.of(index[...]))
        writer.append(ContentHash.of(writer.bytes[..<72]))
        return writer.bytes
    }

    /// How an entry of the index stands in it.
    static func indexEntry(tag: UInt32, offset: Int) -> UInt64 {
        UInt64(tag) | UInt64(truncatingIfNeeded: offset / 16) << 32
    }

    static func indexBytes(_ index: [UInt64]) -> [UInt8] {
        var writer = LittleEndianWriter(index.count * indexEntryByteCount)
        for entry in index { writer.append(entry) }
        return writer.bytes
    }
}

/// A file of translations that is read from. It may change or shrink at any time: what is read is looked
/// at each time. Any thread.
final class CodeStoreFile: Sendable {
    let name: String
    let byteCount: Int
    private let descriptor: HostIO.Descriptor
    /// Where the entries end.
    private let indexOffset: Int
    /// As in the file.
    let index: [UInt64]

    /// Nil: it is not a whole file of this build.
    init?(_ file: consuming HostIO.Descriptor, name: String) {
        self.name = name
        descriptor = file
        byteCount = fileByteCount(descriptor.rawValue)
        let header = Self.read(descriptor.rawValue, at: 0, CodeFileFormat.headerByteCount)
        let reader = LittleEndianReader(header)
        let count = Int(reader.integer(12, as: UInt32.self))
        indexOffset = Int(truncatingIfNeeded: reader.integer(56, as: UInt64.self))
        guard header.count == CodeFileFormat.headerByteCount,
            header.starts(with: CodeFileFormat.magic),
            reader.integer(8, as: UInt32.self) == CodeFileFormat.version,
            Array(header[16..<56]) == CodeFileFormat.identity,
            reader.integer(72, as: UInt64.self) == ContentHash.of(header[..<72]),
            indexOffset >= CodeFileFormat.headerByteCount,
            indexOffset <= CodeFileFormat.mostBytes, count <= CodeStoreIndex.mostEntries,
            byteCount == indexOffset + count * CodeFileFormat.indexEntryByteCount
        else { return nil }
        let bytes = Self.read(descriptor.rawValue, at: indexOffset, byteCount - indexOffset)
        guard bytes.count == byteCount - indexOffset,
            reader.integer(64, as: UInt64.self) == ContentHash.of(bytes[...])
        else { return nil }
        let entries = LittleEndianReader(bytes)
        index = (0..<count).map {
            entries.integer($0 * CodeFileFormat.indexEntryByteCount, as: UInt64.self)
        }
    }

    private static func read(_ descriptor: CInt, at offset: Int, _ count: Int) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = unsafe readSome(
                descriptor, at: offset, into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    /// Most entries are shorter.
    private static let firstByteCount = 2048

    /// The bytes of the entry at `offset`, whatever is there now.
    func entry(at offset: Int) -> [UInt8] {
        guard offset >= CodeFileFormat.headerByteCount, offset < indexOffset else { return [] }
        let number = descriptor.rawValue
        var bytes = Self.read(number, at: offset, min(Self.firstByteCount, indexOffset - offset))
        let count = Int(LittleEndianReader(bytes).integer(0, as: UInt32.self))
        guard count <= StoredTranslation.mostBytes, count <= indexOffset - offset else { return [] }
        if count > bytes.count {
            bytes += Self.read(number, at: offset + bytes.count, count - bytes.count)
        }
        if count < bytes.count { bytes.removeLast(bytes.count - count) }
        return bytes
    }

    /// Asks the host to have the first bytes in memory soon.
    func prefetch(_ count: Int) { if count > 0 { chost_read_ahead(descriptor.rawValue, count) } }

    /// It was used just now.
    func touch() { chost_touch(descriptor.rawValue) }
}

/// Where the entries of all files are, by what they are looked up by: eight bytes for each, and as many
/// again that are empty. Never changes once it is filled.
struct CodeStoreIndex: Sendable {
    /// What is looked up by in the upper half, then four bits for the file and 28 for the offset divided
    /// by 16. 0: nothing.
    private var slots: [UInt64] = []
    private(set) var count = 0

    static let mostFiles = 16
    /// Those of the files used first.
    static let mostEntries = 128 << 10

    init() {}

    init(_ files: [CodeStoreFile]) {
        let wanted = min(files.reduce(0) { $0 + $1.index.count }, Self.mostEntries)
        if wanted == 0 { return }
        var room = 64
        while room * 2 < wanted * 3 { room *= 2 }
        slots = [UInt64](repeating: 0, count: room)
        for (number, file) in files.prefix(Self.mostFiles).enumerated() {
            for entry in file.index {
                let place = entry >> 32
                if count == wanted || place >> 28 != 0 { continue }
                insert(UInt32(truncatingIfNeeded: entry), UInt64(number) << 28 | place)
            }
        }
    }

    private mutating func insert(_ tag: UInt32, _ location: UInt64) {
        var place = Int(tag) & (slots.count - 1)
        while slots[place] != 0 { place = (place + 1) & (slots.count - 1) }
        slots[place] = UInt64(tag) << 32 | location
        count += 1
    }

    var isEmpty: Bool { count == 0 }
    var byteCount: Int { slots.count * MemoryLayout<UInt64>.stride }

    /// There may be entries for `tag`.
    func contains(_ tag: UInt32) -> Bool { next(tag, from: nil) != nil }

    /// The place of the first entry for `tag`, or of the next one behind `place`.
    func next(_ tag: UInt32, from place: Int?) -> Int? {
        if slots.isEmpty { return nil }
        let mask = slots.count &- 1
        var place = place.map { ($0 &+ 1) & mask } ?? Int(tag) & mask
        while slots[place] != 0 {
            if UInt32(truncatingIfNeeded: slots[place] &>> 32) == tag { return place }
            place = (place &+ 1) & mask
        }
        return nil
    }

    /// The number of a file, and an offset in it.
    func location(at place: Int) -> (file: Int, offset: Int) {
        let location = UInt32(truncatingIfNeeded: slots[place])
        return (Int(location &>> 28), Int(location & 0xfff_ffff) &* 16)
    }
}
