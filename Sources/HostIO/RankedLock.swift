internal import CHost
internal import Glibc
internal import Synchronization

/// A value that one thread at a time may touch, behind a lock that has an owner, a rank and
/// counters.
///
/// Uncontended it costs one compare-and-exchange, one exchange and one plain count. In debug
/// builds, and with `MARTLET_CHECK_LOCKS` in the environment, taking a lock of equal or higher rank
/// than one the thread holds ends the program. Not recursive.
@safe public struct RankedLock<Value: Sendable>: ~Copyable, @unchecked Sendable {
    @usableFromInline let core: LockCore
    // SAFETY: allocated and initialised in `init`, touched only while `core` is taken, freed in
    // `deinit`, which nobody can call while the lock is borrowed.
    @usableFromInline let value: UnsafeMutablePointer<Value>

    /// - Parameters:
    ///   - owner: whose lock it is, as statistics show it, e.g. `uart0`.
    public init(_ initial: consuming Value, owner: String, rank: LockRank) {
        core = LockCore(owner: owner, rank: rank, checksRank: LockCore.checksRanks)
        unsafe value = .allocate(capacity: 1)
        unsafe value.initialize(to: initial)
        LockRegistry.insert(core)
    }

    deinit {
        LockRegistry.remove(core)
        unsafe value.deinitialize(count: 1)
        unsafe value.deallocate()
    }

    /// Runs `body` while no other thread has the value.
    @inlinable
    public borrowing func withLock<Result, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        core.acquire()
        defer { core.release() }
        // SAFETY: the lock is held.
        return try unsafe body(&value.pointee)
    }

    /// Runs `body` if no other thread has the value now; nil if one has. For threads that must wait
    /// for nobody.
    @inlinable
    public borrowing func withLockIfAvailable<Result, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        guard core.acquireIfFree() else { return nil }
        defer { core.release() }
        // SAFETY: the lock is held.
        return try unsafe body(&value.pointee)
    }

    /// What this lock counted so far.
    public var statistics: LockStatistics { core.statistics }
}

/// What a lock counted since it was made.
public struct LockStatistics: Codable, Sendable, Equatable {
    public var owner: String
    /// Name of the `LockRank`.
    public var rank: String
    public var acquisitions: UInt64 = 0
    /// Acquisitions that found the lock taken.
    public var contended: UInt64 = 0
    /// Nanoseconds that threads waited in all.
    public var waitNanoseconds: UInt64 = 0
    /// The longest wait in nanoseconds.
    public var longestWaitNanoseconds: UInt64 = 0
}

/// The word that threads compete for, with its counters.
@safe @usableFromInline final class LockCore: Sendable {
    private static let free: UInt32 = 0
    private static let taken: UInt32 = 1
    private static let sleptOn: UInt32 = 2
    /// Looks at a taken lock before a thread sleeps: about a microsecond.
    private static let spins = 40

    /// Ranks are checked in this process.
    static let checksRanks: Bool = {
        #if DEBUG
            return true
        #else
            return unsafe getenv("MARTLET_CHECK_LOCKS") != nil
        #endif
    }()

    let owner: String
    let rank: LockRank
    private let checksRank: Bool
    // SAFETY: never changes, points at an atomic, freed in deinit.
    private nonisolated(unsafe) let word: UnsafeMutablePointer<Atomic<UInt32>>
    // Written by the holder alone: plain counts that others may read.
    private let acquisitions = Atomic<UInt64>(0)
    private let contended = Atomic<UInt64>(0)
    private let waited = Atomic<UInt64>(0)
    private let longestWait = Atomic<UInt64>(0)

    init(owner: String, rank: LockRank, checksRank: Bool) {
        self.owner = owner
        self.rank = rank
        self.checksRank = checksRank
        unsafe word = .allocate(capacity: 1)
        unsafe word.initialize(to: Atomic(Self.free))
    }

    deinit {
        unsafe word.deinitialize(count: 1)
        unsafe word.deallocate()
    }

    @usableFromInline func acquire() {
        if checksRank { enterRank() }
        let (won, _) = unsafe word.pointee.compareExchange(
            expected: Self.free, desired: Self.taken, ordering: .acquiring)
        if !won { acquireContended() }
        Self.count(acquisitions, 1)
    }

    /// False, at once, if the lock is taken.
    @usableFromInline func acquireIfFree() -> Bool {
        let (won, _) = unsafe word.pointee.compareExchange(
            expected: Self.free, desired: Self.taken, ordering: .acquiring)
        guard won else { return false }
        // Whoever does not wait cannot be part of a circle, but what it takes next may.
        if checksRank { enterRank() }
        Self.count(acquisitions, 1)
        return true
    }

    @usableFromInline func release() {
        let old = unsafe word.pointee.exchange(Self.free, ordering: .releasing)
        if old == Self.sleptOn {
            // SAFETY: the word lives as long as `self`.
            unsafe chost_futex_wake(UnsafeRawPointer(word))
        }
        if checksRank { leaveRank() }
    }

    @inline(never)
    private func acquireContended() {
        let start = Self.now
        if !spin() {
            // Whoever sleeps leaves the word so that the holder wakes one sleeper.
            while unsafe word.pointee.exchange(Self.sleptOn, ordering: .acquiring) != Self.free {
                // SAFETY: as above.
                unsafe chost_futex_wait(UnsafeRawPointer(word), Self.sleptOn)
            }
        }
        let wait = Self.now &- start
        Self.count(contended, 1)
        Self.count(waited, wait)
        if wait > longestWait.load(ordering: .relaxed) {
            longestWait.store(wait, ordering: .relaxed)
        }
    }

    private func spin() -> Bool {
        for _ in 0..<Self.spins {
            chost_pause()
            if unsafe word.pointee.load(ordering: .relaxed) == Self.free,
                unsafe word.pointee.compareExchange(
                    expected: Self.free, desired: Self.taken, ordering: .acquiring
                ).exchanged
            {
                return true
            }
        }
        return false
    }

    private static func count(_ counter: borrowing Atomic<UInt64>, _ amount: UInt64) {
        counter.store(counter.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    private static var now: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    @inline(never)
    private func enterRank() {
        // SAFETY: the word of the calling thread.
        let bits = unsafe chost_held_ranks()
        var held = unsafe HeldRanks(bits: bits.pointee)
        precondition(
            held.allows(rank),
            "lock of \(owner), rank \(rank), taken while the thread holds \(held.ranks)")
        held.insert(rank)
        unsafe bits.pointee = held.bits
    }

    @inline(never)
    private func leaveRank() {
        // SAFETY: the word of the calling thread.
        let bits = unsafe chost_held_ranks()
        var held = unsafe HeldRanks(bits: bits.pointee)
        held.remove(rank)
        unsafe bits.pointee = held.bits
    }

    var statistics: LockStatistics {
        LockStatistics(
            owner: owner, rank: "\(rank)", acquisitions: acquisitions.load(ordering: .relaxed),
            contended: contended.load(ordering: .relaxed),
            waitNanoseconds: waited.load(ordering: .relaxed),
            longestWaitNanoseconds: longestWait.load(ordering: .relaxed))
    }
}

/// The locks of this process. Touched when a lock is made, when it ends, and to list them.
public enum LockRegistry {
    private static let cores = Mutex<[ObjectIdentifier: LockCore]>([:])

    static func insert(_ core: LockCore) {
        cores.withLock { $0[ObjectIdentifier(core)] = core }
    }

    static func remove(_ core: LockCore) {
        _ = cores.withLock { $0.removeValue(forKey: ObjectIdentifier(core)) }
    }

    /// Every lock there is: the longest waited for first, then by owner.
    public static var statistics: [LockStatistics] {
        cores.withLock { $0.values.map(\.statistics) }.sorted {
            ($1.waitNanoseconds, $0.owner) < ($0.waitNanoseconds, $1.owner)
        }
    }
}
