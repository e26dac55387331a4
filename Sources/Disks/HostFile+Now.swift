internal import CHost
internal import Glibc
internal import HostIO

/// Transfers that need no other thread: what the host's page cache has, or takes.
extension HostFile {
    /// Vectors that are tried: no more than a call takes.
    private static let mostVectors = HostOperation.mostVectors

    /// Reads what the page cache has without waiting for the device, or writes into it. False: nothing
    /// was done, or only a part, and all of it is to be done another way. Any thread.
    func transferNow(
        isWrite: Bool, _ offset: UInt64, _ segments: [UnsafeMutableRawBufferPointer]
    ) -> Bool {
        let count = unsafe segments.count
        guard alignment == 1, !isObserved, isWritable || !isWrite, count > 0,
            count <= Self.mostVectors, offset <= UInt64(Int64.max)
        else { return false }
        return unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: count) { vectors in
            var total = 0
            for index in 0..<count {
                let segment = unsafe segments[index]
                unsafe vectors.initializeElement(
                    at: index, to: iovec(iov_base: segment.baseAddress, iov_len: segment.count))
                total += segment.count
            }
            guard let pointer = vectors.baseAddress else { return false }
            // SAFETY: the vectors are those of the segments, whose memory the request's maker keeps.
            let done =
                isWrite
                ? unsafe pwritev(
                    descriptor.rawValue, pointer, CInt(count), off_t(offset))
                : unsafe chost_read_cached(
                    descriptor.rawValue, pointer, CInt(count), offset)
            return done == total
        }
    }
}
