internal import CHost
internal import Glibc
internal import HostIO
public import Vocabulary

/// Writes snapshots.
public enum SnapshotWriter {
    /// Writes a machine's memory and its manifest to a file that is not seen under its name before it is
    /// whole and on the disk.
    ///
    /// - Parameters:
    ///   - memory: a file with the memory, holes where nothing was written. It does not change.
    ///   - memoryByteCount: of the file.
    ///   - manifest: what else belongs to the machine.
    /// - Throws: `XError`, if the host cannot write; the path is as it was.
    public static func write(
        to path: String, memory: CInt, memoryByteCount: UInt64, manifest: [UInt8]
    ) throws(XError) {
        let working = path + ".new-\(getpid())"
        let file = try Descriptor(
            path: working, flags: O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
        do throws(XError) {
            try write(file.rawValue, working, memory, memoryByteCount, manifest)
        } catch {
            _ = unsafe unlink(working)
            throw error
        }
        guard unsafe rename(working, path) == 0 else {
            let error = HostErrno(rawValue: errno)
            _ = unsafe unlink(working)
            throw failure(path, error)
        }
        syncFolder(of: path)
    }

    private static func failure(_ path: String, _ error: HostErrno) -> XError {
        XError(
            .hostCall, "cannot write the snapshot '\(path)': \(error); take a folder with room",
            cause: error)
    }

    private static func write(
        _ file: CInt, _ path: String, _ memory: CInt, _ byteCount: UInt64, _ manifest: [UInt8]
    ) throws(XError) {
        var header = SnapshotHeader(
            memoryByteCount: byteCount, tableOffset: 0, tableChecksum: 0, manifestOffset: 0,
            manifestByteCount: UInt64(manifest.count),
            manifestChecksum: SnapshotFormat.checksum(manifest))
        var table = [UInt8](
            repeating: 0, count: header.chunkCount * SnapshotFormat.tableEntryByteCount)
        var offset = UInt64(SnapshotFormat.headerByteCount)
        let codec = ChunkCodec()
        var chunk = [UInt8](repeating: 0, count: SnapshotFormat.chunkByteCount)
        var index = 0
        while let next = nextChunk(of: memory, from: index, byteCount) {
            index = next + 1
            let start = UInt64(next) * UInt64(chunk.count)
            let count = Int(min(UInt64(chunk.count), byteCount - start))
            let stored = try chunkBytes(memory, start, &chunk, count, codec, path)
            if stored.isEmpty { continue }
            try write(stored, to: file, at: offset, path)
            var entry: [UInt8] = []
            entry.append(little: offset)
            entry.append(little: UInt32(stored.count))
            entry.append(little: SnapshotFormat.checksum(stored))
            let place = next * entry.count
            table.replaceSubrange(place..<place + entry.count, with: entry)
            offset += UInt64(stored.count)
        }
        header.tableOffset = offset
        header.tableChecksum = SnapshotFormat.checksum(table)
        try write(table, to: file, at: offset, path)
        header.manifestOffset = offset + UInt64(table.count)
        try write(manifest, to: file, at: header.manifestOffset, path)
        guard fsync(file) == 0 else { throw failure(path, HostErrno(rawValue: errno)) }
        try write(header.bytes, to: file, at: 0, path)
        guard fsync(file) == 0 else { throw failure(path, HostErrno(rawValue: errno)) }
    }

    /// The next chunk that is no hole of the memory's file.
    private static func nextChunk(
        of memory: CInt, from index: Int, _ byteCount: UInt64
    ) -> Int? {
        let start = Int64(index * SnapshotFormat.chunkByteCount)
        guard UInt64(start) < byteCount else { return nil }
        let data = chost_seek(memory, start, 1)
        // A file system without holes has data everywhere.
        if data < 0 { return data == -Int64(ENXIO) ? nil : index }
        return UInt64(data) < byteCount ? Int(data) / SnapshotFormat.chunkByteCount : nil
    }

    /// What is stored of a chunk; nothing if it is all zeros.
    private static func chunkBytes(
        _ memory: CInt, _ start: UInt64, _ chunk: inout [UInt8], _ count: Int,
        _ codec: ChunkCodec, _ path: String
    ) throws(XError) -> [UInt8] {
        let stored = unsafe chunk.withUnsafeMutableBytes { chunk -> [UInt8]? in
            let part = unsafe UnsafeMutableRawBufferPointer(rebasing: chunk[..<count])
            guard unsafe readSome(memory, at: Int(start), into: part) == count else { return nil }
            let bytes = UnsafeRawBufferPointer(part)
            return unsafe isZero(bytes) ? [] : codec.store(bytes)
        }
        guard let stored else { throw failure(path, HostErrno(rawValue: EIO)) }
        return stored
    }

    private static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var sum: UInt64 = 0
        var offset = 0
        // SAFETY: every load ends at or before the end.
        while offset + 8 <= bytes.count {
            sum |= unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            if sum != 0 { return false }
            offset += 8
        }
        return unsafe bytes[offset...].allSatisfy { $0 == 0 }
    }

    private static func write(
        _ bytes: [UInt8], to file: CInt, at offset: UInt64, _ path: String
    ) throws(XError) {
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { bytes -> Int in
                guard let base = bytes.baseAddress else { return 0 }
                return unsafe pwrite(
                    file, base + done, bytes.count - done, off_t(offset) + off_t(done))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure(path, HostErrno(rawValue: errno)) }
            done += count
        }
    }

    /// The new name outlives a crash of the host too.
    private static func syncFolder(of path: String) {
        let folder =
            path.contains("/") ? String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]) : "."
        let number = unsafe open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard number >= 0 else { return }
        fsync(number)
        close(number)
    }
}
