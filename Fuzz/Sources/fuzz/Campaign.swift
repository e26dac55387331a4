import Foundation
import FuzzTargets

/// One target for some time: children run batches of cases, and the case that ends one is shrunk
/// and written to a file.
struct Campaign {
    /// A new child this often, so that leaks and what one case leaves behind are seen.
    private static let secondsPerChild = 10.0

    let type: any FuzzTarget.Type
    let seed: UInt64
    let seconds: Double
    let findingLimit: Int
    let folder: String

    /// Returns how many cases broke a promise.
    func run() throws -> Int {
        print("fuzz \(type.name): seed \(seed), \(Int(seconds)) s")
        let scratch = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-fuzz-\(getpid())-\(type.name)")
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: scratch) }
        let progressPath = scratch.appendingPathComponent("progress").path
        let progress = try ProgressPage(path: progressPath)
        let began = ContinuousClock.now
        let end = began.advanced(by: .seconds(seconds))
        var index: UInt64 = 0
        var found = 0
        while ContinuousClock.now < end, found < findingLimit {
            let left = ContinuousClock.now.duration(to: end).inSeconds
            progress.index = index
            let ending = try Child.run(
                [
                    "batch", type.name, "--seed", "\(seed)", "--first", "\(index)", "--seconds",
                    "\(min(left, Self.secondsPerChild))", "--progress", progressPath,
                ], secondsLimit: type.secondsLimit, progress: progress)
            let reached = progress.index
            if ending == .finished {
                index = reached
                continue
            }
            found += 1
            index = reached + 1
            try report(ending, reached, scratch)
        }
        let took = began.duration(to: .now).inSeconds
        print(
            "fuzz \(type.name): \(index) executions in \(Int(took)) s, "
                + "\(Int(Double(index) / max(took, 0.001))) a second, \(found) findings")
        return found
    }

    private func report(_ ending: Child.Ending, _ index: UInt64, _ scratch: URL) throws {
        var random = FuzzRandom(seed: seed, index: index)
        let bytes = try type.init().makeCase(&random)
        var shrinker = Shrinker(type: type, ending: ending, scratch: scratch)
        let small = try shrinker.shrink(bytes)
        let found = FailCase(
            targetName: type.name, bytes: small,
            remarks: ["seed \(seed) case \(index)"]
                + ending.text.split(separator: "\n").prefix(6).map(String.init))
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        let path = "\(folder)/\(found.fileName)"
        try found.text.write(toFile: path, atomically: true, encoding: .utf8)
        print("fuzz \(type.name): case \(index): \(ending.text)")
        print(
            "fuzz \(type.name): \(path), \(bytes.count) bytes shrunk to \(small.count)"
                + (shrinker.isReproducible ? "" : "; alone it does not fail"))
    }
}

extension Duration {
    var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
