internal import CHost

/// Pages whose code is written to again and again between its runs.
///
/// Decoding from a page means to mark it, to give up every entry that writes to it, and to tell the
/// other vCPUs; a store then drops what was decoded. Where that happens every few microseconds, the
/// page is not decoded from for a while: its instructions are run one by one, from their bytes, and
/// stores to it cost nothing. A page that is left alone gets blocks again soon, so that code which is
/// written once, piece by piece, does not suffer.
struct PatchedPages {
    private struct Entry {
        var page = UInt64.max
        /// When the last store dropped blocks, or the last instruction ran alone.
        var last: UInt64 = 0
        /// Stores in a row that came soon after that.
        var streak = 0
        /// Instructions that still run alone.
        var left = 0
    }

    private static let count = 64
    /// Cycles of the host's counter within which a store is one of a row.
    private static let window: UInt64 = 400_000
    private static let longestRun = 4096

    private var entries = [Entry](repeating: Entry(), count: count)
    /// Page numbers modulo 64 with instructions that run alone, a bit for each.
    private(set) var places: UInt64 = 0

    private static func place(_ page: UInt64) -> Int {
        Int(truncatingIfNeeded: page &>> 12) & (count &- 1)
    }

    private mutating func setPlace(_ place: Int, _ hasSome: Bool) {
        let bit = 1 &<< UInt64(truncatingIfNeeded: place)
        if hasSome { places |= bit } else { places &= ~bit }
    }

    /// A store has dropped the blocks of the page.
    mutating func noteStore(_ page: UInt64) {
        let now = chost_rdtsc()
        let place = Self.place(page)
        var entry = entries[place]
        if entry.page != page || now &- entry.last > Self.window {
            entry = Entry(page: page)
        }
        entry.streak &+= 1
        entry.last = now
        if entry.streak >= 4 {
            entry.left = min(64 &<< min(entry.streak &- 4, 6), Self.longestRun)
        }
        setPlace(place, entry.left > 0)
        entries[place] = entry
    }

    /// The next instruction of the page runs alone.
    mutating func takeOne(_ page: UInt64) -> Bool {
        let place = Self.place(page)
        guard entries[place].page == page, entries[place].left > 0 else { return false }
        entries[place].left &-= 1
        setPlace(place, entries[place].left > 0)
        entries[place].last = chost_rdtsc()
        return true
    }
}
