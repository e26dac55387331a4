internal import CEngine
internal import Glibc

/// A translation as it was emitted, apart from the machine that it was emitted in: bytes as they lie in a
/// file. Links are not patched, and places that have to be filled in hold zeros.
///
/// All integers are little-endian.
///
///     0   bytes in all, a multiple of 16              4
///     4   zeros                                       4
///     8   checksum of what follows                    8
///     16  features of the guest's processor           8
///     24  block mode                                  4
///     28  offset of the first block in its page       2
///     30  properties: 1 upper half, 2 probe groups    1
///     31  blocks                                      1
///     32  bytes of code                               2
///     34  relocations                                 2
///     36  links                                       2
///     38  entries: for the run loop, polled, unpolled 2 each
///     44  bytes of guest code                         2
///     46  zeros                                       2
///     48  blocks, relocations, links, guest code, host code, and zeros to the end
///
/// A block: offsets of its start and end in the page, 2 bytes each, and its instructions, 2 bytes. A
/// relocation: its place, 2 bytes, the block's number or 255 for a routine, and the number of the
/// instruction or routine. A link: its place, 2 bytes, and the offset it leads to in the page, 2 bytes, in
/// whose highest bit is whether the target looks for events. Guest code: that of each block, but no byte
/// twice for one that comes again.
struct StoredTranslation: Sendable {
    /// What a translation depends on beside the bytes of guest code.
    struct Key: Equatable, Sendable {
        var features: UInt64
        var mode: UInt32
        /// Of its first block in the page.
        var pageOffset: UInt16
        var isUpper: Bool
        var usesGroups: Bool
    }

    struct Block: Equatable, Sendable {
        /// Offsets in the page.
        var start: Int
        var end: Int
        var instructionCount: Int
    }

    static let headerByteCount = 48
    static let checkedFrom = 16
    private static let blockByteCount = 6
    private static let relocationByteCount = 4
    private static let linkByteCount = 4
    private static let routineMark: UInt8 = 255
    /// Longer ones are not kept; most have less than one thousand.
    static let mostBytes = 16 << 10

    let bytes: [UInt8]
    let key: Key
    let blocks: [Block]
    let entries: BlockTranslation.Entries
    private let relocationStart: Int
    private let linkStart: Int
    private let guestStart: Int
    private let codeStart: Int
    let codeByteCount: Int

    /// Looks whether the bytes are a translation and as they were written. Nil: they are not, whatever they
    /// are.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= Self.headerByteCount, bytes.count <= Self.mostBytes,
            bytes.count & 15 == 0
        else { return nil }
        let reader = LittleEndianReader(bytes)
        guard reader.integer(0, as: UInt32.self) == UInt32(bytes.count),
            reader.integer(4, as: UInt32.self) == 0,
            reader.integer(8, as: UInt64.self)
                == ContentHash.of(bytes[Self.checkedFrom...])
        else { return nil }
        let properties = bytes[30]
        key = Key(
            features: reader.integer(16, as: UInt64.self),
            mode: reader.integer(24, as: UInt32.self),
            pageOffset: reader.integer(28, as: UInt16.self), isUpper: properties & 1 != 0,
            usesGroups: properties & 2 != 0)
        let blockCount = Int(bytes[31])
        codeByteCount = reader.count(32)
        relocationStart = Self.headerByteCount + blockCount * Self.blockByteCount
        linkStart = relocationStart + reader.count(34) * Self.relocationByteCount
        guestStart = linkStart + reader.count(36) * Self.linkByteCount
        codeStart = guestStart + reader.count(44)
        guard codeStart + codeByteCount <= bytes.count else { return nil }
        entries = BlockTranslation.Entries(
            handler: reader.count(38), polled: reader.count(40), unpolled: reader.count(42))
        blocks = (0..<blockCount).map { number in
            let start = Self.headerByteCount + number * Self.blockByteCount
            return Block(
                start: reader.count(start), end: reader.count(start + 2),
                instructionCount: reader.count(start + 4))
        }
        self.bytes = bytes
        guard isSound else { return nil }
    }

    /// Everything that is relied on when it is used. A file of ours with the right checksums is sound.
    private var isSound: Bool {
        guard let first = blocks.first, first.start == Int(key.pageOffset),
            entries.handler < codeByteCount, Self.isReplaceable(entries.polled, 5),
            entries.unpolled > entries.polled, Self.isReplaceable(entries.unpolled, 5),
            entries.unpolled + 5 <= codeByteCount
        else { return false }
        var guestByteCount = 0
        for (number, block) in blocks.enumerated() {
            guard block.start < block.end, block.end <= 4096, block.instructionCount > 0,
                block.instructionCount <= CodeArena.longestBlock
            else { return false }
            if let earlier = Self.firstTime(number, in: blocks) {
                if earlier != block { return false }
            } else {
                guestByteCount += block.end - block.start
            }
        }
        if guestByteCount != codeStart - guestStart { return false }
        for number in 0..<linkCount {
            let link = link(number)
            guard Self.isReplaceable(link.patch, 4), link.patch + 4 <= codeByteCount,
                link.target < 4096
            else { return false }
        }
        for number in 0..<relocationCount {
            let relocation = relocation(number)
            switch relocation.target {
            case .instruction(let index, let block):
                guard block < blocks.count, index <= blocks[block].instructionCount + 1,
                    relocation.place + 8 <= codeByteCount
                else { return false }
            case .routine: if relocation.place + 4 > codeByteCount { return false }
            }
        }
        return true
    }

    /// See `CodeMemory.replace`.
    private static func isReplaceable(_ place: Int, _ count: Int) -> Bool {
        place & 7 + count <= 8
    }

    /// The block that block `number` is once more; nil: it is there for the first time.
    private static func firstTime(_ number: Int, in blocks: [Block]) -> Block? {
        for block in blocks[..<number] where block.start == blocks[number].start { return block }
        return nil
    }

    var relocationCount: Int { (linkStart - relocationStart) / Self.relocationByteCount }

    /// With its place from the start of the code, and a routine by its number.
    func relocation(_ number: Int) -> Relocation {
        let start = relocationStart + number * Self.relocationByteCount
        let (block, index) = (bytes[start + 2], Int(bytes[start + 3]))
        return Relocation(
            place: LittleEndianReader(bytes).count(start),
            target: block == Self.routineMark
                ? .routine(index) : .instruction(index, block: Int(block)))
    }

    var linkCount: Int { (guestStart - linkStart) / Self.linkByteCount }

    /// With its place from the start of the code.
    func link(_ number: Int) -> BlockTranslation.Link {
        let reader = LittleEndianReader(bytes)
        let start = linkStart + number * Self.linkByteCount
        let target = reader.count(start + 2)
        return BlockTranslation.Link(
            patch: reader.count(start), target: target & 0x7fff, isPolled: target & 0x8000 != 0)
    }

    /// The guest's page has the bytes that the translation was made of.
    func wasMade(of page: UnsafeRawBufferPointer) -> Bool {
        guard page.count == 4096 else { return false }
        return unsafe bytes.withUnsafeBytes { own in
            var position = guestStart
            for (number, block) in blocks.enumerated()
            where Self.firstTime(number, in: blocks) == nil {
                // SAFETY: both ranges were looked at in `isSound`.
                guard
                    unsafe memcmp(
                        own.baseAddress.unsafelyUnwrapped + position,
                        page.baseAddress.unsafelyUnwrapped + block.start, block.end - block.start)
                        == 0
                else { return false }
                position += block.end - block.start
            }
            return true
        }
    }

    /// Copies the code.
    func copyCode(to target: UnsafeMutablePointer<UInt8>) {
        unsafe bytes.withUnsafeBufferPointer {
            // SAFETY: the range was looked at in `init`; the caller has room for `codeByteCount`.
            unsafe target.update(
                from: $0.baseAddress.unsafelyUnwrapped + codeStart, count: codeByteCount)
        }
    }
}

// MARK: Writing

extension StoredTranslation {
    /// - Parameters:
    ///   - code: as it was emitted; relocations, links and entries are at places from its start.
    ///   - routines: `SharedRoutines.all`.
    ///   - page: what the translation was made of.
    /// Nil: it is too long, or has something that cannot be said.
    init?(
        _ key: Key, blocks: [Block], entries: BlockTranslation.Entries,
        links: [BlockTranslation.Link], relocations: [Relocation], routines: [Int],
        code: UnsafeBufferPointer<UInt8>, page: UnsafeRawBufferPointer
    ) {
        let distinct = blocks.indices.filter { Self.firstTime($0, in: blocks) == nil }
            .map { blocks[$0] }
        let guestByteCount = distinct.reduce(0) { $0 + $1.end - $1.start }
        let byteCount =
            (Self.headerByteCount + blocks.count * Self.blockByteCount
                + relocations.count * Self.relocationByteCount
                + links.count * Self.linkByteCount + guestByteCount + code.count + 15) & ~15
        guard byteCount <= Self.mostBytes, page.count == 4096 else { return nil }
        var writer = LittleEndianWriter(byteCount)
        writer.append(UInt32(byteCount))
        writer.append(0 as UInt32)
        writer.append(0 as UInt64)
        writer.append(key.features)
        writer.append(key.mode)
        writer.append(key.pageOffset)
        writer.append((key.isUpper ? 1 : 0) | (key.usesGroups ? 2 : 0) as UInt8)
        writer.append(UInt8(truncatingIfNeeded: blocks.count))
        writer.append(count: code.count)
        writer.append(count: relocations.count)
        writer.append(count: links.count)
        writer.append(count: entries.handler)
        writer.append(count: entries.polled)
        writer.append(count: entries.unpolled)
        writer.append(count: guestByteCount)
        writer.append(count: 0)
        for block in blocks {
            writer.append(count: block.start)
            writer.append(count: block.end)
            writer.append(count: block.instructionCount)
        }
        for relocation in relocations {
            writer.append(count: relocation.place)
            switch relocation.target {
            case .instruction(let index, let block):
                writer.append(UInt8(truncatingIfNeeded: block))
                writer.append(UInt8(truncatingIfNeeded: index))
            case .routine(let offset):
                guard let number = routines.firstIndex(of: offset) else { return nil }
                writer.append(Self.routineMark)
                writer.append(UInt8(truncatingIfNeeded: number))
            }
        }
        for link in links {
            writer.append(count: link.patch)
            writer.append(count: link.target | (link.isPolled ? 0x8000 : 0))
        }
        for block in distinct {
            guard block.start >= 0, block.start < block.end, block.end <= 4096 else { return nil }
            unsafe writer.append(UnsafeRawBufferPointer(rebasing: page[block.start..<block.end]))
        }
        let codeStart = writer.position
        unsafe writer.append(UnsafeRawBufferPointer(code))
        for relocation in relocations {
            let isRoutine = if case .routine = relocation.target { true } else { false }
            guard relocation.place + (isRoutine ? 4 : 8) <= code.count else { return nil }
            writer.clear(codeStart + relocation.place, isRoutine ? 4 : 8)
        }
        writer.put(ContentHash.of(writer.bytes[Self.checkedFrom...]), at: 8)
        self.init(writer.bytes)
    }
}
