internal import CHost
internal import HostIO
internal import Vocabulary

/// Puts runs into a snapshot's file, in large pieces.
///
/// Owner: the writer, on one thread.
@safe final class RunOutput {
    /// Bytes that are read or written at a time.
    static let pieceByteCount = 1 << 20
    /// After so many bytes the host is asked to begin with writing them to its disk.
    private static let flushByteCount: UInt64 = 16 << 20

    private let file: CInt
    private let failure: (HostErrno) -> XError
    private let codec: ChunkCodec?
    /// Runs that are not in the file yet, and behind them room for a piece. Owner: this object.
    private let buffer = UnsafeMutableRawBufferPointer.allocate(
        byteCount: 3 * pieceByteCount, alignment: SnapshotFormat.pageByteCount)
    /// A piece of memory that is to be compressed. Owner: this object.
    private let piece: UnsafeMutableRawBufferPointer?
    /// Bytes of `buffer` that are filled.
    private var filled = 0
    /// Where `buffer` begins in the file.
    private var offset: UInt64
    private var flushed: UInt64
    private(set) var runs: [SnapshotRun] = []

    init(
        _ file: CInt, at offset: UInt64, _ compression: SnapshotCompression,
        failure: @escaping (HostErrno) -> XError
    ) {
        self.file = file
        self.offset = offset
        self.failure = failure
        flushed = offset
        codec = compression == .zstd ? ChunkCodec() : nil
        unsafe piece =
            compression == .none
            ? nil
            : .allocate(
                byteCount: Self.pieceByteCount, alignment: SnapshotFormat.pageByteCount)
    }

    deinit {
        unsafe buffer.deallocate()
        unsafe piece?.deallocate()
    }

    /// The first byte after what was given, once `flush` was called.
    var end: UInt64 { offset }

    /// Takes all that is not zeros.
    func take(_ memory: inout some SnapshotMemory) throws(XError) {
        var chunk = 0
        let count = Self.pieceByteCount / SnapshotFormat.chunkByteCount
        while let chunks = memory.next(from: chunk, atMost: count) {
            let byteCount = chunks.count * SnapshotFormat.chunkByteCount
            // Without compression it is read to where it is written from.
            let start = unsafe piece == nil ? filled : 0
            let room = unsafe UnsafeMutableRawBufferPointer(
                rebasing: (piece ?? buffer)[start..<start + byteCount])
            try unsafe memory.read(chunks, into: room)
            for (index, chunk) in chunks.enumerated() {
                let place = index * SnapshotFormat.chunkByteCount
                try unsafe take(
                    chunk,
                    UnsafeMutableRawBufferPointer(
                        rebasing: room[place..<place + SnapshotFormat.chunkByteCount]))
            }
            chunk = chunks.upperBound
            if filled >= Self.pieceByteCount { try flush() }
        }
        try flush()
    }

    private func take(_ chunk: Int, _ bytes: UnsafeMutableRawBufferPointer) throws(XError) {
        let pages = unsafe bytes.gather()
        guard pages != 0 else { return }
        var run = SnapshotRun(
            chunk: UInt32(chunk), byteCount: 0, offset: 0, checksum: 0, pages: pages,
            encoding: .pages)
        let plain = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<run.expandedByteCount])
        if let codec,
            let count = unsafe codec.compress(
                plain, into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
        {
            run.encoding = .zstd
            run.byteCount = UInt32(count)
        } else {
            if codec != nil { align() }
            run.byteCount = UInt32(plain.count)
            let place = unsafe buffer.baseAddress.map { unsafe UnsafeRawPointer($0 + filled) }
            if unsafe place != plain.baseAddress {
                // SAFETY: there is room for a piece; what has to move moves down, to behind what was filled.
                unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]).copyMemory(
                    from: plain)
            }
        }
        run.offset = offset + UInt64(filled)
        run.checksum = unsafe SnapshotFormat.checksum(
            UnsafeRawBufferPointer(
                rebasing: buffer[filled..<filled + Int(run.byteCount)]))
        filled += Int(run.byteCount)
        runs.append(run)
    }

    /// Zeros up to the next page of the file.
    private func align() {
        let next = Int(SnapshotFormat.roundedToPage(offset + UInt64(filled)) - offset)
        unsafe buffer.zero(filled..<next)
        filled = next
    }

    private func flush() throws(XError) {
        try unsafe writeWhole(
            file, UnsafeRawBufferPointer(rebasing: buffer[..<filled]), at: offset, failure)
        offset += UInt64(filled)
        filled = 0
        if offset - flushed >= Self.flushByteCount {
            chost_start_writing(file, Int64(flushed), Int64(offset - flushed))
            flushed = offset
        }
    }
}

extension UnsafeMutableRawBufferPointer {
    /// The pages of a chunk that are not zeros go to its begin, one behind the other. Returns which they are.
    func gather() -> UInt16 {
        let size = SnapshotFormat.pageByteCount
        var (pages, count) = (UInt16(0), 0)
        for page in 0..<SnapshotFormat.pagesOfChunk {
            let place = page * size
            if unsafe UnsafeRawBufferPointer(rebasing: self[place..<place + size]).isZero {
                continue
            }
            if count != page, let base = baseAddress {
                // SAFETY: both lie in the chunk.
                unsafe (base + count * size).copyMemory(from: base + place, byteCount: size)
            }
            pages |= 1 << UInt16(page)
            count += 1
        }
        return pages
    }
}
