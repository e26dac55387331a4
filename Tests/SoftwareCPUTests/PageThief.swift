import GuestMemory
import Synchronization
import Vocabulary

/// Takes pages of a memory away, and brings them when they are asked for. What comes back is what the page was
/// when it was taken away and counted as written last: as if that alone had been written to a file.
final class PageThief: PageSupplier {
    private let memory: GuestMemory
    private struct Kept {
        /// Of every page that was taken away once.
        var copies: [UInt64: [UInt8]] = [:]
        var stolen: Set<UInt64> = []
    }
    private let kept = Mutex(Kept())
    /// Pages that were brought to somebody who waits.
    let brought = Atomic<Int>(0)

    init(_ memory: GuestMemory) {
        self.memory = memory
        memory.residency?.setSupplier(self)
    }

    var stolen: [UInt64] { kept.withLock { $0.stolen.sorted() } }

    /// Takes a page away, unless somebody uses it; every vCPU has given it up afterwards.
    func steal(_ page: UInt64) {
        guard let residency = memory.residency, !memory.isAbsent(page << 12) else { return }
        memory.insertFlags(.absent, ofPageAt: page << 12)
        guard !residency.isPinned(page) else {
            memory.removeFlags(.absent, ofPageAt: page << 12)
            return
        }
        memory.announce(.absent, 0, by: 0)
        while memory.codeAttention(but: 0).contains(.translatesAbsent) {}
        kept.withLock { kept in
            if kept.copies[page] == nil || residency.use(of: page).contains(.written) {
                kept.copies[page] = unsafe Array(memory.bytes(ofAbsentPage: page))
            }
            kept.stolen.insert(page)
            memory.giveBack(pages: page, count: 1)
        }
    }

    func bring(page: UInt64) -> Bool {
        kept.withLock { kept in
            guard kept.stolen.remove(page) != nil, let bytes = kept.copies[page] else { return }
            unsafe bytes.withUnsafeBytes { unsafe memory.supply(page: page, $0) }
            memory.residency?.take(.written, of: page)
            memory.removeFlags(.absent, ofPageAt: page << 12)
            brought.add(1, ordering: .relaxed)
        }
        return true
    }
}
