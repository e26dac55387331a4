internal import Scheduler
internal import SoftwareCPU
import Vocabulary

/// How the vCPUs of a machine share the host's processors with each other and with other machines.
public struct SchedulingConfiguration: Sendable, Equatable {
    /// The machine's part against the others of the process, 1 to 10000.
    public var weight = 100
    /// At most so many cores' worth of processor time; nil: no cap.
    public var limit: Double?
    /// Numbers of the host processors that may run the vCPUs; nil: all.
    public var affinity: [Int]?
    /// A vCPU that spins gives its slice to one that was preempted.
    public var directedYield = true
    /// PAUSE instructions in a row that are a pause loop.
    public var pauseCount = 1024
    /// Instructions that may lie between two of them.
    public var pauseWindow = 64
    /// How long a vCPU runs while others wait, in microseconds.
    public var sliceMicroseconds = 4000

    public static let weightRange = 1...10_000
    public static let limitRange = 0.01...1024
    public static let pauseCountRange = 2...1_000_000
    public static let pauseWindowRange = 1...100_000
    public static let sliceRange = 100...1_000_000

    public init() {}

    /// Throws what is wrong with the values, for a person to read.
    public func validate() throws {
        try Self.check(weight, Self.weightRange, "--cpu-weight")
        if let limit { try Self.check(limit, Self.limitRange, "--cpu-limit") }
        try Self.check(pauseCount, Self.pauseCountRange, "--pause-count")
        try Self.check(pauseWindow, Self.pauseWindowRange, "--pause-window")
        try Self.check(sliceMicroseconds, Self.sliceRange, "--slice")
    }

    private static func check<Number: Comparable>(
        _ value: Number, _ range: ClosedRange<Number>, _ option: String
    ) throws {
        guard range.contains(value) else {
            throw XError(
                .invalidArgument,
                "\(option) \(value): give between \(range.lowerBound) and \(range.upperBound)")
        }
    }

    /// What the engine watches for; nil: nothing, since nobody would be told.
    var pauseLoop: PauseLoop? {
        directedYield ? PauseLoop(count: pauseCount, window: pauseWindow) : nil
    }

    var settings: VCPUGroup.Settings {
        var settings = VCPUGroup.Settings()
        settings.weight = weight
        settings.limit = limit
        settings.affinity = affinity
        settings.directedYield = directedYield
        settings.slice = UInt64(sliceMicroseconds) * 1000
        return settings
    }
}
