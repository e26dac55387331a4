import Foundation

/// How long hostile frontends go on: `make fuzz-frontends` has them do more than `make test`.
enum FuzzLength {
    static func operations(_ usual: Int) -> Int {
        ProcessInfo.processInfo.environment["MARTLET_FRONTEND_OPERATIONS"].flatMap { Int($0) }
            ?? usual
    }

    /// MARTLET_SEED repeats a run.
    static var seeds: [UInt64] {
        let given = ProcessInfo.processInfo.environment["MARTLET_SEED"].flatMap { UInt64($0) }
        return given.map { [$0] } ?? [1, 2, 3, .random(in: 0...UInt64.max)]
    }
}
