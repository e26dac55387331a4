import Boot
import Foundation
import Testing

/// A shell script that is run in the guest and on the host, in an empty folder of its own.
///
/// Its standard output, its exit status and every file it leaves in the folder are compared. The
/// variable `IN` names the folder with the boot's input files.
struct ProgramCase: Sendable, CustomTestStringConvertible {
    var name: String
    var script: String
    var testDescription: String { name }

    init(_ name: String, _ script: String) {
        self.name = name
        self.script = script
    }
}

/// Several cases in one boot: the same programs, libraries, inputs and shell on both sides.
///
/// Owned by the test suite that names it; made once, by the first test that asks for an outcome.
final class ProgramBoot: Sendable {
    /// What a case left behind.
    struct Outcome: Equatable {
        /// By name: `stdout`, `status`, and what the script made; `stderr` is only shown.
        var files: [String: Data] = [:]
    }

    /// How the guest's run as a whole ended.
    let guestErrors: String
    let guestStatus: Int32
    private let host: [String: Outcome]
    private let guest: [String: Outcome]

    /// - Parameters:
    ///   - programs: the host's, brought with their libraries to the same paths.
    ///   - trees: other files and folders of the host, brought to the same paths.
    ///   - inputs: makes files in the folder it is given; called once.
    init(
        _ cases: [ProgramCase], programs: [String], trees: [String] = [],
        options: [String] = [], inputs: (String) throws -> Void = { _ in }
    ) throws {
        let folder = "/tmp/martlet-programs-\(UUID().uuidString)"
        let files = FileManager.default
        defer { try? files.removeItem(atPath: folder) }
        for name in ["in", "cases", "host", "guest"] {
            try files.createDirectory(
                atPath: folder + "/" + name, withIntermediateDirectories: true)
        }
        // One shell for both sides: that of the guest.
        let shell = folder + "/in/busybox"
        try files.copyItem(atPath: KernelStore().busybox().path, toPath: shell)
        try inputs(folder + "/in")
        for one in cases {
            try Data(one.script.utf8).write(
                to: URL(fileURLWithPath: "\(folder)/cases/\(one.name)"))
        }
        // Each case's folder goes out as soon as the case ends, so that a guest that dies or hangs
        // is known by the first case that is missing.
        let runner = """
            export IN=\(folder)/in PATH=/usr/bin:/bin LC_ALL=C TZ=UTC HOME=/nowhere LOCPATH=/nowhere
            export OPENSSL_CONF=/dev/null PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
            export GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-FMA4,-AVX512F
            export COLUMNS=80 TMPDIR=/tmp
            for name in \(cases.map(\.name).joined(separator: " ")); do
              mkdir -p \(folder)/out/$name && cd \(folder)/out/$name || exit 9
              \(shell) sh \(folder)/cases/$name >stdout 2>stderr </dev/null
              echo $? >status
              cd \(folder)/out && \(shell) tar -c $name && cd / && rm -rf \(folder)/out/$name
            done
            """
        try Data(runner.utf8).write(to: URL(fileURLWithPath: folder + "/run"))
        func unpack(_ archive: [UInt8], _ side: String) throws -> [String: Outcome] {
            let path = "\(folder)/\(side).tar"
            try Data(archive).write(to: URL(fileURLWithPath: path))
            _ = try Martlet.run(
                tool: "/bin/tar", ["-x", "-i", "-f", path, "-C", "\(folder)/\(side)"])
            return try Self.read("\(folder)/\(side)")
        }
        let native = try Martlet.run(
            tool: "/usr/bin/env", ["-i", shell, "sh", folder + "/run"])
        host = try unpack(native.output, "host")
        try? files.removeItem(atPath: folder + "/out")
        var arguments = ["run", "--quiet"] + options + Martlet.files(programs)
        for tree in trees { arguments += ["--file", "\(tree):\(tree)"] }
        for part in ["in", "cases", "run"] {
            arguments += ["--file", "\(folder)/\(part):\(folder)/\(part)"]
        }
        let run = try Martlet.run(arguments + ["--", shell, "sh", folder + "/run"])
        guestErrors = String(decoding: run.errors, as: UTF8.self)
        guestStatus = run.status
        guest = try unpack(run.output, "guest")
    }

    /// Nil if the case did not come to its end there.
    func outcomes(_ name: String) -> (host: Outcome?, guest: Outcome?) {
        (host[name], guest[name])
    }

    private static func read(_ folder: String) throws -> [String: Outcome] {
        var result: [String: Outcome] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            var outcome = Outcome()
            for case let path as String in FileManager.default.enumerator(
                atPath: "\(folder)/\(name)") ?? .init()
            {
                // A folder's content is in its files.
                outcome.files[path] = try? Data(
                    contentsOf: URL(fileURLWithPath: "\(folder)/\(name)/\(path)"))
            }
            result[name] = outcome
        }
        return result
    }
}
