import ArgumentParser
import Machine

/// How `martlet run` shares the host's processors.
struct SchedulingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Part of the processors against other machines.", valueName: "1-10000"))
    var cpuWeight = 100

    @Option(
        help: ArgumentHelp("At most so many cores' worth of processor time.", valueName: "cores"))
    var cpuLimit: Double?

    @Option(
        help: ArgumentHelp("Host processors that may run the guest, e.g. 0,2-3.", valueName: "list")
    )
    var cpuAffinity: ProcessorList?

    @Option(help: "A vCPU that spins gives its time to one that was preempted: on, off.")
    var directedYield = Switch.on

    @Option(help: ArgumentHelp("PAUSE instructions that make a spin.", valueName: "n"))
    var pauseCount = SchedulingConfiguration().pauseCount

    @Option(help: ArgumentHelp("Instructions between two of them, at most.", valueName: "n"))
    var pauseWindow = SchedulingConfiguration().pauseWindow

    @Option(
        help: ArgumentHelp(
            "How long a vCPU runs while others wait.", valueName: "microseconds"))
    var slice = SchedulingConfiguration().sliceMicroseconds

    var configuration: SchedulingConfiguration {
        var result = SchedulingConfiguration()
        result.weight = cpuWeight
        result.limit = cpuLimit
        result.affinity = cpuAffinity?.numbers
        result.directedYield = directedYield == .on
        result.pauseCount = pauseCount
        result.pauseWindow = pauseWindow
        result.sliceMicroseconds = slice
        return result
    }
}

/// `on` or `off`.
enum Switch: String, ExpressibleByArgument, CaseIterable {
    case on, off
}

/// `0,2-3`: numbers of host processors.
struct ProcessorList: ExpressibleByArgument, Equatable {
    var numbers: [Int]

    init?(argument: String) {
        numbers = []
        for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2,
                first >= 0, first <= last, last < 4096
            else { return nil }
            numbers += Array(first...last)
        }
    }
}
