public import Vocabulary

/// A range of guest-physical addresses that is RAM.
public struct MemoryRegion: Hashable, Sendable {
    /// The first byte; a multiple of 4096.
    public var start: GuestPhysicalAddress
    /// Bytes; a multiple of 4096, not 0.
    public var byteCount: UInt64

    public init(start: GuestPhysicalAddress, byteCount: UInt64) {
        self.start = start
        self.byteCount = byteCount
    }

    /// The RAM of a PC with `byteCount` bytes: from 0 to the hole at 3 GiB, the rest from 4 GiB up.
    public static func pc(byteCount: UInt64) -> [MemoryRegion] {
        let low = min(byteCount, 3 << 30)
        var regions: [MemoryRegion] = []
        if low > 0 { regions.append(MemoryRegion(start: .init(0), byteCount: low)) }
        if byteCount > low {
            regions.append(MemoryRegion(start: .init(4 << 30), byteCount: byteCount - low))
        }
        return regions
    }
}
