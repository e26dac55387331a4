internal import CEngine

// TLB entries are of 4 KiB whatever the size of the guest's page, so INVLPG has to find all entries
// that were made of a large page (SDM volume 3, 4.10.4.1). Most pages that are flushed are small ones,
// of processes, while the kernel maps all memory in large ones: a flush must not pay for those.

/// In which parts of the address space entries of large pages were made since all was flushed. Says
/// yes too often, never no too often.
struct LargePages {
    /// For each half of the address space 4096 bits, found by the hash of a region of 2 MiB.
    private var regions = InlineArray<128, UInt64>(repeating: 0)
    /// Regions that instructions were fetched from.
    private var codeRegions = InlineArray<128, UInt64>(repeating: 0)
    /// For each half the largest page an entry was made of, as a shift count; 0 without one.
    private var largestShift = InlineArray<2, UInt8>(repeating: 0)

    private static func bit(_ address: UInt64) -> (word: Int, mask: UInt64) {
        let hash = ((address &>> 21) &* 0x9e37_79b9_7f4a_7c15) &>> 52
        let word = (address &>> 63) &<< 6 | hash &>> 6
        return (Int(truncatingIfNeeded: word), 1 &<< (hash & 63))
    }

    /// An entry for `address` was made of a page of 1 << `shift` bytes, more than 4 KiB.
    mutating func note(_ address: UInt64, shift: UInt8, fetched: Bool) {
        let (word, mask) = Self.bit(address)
        regions[word] |= mask
        if fetched { codeRegions[word] |= mask }
        let half = Int(truncatingIfNeeded: address &>> 63)
        largestShift[half] = max(largestShift[half], shift)
    }

    /// The size of the page around `address` that there may be entries of, as a shift count.
    func shift(around address: UInt64) -> UInt8 {
        let largest = largestShift[Int(truncatingIfNeeded: address &>> 63)]
        // Larger pages have many regions, and not all of them are noted.
        if largest != 21 { return max(largest, 12) }
        let (word, mask) = Self.bit(address)
        return regions[word] & mask != 0 ? 21 : 12
    }

    /// Instructions may have been fetched from the 2 MiB around `address`.
    func holdCode(around address: UInt64) -> Bool {
        let (word, mask) = Self.bit(address)
        return codeRegions[word] & mask != 0
    }
}

/// INVLPG where the 2 MiB around `address` may be one page of data: its entries in every context.
func flushLargePage(_ cpu: CPU, _ engine: EngineContext, _ address: UInt64) {
    let first = address & ~0x1f_ffff
    for page in 0..<UInt64(512) {
        unsafe flushPlace(cpu, engine, first &+ page &<< 12, shift: 21)
    }
}
