internal import CHost
internal import CUring
internal import Glibc
internal import HostIO

/// One call to the host, done by an engine.
@safe final class HostOperation: @unchecked Sendable {
    enum Kind {
        case read
        case write
        /// fdatasync(2).
        case sync
        /// fallocate(2) with its mode.
        case allocate(CInt)
        /// BLKDISCARD.
        case deviceDiscard
    }

    /// iovecs that the host takes at once (UIO_MAXIOV).
    static let mostVectors = 1024

    let kind: Kind
    let descriptor: CInt
    let offset: UInt64
    let byteCount: UInt64
    // SAFETY: ours, freed in deinit; the engine holds the operation until it is done.
    let vectors: UnsafeMutablePointer<iovec>?
    let vectorCount: Int
    /// The host's result: a count or 0, or -errno. On the thread of the loop.
    let completion: @Sendable (Int) -> Void

    /// A read or write of as many segments as the host takes at once.
    init(
        _ kind: Kind, _ descriptor: CInt, offset: UInt64, segments: Segments,
        completion: @escaping @Sendable (Int) -> Void
    ) {
        self.kind = kind
        self.descriptor = descriptor
        self.offset = offset
        byteCount = UInt64(segments.byteCount)
        vectorCount = unsafe min(segments.buffers.count, Self.mostVectors)
        let list = UnsafeMutablePointer<iovec>.allocate(capacity: max(vectorCount, 1))
        for index in 0..<vectorCount {
            let buffer = unsafe segments.buffers[index]
            unsafe (list + index).initialize(
                to: iovec(iov_base: buffer.baseAddress, iov_len: buffer.count))
        }
        unsafe vectors = unsafe list
        self.completion = completion
    }

    /// Anything else.
    init(
        _ kind: Kind, _ descriptor: CInt, offset: UInt64 = 0, byteCount: UInt64 = 0,
        completion: @escaping @Sendable (Int) -> Void
    ) {
        self.kind = kind
        self.descriptor = descriptor
        self.offset = offset
        self.byteCount = byteCount
        unsafe vectors = nil
        vectorCount = 0
        self.completion = completion
    }

    deinit { unsafe vectors?.deallocate() }

    /// Does it now, on this thread. A count or 0, or -errno.
    func execute() -> Int {
        while true {
            let result: Int
            switch kind {
            case .read:
                result = unsafe preadv(descriptor, vectors, CInt(vectorCount), off_t(offset))
            case .write:
                result = unsafe pwritev(descriptor, vectors, CInt(vectorCount), off_t(offset))
            case .sync: result = Int(fdatasync(descriptor))
            case .allocate(let mode):
                return chost_fallocate(descriptor, mode, offset, byteCount)
            case .deviceDiscard: return chost_device_discard(descriptor, offset, byteCount)
            }
            let error = chost_errno()
            if result >= 0 { return result }
            if error != EINTR { return -Int(error) }
        }
    }
}
