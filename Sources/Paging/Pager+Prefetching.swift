internal import Dispatch
internal import GuestMemory
internal import HostIO
internal import Synchronization
internal import Vocabulary

// What is brought before anybody asks for it: chunks of the source that an earlier run asked for. The order
// is that of the list, and nothing else is taken from it: which bytes a page gets is the source's word.
//
// `wanted` is signalled once for each page that is asked for, and once for each thread that may prefetch. A
// thread that comes takes a page if there is one, whatever it was signalled for, and reads one run of chunks
// ahead otherwise: so a page waits for the end of one such read at most, and only if all other threads are at
// work for somebody who asked.
extension Pager {
    /// Threads of so many that may read ahead at the same time: one is free for who asks.
    static func prefetchingCount(of threadCount: Int) -> Int { min(threadCount - 1, 2) }

    /// A page that is to come and is read ahead, and where it lies in what is read.
    private struct Claim {
        var page: UInt64
        var chunk: Int
        var index: Int
    }

    /// Reads the next chunks that nobody has asked for yet. False: there are none, or there is no room.
    func prefetchSome(through buffer: UnsafeMutableRawBufferPointer) -> Bool {
        guard let source, let run = prefetches.withLock({ $0.take() }) else { return false }
        var claims: [Claim] = []
        for chunk in run {
            if claim(chunk, of: source, &claims) { continue }
            prefetches.withLock { $0.end() }
            break
        }
        guard let first = claims.first?.chunk, let last = claims.last?.chunk else { return true }
        let chunkByteCount = source.pagesPerChunk * SwapFile.pageByteCount
        do throws(XError) {
            let bytes = unsafe UnsafeMutableRawBufferPointer(
                rebasing: buffer[0..<(last + 1 - first) * chunkByteCount])
            try unsafe source.read(chunks: first..<last + 1, into: bytes)
            for claim in claims {
                let start =
                    (claim.chunk - first) * chunkByteCount + claim.index * SwapFile.pageByteCount
                unsafe memory.supply(
                    page: claim.page,
                    UnsafeRawBufferPointer(
                        rebasing: bytes[start..<start + SwapFile.pageByteCount]))
            }
            announce(claims)
        } catch {
            // Who asks for it finds out: nobody may ever.
            prefetches.withLock { $0.end() }
            giveUp(claims)
        }
        return true
    }

    /// The pages of a chunk that are still to come, and that nobody has asked for, come with it. False: there
    /// is no room for all of them without another having to go.
    private func claim(_ chunk: Int, of source: any PageSource, _ claims: inout [Claim]) -> Bool {
        let present = source.presentPages(ofChunk: chunk)
        if present == 0 { return true }
        return desk.withLock { desk in
            for index in 0..<source.pagesPerChunk where present >> UInt64(index) & 1 != 0 {
                let place = UInt64(chunk * source.pagesPerChunk + index) << 12
                guard let page = memory.page(atFileOffset: place),
                    wasNeverTakenAway(page), isStillToCome(page, desk)
                else { continue }
                guard limit == .max || limit - desk.residentCount > 2 * reserve else {
                    return false
                }
                claim(page, &desk)
                claims.append(Claim(page: page, chunk: chunk, index: index))
            }
            return true
        }
    }

    /// The pages have their bytes. Who has asked meanwhile has accessed them, and nobody else.
    private func announce(_ claims: [Claim]) {
        let waiters = desk.withLock { desk in
            claims.flatMap { claim in
                let waiters = desk.awaited.removeValue(forKey: claim.page) ?? []
                arrive(
                    claim.page, as: waiters.isEmpty ? .prefetched : [.prefetched, .accessed])
                return waiters
            }
        }
        var (chunks, last) = (UInt64(0), -1)
        for claim in claims where claim.chunk != last { (chunks, last) = (chunks + 1, claim.chunk) }
        counters.prefetchedChunks.wrappingAdd(chunks, ordering: .relaxed)
        counters.prefetchedPages.wrappingAdd(UInt64(claims.count), ordering: .relaxed)
        counters.brought.wrappingAdd(UInt64(claims.count), ordering: .relaxed)
        for waiter in waiters { waiter() }
    }

    /// The pages cannot be read ahead. Those that somebody has asked for meanwhile are read for them.
    private func giveUp(_ claims: [Claim]) {
        var (asked, rings) = (0, 0)
        desk.withLock { desk in
            for claim in claims {
                desk.residentCount -= 1
                if desk.awaited[claim.page]?.isEmpty == false {
                    desk.enqueue(claim.page)
                    asked += 1
                } else {
                    desk.awaited[claim.page] = nil
                }
            }
            rings = min(claims.count, desk.waitingForRoom)
        }
        for _ in 0..<rings { room.signal() }
        for _ in 0..<asked { wanted.signal() }
    }

    /// Chunks of the source that somebody asked for, by number, in the order of the first time; not those
    /// that were there before. At most `WorkingSet.largestCount`. Any thread.
    public var touchedChunks: [UInt32] { touched.withLock { $0.chunks } }

    /// Pages that were read ahead, and that somebody has accessed since.
    var prefetchedPagesUsed: UInt64 {
        let used = counters.prefetchedPagesUsed.load(ordering: .relaxed)
        guard counters.prefetchedPages.load(ordering: .relaxed) > 0 else { return used }
        return (0..<UInt64(pageCount)).reduce(used) { count, page in
            residency.use(of: page).isSuperset(of: [.prefetched, .accessed]) ? count &+ 1 : count
        }
    }
}
