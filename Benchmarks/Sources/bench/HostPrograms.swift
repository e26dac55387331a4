internal import Comparison
import Foundation

/// The host's own programs that rows run, with everything they open: in the guest they have the same
/// paths.
enum HostPrograms {
    /// Where rows find them, and the Debian package that each is from.
    private static let packages = [
        "/usr/bin/bash": "bash", "/usr/bin/python3": "python3", "/usr/bin/xz": "xz-utils",
        "/usr/bin/gzip": "gzip", "/usr/bin/sha256sum": "coreutils", "/usr/bin/true": "coreutils",
        "/usr/bin/sqlite3": "sqlite3", "/usr/bin/openssl": "openssl", "/usr/bin/gcc": "gcc",
        "/usr/bin/as": "binutils",
    ]

    /// Paths of the programs, their libraries and their data, as the programs name them.
    static func files() throws -> Set<String> {
        for (path, package) in packages.sorted(by: { $0.key < $1.key })
        where !FileManager.default.isExecutableFile(atPath: path) {
            throw ComparisonError(
                "\(path) is not there: run make bench, or install \(package)")
        }
        var files = Set(packages.keys)
        files.insert(try HostCommand.output(["/usr/bin/gcc", "-print-prog-name=cc1"]))
        files.formUnion(try libraries(files))
        files.formUnion(try pythonModules())
        return files
    }

    /// What the dynamic linker loads for those programs, itself included.
    private static func libraries(_ programs: Set<String>) throws -> [String] {
        try HostCommand.output(["/usr/bin/ldd"] + programs.sorted())
            .split(whereSeparator: \.isWhitespace)
            .filter { $0.hasPrefix("/") && !$0.hasSuffix(":") }
            .map(String.init)
    }

    /// The modules that Python loads before the first line of a script, compiled where they are.
    private static func pythonModules() throws -> [String] {
        let script = """
            import sys, os
            for module in list(sys.modules.values()):
                for name in ('__file__', '__cached__'):
                    path = getattr(module, name, None)
                    if path and os.path.isfile(path): print(path)
            """
        return try HostCommand.output(["/usr/bin/python3", "-I", "-c", script])
            .split(separator: "\n").map(String.init)
    }
}

/// A program of the host that is asked something.
enum HostCommand {
    /// What it prints, on both its streams if asked, without white space at the ends.
    static func output(_ command: [String], withErrors: Bool = false) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardInput = FileHandle.nullDevice
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = withErrors ? pipe : FileHandle.nullDevice
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
