internal import Glibc
internal import HostIO
public import Vocabulary

/// Reads a snapshot, which may come from anybody: all of it is checked.
///
/// Owner: whoever opened it. One thread at a time.
public final class SnapshotReader {
    public let path: String
    /// Bytes of the machine's memory.
    public let memoryByteCount: UInt64
    /// What else belongs to the machine.
    public let manifest: [UInt8]
    private let file: Descriptor
    private let header: SnapshotHeader
    private let table: [UInt8]
    private let codec = ChunkCodec()

    /// - Throws: `XError`: it cannot be read, is no snapshot, is of another version, or damaged.
    public init(path: String) throws(XError) {
        self.path = path
        do throws(XError) {
            file = try Descriptor(path: path, flags: O_RDONLY)
        } catch {
            throw XError(
                .notFound, "cannot read the snapshot '\(path)': \(error.message)", cause: error)
        }
        let descriptor = file.rawValue
        func read(_ offset: UInt64, _ count: Int) -> [UInt8]? {
            let size = UInt64(fileByteCount(descriptor))
            guard offset <= size, UInt64(count) <= size - offset else { return nil }
            var bytes = [UInt8](repeating: 0, count: count)
            let got = unsafe bytes.withUnsafeMutableBytes {
                unsafe readSome(descriptor, at: Int(offset), into: $0)
            }
            return got == count ? bytes : nil
        }
        func mistake(_ what: String) -> XError {
            XError(.invalidFormat, "cannot use the snapshot '\(path)': \(what)")
        }
        let (found, reason) = SnapshotHeader.parse(read(0, SnapshotFormat.headerByteCount) ?? [])
        guard let found else { throw mistake(reason) }
        header = found
        memoryByteCount = found.memoryByteCount
        let tableByteCount = found.chunkCount * SnapshotFormat.tableEntryByteCount
        guard let table = read(found.tableOffset, tableByteCount),
            SnapshotFormat.checksum(table) == found.tableChecksum
        else { throw mistake("its table is damaged; take another copy") }
        self.table = table
        guard let manifest = read(found.manifestOffset, Int(found.manifestByteCount)),
            SnapshotFormat.checksum(manifest) == found.manifestChecksum
        else { throw mistake("its manifest is damaged; take another copy") }
        self.manifest = manifest
    }

    /// Writes the memory into a file of as many bytes, all zeros. Holes stay holes.
    public func restore(into memory: CInt) throws(XError) {
        var chunk = [UInt8](repeating: 0, count: SnapshotFormat.chunkByteCount)
        for index in 0..<header.chunkCount {
            let start = UInt64(index) * UInt64(chunk.count)
            let count = Int(min(UInt64(chunk.count), memoryByteCount - start))
            guard try read(index, count, into: &chunk) else { continue }
            let written = unsafe chunk.withUnsafeBytes { chunk -> Bool in
                var done = 0
                while done < count, let base = chunk.baseAddress {
                    let part = unsafe pwrite(
                        memory, base + done, count - done, off_t(start) + off_t(done))
                    if part < 0, errno == EINTR { continue }
                    if part <= 0 { return false }
                    done += part
                }
                return true
            }
            guard written else {
                throw XError(
                    .hostCall,
                    "cannot fill the guest's memory: \(HostErrno(rawValue: errno)); it needs "
                        + "\(memoryByteCount >> 20) MiB",
                    cause: HostErrno(rawValue: errno))
            }
        }
    }

    /// Reads a chunk. False: it is all zeros.
    private func read(_ index: Int, _ count: Int, into chunk: inout [UInt8]) throws(XError) -> Bool
    {
        let place = index * SnapshotFormat.tableEntryByteCount
        let offset = table.little(place, UInt64.self)
        if offset == 0 { return false }
        let byteCount = Int(table.little(place + 8, UInt32.self))
        let damaged = XError(
            .invalidFormat,
            "the snapshot '\(path)' is damaged at byte \(offset); take another copy")
        guard byteCount <= count, offset < UInt64(Int.max) else { throw damaged }
        var stored = [UInt8](repeating: 0, count: byteCount)
        let descriptor = file.rawValue
        let got = unsafe stored.withUnsafeMutableBytes {
            unsafe readSome(descriptor, at: Int(offset), into: $0)
        }
        guard got == byteCount,
            SnapshotFormat.checksum(stored) == table.little(place + 12, UInt32.self),
            unsafe chunk.withUnsafeMutableBytes({
                unsafe codec.expand(
                    stored, into: UnsafeMutableRawBufferPointer(rebasing: $0[..<count]))
            })
        else { throw damaged }
        return true
    }
}
