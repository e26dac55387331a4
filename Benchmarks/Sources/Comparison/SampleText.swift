/// Text to pack and to sum up: always the same, and about as repetitive as a log.
public enum SampleText {
    private static let words = [
        "device", "interrupt", "page", "of", "the", "guest", "enabled", "memory", "at", "mapped",
        "queue", "waits", "for", "vector", "processor", "is", "ready", "clock", "request", "done",
    ]

    /// Lines with a time, some words and a number.
    ///
    /// - Parameter byteCount: the last line is cut there.
    public static func bytes(_ byteCount: Int) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(byteCount + 128)
        var state: UInt64 = 88_172_645_463_325_252
        func next(_ bound: UInt64) -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state % bound
        }
        var microseconds: UInt64 = 0
        while text.count < byteCount {
            microseconds += next(40_000)
            var line = "[\(microseconds)]"
            for _ in 0..<(3 + next(7)) { line += " " + words[Int(next(UInt64(words.count)))] }
            text += Array((line + " \(next(1 << 24))\n").utf8)
        }
        return Array(text.prefix(byteCount))
    }
}
