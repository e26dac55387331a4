internal import Synchronization
internal import Vocabulary

/// For each vector that is requested: by what, and since when. Any thread stamps, the vCPU takes.
///
/// A word holds the source in bits 63:56 and the nanoseconds modulo 2^56 (two years) below; 0: no
/// stamp.
@safe final class InterruptStamps: Sendable {
    private static let timeMask: UInt64 = (1 << 56) - 1

    // SAFETY: 256 atomics, one for each vector, that live as long as `self`.
    private nonisolated(unsafe) let words: UnsafeMutablePointer<Atomic<UInt64>>

    init() {
        unsafe words = .allocate(capacity: 256)
        for index in 0..<256 { unsafe (words + index).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe words.deinitialize(count: 256)
        unsafe words.deallocate()
    }

    func set(_ vector: UInt8, _ source: InterruptSource, _ time: Instant) {
        let word = UInt64(source.rawValue) << 56 | time.nanoseconds & Self.timeMask
        unsafe words[Int(vector)].store(word, ordering: .relaxed)
    }

    func clear() {
        for index in 0..<256 { unsafe words[index].store(0, ordering: .relaxed) }
    }

    /// The stamp, if there is one, with the nanoseconds that have passed since. It is gone then.
    func take(
        _ vector: UInt8, now: () -> Instant
    ) -> (source: InterruptSource, nanoseconds: UInt64, now: Instant)? {
        let word = unsafe words[Int(vector)].exchange(0, ordering: .relaxed)
        guard word != 0 else { return nil }
        let now = now()
        let passed = (now.nanoseconds &- word) & Self.timeMask
        // A clock read a moment earlier on another thread must not look like years.
        let isBackwards = passed > Self.timeMask / 2
        return (
            InterruptSource(rawValue: UInt8(truncatingIfNeeded: word >> 56)),
            isBackwards ? 0 : passed, now
        )
    }
}
