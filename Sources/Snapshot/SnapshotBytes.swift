internal import Glibc
internal import HostIO
public import Vocabulary

/// Where a snapshot's bytes are: a file, or something far away.
///
/// Any thread, several at once.
public protocol SnapshotBytes: Sendable {
    /// What it is called, for a person.
    var name: String { get }
    /// How many bytes there are. May be more than the snapshot has.
    var byteCount: UInt64 { get }
    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// - Throws: `XError` if not all of them are to be had.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(XError)
    /// Nobody wants anything any more: who waits for something far away waits no longer, and gets an error.
    func stop()
}

extension SnapshotBytes {
    public func stop() {}
}

/// A snapshot in a file of this host.
public final class SnapshotFile: SnapshotBytes {
    public let name: String
    public let byteCount: UInt64
    private let file: Descriptor

    /// - Throws: `XError`: it cannot be read.
    public init(path: String) throws(XError) {
        name = path
        do throws(XError) {
            // A FIFO would make it wait for a writer.
            file = try Descriptor(path: path, flags: O_RDONLY | O_NONBLOCK)
        } catch {
            throw XError(
                .notFound, "cannot read the snapshot '\(path)': \(error.message)", cause: error)
        }
        byteCount = UInt64(clamping: fileByteCount(file.rawValue))
    }

    /// The open file, for mapping it; valid as long as this object.
    public var descriptor: CInt { file.rawValue }

    public func read(
        at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(XError) {
        guard offset <= UInt64(Int64.max) - UInt64(buffer.count) else {
            throw truncated(offset, 0, buffer.count)
        }
        var done = 0
        while done < buffer.count {
            let count = unsafe pread(
                file.rawValue, buffer.baseAddress.map { unsafe $0 + done }, buffer.count - done,
                off_t(offset) + off_t(done))
            if count < 0, errno == EINTR { continue }
            if count < 0 {
                let error = HostErrno(rawValue: errno)
                throw XError(
                    .hostCall,
                    "cannot read the snapshot '\(name)' at byte \(offset + UInt64(done)): \(error); "
                        + "take another copy", cause: error)
            }
            if count == 0 { throw truncated(offset, done, buffer.count) }
            done += count
        }
    }

    private func truncated(_ offset: UInt64, _ done: Int, _ count: Int) -> XError {
        XError(
            .invalidFormat,
            "the snapshot '\(name)' ends at byte \(offset &+ UInt64(done)), where \(count - done) more "
                + "should be: it was truncated, meanwhile or before; take another copy")
    }
}
