internal import Dispatch
internal import GuestMemory
internal import HostIO
internal import Synchronization
internal import Vocabulary

// The thread that takes pages away: a clock that gives each page a second chance by the marks that
// translations leave (`PageResidency.Use`).
extension Pager {
    /// The hand of the clock and what it writes from.
    struct Clock: ~Copyable {
        /// The page it points at.
        var hand: UInt64 = 0
        let buffer: MemoryMapping
    }

    /// Seconds for which a swap file that cannot be written is tried again.
    private static let patienceSeconds: UInt64 = 10

    func evict() {
        do throws(XError) {
            var clock = Clock(
                buffer: try MemoryMapping(anonymous: SwapFile.longestRun * SwapFile.pageByteCount))
            while true {
                let rings = evictorBell.rings
                let (isStopped, isLow) = desk.withLock { desk in
                    desk.isEvictorRung = false
                    desk.isEvicting =
                        !desk.holdsPages
                        && (limit - desk.residentCount < 2 * reserve || desk.waitingForRoom > 0)
                    return (desk.isStopped, desk.isEvicting)
                }
                if isStopped { return }
                if isLow {
                    try evictSome(&clock)
                } else {
                    evictorBell.wait(after: rings)
                }
            }
        } catch {
            fail(error.message)
        }
    }

    /// One run of the swap file at most.
    private func evictSome(_ clock: inout Clock) throws(XError) {
        let pages = choose(&clock)
        // Also where none was found: translations of pages whose marks were taken go, so that those in use
        // are marked again.
        shootDown()
        if pages.isEmpty {
            HostThread.sleep(nanoseconds: 200_000)
            return
        }
        try write(pages, clock.buffer)
    }

    /// Pages that nobody has accessed since the hand came by last. They are absent now, and leaving.
    private func choose(_ clock: inout Clock) -> [UInt64] {
        var pages: [UInt64] = []
        var looked = 0
        // At most an eighth of the memory between two looks at what is in use.
        let most = max(SwapFile.longestRun * 8, pageCount / 8)
        while pages.count < SwapFile.longestRun, looked < most {
            looked += 1
            let page = clock.hand
            clock.hand = page &+ 1 < UInt64(pageCount) ? page &+ 1 : 0
            guard memory.isRAM(page: page), !memory.isAbsent(page << 12),
                !residency.isPinned(page)
            else { continue }
            if !residency.take(.accessed, of: page).isEmpty {
                if residency.use(of: page).contains(.prefetched) {
                    residency.take(.prefetched, of: page)
                    counters.prefetchedPagesUsed.wrappingAdd(1, ordering: .relaxed)
                }
                continue
            }
            let isTaken = desk.withLock { desk in
                memory.insertFlags(.absent, ofPageAt: page << 12)
                if residency.isPinned(page) {
                    memory.removeFlags(.absent, ofPageAt: page << 12)
                    return false
                }
                desk.leaving.insert(page)
                return true
            }
            if isTaken { pages.append(page) }
        }
        return pages
    }

    /// Waits until no vCPU has translations of absent pages.
    private func shootDown() {
        let start = HostThread.monotonicNow
        memory.announce(.absent, 0, by: 0)
        var looks = 0
        while memory.codeAttention(but: 0).contains(.translatesAbsent) {
            looks += 1
            // Its thread may wait for this one's processor.
            HostThread.sleep(nanoseconds: looks < 20 ? 1_000 : 50_000)
        }
        counters.shootdowns.wrappingAdd(1, ordering: .relaxed)
        counters.shootdownNanoseconds.wrappingAdd(
            HostThread.monotonicNow.nanoseconds &- start.nanoseconds, ordering: .relaxed)
    }

    /// Nobody looks at the pages: what they have goes to the swap file, where it is not there already.
    private func write(_ pages: [UInt64], _ buffer: borrowing MemoryMapping) throws(XError) {
        guard let swap else { return }
        var (dirty, zeros) = ([UInt64](), [UInt64]())
        for page in pages where residency.use(of: page).contains(.written) || !hasCopy(page) {
            if unsafe memory.bytes(ofAbsentPage: page).isZero {
                zeros.append(page)
            } else {
                dirty.append(page)
            }
        }
        desk.withLock { _ in
            for page in zeros { setSlot(page, .max) }
        }
        var done = 0
        let start = HostThread.monotonicNow
        while done < dirty.count {
            guard let slots = swap.allocate(dirty.count - done) else {
                throw XError(
                    .hostCall, "the swap file has no slot left: give the guest more with --resident"
                )
            }
            for (number, page) in dirty[done..<done + slots.count].enumerated() {
                let place = unsafe buffer.base + number * SwapFile.pageByteCount
                unsafe place.copyMemory(
                    from: memory.bytes(ofAbsentPage: page).baseAddress.unsafelyUnwrapped,
                    byteCount: SwapFile.pageByteCount)
            }
            do throws(XError) {
                try unsafe swap.write(
                    UnsafeRawBufferPointer(
                        start: buffer.base, count: slots.count * SwapFile.pageByteCount),
                    to: slots)
            } catch {
                for slot in slots { swap.free(slot) }
                counters.writeFailures.wrappingAdd(1, ordering: .relaxed)
                let waited = HostThread.monotonicNow.nanoseconds &- start.nanoseconds
                if waited > Self.patienceSeconds * 1_000_000_000 { throw error }
                if desk.withLock({ $0.isStopped }) { return }
                HostThread.sleep(nanoseconds: 100_000_000)
                continue
            }
            desk.withLock { _ in
                for (slot, page) in zip(slots, dirty[done..<done + slots.count]) {
                    unsafe pageOfSlot[slot] = UInt32(truncatingIfNeeded: page)
                    setSlot(page, UInt32(slot) + 1)
                }
            }
            done += slots.count
        }
        counters.swappedOut.wrappingAdd(UInt64(dirty.count), ordering: .relaxed)
        letGo(pages)
    }

    /// What was written of it the last time is what it is.
    private func hasCopy(_ page: UInt64) -> Bool { unsafe slots[Int(page)] != 0 || source != nil }

    /// The lock is held.
    private func setSlot(_ page: UInt64, _ slot: UInt32) {
        let old = unsafe slots[Int(page)]
        if old != 0, old != .max { swap?.free(Int(old) - 1) }
        unsafe slots[Int(page)] = slot
    }

    /// The pages can come back. Those that somebody has asked for meanwhile stay.
    private func letGo(_ pages: [UInt64]) {
        var waiters: [PagerDesk.Waiter] = []
        var (rings, gone) = (0, 0)
        desk.withLock { desk in
            var run: (first: UInt64, count: Int) = (0, 0)
            for page in pages {
                desk.leaving.remove(page)
                if let asked = desk.awaited.removeValue(forKey: page) {
                    arrive(page)
                    waiters += asked
                    counters.rescued.wrappingAdd(1, ordering: .relaxed)
                    continue
                }
                gone += 1
                residency.take([.written, .accessed, .prefetched], of: page)
                if run.count > 0, page == run.first &+ UInt64(run.count) {
                    run.count += 1
                } else {
                    memory.giveBack(pages: run.first, count: run.count)
                    run = (page, 1)
                }
            }
            memory.giveBack(pages: run.first, count: run.count)
            desk.residentCount -= gone
            rings = min(gone, desk.waitingForRoom)
        }
        counters.evicted.wrappingAdd(UInt64(gone), ordering: .relaxed)
        for _ in 0..<rings { room.signal() }
        for waiter in waiters { waiter() }
    }
}
