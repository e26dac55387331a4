internal import CHost
internal import Glibc
internal import HostIO
public import Vocabulary

/// Pages of a machine's memory that are not in its memory file, but wherever they were not fetched from yet.
///
/// A page is given by its place in the memory file divided by 4096. While a snapshot is written a page may
/// arrive, and can still be read here; none becomes absent.
public protocol AbsentPages {
    /// Whether it is to be read here, whatever the memory file has there.
    func isAbsent(page: UInt64) -> Bool
    /// Fills `buffer`, of 4096 bytes.
    ///
    /// - Throws: `XError` if it is not to be had.
    func read(page: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(XError)
}

/// A machine's memory as its memory file has it, which need not be a file. Nobody changes it.
public protocol MemoryContents {
    var byteCount: UInt64 { get }
    /// The next bytes from a place on that may not be zeros; nil: there are no more.
    func nextData(from place: UInt64) -> Range<UInt64>?
    /// Fills `buffer` with the bytes from a place on. False: they cannot be had.
    func copy(fromFile place: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Bool
}

/// Memory in a file that has holes where nothing was written.
public struct MemoryInFile: MemoryContents {
    private let descriptor: CInt
    public let byteCount: UInt64

    /// - Parameter descriptor: of the file, open as long as this is used.
    public init(_ descriptor: CInt, byteCount: UInt64) {
        self.descriptor = descriptor
        self.byteCount = byteCount
    }

    public func nextData(from place: UInt64) -> Range<UInt64>? {
        guard place < byteCount else { return nil }
        let start = chost_seek(descriptor, Int64(clamping: place), 1)
        // A file system without holes has data everywhere.
        if start < 0 { return start == -Int64(ENXIO) ? nil : place..<byteCount }
        let end = chost_seek(descriptor, start, 0)
        return UInt64(start)..<(end > start ? UInt64(end) : byteCount)
    }

    public func copy(
        fromFile place: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) -> Bool {
        unsafe readSome(descriptor, at: Int(clamping: place), into: buffer) == buffer.count
    }
}

/// Memory that is to be written.
protocol SnapshotMemory {
    var byteCount: UInt64 { get }
    /// The next chunks that may not be zeros, from `chunk` on, at most so many; nil: there are no more.
    mutating func next(from chunk: Int, atMost count: Int) -> Range<Int>?
    /// Fills `buffer` with chunks that `next` gave, zeros behind the end of memory.
    mutating func read(
        _ chunks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
    ) throws(XError)
}

/// Memory of a machine, and where the rest of it is.
struct MemoryFile<Contents: MemoryContents>: SnapshotMemory {
    let contents: Contents
    let absent: (any AbsentPages)?
    /// There is data, as it was said last.
    private var data: Range<Int> = 0..<0

    init(_ contents: Contents, absent: (any AbsentPages)?) {
        self.contents = contents
        self.absent = absent
    }

    var byteCount: UInt64 { contents.byteCount }
    private var chunkCount: Int { SnapshotFormat.chunkCount(of: byteCount) }

    mutating func next(from chunk: Int, atMost count: Int) -> Range<Int>? {
        guard chunk < chunkCount else { return nil }
        if chunk >= data.upperBound { data = dataChunks(from: chunk) }
        let first = max(chunk, data.lowerBound)
        if absent != nil, let lone = (chunk..<first).first(where: { absentPages(of: $0) != 0 }) {
            var end = lone + 1
            while end < first, end < lone + count, absentPages(of: end) != 0 { end += 1 }
            return lone..<end
        }
        return first < chunkCount ? first..<min(data.upperBound, first + count) : nil
    }

    /// The next chunks with data; behind all of them if there are none.
    private func dataChunks(from chunk: Int) -> Range<Int> {
        let size = UInt64(SnapshotFormat.chunkByteCount)
        guard let bytes = contents.nextData(from: UInt64(chunk) * size) else {
            return chunkCount..<chunkCount
        }
        let first = max(chunk, min(Int(clamping: bytes.lowerBound / size), chunkCount))
        guard bytes.upperBound > bytes.lowerBound else { return first..<chunkCount }
        let last = min(Int(clamping: (bytes.upperBound - 1) / size) + 1, chunkCount)
        return first..<max(first, last)
    }

    private func absentPages(of chunk: Int) -> UInt16 {
        guard let absent else { return 0 }
        let first = UInt64(chunk * SnapshotFormat.pagesOfChunk)
        var pages: UInt16 = 0
        for page in 0..<SnapshotFormat.pagesOfChunk
        where absent.isAbsent(page: first + UInt64(page)) {
            pages |= 1 << UInt16(page)
        }
        return pages & SnapshotFormat.pages(ofChunk: chunk, memoryByteCount: byteCount)
    }

    mutating func read(
        _ chunks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
    ) throws(XError) {
        // Before the file is read: what is absent now and arrives meanwhile may not be in what is read.
        let missing = absent == nil ? [] : chunks.map { absentPages(of: $0) }
        let size = SnapshotFormat.chunkByteCount
        let start = UInt64(chunks.lowerBound * size)
        let count = Int(min(UInt64(chunks.count * size), byteCount - start))
        let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        guard unsafe contents.copy(fromFile: start, into: part) else {
            throw XError(
                .hostCall,
                "cannot read the guest's memory at byte \(start): "
                    + "\(HostErrno(rawValue: EIO))", cause: HostErrno(rawValue: EIO))
        }
        unsafe buffer.zero(count..<buffer.count)
        guard let absent else { return }
        for (index, pages) in missing.enumerated() where pages != 0 {
            for page in 0..<SnapshotFormat.pagesOfChunk where pages & 1 << UInt16(page) != 0 {
                let place = index * size + page * SnapshotFormat.pageByteCount
                try unsafe absent.read(
                    page: UInt64((chunks.lowerBound + index) * SnapshotFormat.pagesOfChunk + page),
                    into: UnsafeMutableRawBufferPointer(
                        rebasing: buffer[place..<place + SnapshotFormat.pageByteCount]))
            }
        }
    }
}

/// Memory of another snapshot.
struct SnapshotOfMemory: SnapshotMemory {
    let reader: SnapshotReader
    private let codec = ChunkCodec()
    /// The first run that was not given yet.
    private var run = 0

    init(_ reader: SnapshotReader) { self.reader = reader }

    var byteCount: UInt64 { reader.memoryByteCount }

    mutating func next(from chunk: Int, atMost count: Int) -> Range<Int>? {
        while run < reader.runs.count, Int(reader.runs[run].chunk) < chunk { run += 1 }
        guard run < reader.runs.count else { return nil }
        let first = Int(reader.runs[run].chunk)
        var end = first + 1
        while end < first + count, run + end - first < reader.runs.count,
            Int(reader.runs[run + end - first].chunk) == end
        {
            end += 1
        }
        return first..<end
    }

    mutating func read(
        _ chunks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
    ) throws(XError) {
        let size = SnapshotFormat.chunkByteCount
        for (index, chunk) in chunks.enumerated() {
            try unsafe reader.read(
                chunk: chunk,
                into: UnsafeMutableRawBufferPointer(
                    rebasing: buffer[index * size..<(index + 1) * size]), using: codec)
        }
    }
}
