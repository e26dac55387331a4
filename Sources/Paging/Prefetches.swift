/// Chunks of the source that are to be brought before anybody asks for them.
struct Prefetches: Sendable {
    /// Chunks of one read.
    static let longestRun = 8
    /// A chunk is taken so many places before its turn if it lies beside one whose turn it is.
    static let window = 64
    private static let taken = UInt32.max

    private var chunks: [UInt32]
    private var next = 0

    /// - Parameter chunks: in the order in which they are wanted.
    init(_ chunks: [UInt32]) { self.chunks = chunks }

    var isEmpty: Bool { chunks.isEmpty }

    /// The chunks to be read now, which are neighbours. Nil: there are none left.
    mutating func take() -> Range<Int>? {
        while next < chunks.count, chunks[next] == Self.taken { next += 1 }
        guard next < chunks.count else {
            chunks = []
            return nil
        }
        var run = Int(chunks[next])..<Int(chunks[next]) + 1
        next += 1
        let last = min(next + Self.window, chunks.count)
        while run.count < Self.longestRun {
            if let place = chunks[next..<last].firstIndex(where: { Int($0) == run.upperBound }) {
                run = run.lowerBound..<run.upperBound + 1
                chunks[place] = Self.taken
            } else if let place = chunks[next..<last].firstIndex(
                where: { Int($0) + 1 == run.lowerBound })
            {
                run = run.lowerBound - 1..<run.upperBound
                chunks[place] = Self.taken
            } else {
                break
            }
        }
        return run
    }

    /// No more of them are wanted.
    mutating func end() { (chunks, next) = ([], 0) }
}

/// Which chunks of the source somebody asked for, in the order of the first time.
struct TouchedChunks: Sendable {
    private(set) var chunks: [UInt32] = []
    /// A bit for each chunk up to the last one that is among them.
    private var seen: [UInt64] = []

    mutating func note(_ chunk: Int) {
        guard chunks.count < WorkingSet.largestCount, let number = UInt32(exactly: chunk) else {
            return
        }
        let (word, bit) = (chunk >> 6, UInt64(1) << UInt64(chunk & 63))
        if word >= seen.count { seen += [UInt64](repeating: 0, count: word + 1 - seen.count) }
        guard seen[word] & bit == 0 else { return }
        seen[word] |= bit
        chunks.append(number)
    }
}
