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
    ///   - memory: does not change.
    ///   - manifest: what else belongs to the machine.
    ///   - absent: the pages that are not in `memory`.
    /// - Throws: `XError`, if the host cannot write or a page is not to be had; the path is as it was.
    public static func write(
        to path: String, memory: some MemoryContents, manifest: [UInt8],
        compression: SnapshotCompression = .none, absent: (any AbsentPages)? = nil
    ) throws(XError) {
        try stage(
            to: path, memory: memory, manifest: manifest, compression: compression, absent: absent
        ).commit()
    }

    /// The same up to where memory may change again: the file has its name after `StagedSnapshot.commit`.
    public static func stage(
        to path: String, memory: some MemoryContents, manifest: [UInt8],
        compression: SnapshotCompression = .none, absent: (any AbsentPages)? = nil
    ) throws(XError) -> StagedSnapshot {
        let content = Content(
            manifest: manifest, createdNanoseconds: chost_wall_clock(), compression: compression)
        var source = MemoryFile(memory, absent: absent)
        let staged = try StagedSnapshot(path)
        try fill(staged, &source, content)
        return staged
    }

    /// Writes a snapshot again, compressed or not, as of the version that is written now, where nothing is yet.
    ///
    /// - Parameter begun: told the name that the file has until it is whole.
    /// - Throws: `XError`, if `reader`'s file is damaged, the host cannot write or something is there; the
    ///   path is as it was.
    public static func convert(
        _ reader: SnapshotReader, to path: String, compression: SnapshotCompression,
        begun: (String) -> Void = { _ in }
    ) throws(XError) {
        var information = stat()
        guard unsafe lstat(path, &information) != 0 else {
            throw StagedSnapshot.failure(path, HostErrno(rawValue: EEXIST))
        }
        let content = Content(
            manifest: reader.manifest, createdNanoseconds: reader.createdNanoseconds ?? 0,
            compression: compression)
        var source = SnapshotOfMemory(reader)
        let staged = try StagedSnapshot(path)
        begun(staged.working)
        try fill(staged, &source, content)
        try staged.commit(replaces: false)
    }

    /// What is written beside memory.
    private struct Content {
        var manifest: [UInt8]
        var createdNanoseconds: UInt64
        var compression: SnapshotCompression
    }

    private static func fill(
        _ staged: StagedSnapshot, _ memory: inout some SnapshotMemory, _ content: Content
    ) throws(XError) {
        let path = staged.path
        guard memory.byteCount <= SnapshotFormat.largestMemory,
            content.manifest.count <= SnapshotFormat.largestManifest
        else {
            throw XError(
                .unsupported,
                "cannot write the snapshot '\(path)': \(memory.byteCount) bytes of memory or "
                    + "\(content.manifest.count) of other state are more than one has")
        }
        let data = UInt64(SnapshotFormat.headerByteCount)
        let output = RunOutput(staged.descriptor, at: data, content.compression) {
            StagedSnapshot.failure(path, $0)
        }
        try output.take(&memory)
        var (rest, sums): ([UInt8], [UInt8]) = ([], [])
        rest.reserveCapacity(
            output.runs.count * SnapshotRun.byteCountInTable + content.manifest.count)
        for run in output.runs {
            run.append(to: &rest)
            sums.append(little: run.checksum)
        }
        let tableByteCount = rest.count
        let table = SnapshotSection(
            tag: .memoryTable, isOptional: false, offset: output.end,
            byteCount: UInt64(tableByteCount), checksum: SnapshotFormat.checksum(rest))
        rest += content.manifest
        try staged.write(rest, at: output.end)
        let header = SnapshotHeader(
            memoryByteCount: memory.byteCount, fileByteCount: output.end + UInt64(rest.count),
            createdNanoseconds: content.createdNanoseconds, compression: content.compression,
            sections: [
                SnapshotSection(
                    tag: .manifest, isOptional: false, offset: table.end,
                    byteCount: UInt64(content.manifest.count),
                    checksum: SnapshotFormat.checksum(content.manifest)),
                table,
                SnapshotSection(
                    tag: .memoryData, isOptional: false, offset: data,
                    byteCount: output.end - data, checksum: SnapshotFormat.checksum(sums)),
            ])
        try staged.write(header.bytes, at: 0)
    }
}

/// A snapshot that is written, and not under its name yet. Without `commit` it goes with its last reference.
///
/// Owner: who had it made, one thread at a time.
public final class StagedSnapshot {
    let path: String
    /// What the file is called meanwhile.
    let working: String
    private let file: Descriptor
    private var isCommitted = false

    init(_ path: String) throws(XError) {
        self.path = path
        working = path + ".new-\(getpid())"
        do throws(XError) {
            file = try Descriptor(
                path: working, flags: O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
        } catch {
            throw XError(
                .hostCall, "cannot write the snapshot '\(path)': \(error.message)", cause: error)
        }
    }

    deinit {
        if !isCommitted { _ = unsafe unlink(working) }
    }

    var descriptor: CInt { file.rawValue }

    static func failure(_ path: String, _ error: HostErrno) -> XError {
        let remedy =
            error.rawValue == EEXIST
            ? "remove it first, or take another name" : "take a folder with room"
        return XError(
            .hostCall, "cannot write the snapshot '\(path)': \(error); \(remedy)", cause: error)
    }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(XError) {
        let failure: XError? = unsafe bytes.withUnsafeBytes { bytes in
            do throws(XError) {
                try unsafe writeWhole(file.rawValue, bytes, at: offset) {
                    Self.failure(path, $0)
                }
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
    }

    /// Waits for the disk, and gives the file its name, in the place of what had it.
    ///
    /// - Parameter replaces: what has the name already; else that is an error.
    /// - Throws: `XError`, if the host cannot; the path is as it was.
    public func commit(replaces: Bool = true) throws(XError) {
        guard fsync(file.rawValue) == 0 else {
            throw Self.failure(path, HostErrno(rawValue: errno))
        }
        var isReplacing = replaces
        var result: CInt = -1
        if !replaces {
            result = unsafe link(working, path)
            // A file system that has no second names.
            isReplacing = result != 0 && (errno == EPERM || errno == EOPNOTSUPP)
        }
        if isReplacing { result = unsafe rename(working, path) }
        guard result == 0 else { throw Self.failure(path, HostErrno(rawValue: errno)) }
        // A second name that was given stays.
        isCommitted = isReplacing
        syncFolder()
    }

    /// The new name outlives a crash of the host too.
    private func syncFolder() {
        let folder =
            path.contains("/") ? String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]) : "."
        let number = unsafe open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard number >= 0 else { return }
        fsync(number)
        close(number)
    }
}
