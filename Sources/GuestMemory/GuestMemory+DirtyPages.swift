internal import CHost
internal import Synchronization
internal import Vocabulary

// The log of written pages: one bit for each. While it is on, an engine that fills a write
// translation calls `markDirty` and keeps no write translation of a clean page; `write` and the
// atomics log by themselves.
extension GuestMemory {
    /// Starts a log with no page in it, or stops it. After starting and after `takeDirtyPages`, the
    /// engines must drop their write translations.
    public func setDirtyLog(on: Bool) {
        if on { _ = takeDirtyPages() }
        dirtyLogOn.store(on, ordering: .sequentiallyConsistent)
    }

    /// Enters the page with this number; after the write, so that who takes the bit sees the bytes.
    public func markDirty(page: UInt64) {
        guard page < spanByteCount >> 12 else { return }
        let bit: UInt64 = 1 << (page & 63)
        // SAFETY: the log has a bit for each page of the span.
        let word = unsafe dirtyWords + Int(page >> 6)
        if unsafe chost_atomic_load64(word) & bit == 0 { unsafe _ = chost_atomic_or64(word, bit) }
    }

    /// Whether the page with this number is in the log.
    public func isDirty(page: UInt64) -> Bool {
        guard page < spanByteCount >> 12 else { return false }
        // SAFETY: as above.
        return unsafe chost_atomic_load64(dirtyWords + Int(page >> 6)) >> (page & 63) & 1 != 0
    }

    /// The numbers of the pages in the log, ascending; takes them out.
    public func takeDirtyPages() -> [UInt64] {
        var pages: [UInt64] = []
        for region in regions {
            let first = region.start.rawValue >> 12
            let end = (region.start.rawValue + region.byteCount) >> 12
            for index in first >> 6...(end - 1) >> 6 {
                // SAFETY: as above.
                let word = unsafe dirtyWords + Int(index)
                // Reading first keeps a log that was never written free of host memory.
                if unsafe chost_atomic_load64(word) == 0 { continue }
                var bits = unsafe chost_atomic_exchange64(word, 0)
                while bits != 0 {
                    pages.append(index << 6 | UInt64(bits.trailingZeroBitCount))
                    bits &= bits - 1
                }
            }
        }
        return pages
    }
}
