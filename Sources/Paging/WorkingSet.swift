internal import CLZMA
internal import Glibc
internal import HostIO
public import Vocabulary

/// Which chunks of a snapshot a machine asked for, in which order, as a file beside the snapshot keeps it.
///
/// ```
/// 0   magic "MARTLETW"
/// 8   version (4 bytes), count of chunks (4)
/// 16  identity of the snapshot (8)
/// 24  the chunks' numbers, 4 bytes each, in the order in which they were asked for
///     CRC-32 of all before (4)
/// ```
///
/// All integers are little-endian. It is advice: what is wrong in it costs time, never a byte of the guest's.
/// Any thread.
public struct WorkingSet: Equatable, Sendable {
    /// "MARTLETW".
    static let magic: UInt64 = 0x5754_454c_5452_414d
    /// Raised when an old Martlet would misread a new file.
    static let version: UInt32 = 1
    private static let headerByteCount = 24
    /// Chunks of one file: 64 GiB of memory, 4 MiB of numbers.
    public static let largestCount = 1 << 20

    /// Of the snapshot that it belongs to, as `SnapshotReader.identity` says.
    public var identity: UInt64
    /// Numbers of chunks of the memory file, in the order in which they were asked for.
    public var chunks: [UInt32]

    /// - Parameter chunks: those behind the first `largestCount` are left out.
    public init(identity: UInt64, chunks: [UInt32]) {
        self.identity = identity
        self.chunks = Array(chunks.prefix(Self.largestCount))
    }

    // MARK: Bytes

    /// What its file has.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headerByteCount + chunks.count * 4 + 4)
        Self.append(Self.magic, to: &bytes)
        Self.append(Self.version, to: &bytes)
        Self.append(UInt32(clamping: chunks.count), to: &bytes)
        Self.append(identity, to: &bytes)
        for chunk in chunks { Self.append(chunk, to: &bytes) }
        Self.append(Self.checksum(bytes[...]), to: &bytes)
        return bytes
    }

    /// Takes a file's bytes, which may be anybody's.
    ///
    /// - Parameters:
    ///   - identity: of the snapshot that it has to belong to.
    ///   - chunkCount: chunks of the snapshot's memory: there are none behind them.
    /// - Throws: `XError`: they are of something else, of another version, of another snapshot, or damaged.
    public init(_ bytes: [UInt8], identity: UInt64, chunkCount: Int) throws(XError) {
        func mistake(_ what: String) -> XError { XError(.invalidFormat, what) }
        guard bytes.count >= Self.headerByteCount + 4,
            Self.number(bytes, 0, UInt64.self) == Self.magic
        else { throw mistake("it is no working set") }
        let version = Self.number(bytes, 8, UInt32.self)
        guard version == Self.version else {
            throw mistake("it is of version \(version), and this Martlet reads \(Self.version)")
        }
        let count = Int(Self.number(bytes, 12, UInt32.self))
        guard count <= Self.largestCount,
            bytes.count == Self.headerByteCount + count * 4 + 4,
            Self.checksum(bytes.dropLast(4))
                == Self.number(bytes, bytes.count - 4, UInt32.self)
        else { throw mistake("it is damaged") }
        guard Self.number(bytes, 16, UInt64.self) == identity else {
            throw mistake("it is of another snapshot")
        }
        let chunks = (0..<count).map {
            Self.number(bytes, Self.headerByteCount + $0 * 4, UInt32.self)
        }
        guard chunks.allSatisfy({ Int($0) < chunkCount }) else {
            throw mistake("it has chunks that the snapshot has not")
        }
        self.identity = identity
        self.chunks = chunks
    }

    // MARK: Files

    /// Reads a file. Nil: there is none.
    ///
    /// - Throws: `XError`: it cannot be read, or see `init(_:identity:chunkCount:)`.
    public init?(path: String, identity: UInt64, chunkCount: Int) throws(XError) {
        do throws(XError) {
            guard let bytes = try Self.read(path) else { return nil }
            try self.init(bytes, identity: identity, chunkCount: chunkCount)
        } catch {
            throw XError(
                error.code,
                "cannot use the working set '\(path)': \(error.message); delete it, or record it again "
                    + "with --lazy --record", cause: error.cause)
        }
    }

    private static func read(_ path: String) throws(XError) -> [UInt8]? {
        // A FIFO would make it wait for a writer.
        let number = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        if number < 0, errno == ENOENT { return nil }
        guard number >= 0 else { throw hostError() }
        let file = Descriptor(owning: number)
        var status = stat()
        guard unsafe fstat(file.rawValue, &status) == 0 else { throw hostError() }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw XError(.invalidFormat, "it is no file")
        }
        guard status.st_size <= headerByteCount + largestCount * 4 + 4 else {
            throw XError(.invalidFormat, "it is too large")
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var done = 0
        while done < bytes.count {
            let from = done
            let count = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe pread(
                    file.rawValue, buffer.baseAddress.map { unsafe $0 + from },
                    buffer.count - from, off_t(from))
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw hostError() }
            // It became shorter meanwhile.
            if count == 0 { return Array(bytes.prefix(done)) }
            done += count
        }
        return bytes
    }

    private static func hostError() -> XError {
        let error = HostErrno(rawValue: errno)
        return XError(.hostCall, "\(error)", cause: error)
    }

    /// Writes its file, in place of one that may be there, which stays as it is until this one is whole.
    ///
    /// - Throws: `XError`: it cannot be written.
    public func write(to path: String) throws(XError) {
        let working = "\(path).\(getpid()).part"
        do throws(XError) {
            unsafe unlink(working)
            let file = try Descriptor(
                path: working, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
            try writeAll(file.rawValue, bytes)
            guard unsafe rename(working, path) == 0 else { throw Self.hostError() }
        } catch {
            unsafe unlink(working)
            throw XError(
                error.code, "cannot keep the working set '\(path)': \(error.message)",
                cause: error.cause)
        }
    }

    // MARK: Numbers

    private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        for place in stride(from: 0, to: value.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> place))
        }
    }

    /// The bytes are there.
    private static func number<Value: FixedWidthInteger>(
        _ bytes: [UInt8], _ offset: Int, _ type: Value.Type
    ) -> Value {
        bytes[offset..<offset + Value.bitWidth / 8].reversed().reduce(0) {
            $0 << 8 | Value(truncatingIfNeeded: $1)
        }
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        unsafe bytes.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return 0 }
            return unsafe lzma_crc32(base, bytes.count, 0)
        }
    }
}
