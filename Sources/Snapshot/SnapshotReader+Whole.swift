internal import CHost
internal import Glibc
internal import HostIO
internal import Synchronization
public import Vocabulary

// All of a snapshot at once.
extension SnapshotReader {
    /// Writes the memory into a file of as many bytes, all zeros. Holes stay holes.
    ///
    /// - Throws: `XError` if the snapshot is damaged or the memory cannot be written.
    public func restore(into memory: CInt) throws(XError) {
        try unsafe inParallel { run, buffer, codec throws(XError) in
            try unsafe self.read(run, into: buffer, using: codec)
            let start = UInt64(run.chunk) * UInt64(SnapshotFormat.chunkByteCount)
            let count = min(UInt64(buffer.count), self.memoryByteCount - start)
            try unsafe writeWhole(
                memory, UnsafeRawBufferPointer(rebasing: buffer[..<Int(count)]), at: start
            ) { error in
                XError(
                    .hostCall,
                    "cannot fill the guest's memory: \(error); it needs "
                        + "\(self.memoryByteCount >> 20) MiB", cause: error)
            }
        }
    }

    /// Reads everything and compares it with its checksums.
    ///
    /// - Throws: `XError` with what is damaged.
    public func verify() throws(XError) {
        try unsafe inParallel { run, buffer, codec throws(XError) in
            try unsafe self.read(run, into: buffer, using: codec)
            try unsafe self.checkEnd(run, UnsafeRawBufferPointer(buffer))
        }
        // The rest of version 1 has been checked as it was opened.
        if version == 1 { return }
        let opening = SnapshotOpening(source: source)
        for section in sections {
            if section.tag == .memoryData {
                var sums: [UInt8] = []
                for run in runs { sums.append(little: run.checksum) }
                guard SnapshotFormat.checksum(sums) == section.checksum else {
                    throw opening.damaged(section)
                }
            } else {
                try check(section)
            }
        }
        try checkGaps()
    }

    /// What memory does not fill of its last page is zeros.
    private func checkEnd(_ run: SnapshotRun, _ chunk: UnsafeRawBufferPointer) throws(XError) {
        let start = UInt64(run.chunk) * UInt64(SnapshotFormat.chunkByteCount)
        let count = Int(min(UInt64(chunk.count), memoryByteCount - start))
        guard unsafe UnsafeRawBufferPointer(rebasing: chunk[count...]).isZero else {
            throw XError(
                .invalidFormat,
                "the snapshot '\(path)' has something behind the end of its memory; take another "
                    + "copy")
        }
    }

    /// The checksum of a section, which may be of any size.
    private func check(_ section: SnapshotSection) throws(XError) {
        var sum: UInt64 = 0
        try unsafe forEachPiece(from: section.offset, to: section.end) { _, piece in
            unsafe sum = SnapshotFormat.checksum(piece, after: sum)
        }
        guard sum == section.checksum else {
            throw SnapshotOpening(source: source).damaged(section)
        }
    }

    /// Reads a range piece by piece.
    private func forEachPiece(
        from start: UInt64, to end: UInt64,
        _ body: (UInt64, UnsafeRawBufferPointer) throws(XError) -> Void
    ) throws(XError) {
        var bytes = [UInt8](repeating: 0, count: SnapshotFormat.chunkByteCount)
        var offset = start
        while offset < end {
            let count = Int(min(UInt64(bytes.count), end - offset))
            let failure: XError? = unsafe bytes.withUnsafeMutableBytes { buffer in
                let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
                do throws(XError) {
                    try unsafe source.read(at: offset, into: piece)
                    try unsafe body(offset, UnsafeRawBufferPointer(piece))
                    return nil
                } catch { return error }
            }
            if let failure { throw failure }
            offset += UInt64(count)
        }
    }

    /// What is between sections and runs is zeros.
    private func checkGaps() throws(XError) {
        var parts = sections.filter { $0.tag != .memoryData }.map { $0.offset..<$0.end }
        parts += runs.map { $0.offset..<$0.offset + UInt64($0.byteCount) }
        parts.sort { $0.lowerBound < $1.lowerBound }
        var end = UInt64(SnapshotFormat.headerByteCount)
        let ends = sections.map(\.end).max() ?? end
        for part in parts + [ends..<ends] {
            try unsafe forEachPiece(from: end, to: part.lowerBound) {
                offset, piece throws(XError) in
                guard unsafe piece.isZero else {
                    throw XError(
                        .invalidFormat,
                        "the snapshot '\(path)' is damaged between byte \(offset) and byte "
                            + "\(offset + UInt64(piece.count) - 1), where nothing should be; take "
                            + "another copy")
                }
            }
            end = max(end, part.upperBound)
        }
    }

    /// Runs of so many at a time are taken by a thread.
    private static let batch = 32

    /// Does something with each run, on two threads if there are many. Throws what one of them threw.
    private func inParallel(
        _ body:
            @escaping @Sendable (
                SnapshotRun, UnsafeMutableRawBufferPointer, ChunkCodec
            ) throws(XError) -> Void
    ) throws(XError) {
        let shared = SharedWork()
        let work: @Sendable () -> Void = { [self] in
            let codec = ChunkCodec()
            let failure: XError? = unsafe codec.pages.withUnsafeMutableBytes { buffer in
                while shared.failure.withLock({ $0 }) == nil {
                    let first = shared.next.add(Self.batch, ordering: .relaxed).oldValue
                    if first >= runs.count { return nil }
                    for run in runs[first..<min(first + Self.batch, runs.count)] {
                        do throws(XError) {
                            try unsafe body(run, buffer, codec)
                        } catch { return error }
                    }
                }
                return nil
            }
            if let failure { shared.failure.withLock { $0 = $0 ?? failure } }
        }
        // A thread is worth it from some MiB on.
        let other = runs.count > 256 ? try HostThread.spawn(name: "snapshot", work) : nil
        work()
        other?.join()
        if let failure = shared.failure.withLock({ $0 }) { throw failure }
    }
}

/// What the threads of one call share.
private final class SharedWork: Sendable {
    /// The first run that nobody has taken.
    let next = Atomic<Int>(0)
    /// Ends all of them.
    let failure = RankedLock<XError?>(nil, owner: "snapshot", rank: .leaf)
}

/// Writes all of `bytes` at a place in a file. Throws what `failure` makes of the error.
func writeWhole(
    _ file: CInt, _ bytes: UnsafeRawBufferPointer, at offset: UInt64,
    _ failure: (HostErrno) -> XError
) throws(XError) {
    var done = 0
    while done < bytes.count, let base = bytes.baseAddress {
        let count = unsafe pwrite(
            file, base + done, bytes.count - done, off_t(offset) + off_t(done))
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw failure(HostErrno(rawValue: count < 0 ? errno : EIO)) }
        done += count
    }
}
