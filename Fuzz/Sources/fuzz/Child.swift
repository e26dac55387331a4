import Foundation

/// This program again, as a child that may die.
enum Child {
    enum Ending: Equatable {
        case finished
        /// A promise was broken, in words.
        case fault(String)
        case signal(Int32, String)
        /// One case took more than its time.
        case hang(Double)

        var text: String {
            switch self {
            case .finished: "finished"
            case .fault(let text): text
            case .signal(let number, let output): "signal \(number)\n" + output
            case .hang(let seconds): "no end within \(Int(seconds)) s"
            }
        }

        /// The same thing happened, as far as one can tell.
        func isLike(_ other: Ending) -> Bool {
            switch (self, other) {
            case (.fault(let one), .fault(let two)):
                one.prefix { !$0.isNumber } == two.prefix { !$0.isNumber }
            case (.signal(let one, let first), .signal(let two, let second)):
                one == two
                    && first.split(separator: "\n").first == second.split(separator: "\n").first
            case (.hang, .hang): true
            default: false
            }
        }
    }

    /// - Parameter secondsLimit: CPU seconds that a case may take: the child's if `progress` is nil.
    static func run(
        _ arguments: [String], secondsLimit: Double, progress: ProgressPage?
    ) throws -> Ending {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = arguments
        var environment = ProcessInfo.processInfo.environment
        environment["SWIFT_BACKTRACE"] = "enable=no"
        process.environment = environment
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        // What a case prints is a few lines: the pipe holds it until the child has ended.
        var watch = Watch(pid: process.processIdentifier, secondsLimit: secondsLimit)
        while process.isRunning {
            if watch.isLate(at: progress?.index ?? 0) {
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
                return .hang(secondsLimit)
            }
            usleep(progress == nil ? 5_000 : 50_000)
        }
        process.waitUntilExit()
        let output = String(
            decoding: pipe.fileHandleForReading.readDataToEndOfFile().prefix(4000), as: UTF8.self
        ).trimmingCharacters(in: .whitespacesAndNewlines)
        if process.terminationReason == .uncaughtSignal {
            return .signal(process.terminationStatus, output)
        }
        switch process.terminationStatus {
        case 0: return .finished
        case Batch.faultStatus: return .fault(output)
        default: return .fault("status \(process.terminationStatus): \(output)")
        }
    }

    /// CPU time since the last sign of progress.
    private struct Watch {
        let pid: Int32
        let secondsLimit: Double
        private var index: UInt64 = .max
        private var spent = 0.0

        init(pid: Int32, secondsLimit: Double) {
            self.pid = pid
            self.secondsLimit = secondsLimit
        }

        mutating func isLate(at now: UInt64) -> Bool {
            let seconds = processorSeconds
            if now != index {
                index = now
                spent = seconds
            }
            return seconds - spent > secondsLimit
        }

        /// utime and stime of /proc/PID/stat, in ticks of 10 ms.
        private var processorSeconds: Double {
            guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
                let fields = text.split(separator: ")").last?.split(separator: " "),
                fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12])
            else { return spent }
            return (user + system) / 100
        }
    }
}
