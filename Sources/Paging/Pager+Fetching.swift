internal import Dispatch
internal import GuestMemory
internal import HostIO
internal import Synchronization
internal import Vocabulary

// The threads that bring pages.
extension Pager {
    func fetch() {
        do throws(XError) {
            let chunks = prefetches.withLock { $0.isEmpty } ? 1 : Prefetches.longestRun
            let pages = max((source?.pagesPerChunk ?? 1) * chunks, SwapStreams.longest + 1)
            let chunkByteCount = pages * SwapFile.pageByteCount
            let buffer = try MemoryMapping(anonymous: chunkByteCount)
            let bytes = unsafe UnsafeMutableRawBufferPointer(
                start: buffer.base, count: chunkByteCount)
            while true {
                wanted.wait()
                let (page, isStopped) = desk.withLock { ($0.dequeue(), $0.isStopped) }
                if isStopped { return }
                if let page {
                    unsafe bring(page, through: bytes)
                } else if unsafe prefetchSome(through: bytes) {
                    wanted.signal()
                }
            }
        } catch {
            fail(error.message)
        }
    }

    private func bring(_ page: UInt64, through buffer: UnsafeMutableRawBufferPointer) {
        guard takeRoom() else { return }
        do throws(XError) {
            let slot = swap == nil ? 0 : unsafe slots[Int(page)]
            if isZero(page) {
                counters.zeroPages.wrappingAdd(1, ordering: .relaxed)
            } else if slot != 0, let swap {
                return try unsafe bring(page, from: swap, slot: Int(slot) - 1, through: buffer)
            } else if let source {
                return try unsafe bring(page, from: source, through: buffer)
            }
            announce([page])
        } catch {
            fail(error.message)
        }
    }

    /// With those that went with it, where somebody reads them in order.
    private func bring(
        _ page: UInt64, from swap: SwapFile, slot: Int,
        through buffer: UnsafeMutableRawBufferPointer
    ) throws(XError) {
        var brought = [page]
        desk.withLock { desk in
            let ahead = desk.streams.ahead(of: slot)
            for next in slot + 1..<min(slot + 1 + ahead, swap.slotCount) {
                let other = unsafe UInt64(pageOfSlot[next])
                guard unsafe slots[Int(other)] == UInt32(next) + 1, claimIfRoom(other, &desk) else {
                    break
                }
                brought.append(other)
            }
            desk.streams.cut(slot, wanted: ahead, got: brought.count - 1)
        }
        let bytes = unsafe UnsafeMutableRawBufferPointer(
            rebasing: buffer[0..<brought.count * SwapFile.pageByteCount])
        try unsafe swap.read(slot..<slot + brought.count, into: bytes)
        for (number, each) in brought.enumerated() {
            let start = number * SwapFile.pageByteCount
            unsafe memory.supply(
                page: each,
                UnsafeRawBufferPointer(rebasing: bytes[start..<start + SwapFile.pageByteCount]))
        }
        counters.swappedIn.wrappingAdd(UInt64(brought.count), ordering: .relaxed)
        counters.readAhead.wrappingAdd(UInt64(brought.count - 1), ordering: .relaxed)
        announce(brought)
    }

    /// The whole chunk is read: its other pages come along where there is room for them.
    private func bring(
        _ page: UInt64, from source: any PageSource, through buffer: UnsafeMutableRawBufferPointer
    ) throws(XError) {
        guard let place = memory.fileOffset(of: .init(page << 12)) else { return }
        let index = Int(place >> 12)
        let perChunk = source.pagesPerChunk
        let chunk = index / perChunk
        touched.withLock { $0.note(chunk) }
        let bytes = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[0..<perChunk * 4096])
        try unsafe source.read(chunk: chunk, into: bytes)
        counters.fromSource.wrappingAdd(1, ordering: .relaxed)
        let present = source.presentPages(ofChunk: chunk)
        let offset = index % perChunk
        var brought = [page]
        for other in 0..<perChunk where other != offset && present >> UInt64(other) & 1 != 0 {
            // Touching regions are joined, so neighbours in the file are neighbours unless a region ends.
            let neighbour = page &+ UInt64(bitPattern: Int64(other - offset))
            let file = UInt64(chunk * perChunk + other) << 12
            guard memory.fileOffset(of: .init(neighbour << 12)) == file else { continue }
            // One look at both: one that goes meanwhile comes back with what was written to it.
            let isClaimed = desk.withLock {
                wasNeverTakenAway(neighbour) && claimIfRoom(neighbour, &$0)
            }
            if isClaimed { brought.append(neighbour) }
        }
        for each in brought {
            let start = (offset + Int(Int64(bitPattern: each &- page))) * 4096
            unsafe memory.supply(
                page: each, UnsafeRawBufferPointer(rebasing: bytes[start..<start + 4096]))
        }
        counters.readAhead.wrappingAdd(UInt64(brought.count - 1), ordering: .relaxed)
        announce(brought)
    }

    /// The lock is held.
    func wasNeverTakenAway(_ page: UInt64) -> Bool {
        unsafe swap == nil || slots[Int(page)] == 0
    }

    /// A page that nobody has asked for comes along, if it is still to come, and there is room. The lock is
    /// held.
    private func claimIfRoom(_ page: UInt64, _ desk: inout PagerDesk) -> Bool {
        guard isStillToCome(page, desk),
            limit == .max || desk.residentCount < limit - reserve / 2
        else { return false }
        claim(page, &desk)
        return true
    }

    /// The page is absent, and neither on its way nor leaving. The lock is held.
    func isStillToCome(_ page: UInt64, _ desk: borrowing PagerDesk) -> Bool {
        memory.isAbsent(page << 12) && desk.awaited[page] == nil && !desk.leaving.contains(page)
    }

    /// The page is on its way, although nobody has asked for it. The lock is held.
    func claim(_ page: UInt64, _ desk: inout PagerDesk) {
        desk.residentCount += 1
        desk.awaited[page] = []
    }

    /// The pages have their bytes.
    private func announce(_ pages: [UInt64]) {
        let waiters = desk.withLock { desk in
            pages.flatMap { page in
                arrive(page)
                return desk.awaited.removeValue(forKey: page) ?? []
            }
        }
        counters.brought.wrappingAdd(UInt64(pages.count), ordering: .relaxed)
        for waiter in waiters { waiter() }
    }

    /// Waits until one more page may be resident. False: the pager has ended.
    private func takeRoom() -> Bool {
        var hasWaited = false
        while true {
            var ring = false
            let answer = desk.withLock { desk -> Bool? in
                if hasWaited { desk.waitingForRoom -= 1 }
                if desk.isStopped { return false }
                defer { ring = ringIfLow(&desk) }
                if desk.residentCount < limit {
                    desk.residentCount += 1
                    return true
                }
                desk.waitingForRoom += 1
                return nil
            }
            if ring { evictorBell.ring() }
            if let answer { return answer }
            counters.roomWaits.wrappingAdd(1, ordering: .relaxed)
            hasWaited = true
            room.wait()
        }
    }
}
