internal import CHost
internal import Synchronization

/// What one thread sleeps on and any other rings: one system call each, and none where the sleeper
/// has not looked yet.
@safe public final class SleepWord: Sendable {
    // SAFETY: never changes, points at an atomic, freed in deinit.
    private nonisolated(unsafe) let word: UnsafeMutablePointer<Atomic<UInt32>>

    public init() {
        unsafe word = .allocate(capacity: 1)
        unsafe word.initialize(to: Atomic(0))
    }

    deinit {
        unsafe word.deinitialize(count: 1)
        unsafe word.deallocate()
    }

    /// How often it was rung, modulo 2^32: to be asked before the last look at what there is to do.
    public var rings: UInt32 { unsafe word.pointee.load(ordering: .sequentiallyConsistent) }

    /// Wakes the sleeper. Never blocks.
    public func ring() {
        unsafe word.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        // SAFETY: the word lives as long as `self`.
        unsafe chost_futex_wake(UnsafeRawPointer(word))
    }

    /// Sleeps until it has been rung since `rings` was asked, at most until a point of
    /// CLOCK_MONOTONIC in nanoseconds; `UInt64.max`: as long as it takes. May return without cause.
    public func wait(after rings: UInt32, until nanoseconds: UInt64 = .max) {
        // SAFETY: as above.
        unsafe chost_futex_wait_until(UnsafeRawPointer(word), rings, nanoseconds)
    }
}
