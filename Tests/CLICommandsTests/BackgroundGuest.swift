import Foundation
import Testing

/// A `martlet run` or `resume` that goes on while a test does other things.
///
/// Owner: the test; it is ended with it.
final class BackgroundGuest {
    private let process = Process()
    private let output = Foundation.Pipe()
    private let errors = Foundation.Pipe()
    private(set) var text = ""

    init(_ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: Martlet.path ?? "martlet")
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = errors
        try Martlet.start(process)
    }

    deinit {
        if process.isRunning { process.terminate() }
    }

    /// Reads its output until a line has `word` so many times; false: it ended before.
    func wait(for word: String, times: Int = 1) -> Bool {
        while text.components(separatedBy: word).count <= times {
            let data = output.fileHandleForReading.availableData
            if data.isEmpty { return false }
            text += String(decoding: data, as: UTF8.self)
        }
        return true
    }

    /// Its exit status, once it has ended, and what it said on standard error.
    func end() -> (status: Int32, errors: String) {
        process.waitUntilExit()
        let data = errors.fileHandleForReading.readDataToEndOfFile()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }
}
