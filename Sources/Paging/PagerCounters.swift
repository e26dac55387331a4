internal import Synchronization

/// What a pager counted. Any thread.
final class PagerCounters: Sendable {
    let zeroPages = Atomic<UInt64>(0)
    let swappedIn = Atomic<UInt64>(0)
    let fromSource = Atomic<UInt64>(0)
    let readAhead = Atomic<UInt64>(0)
    let requests = Atomic<UInt64>(0)
    let brought = Atomic<UInt64>(0)
    let evicted = Atomic<UInt64>(0)
    let swappedOut = Atomic<UInt64>(0)
    let rescued = Atomic<UInt64>(0)
    let shootdowns = Atomic<UInt64>(0)
    let shootdownNanoseconds = Atomic<UInt64>(0)
    let roomWaits = Atomic<UInt64>(0)
    let writeFailures = Atomic<UInt64>(0)
    let prefetchedChunks = Atomic<UInt64>(0)
    let prefetchedPages = Atomic<UInt64>(0)
    /// Of those whose marks were taken since; see `Pager.prefetchedPagesUsed`.
    let prefetchedPagesUsed = Atomic<UInt64>(0)

    var metrics: [String: UInt64] {
        func value(_ counter: borrowing Atomic<UInt64>) -> UInt64 {
            counter.load(ordering: .relaxed)
        }
        return [
            "zeroPages": value(zeroPages), "swappedIn": value(swappedIn),
            "fromSource": value(fromSource), "readAhead": value(readAhead),
            "requests": value(requests), "brought": value(brought), "evicted": value(evicted),
            "swappedOut": value(swappedOut), "rescued": value(rescued),
            "shootdowns": value(shootdowns), "shootdownNanoseconds": value(shootdownNanoseconds),
            "roomWaits": value(roomWaits), "writeFailures": value(writeFailures),
            "prefetchedChunks": value(prefetchedChunks),
            "prefetchedPages": value(prefetchedPages),
        ]
    }
}
