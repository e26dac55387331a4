internal import GuestMemory
internal import HostIO
internal import Synchronization
public import Vocabulary

// For who looks at all of the memory while no vCPU runs.
extension Pager {
    /// No page goes until `letPagesGo`. Waits for those that are going.
    public func holdPages() {
        desk.withLock { $0.holdsPages = true }
        evictorBell.ring()
        while desk.withLock({ $0.isEvicting && !$0.isStopped }) {
            HostThread.sleep(nanoseconds: 100_000)
        }
    }

    public func letPagesGo() {
        desk.withLock { $0.holdsPages = false }
        evictorBell.ring()
    }

    /// Counts waits of who pins anew.
    public func forgetWaits() { residency.waits.store(0, ordering: .relaxed) }

    /// Waits until every page is present, where none goes. False: one cannot be had any more.
    public func bringAll() -> Bool {
        for page in 0..<UInt64(pageCount) where memory.isRAM(page: page) {
            if !memory.bring(page << 12) { return false }
        }
        return true
    }

    /// An absent page that is not all zeros.
    public func isKeptElsewhere(page: UInt64) -> Bool {
        page < UInt64(pageCount) && memory.isAbsent(page << 12) && !isZero(page)
    }

    /// The bytes of an absent page, which stays absent. While pages are held.
    ///
    /// - Throws: `XError`: they cannot be had.
    public func copy(page: UInt64, into bytes: UnsafeMutableRawBufferPointer) throws(XError) {
        guard page < UInt64(pageCount), bytes.count == SwapFile.pageByteCount else { return }
        let slot = swap == nil ? 0 : unsafe slots[Int(page)]
        if isZero(page) {
            unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
            return
        }
        if slot != 0, let swap {
            let number = Int(slot) - 1
            let buffer = try MemoryMapping(anonymous: SwapFile.pageByteCount)
            let aligned = unsafe UnsafeMutableRawBufferPointer(
                start: buffer.base, count: SwapFile.pageByteCount)
            try unsafe swap.read(number..<number + 1, into: aligned)
            unsafe bytes.copyMemory(from: UnsafeRawBufferPointer(aligned))
        } else if let source, let place = memory.fileOffset(of: .init(page << 12)) {
            let index = Int(place >> 12)
            var chunk = [UInt8](repeating: 0, count: source.pagesPerChunk * 4096)
            let failure = unsafe chunk.withUnsafeMutableBytes { buffer -> XError? in
                do throws(XError) {
                    try unsafe source.read(chunk: index / source.pagesPerChunk, into: buffer)
                    let start = index % source.pagesPerChunk * 4096
                    unsafe bytes.copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: buffer[start..<start + 4096]))
                    return nil
                } catch { return error }
            }
            if let failure { throw failure }
        }
    }
}
