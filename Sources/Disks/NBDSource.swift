internal import CNBD
internal import HostIO
internal import Vocabulary

/// A question to a server: what a stretch of its disk holds.
///
/// The answer is collected on the connection's thread, which then gives it to the completion on the loop's.
final class NBDExtents: @unchecked Sendable {
    let offset: UInt64
    let byteCount: UInt64
    /// nil: the server did not say.
    private let completion: @Sendable ([Extent]?) -> Void
    private var found: [Extent] = []

    struct Extent: Sendable {
        var end: UInt64
        var isZero: Bool
    }

    init(
        _ offset: UInt64, _ byteCount: UInt64,
        _ completion: @escaping @Sendable ([Extent]?) -> Void
    ) {
        self.offset = offset
        self.byteCount = byteCount
        self.completion = completion
    }

    /// What the library is to call with the answer.
    func callback() -> nbd_extent_callback {
        unsafe nbd_extent_callback(
            callback: { user, _, _, entries, count, _ in
                guard let user = unsafe user, let entries = unsafe entries else { return 0 }
                // SAFETY: retained below until the library calls `free`.
                let extents = unsafe Unmanaged<NBDExtents>.fromOpaque(user).takeUnretainedValue()
                // SAFETY: so many words, in pairs of a length and its flags.
                unsafe extents.take(UnsafeBufferPointer(start: entries, count: count))
                return 0
            }, user_data: Unmanaged.passRetained(self).toOpaque(),
            free: { user in
                if let user = unsafe user {
                    unsafe Unmanaged<NBDExtents>.fromOpaque(user).release()
                }
            })
    }

    private func take(_ words: UnsafeBufferPointer<UInt32>) {
        for index in stride(from: 0, to: words.count - 1, by: 2) {
            let isZero = unsafe words[index + 1] & UInt32(LIBNBD_STATE_ZERO) != 0
            let length = unsafe UInt64(words[index])
            found.append(Extent(end: (found.last?.end ?? offset) &+ length, isZero: isZero))
        }
    }

    /// Everything is said. The thread of the loop.
    func finish(_ error: HostErrno?) { completion(error == nil ? found : nil) }
}

/// A disk of an NBD server as tasks read it: the source of a conversion.
final class NBDSource: BlockImage {
    private let image: NBDImage
    /// The last sector is whole: what the server does not have of it is zeros.
    let byteCount: UInt64
    /// What the server said of the bytes that come next.
    private let known = RankedLock<[NBDExtents.Extent]>([], owner: "nbd-source", rank: .leaf)

    /// Connects; blocks as long as that takes.
    init(uri: String, loop: IOLoop) throws(XError) {
        image = try NBDImage(uri: uri, isWritable: false, loop: loop, wantsExtents: true)
        byteCount = (image.exactByteCount &+ 511) & ~511
    }

    /// Ends the connection. Blocks; not on the loop's thread.
    func close() {
        let answer = Answer<HostErrno?>()
        image.close { answer.give($0) }
        _ = answer.wait()
    }

    func read(_ offset: UInt64, _ segments: Segments) async throws(HostErrno) {
        let left = image.exactByteCount &- min(offset, image.exactByteCount)
        let count = Int(min(left, UInt64(segments.byteCount)))
        segments.slice(count, segments.byteCount).zero()
        if count == 0 { return }
        let there = segments.slice(0, count)
        try await HostFile.wait { done in
            self.image.submit(
                unsafe DiskRequest(.read, offset: offset, segments: there.buffers), done)
        }
    }

    func write(_ offset: UInt64, _ segments: Segments) async throws(HostErrno) { throw .readOnly }

    func zero(_ offset: UInt64, _ byteCount: UInt64, mayUnmap: Bool) async throws(HostErrno) {
        throw .readOnly
    }

    func flush() async throws(HostErrno) {}

    /// Zeros where the server says so, data where it says nothing.
    func extent(_ offset: UInt64, most: UInt64) async throws(HostErrno) -> ImageExtent {
        let exact = image.exactByteCount
        guard image.canTellExtents, offset < exact else {
            return ImageExtent(kind: .data, byteCount: most)
        }
        if let extent = find(offset, most) { return extent }
        // The protocol has 32 bits for it.
        let count = min(most, exact &- offset, 1 << 30)
        let answer = await withCheckedContinuation {
            (done: CheckedContinuation<[NBDExtents.Extent]?, Never>) in
            image.submit(NBDExtents(offset, count) { done.resume(returning: $0) })
        }
        known.withLock { $0 = answer ?? [] }
        return find(offset, most) ?? ImageExtent(kind: .data, byteCount: min(most, count))
    }

    /// What is known of a byte already.
    private func find(_ offset: UInt64, _ most: UInt64) -> ImageExtent? {
        known.withLock { known in
            known.removeAll { $0.end <= offset }
            guard let first = known.first else { return nil }
            return ImageExtent(
                kind: first.isZero ? .zero : .data, byteCount: min(first.end &- offset, most))
        }
    }
}
