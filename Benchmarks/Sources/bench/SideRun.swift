internal import Comparison
import Foundation

/// One run of one side, from the start of its process to its end.
struct SideRun {
    /// What Martlet's `--stats` say, as far as rows need them.
    struct Statistics: Decodable {
        var instructionsRetired: UInt64
        var processorSeconds: Double
    }

    var observation: Observation
    /// Of Martlet only.
    var statistics: Statistics?

    /// A side that takes longer is ended: to boot, and for its programs.
    static let largestSeconds = (boot: 40.0, programs: 240.0)

    /// Starts the side with those rows and reads its console to the end.
    ///
    /// - Throws: `ComparisonError` if it does not come to its end.
    static func run(
        _ side: Side, processorCount: Int, rows: [String], _ materials: Materials
    ) throws -> SideRun {
        let command = side.command(processorCount: processorCount, rows: rows, materials)
        let errorFile = materials.initramfs + ".errors"
        try Data().write(to: URL(fileURLWithPath: errorFile))
        let process = Process()
        // Looked up in PATH.
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardInput = FileHandle.nullDevice
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errorFile))
        let pipe = Pipe()
        process.standardOutput = pipe
        let start = ContinuousClock.now
        try process.run()
        // An emulator that hangs may not hear anything softer.
        let identifier = process.processIdentifier
        let watchdog = DispatchWorkItem { kill(identifier, SIGKILL) }
        let limit = rows.isEmpty ? largestSeconds.boot : largestSeconds.programs
        DispatchQueue.global().asyncAfter(deadline: .now() + limit, execute: watchdog)
        defer { watchdog.cancel() }
        var observation = Observation()
        var line: [UInt8] = []
        while true {
            let data = pipe.fileHandleForReading.availableData
            if data.isEmpty { break }
            let seconds = start.duration(to: .now) / .seconds(1)
            for byte in data {
                if byte == 0x0a {
                    observation.take(String(decoding: line, as: UTF8.self), at: seconds)
                    line.removeAll()
                } else if byte != 0x0d {
                    line.append(byte)
                }
            }
        }
        process.waitUntilExit()
        let errors = try String(contentsOfFile: errorFile, encoding: .utf8)
        let name = "\(side.name) with \(processorCount) vCPU"
        guard observation.isComplete else {
            throw ComparisonError(
                "\(name) ended before its work or after \(Int(limit)) s, at the line "
                    + "'\(String(decoding: line, as: UTF8.self))': '\(errors.suffix(200))'")
        }
        if let (row, reason) = observation.failures.first {
            throw ComparisonError("\(name): \(row) failed: \(reason)")
        }
        var result = SideRun(observation: observation)
        if side.isMartlet, let json = errors.split(separator: "\n").last {
            result.statistics = try? JSONDecoder().decode(Statistics.self, from: Data(json.utf8))
        }
        return result
    }
}
