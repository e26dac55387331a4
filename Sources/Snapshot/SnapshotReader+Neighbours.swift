public import Vocabulary

// Several chunks at once, and which snapshot it is.
extension SnapshotReader {
    /// A number that another snapshot has not, for what is kept beside this one: of all that its header says,
    /// which has the checksums of everything else. It is for accidents. Cheap.
    public var identity: UInt64 {
        var bytes: [UInt8] = []
        bytes.append(little: version)
        bytes.append(little: compression.rawValue)
        bytes.append(little: memoryByteCount)
        bytes.append(little: createdNanoseconds ?? 0)
        for section in sections {
            bytes.append(little: section.tag.rawValue)
            for value in [section.offset, section.byteCount, section.checksum] {
                bytes.append(little: value)
            }
        }
        return SnapshotFormat.checksum(bytes)
    }

    /// Fills 64 KiB for each of several chunks that are neighbours, as `read(chunk:into:using:)` does, with
    /// one read of the source if they lie close together there: it may be far away.
    ///
    /// - Parameters:
    ///   - buffer: of 64 KiB for each chunk.
    ///   - codec: the calling thread's.
    /// - Throws: `XError` if the file is damaged there or has become shorter; `buffer` has anything then.
    public func read(
        chunks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer, using codec: ChunkCodec
    ) throws(XError) {
        let size = SnapshotFormat.chunkByteCount
        guard chunks.lowerBound >= 0, buffer.count / size >= chunks.count else {
            throw XError(
                .invalidArgument,
                "\(chunks.count) chunks of the snapshot '\(path)' do not fit \(buffer.count) bytes: give "
                    + "\(size) for each")
        }
        let runs = chunks.compactMap { run(ofChunk: $0) }
        guard runs.count > 1, let span = span(of: runs), span.count <= chunks.count * size else {
            for (number, chunk) in chunks.enumerated() {
                try unsafe read(
                    chunk: chunk, into: buffer.part(number * size, size), using: codec)
            }
            return
        }
        if codec.span.count < span.count {
            codec.span = [UInt8](repeating: 0, count: span.count)
        }
        let failure: XError? = unsafe codec.span.withUnsafeMutableBytes { bytes in
            do throws(XError) {
                try unsafe source.read(at: span.lowerBound, into: bytes.part(0, span.count))
                for (number, chunk) in chunks.enumerated() {
                    let part = unsafe buffer.part(number * size, size)
                    guard let run = run(ofChunk: chunk) else {
                        unsafe part.zero(0..<part.count)
                        continue
                    }
                    let stored = unsafe bytes.part(
                        Int(run.offset - span.lowerBound), Int(run.byteCount))
                    try unsafe expand(run, UnsafeRawBufferPointer(stored), into: part, codec)
                }
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
    }

    /// Where runs lie in the file, from the first to the last. Nil: not one behind the other.
    private func span(of runs: [SnapshotRun]) -> Range<UInt64>? {
        var end: UInt64 = 0
        for run in runs {
            guard run.offset >= end else { return nil }
            end = run.offset + UInt64(run.byteCount)
        }
        guard let start = runs.first?.offset else { return nil }
        return start..<end
    }
}

extension UnsafeMutableRawBufferPointer {
    /// So many bytes of the buffer, which lie in it.
    func part(_ start: Int, _ count: Int) -> UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(rebasing: self[start..<start + count])
    }
}
