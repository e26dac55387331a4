/// An entry of a paging structure of any level, 64 bits wide (SDM volume 3A, 4.5). Entries of
/// 32-bit paging have the same low twelve bits.
@frozen
public struct PageTableEntry: RawRepresentable, Sendable, Hashable {
    public var rawValue: UInt64

    @inlinable
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// An entry for the frame or table at `address`, of which bits 12 to 51 count.
    @inlinable
    public init(address: UInt64, flags: Flags) {
        rawValue = address & Self.addressMask | flags.rawValue
    }

    /// Bits 12 to 51.
    public static let addressMask: UInt64 = 0x000f_ffff_ffff_f000

    /// The bits that are flags.
    @frozen
    public struct Flags: OptionSet, Sendable, Hashable {
        public var rawValue: UInt64

        @inlinable
        public init(rawValue: UInt64) { self.rawValue = rawValue }

        public static let present = Flags(rawValue: 1 << 0)
        public static let writable = Flags(rawValue: 1 << 1)
        public static let user = Flags(rawValue: 1 << 2)
        public static let writeThrough = Flags(rawValue: 1 << 3)
        public static let cacheDisabled = Flags(rawValue: 1 << 4)
        public static let accessed = Flags(rawValue: 1 << 5)
        public static let dirty = Flags(rawValue: 1 << 6)
        /// PS: maps a page above the lowest level.
        public static let largePage = Flags(rawValue: 1 << 7)
        /// PAT in an entry of the lowest level.
        public static let pageAttributeTable = Flags(rawValue: 1 << 7)
        public static let global = Flags(rawValue: 1 << 8)
        /// PAT in an entry that maps a large page.
        public static let largePageAttributeTable = Flags(rawValue: 1 << 12)
        public static let executeDisable = Flags(rawValue: 1 << 63)
    }

    @inlinable
    public var flags: Flags { Flags(rawValue: rawValue & ~Self.addressMask) }
    @inlinable
    public var isPresent: Bool { rawValue & 1 != 0 }
    @inlinable
    public var isWritable: Bool { rawValue & 1 << 1 != 0 }
    @inlinable
    public var isUser: Bool { rawValue & 1 << 2 != 0 }
    @inlinable
    public var isAccessed: Bool { rawValue & 1 << 5 != 0 }
    @inlinable
    public var isDirty: Bool { rawValue & 1 << 6 != 0 }
    /// Above the lowest level only.
    @inlinable
    public var isLargePage: Bool { rawValue & 1 << 7 != 0 }
    @inlinable
    public var isGlobal: Bool { rawValue & 1 << 8 != 0 }
    @inlinable
    public var isExecuteDisabled: Bool { rawValue & 1 << 63 != 0 }
    /// Physical address of a 4 KiB frame or of the next table.
    @inlinable
    public var address: UInt64 { rawValue & Self.addressMask }

    /// Physical address of the page that an entry of `level` maps: 1 for 4 KiB, 2 for 2 MiB,
    /// 3 for 1 GiB.
    @inlinable
    public func pageAddress(level: Int) -> UInt64 {
        let offsetBits = Self.offsetBits(level: level)
        return rawValue & Self.addressMask & ~((1 &<< offsetBits) &- 1)
    }

    /// Which entry of a table of `level` (1 to 5) a linear address takes.
    @inlinable
    public static func index(of linearAddress: UInt64, level: Int) -> Int {
        Int(truncatingIfNeeded: (linearAddress &>> offsetBits(level: level)) & 511)
    }

    /// Low bits of an address that an entry of `level` does not translate.
    @inlinable
    public static func offsetBits(level: Int) -> UInt64 {
        UInt64(truncatingIfNeeded: 12 &+ 9 &* (level &- 1))
    }
}
