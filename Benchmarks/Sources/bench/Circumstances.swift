internal import Comparison
import Foundation

/// Where and with what is measured.
enum Circumstances {
    /// The engines that this Martlet has, of those that run guests without hardware's help.
    static func engines(_ martlet: String) -> [String] {
        ["interpreter", "translator"].filter { engine in
            // Refused for the engine if it is not there, else for the kernel.
            let answer = try? said([martlet, "run", "--engine", engine, "--kernel", "/dev/null"])
            return answer?.contains("engine '\(engine)'") == false
        }
    }

    static func describe(_ materials: Materials, kernel: String) throws -> [String: String] {
        let version = try said([materials.qemu, "--version"]).split(separator: "\n").first ?? ""
        guard version.contains("version") else {
            throw ComparisonError(
                "\(materials.qemu) is not there: run make bench, or install qemu-system-x86")
        }
        let processors = try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
            .split(separator: "\n").filter { $0.hasPrefix("model name") }
        let model = processors.first?.split(separator: ":").last.map(String.init) ?? "unknown"
        let load = try String(contentsOfFile: "/proc/loadavg", encoding: .utf8)
        return [
            "host": "\(processors.count) x\(model)",
            "host's load before": String(load.split(separator: " ").first ?? ""),
            "kernel": kernel, "martlet": try said([materials.martlet, "--version"]),
            "qemu": String(version), "time": Date.now.formatted(.iso8601),
        ]
    }

    /// What a program prints on both its streams, without the last line's end.
    private static func said(_ command: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardInput = FileHandle.nullDevice
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
