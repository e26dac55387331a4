import GuestMemory
import Vocabulary

/// What comes to a hostile frontend's mind, by a seed: the same each time.
struct HostileChance: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int { .random(in: range, using: &self) }

    mutating func isOne(in count: Int) -> Bool { number(1...count) == 1 }

    mutating func pick<T>(_ list: [T]) -> T { list[number(0...list.count - 1)] }

    mutating func word() -> UInt32 {
        isOne(in: 2)
            ? UInt32(truncatingIfNeeded: next())
            : pick([0, 1, 2, 255, 256, 257, 4096, 1 << 16, 1 << 31, .max])
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }
}

/// Pages with a pattern that is to stay: none of them is granted for writing.
struct GuardedPages {
    let pages: [GuestPhysicalAddress]
    let memory: GuestMemory

    init(_ numbers: some Sequence<UInt32>, in memory: GuestMemory) {
        pages = numbers.map { GuestPhysicalAddress(UInt64($0) << 12) }
        self.memory = memory
        for page in pages { memory.fill(page, byteCount: 4096, with: Self.pattern(page)) }
    }

    private static func pattern(_ page: GuestPhysicalAddress) -> UInt8 {
        UInt8(truncatingIfNeeded: page.rawValue >> 12) | 0x80
    }

    /// Those that somebody has written to who may not.
    var harmed: [GuestPhysicalAddress] {
        pages.filter { page in
            memory.read(page, byteCount: 4096)?.allSatisfy { $0 == Self.pattern(page) } != true
        }
    }
}
