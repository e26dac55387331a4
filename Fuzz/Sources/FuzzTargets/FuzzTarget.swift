/// Something that takes bytes from strangers.
public protocol FuzzTarget: AnyObject {
    static var name: String { get }
    /// What one execution may take at most, in seconds of the child's CPU time.
    static var secondsLimit: Double { get }
    /// Resident memory a child may ever have, in bytes.
    static var memoryLimit: UInt64 { get }

    init() throws
    /// The bytes of a case. The same random numbers make the same case, on any machine.
    func makeCase(_ random: inout FuzzRandom) -> [UInt8]
    /// Runs any bytes, not only those of `makeCase`. Nil: all promises were kept; otherwise the one
    /// that was not. A trap, a signal or no end is the caller's to see.
    func run(_ bytes: [UInt8]) -> String?
}

/// All targets, as the command line names them.
public enum FuzzTargets {
    public static var all: [any FuzzTarget.Type] {
        [LoaderTarget.self, DecoderTarget.self, GuestTarget.self]
    }

    public static func named(_ name: String) -> (any FuzzTarget.Type)? {
        all.first { $0.name == name }
    }
}

/// SplitMix64: a case is known by its seed and its number.
public struct FuzzRandom: RandomNumberGenerator {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    /// The numbers of case `index` of a run with `seed`.
    public init(seed: UInt64, index: UInt64) {
        state = seed &+ index &* 0xd134_2543_de82_ef95
        state = next()
    }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// 0 to `bound` - 1; 0 for a bound of 0.
    public mutating func below(_ bound: UInt64) -> UInt64 { bound == 0 ? 0 : next() % bound }
    public mutating func below(_ bound: Int) -> Int { Int(below(UInt64(max(0, bound)))) }
    public mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }
    public mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in byte() } }
    /// True once in `one` times.
    public mutating func chance(_ one: UInt64) -> Bool { below(one) == 0 }
    public mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }

    /// A number near something that matters: 0, a power of two, a sign boundary, or any.
    public mutating func interesting() -> UInt64 {
        switch below(8) {
        case 0: return below(256)
        case 1: return 0 &- below(256)
        case 2: return (1 << below(64)) &- below(3) &+ 1
        case 3: return next() & 0xffff_ffff
        case 4: return 0xffff_8000_0000_0000 &+ below(0x1000) &- below(0x1000)
        case 5: return below(4 << 20)
        default: return next()
        }
    }
}

/// Little-endian bytes of `value`.
func littleEndian(_ value: UInt64, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
}
