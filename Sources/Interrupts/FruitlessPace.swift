/// How long who was called for nothing waits before it looks again: a guest that signals a queue without end
/// is to slow nobody but itself. Linux' backends do so too since XSA-332.
struct FruitlessPace: Sendable {
    /// Calls for nothing in a row that cost nothing: signals that cross with the end of the work before.
    static let patience = 16
    /// Nanoseconds of the first pause, and of the longest.
    static let shortest: UInt64 = 100_000
    static let longest: UInt64 = 10_000_000

    private var fruitless = 0

    /// Nanoseconds.
    mutating func pause(after hasFound: Bool) -> UInt64 {
        if hasFound {
            fruitless = 0
            return 0
        }
        fruitless += 1
        if fruitless <= Self.patience { return 0 }
        return min(Self.shortest << UInt64(min(fruitless - Self.patience - 1, 20)), Self.longest)
    }
}
