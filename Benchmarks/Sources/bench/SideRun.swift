internal import Comparison
import Foundation

/// One run of one side, from the start of its process to its end.
struct SideRun {
    /// What Martlet's `--stats` say, as far as rows need them.
    struct Statistics: Decodable {
        var instructionsRetired: UInt64
        var processorSeconds: Double
    }

    var observation = Observation()
    /// Why it ended before its work was done; nil if it was done.
    var ending: String?
    /// Of Martlet only.
    var statistics: Statistics?

    /// Seconds that a side may take to its first command: QEMU needs 70 with 64 vCPUs on two quiet
    /// cores.
    private static func largestBootSeconds(processorCount: Int) -> Double {
        30 + 5 * Double(processorCount)
    }

    /// Starts the side and reads its console to the end. A side that says nothing for longer than
    /// a boot or a row may take is killed.
    static func run(
        _ side: Side, processorCount: Int, _ work: Work, _ materials: Materials
    ) throws -> SideRun {
        let errorFile = materials.initramfs + ".errors"
        try Data().write(to: URL(fileURLWithPath: errorFile))
        let process = Process()
        // Looked up in PATH.
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = side.command(processorCount: processorCount, work, materials)
        process.standardInput = FileHandle.nullDevice
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errorFile))
        let pipe = Pipe()
        process.standardOutput = pipe
        let start = ContinuousClock.now
        try process.run()
        // Its own copy would keep the pipe open behind the process's end.
        try pipe.fileHandleForWriting.close()
        let bootSeconds = largestBootSeconds(processorCount: processorCount)
        // The guest ends a row itself if it still can.
        let rowSeconds = Double(Row.largestSeconds) + 30

        var result = SideRun()
        var console = ConsoleLines(pipe.fileHandleForReading.fileDescriptor)
        var silence = side.kind == .native ? rowSeconds : bootSeconds
        var deadline = start + .seconds(silence)
        var isKilled = false
        while true {
            switch console.next(before: deadline) {
            case .line(let line):
                result.observation.take(line, at: start.duration(to: .now) / .seconds(1))
                guard line.contains(Observation.mark) else { continue }
                silence = rowSeconds
                deadline = .now + .seconds(silence)
                continue
            case .late:
                // An emulator that hangs may not hear anything softer.
                kill(process.processIdentifier, SIGKILL)
                isKilled = true
            case .end: break
            }
            break
        }
        process.waitUntilExit()
        let errors = String(
            decoding: try Data(contentsOf: URL(fileURLWithPath: errorFile)), as: UTF8.self)
        if !result.observation.isComplete {
            let name = "\(side.name) with \(processorCount) vCPU"
            let what =
                isKilled
                ? "was killed after \(Int(silence)) s without progress"
                : "ended before its work, with status \(process.terminationStatus)"
            result.ending =
                "\(name) \(what), at the line '\(console.last)': '\(errors.suffix(200))'"
        }
        if side.isMartlet, let json = errors.split(separator: "\n").last {
            result.statistics = try? JSONDecoder().decode(Statistics.self, from: Data(json.utf8))
        }
        return result
    }
}

/// The lines of a pipe, as they come.
private struct ConsoleLines {
    enum Event {
        case line(String)
        /// None before the deadline.
        case late
        case end
    }

    /// Open as long as this lives, by its owner.
    private let descriptor: Int32
    private var bytes: [UInt8] = []
    private var line: [UInt8] = []
    /// The last line, complete or not.
    var last: String { String(decoding: line, as: UTF8.self) }
    private var isWhole = false

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    mutating func next(before deadline: ContinuousClock.Instant) -> Event {
        if isWhole { line = [] }
        isWhole = false
        while true {
            if let end = bytes.firstIndex(of: 0x0a) {
                line += bytes[..<end].filter { $0 != 0x0d }
                bytes.removeFirst(end + 1)
                isWhole = true
                return .line(last)
            }
            line += bytes.filter { $0 != 0x0d }
            bytes = []
            let left = ContinuousClock.now.duration(to: deadline) / .milliseconds(1)
            guard left > 0 else { return .late }
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = unsafe poll(&waiting, 1, Int32(min(left + 1, 1e6)))
            guard ready > 0 else { continue }
            var buffer = [UInt8](repeating: 0, count: 65536)
            let count = unsafe read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return .end }
            bytes = Array(buffer[..<count])
        }
    }
}
