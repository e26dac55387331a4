public import Vocabulary

/// Where pages of a machine's memory come from the first time: a snapshot, wherever it is kept. Pages here are
/// those of the memory file (`GuestMemory.fileOffset`), 4096 bytes each, in chunks that are read together.
///
/// Any thread, several at once. A read may take as long as it takes.
public protocol PageSource: AnyObject, Sendable {
    /// Pages of a chunk, at most 64; the last chunk may have fewer in the memory.
    var pagesPerChunk: Int { get }
    /// A bit for each page of the chunk that is not all zeros, the first page lowest. Asks no host.
    func presentPages(ofChunk chunk: Int) -> UInt64
    /// Reads a chunk, zeros where no page is present. `buffer` has room for `pagesPerChunk` pages.
    ///
    /// - Throws: `XError`: it cannot be read, or is not what was stored.
    func read(chunk: Int, into buffer: UnsafeMutableRawBufferPointer) throws(XError)
    /// Reads chunks that are neighbours, one behind the other, each as `read(chunk:into:)` does.
    ///
    /// - Throws: `XError`: one of them cannot be read, or is not what was stored; `buffer` has anything then.
    func read(chunks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer) throws(XError)
    /// Nobody wants pages any more: who waits for one from far away waits no longer, and gets an error.
    func stop()
}

extension PageSource {
    /// One after the other.
    public func read(
        chunks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
    ) throws(XError) {
        let byteCount = pagesPerChunk * SwapFile.pageByteCount
        for (number, chunk) in chunks.enumerated() {
            let start = number * byteCount
            try unsafe read(
                chunk: chunk,
                into: UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + byteCount]))
        }
    }

    public func stop() {}
}
