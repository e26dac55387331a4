/// What is wrong with one direction of a link.
public struct LinkImpairment: Sendable, Hashable {
    /// Of each packet to be lost, 0 to 1.
    public var lossProbability: Double = 0
    /// Of each packet to come later than those behind it, 0 to 1.
    public var reorderProbability: Double = 0
    /// How much later, in nanoseconds.
    public var reorderNanoseconds: UInt64 = 1_000_000
    /// On the way, in nanoseconds.
    public var delayNanoseconds: UInt64 = 0
    /// Of Ethernet frames; nil: no limit.
    public var bitsPerSecond: UInt64?
    /// Bytes that wait for their turn at most; what comes then is lost.
    public var queueByteCount = 1 << 20

    public init() {}
}

/// The packets on their way over one direction of a link, in the order in which they arrive.
struct LinkLane: Sendable {
    struct Entry: Sendable {
        var due: UInt64
        var bytes: [UInt8]
        var metadata: PacketMetadata
    }

    let impairment: LinkImpairment
    private var random: UInt64
    /// When the link has sent what it has, in nanoseconds of the monotonic clock.
    private var free: UInt64 = 0
    private(set) var queuedByteCount = 0
    private(set) var entries: [Entry] = []
    /// Nobody takes the first entry now.
    private var isBlocked = false
    /// How often somebody said that there is room.
    private(set) var unblocks: UInt64 = 0

    init(_ impairment: LinkImpairment, seed: UInt64) {
        self.impairment = impairment
        random = seed
    }

    /// A number from 0 to 1: SplitMix64, so that a seed gives the same losses every time.
    private mutating func roll() -> Double {
        random &+= 0x9e37_79b9_7f4a_7c15
        var value = random
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return Double((value ^ value >> 31) >> 11) / Double(1 << 53)
    }

    /// Puts a packet on its way at `now`; false: it is lost.
    mutating func insert(_ packet: Packet, now: UInt64) -> Bool {
        guard roll() >= impairment.lossProbability,
            packet.byteCount <= impairment.queueByteCount - queuedByteCount
        else { return false }
        var due = now
        if let rate = impairment.bitsPerSecond, rate > 0 {
            let time = Double(packet.byteCount) * 8e9 / Double(rate)
            free = max(free, now) &+ UInt64(min(time, 1e18))
            due = free
        }
        due &+= impairment.delayNanoseconds
        if roll() < impairment.reorderProbability { due &+= impairment.reorderNanoseconds }
        let place = entries.lastIndex { $0.due <= due }.map { $0 + 1 } ?? 0
        entries.insert(
            Entry(due: due, bytes: packet.bytes, metadata: packet.metadata), at: place)
        queuedByteCount += packet.byteCount
        return true
    }

    /// The first packet if it has arrived and somebody may take it.
    mutating func take(now: UInt64) -> Entry? {
        guard !isBlocked, let first = entries.first, first.due <= now else { return nil }
        entries.removeFirst()
        queuedByteCount -= first.bytes.count
        return first
    }

    /// Puts back what was not taken, until somebody says that there is room.
    ///
    /// - Parameter before: `unblocks` before it was offered: who said so meanwhile meant this one.
    mutating func putBack(_ entry: Entry, before: UInt64) {
        entries.insert(entry, at: 0)
        queuedByteCount += entry.bytes.count
        isBlocked = unblocks == before
    }

    mutating func unblock() {
        isBlocked = false
        unblocks &+= 1
    }

    /// When the next packet arrives; nil: none does, or nobody takes it.
    var nextDue: UInt64? { isBlocked ? nil : entries.first?.due }
}
