internal import CHost
internal import Glibc
internal import HostIO
internal import Vocabulary

/// Who has a file: locks of bytes that Martlet's processes and QEMU's see of each other.
///
/// A writer locks all bytes for itself. A reader shares the first 100, and of QEMU's bytes that of those
/// who bear no writer (QEMU, block/file-posix.c: from 100 on what a program does, from 200 on what it does
/// not bear).
extension HostFile {
    private static let readerBytes: Int64 = 100
    /// Locked by a program of QEMU's that may write.
    private static let writingByte: Int64 = 101
    /// Locked by one that bears no writer.
    private static let noWriterByte: Int64 = 201

    static func lock(
        _ descriptor: CInt, _ path: String, _ isWritable: Bool
    ) throws(XError) {
        var error = chost_lock_file(
            descriptor, isWritable ? 1 : 0, 0, isWritable ? 0 : readerBytes)
        if !isWritable, error == 0 {
            error = chost_lock_file(descriptor, 0, noWriterByte, 1)
            if error == 0, chost_is_locked(descriptor, 1, writingByte, 1) { error = EAGAIN }
        }
        if error == 0 { return }
        if error == EAGAIN || error == EACCES {
            throw XError(
                .busy,
                isWritable
                    ? "the disk '\(path)' is in use: stop what uses it, or open it there and here "
                        + "with ',readonly'"
                    : "the disk '\(path)' is being written to by another machine or command: stop "
                        + "that first", cause: HostErrno(rawValue: error))
        }
        // Reading does no harm where the file system knows no locks.
        if !isWritable { return }
        throw XError(
            .unsupported,
            "cannot lock the disk '\(path)': \(HostErrno(rawValue: error)); put it on a file system "
                + "with locks", cause: HostErrno(rawValue: error))
    }

    /// Lets others have the file, which is not used any more.
    func unlock() { chost_unlock_file(descriptor.rawValue) }

    /// What others do with the file now.
    var usage: DiskImage.Usage {
        let number = descriptor.rawValue
        if chost_is_locked(number, 0, 0, Self.readerBytes)
            || chost_is_locked(number, 1, Self.writingByte, 1)
        {
            return .written
        }
        return chost_is_locked(number, 1, 0, 0) ? .read : .unused
    }
}
