/// The order of all locks: a thread that holds one takes only locks of lower rank.
///
/// One list for the whole program, because an order that is not in one place is none.
public enum LockRank: UInt8, CaseIterable, Comparable, Sendable {
    /// Held around nothing that locks.
    case leaf = 0
    /// Decoded and translated blocks of a machine: dropped by whoever writes to memory with code.
    case codeCache = 5
    /// Queues of events of one vCPU of a Xen guest.
    case eventQueue = 8
    case timerQueue = 10
    /// Run queues of vCPUs: taken to wake one, from wherever an interrupt comes.
    case scheduler = 20
    case localAPIC = 30
    /// What event channels are connected to.
    case eventChannels = 35
    case ioAPIC = 40
    /// A device sets its interrupt line while it holds its own lock.
    case device = 50
    /// The life of a machine.
    case machine = 60

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// The ranks one thread holds: a bit for each raw value.
struct HeldRanks: Equatable {
    var bits: UInt64 = 0

    /// The highest rank allowed now is below the lowest one held.
    func allows(_ rank: LockRank) -> Bool {
        bits & ((1 &<< UInt64(rank.rawValue)) &* 2 &- 1) == 0
    }

    mutating func insert(_ rank: LockRank) { bits |= 1 &<< UInt64(rank.rawValue) }
    mutating func remove(_ rank: LockRank) { bits &= ~(1 &<< UInt64(rank.rawValue)) }

    var ranks: [LockRank] {
        LockRank.allCases.filter { bits & 1 &<< UInt64($0.rawValue) != 0 }
    }
}
