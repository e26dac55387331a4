import Foundation
import FuzzTargets

/// Makes a case smaller as long as it ends the same way.
struct Shrinker {
    private static let attempts = 400
    private static let seconds = 60.0

    let type: any FuzzTarget.Type
    let ending: Child.Ending
    let scratch: URL
    private var left = Self.attempts
    private let end = ContinuousClock.now.advanced(by: .seconds(Self.seconds))
    /// The case fails alone, in a process of its own.
    private(set) var isReproducible = false

    init(type: any FuzzTarget.Type, ending: Child.Ending, scratch: URL) {
        self.type = type
        self.ending = ending
        self.scratch = scratch
    }

    private mutating func fails(_ bytes: [UInt8]) throws -> Bool {
        guard left > 0, ContinuousClock.now < end else { return false }
        left -= 1
        let candidate = FailCase(targetName: type.name, bytes: bytes)
        let file = scratch.appendingPathComponent("\(type.name)-candidate.case")
        try candidate.text.write(to: file, atomically: true, encoding: .utf8)
        return try Child.run(
            ["replay", file.path], secondsLimit: min(2, type.secondsLimit), progress: nil
        ).isLike(ending)
    }

    mutating func shrink(_ bytes: [UInt8]) throws -> [UInt8] {
        isReproducible = try fails(bytes)
        guard isReproducible else { return bytes }
        var best = bytes
        var size = max(1, best.count / 2)
        while left > 0, ContinuousClock.now < end {
            var place = best.count
            while place > 0 {
                let start = max(0, place - size)
                var shorter = best
                shorter.removeSubrange(start..<min(place, best.count))
                if try fails(shorter) { best = shorter }
                place = start
            }
            if size == 1 { break }
            size = max(1, size / 2)
        }
        return best
    }
}
