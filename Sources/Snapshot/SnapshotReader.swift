public import Vocabulary

/// Reads a snapshot, which may come from anybody: all of it is checked.
///
/// Any thread, several at once; `ChunkCodec` has what each needs for itself.
public final class SnapshotReader: Sendable {
    /// What the snapshot is called.
    public let path: String
    /// Of the file's format.
    public let version: UInt32
    /// Bytes of the machine's memory.
    public let memoryByteCount: UInt64
    /// What else belongs to the machine.
    public let manifest: [UInt8]
    /// When it was made, in nanoseconds since 1970; nil: not known, as in version 1.
    public let createdNanoseconds: UInt64?
    public let compression: SnapshotCompression
    /// What it consists of, in the order of the directory.
    public let sections: [SnapshotSection]
    let source: any SnapshotBytes
    /// Ascending by chunk: what memory does not have costs nothing.
    let runs: [SnapshotRun]

    /// - Parameter path: of a file, or the address of one on a server (`RemoteSnapshot.isAddress`).
    /// - Throws: `XError`: it cannot be read, is no snapshot, is of another version, or damaged.
    public convenience init(path: String) throws(XError) {
        if RemoteSnapshot.isAddress(path) {
            try self.init(RemoteSnapshot(path))
        } else {
            try self.init(SnapshotFile(path: path))
        }
    }

    /// Reads what is not memory. Memory is read when it is asked for.
    ///
    /// - Throws: `XError`: it cannot be read, is no snapshot, is of another version, or damaged.
    public init(_ source: any SnapshotBytes) throws(XError) {
        let opening = SnapshotOpening(source: source)
        let content = try opening.content()
        self.source = source
        path = source.name
        version = content.version
        memoryByteCount = content.memoryByteCount
        manifest = content.manifest
        createdNanoseconds = content.createdNanoseconds
        compression = content.compression
        sections = content.sections
        runs = content.runs
    }

    /// Nobody wants anything any more: who waits for bytes from far away waits no longer, and gets an error.
    /// Any thread.
    public func stop() { source.stop() }

    /// Chunks of 64 KiB of the memory; the last one may be shorter.
    public var chunkCount: Int { SnapshotFormat.chunkCount(of: memoryByteCount) }

    /// Bytes of memory as the file has them.
    public var storedByteCount: UInt64 { runs.reduce(0) { $0 + UInt64($1.byteCount) } }

    /// Pages that are in the file; all others are zeros. In version 1 those of a chunk are there together.
    public var presentPageCount: Int { runs.reduce(0) { $0 + $1.pages.nonzeroBitCount } }

    /// Whether every page lies in the file as it is, at a multiple of 4096: see `place(ofPage:)`.
    public var isMappable: Bool { runs.allSatisfy { $0.encoding == .pages } }

    /// The chunk with a page of memory, given by its place in the memory file divided by 4096.
    public func chunkIndex(ofPage page: UInt64) -> Int {
        Int(clamping: page / UInt64(SnapshotFormat.pagesOfChunk))
    }

    /// Bit n: page n of the chunk is in the file. The others are zeros.
    public func presentPages(inChunk chunk: Int) -> UInt16 { run(ofChunk: chunk)?.pages ?? 0 }

    /// Gives every chunk that has pages in the file to `body`, ascending, with the pages as bits.
    public func forEachStoredChunk(_ body: (_ chunk: Int, _ pages: UInt16) -> Void) {
        for run in runs { body(Int(run.chunk), run.pages) }
    }

    /// Where in the file a page of memory begins; nil if it is all zeros or compressed. Its checksum is that
    /// of its chunk: a page that is mapped is one that nobody has checked.
    public func place(ofPage page: UInt64) -> UInt64? {
        guard let run = run(ofChunk: chunkIndex(ofPage: page)), run.encoding == .pages else {
            return nil
        }
        let bit = UInt16(1) << UInt16(page % UInt64(SnapshotFormat.pagesOfChunk))
        guard run.pages & bit != 0 else { return nil }
        let before = (run.pages & (bit &- 1)).nonzeroBitCount
        return run.offset + UInt64(before * SnapshotFormat.pageByteCount)
    }

    /// Fills 64 KiB with a chunk of memory, zeros where the file has nothing and behind the memory's end.
    ///
    /// - Parameters:
    ///   - buffer: of 64 KiB.
    ///   - codec: the calling thread's.
    /// - Throws: `XError` if the file is damaged there or has become shorter; `buffer` has anything then.
    public func read(
        chunk: Int, into buffer: UnsafeMutableRawBufferPointer, using codec: ChunkCodec
    ) throws(XError) {
        guard buffer.count == SnapshotFormat.chunkByteCount else {
            throw XError(
                .invalidArgument,
                "a chunk of the snapshot '\(path)' does not fit \(buffer.count) bytes: give "
                    + "\(SnapshotFormat.chunkByteCount)")
        }
        guard let run = run(ofChunk: chunk) else { return unsafe buffer.zero(0..<buffer.count) }
        try unsafe read(run, into: buffer, using: codec)
    }

    func run(ofChunk chunk: Int) -> SnapshotRun? {
        var (low, high) = (0, runs.count)
        while low < high {
            let middle = (low + high) / 2
            if Int(runs[middle].chunk) < chunk { low = middle + 1 } else { high = middle }
        }
        return low < runs.count && Int(runs[low].chunk) == chunk ? runs[low] : nil
    }

    /// Fills a chunk's 64 KiB.
    func read(
        _ run: SnapshotRun, into buffer: UnsafeMutableRawBufferPointer, using codec: ChunkCodec
    ) throws(XError) {
        let count = expandedByteCount(run)
        if run.encoding != .zstd, Int(run.byteCount) == count {
            // To where it belongs, but for pages that have to make room.
            let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
            try unsafe source.read(at: run.offset, into: part)
            try unsafe check(run, UnsafeRawBufferPointer(part))
            if run.pages == .max { return }
        } else {
            try readStored(run, codec)
            let isWhole = unsafe codec.stored.withUnsafeBytes { stored in
                unsafe codec.expand(
                    UnsafeRawBufferPointer(rebasing: stored[..<Int(run.byteCount)]),
                    into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
            }
            guard isWhole else { throw damaged(run) }
        }
        unsafe settle(run, buffer)
    }

    /// Fills a chunk's 64 KiB with what was read of it.
    func expand(
        _ run: SnapshotRun, _ stored: UnsafeRawBufferPointer,
        into buffer: UnsafeMutableRawBufferPointer, _ codec: ChunkCodec
    ) throws(XError) {
        try unsafe check(run, stored)
        let count = expandedByteCount(run)
        if run.encoding != .zstd, stored.count == count {
            unsafe buffer.copyMemory(from: stored)
        } else {
            let room = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
            guard unsafe codec.expand(stored, into: room) else { throw damaged(run) }
        }
        unsafe settle(run, buffer)
    }

    /// What a chunk begins with goes to where it belongs.
    private func settle(_ run: SnapshotRun, _ buffer: UnsafeMutableRawBufferPointer) {
        if run.encoding == .chunk {
            unsafe buffer.zero(expandedByteCount(run)..<buffer.count)
        } else {
            unsafe buffer.spread(run.pages)
        }
    }

    /// Bytes of a run that is expanded. In version 1 memory ends where it ends.
    private func expandedByteCount(_ run: SnapshotRun) -> Int {
        guard run.encoding == .chunk else { return run.expandedByteCount }
        let start = UInt64(run.chunk) * UInt64(SnapshotFormat.chunkByteCount)
        return Int(min(UInt64(SnapshotFormat.chunkByteCount), memoryByteCount - start))
    }

    private func readStored(_ run: SnapshotRun, _ codec: ChunkCodec) throws(XError) {
        let failure: XError? = unsafe codec.stored.withUnsafeMutableBytes { stored in
            let part = unsafe UnsafeMutableRawBufferPointer(
                rebasing: stored[..<Int(run.byteCount)])
            do throws(XError) {
                try unsafe source.read(at: run.offset, into: part)
                try unsafe check(run, UnsafeRawBufferPointer(part))
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
    }

    private func check(_ run: SnapshotRun, _ stored: UnsafeRawBufferPointer) throws(XError) {
        let sum =
            unsafe run.encoding == .chunk
            ? UInt64(SnapshotFormat.checksum1(stored)) : SnapshotFormat.checksum(stored)
        guard sum == run.checksum else { throw damaged(run) }
    }

    private func damaged(_ run: SnapshotRun) -> XError {
        XError(
            .invalidFormat,
            "the snapshot '\(path)' is damaged between byte \(run.offset) and byte "
                + "\(run.offset + UInt64(run.byteCount) - 1), in memory from byte "
                + "\(UInt64(run.chunk) * UInt64(SnapshotFormat.chunkByteCount)) on; take another copy"
        )
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Has a range of the buffer, which lies in it, as zeros.
    func zero(_ range: Range<Int>) {
        // SAFETY: the range lies in the buffer.
        unsafe UnsafeMutableRawBufferPointer(rebasing: self[range]).initializeMemory(
            as: UInt8.self, repeating: 0)
    }

    /// The first pages of a chunk go to where they belong, the last one first.
    func spread(_ pages: UInt16) {
        guard pages != .max, let base = baseAddress else { return }
        let size = SnapshotFormat.pageByteCount
        var from = pages.nonzeroBitCount
        for page in (0..<SnapshotFormat.pagesOfChunk).reversed() {
            let place = page * size
            if pages & UInt16(1) << UInt16(page) == 0 {
                unsafe zero(place..<place + size)
                continue
            }
            from -= 1
            // SAFETY: both lie in the chunk, and one that has moved lies behind all that have not.
            if from != page {
                unsafe (base + place).copyMemory(from: base + from * size, byteCount: size)
            }
        }
    }
}
