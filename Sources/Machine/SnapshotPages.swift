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

    init(_ reader: SnapshotReader) { self.reader = reader }

    func presentPages(ofChunk chunk: Int) -> UInt64 { UInt64(reader.presentPages(inChunk: chunk)) }

    func read(chunk: Int, into buffer: UnsafeMutableRawBufferPointer) throws(XError) {
        let codec = codecs.withLock { $0.popLast() } ?? Codec()
        defer { codecs.withLock { $0.append(codec) } }
        try unsafe reader.read(chunk: chunk, into: buffer, using: codec.codec)
    }

    func read(chunks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer) throws(XError) {
        let codec = codecs.withLock { $0.popLast() } ?? Codec()
        defer { codecs.withLock { $0.append(codec) } }
        try unsafe reader.read(chunks: chunks, into: buffer, using: codec.codec)
    }
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
