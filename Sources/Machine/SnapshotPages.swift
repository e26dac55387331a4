internal import GuestMemory
internal import HostIO
internal import Paging
internal import Snapshot
internal import Vocabulary

/// The memory of a snapshot, as a pager reads it.
///
/// Any thread.
final class SnapshotPages: PageSource {
    let pagesPerChunk = 16
    private let reader: SnapshotReader
    /// One thread has it at a time.
    private struct Codec: @unchecked Sendable { let codec = ChunkCodec() }
    /// Those that nobody has just now: there is one for each read that goes on.
    private let codecs = RankedLock([Codec](), owner: "snapshot-codecs", rank: .leaf)

    /// Which chunk was read last, and its bytes if it was read twice in a row: who writes another snapshot
    /// wants its pages one by one.
    private struct Last {
        var chunk: Int?
        var bytes: [UInt8]?
    }
    private let last = RankedLock(Last(), owner: "snapshot-chunk", rank: .leaf)

    init(_ reader: SnapshotReader) { self.reader = reader }

    func presentPages(ofChunk chunk: Int) -> UInt64 { UInt64(reader.presentPages(inChunk: chunk)) }

    func read(chunk: Int, into buffer: UnsafeMutableRawBufferPointer) throws(XError) {
        let (isAgain, kept) = last.withLock { last in
            if last.chunk == chunk { return (true, last.bytes) }
            last = Last(chunk: chunk)
            return (false, nil)
        }
        if let kept, kept.count == buffer.count { return unsafe buffer.copyBytes(from: kept) }
        let codec = codecs.withLock { $0.popLast() } ?? Codec()
        defer { codecs.withLock { $0.append(codec) } }
        try unsafe reader.read(chunk: chunk, into: buffer, using: codec.codec)
        guard isAgain else { return }
        let bytes = unsafe [UInt8](buffer)
        last.withLock { if $0.chunk == chunk { $0.bytes = bytes } }
    }

    func read(chunks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer) throws(XError) {
        let codec = codecs.withLock { $0.popLast() } ?? Codec()
        defer { codecs.withLock { $0.append(codec) } }
        try unsafe reader.read(chunks: chunks, into: buffer, using: codec.codec)
    }

    func stop() { reader.stop() }
}

/// Pages of a machine's memory that are not in its memory file, for a snapshot of it.
struct PagedOutPages: AbsentPages {
    let memory: GuestMemory
    let pager: Pager

    func isAbsent(page: UInt64) -> Bool {
        memory.page(atFileOffset: page << 12).map { pager.isKeptElsewhere(page: $0) } ?? false
    }

    func read(page: UInt64, into bytes: UnsafeMutableRawBufferPointer) throws(XError) {
        guard let page = memory.page(atFileOffset: page << 12) else { return }
        try unsafe pager.copy(page: page, into: bytes)
    }
}

/// A machine's memory, for a snapshot of it.
struct SnapshotContents: MemoryContents {
    private let memory: GuestMemory
    private let extents: MemoryExtents

    init(_ memory: GuestMemory) {
        self.memory = memory
        extents = MemoryExtents(memory)
    }

    var byteCount: UInt64 { memory.byteCount }

    func nextData(from place: UInt64) -> Range<UInt64>? { extents.next(from: place) }

    func copy(fromFile place: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
        unsafe memory.copy(fromFile: place, into: buffer)
    }
}
