internal import Comparison
import Foundation

/// Where and with what is measured.
enum Circumstances {
    /// The engines that this Martlet has, of those that run guests without hardware's help; the
    /// fastest last.
    static func engines(_ martlet: String) -> [String] {
        ["interpreter", "translator"].filter { engine in
            // Refused for the engine if it is not there, else for the kernel.
            let answer = try? HostCommand.output(
                [martlet, "run", "--engine", engine, "--kernel", "/dev/null"], withErrors: true)
            return answer?.contains("engine '\(engine)'") == false
        }
    }

    static func describe(_ materials: Materials, kernel: String) throws -> [String: String] {
        let version =
            try HostCommand.output([materials.qemu, "--version"]).split(separator: "\n").first ?? ""
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
            "kernel": kernel, "martlet": try HostCommand.output([materials.martlet, "--version"]),
            "qemu": String(version), "time": Date.now.formatted(.iso8601),
        ]
    }
}
