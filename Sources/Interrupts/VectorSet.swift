internal import Synchronization

/// 256 bits, one for each vector.
struct VectorSet: Sendable, Equatable {
    var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    static func == (a: Self, b: Self) -> Bool { a.words == b.words }

    private func word(_ index: Int) -> UInt64 {
        switch index {
        case 0: words.0
        case 1: words.1
        case 2: words.2
        default: words.3
        }
    }

    private mutating func set(_ index: Int, _ value: UInt64) {
        switch index {
        case 0: words.0 = value
        case 1: words.1 = value
        case 2: words.2 = value
        default: words.3 = value
        }
    }

    mutating func insert(_ vector: UInt8) {
        let index = Int(vector >> 6)
        set(index, word(index) | 1 &<< UInt64(vector & 63))
    }

    mutating func remove(_ vector: UInt8) {
        let index = Int(vector >> 6)
        set(index, word(index) & ~(1 &<< UInt64(vector & 63)))
    }

    func contains(_ vector: UInt8) -> Bool {
        word(Int(vector >> 6)) & (1 &<< UInt64(vector & 63)) != 0
    }

    var isEmpty: Bool { words.0 | words.1 | words.2 | words.3 == 0 }

    /// The highest vector in the set.
    var highest: UInt8? {
        for index in [3, 2, 1, 0] where word(index) != 0 {
            return UInt8(truncatingIfNeeded: index * 64 + 63 - word(index).leadingZeroBitCount)
        }
        return nil
    }

    /// The 32 bits of register `index`, 0 to 7.
    func register(_ index: UInt32) -> UInt32 {
        UInt32(truncatingIfNeeded: word(Int(index >> 1)) >> (UInt64(index & 1) * 32))
    }

    /// For a state: four words, vector 0 first.
    var array: [UInt64] { [words.0, words.1, words.2, words.3] }

    /// Nil unless there are four words.
    init?(_ array: [UInt64]) {
        guard array.count == 4 else { return nil }
        words = (array[0], array[1], array[2], array[3])
    }

    init() {}
}

/// 256 bits that any thread sets and clears.
struct AtomicVectorSet: ~Copyable, Sendable {
    private let word0 = Atomic<UInt64>(0)
    private let word1 = Atomic<UInt64>(0)
    private let word2 = Atomic<UInt64>(0)
    private let word3 = Atomic<UInt64>(0)

    @inline(__always)
    private borrowing func word<R>(
        _ index: UInt8, _ body: (borrowing Atomic<UInt64>) -> R
    ) -> R {
        switch index & 3 {
        case 0: body(word0)
        case 1: body(word1)
        case 2: body(word2)
        default: body(word3)
        }
    }

    borrowing func insert(_ vector: UInt8) {
        word(vector >> 6) {
            _ = $0.bitwiseOr(1 &<< UInt64(vector & 63), ordering: .sequentiallyConsistent)
        }
    }

    borrowing func remove(_ vector: UInt8) {
        word(vector >> 6) {
            _ = $0.bitwiseAnd(~(1 &<< UInt64(vector & 63)), ordering: .sequentiallyConsistent)
        }
    }

    borrowing func contains(_ vector: UInt8) -> Bool {
        word(vector >> 6) {
            $0.load(ordering: .sequentiallyConsistent) & (1 &<< UInt64(vector & 63)) != 0
        }
    }

    /// The words as they are now, each by itself.
    var current: VectorSet {
        get {
            var set = VectorSet()
            set.words = (
                word0.load(ordering: .sequentiallyConsistent),
                word1.load(ordering: .sequentiallyConsistent),
                word2.load(ordering: .sequentiallyConsistent),
                word3.load(ordering: .sequentiallyConsistent)
            )
            return set
        }
    }

    borrowing func replace(_ set: VectorSet) {
        word0.store(set.words.0, ordering: .sequentiallyConsistent)
        word1.store(set.words.1, ordering: .sequentiallyConsistent)
        word2.store(set.words.2, ordering: .sequentiallyConsistent)
        word3.store(set.words.3, ordering: .sequentiallyConsistent)
    }
}
