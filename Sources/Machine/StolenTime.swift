import Glibc

/// How long the thread of one vCPU could have run and did not: the difference between the time it was
/// awake and the processor time it got.
///
/// Owner: the vCPU's runner; the vCPU's thread only.
struct StolenTime {
    private var wall: UInt64 = 0
    private var processor: UInt64 = 0
    private var stolen: UInt64 = 0

    /// Starts to count: the thread begins, or goes on after a sleep of its own will.
    mutating func start() {
        (wall, processor) = (Self.now(CLOCK_MONOTONIC), Self.now(CLOCK_THREAD_CPUTIME_ID))
    }

    /// What was counted since the last call, in nanoseconds.
    mutating func take() -> UInt64 {
        defer { stolen = 0 }
        return stolen
    }

    /// Counts until now: before a sleep, and whenever the guest's accounts are due.
    mutating func count() {
        let (oldWall, oldProcessor) = (wall, processor)
        start()
        let (awake, got) = (wall &- oldWall, processor &- oldProcessor)
        if awake > got { stolen &+= awake &- got }
    }

    private static func now(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
