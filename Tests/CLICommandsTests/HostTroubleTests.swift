import Foundation
import Testing

/// What the host can do to a run: broken files, no space, no network, two at once, time that passes.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct HostTroubleTests {
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// One line that has all of `words`, and status 125.
    private func expectOneLine(_ result: Martlet.Result, _ words: String...) {
        #expect(result.status == 125)
        let line = text(result.errors)
        #expect(line.hasPrefix("martlet: "))
        #expect(line.split(separator: "\n").count == 1, "\(line)")
        for word in words { #expect(line.contains(word), "\(line)") }
    }

    private func withFolder<Value>(_ body: (String) throws -> Value) throws -> Value {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try body(folder.path)
    }

    @Test func corruptKernelIsOneLine() throws {
        let pull = try Martlet.run(["pull", "debian"])
        let path = text(pull.output).trimmingCharacters(in: .whitespacesAndNewlines)
        try withFolder { folder in
            var image = try Data(contentsOf: URL(fileURLWithPath: path))
            let middle = image.count / 2
            for offset in 0..<64 { image[middle + offset] ^= 0x5a }
            let broken = folder + "/vmlinuz"
            try image.write(to: URL(fileURLWithPath: broken))
            expectOneLine(
                try Martlet.run(["run", "--kernel", broken, "--initrd", "/dev/null"]),
                "the kernel's ", " payload is corrupt", "fetch the kernel again")
            try image.prefix(middle).write(to: URL(fileURLWithPath: broken))
            expectOneLine(
                try Martlet.run(["run", "--kernel", broken, "--initrd", "/dev/null"]), "kernel")
        }
    }

    /// Files that are larger than the host's memory, and one without an end.
    @Test func hugeFilesAreOneLine() throws {
        try withFolder { folder in
            let huge = folder + "/huge"
            try Data().write(to: URL(fileURLWithPath: huge))
            // All hole.
            try FileHandle(forWritingTo: URL(fileURLWithPath: huge)).truncate(atOffset: 1 << 42)
            for path in [huge, "/dev/zero"] {
                expectOneLine(
                    try Martlet.run(["run", "--kernel", path, "--", "true"]),
                    "the kernel '\(path)'",
                    "has more than 2048 MiB", "--kernel")
                expectOneLine(
                    try Martlet.run(["run", "--initrd", path]), "the initramfs '\(path)'",
                    "has more than 512 MiB", "--initrd, or more --memory")
            }
        }
    }

    @Test func fullDiskIsOneLine() throws {
        try withFolder { folder in
            let unshare = ["-Urm", "sh", "-c"]
            let probe = try Martlet.run(
                tool: "/usr/bin/unshare", unshare + ["mount -t tmpfs -o size=64k tmpfs \(folder)"])
            guard probe.status == 0 else {
                // Not every host lets a user mount in a namespace of his own.
                print("fullDiskIsOneLine: skipped, unshare is not permitted here")
                return
            }
            let program = try #require(Martlet.path)
            let script =
                "mount -t tmpfs -o size=64k tmpfs \(folder) && XDG_CACHE_HOME=\(folder) "
                + "exec \(program) pull debian"
            expectOneLine(
                try Martlet.run(tool: "/usr/bin/unshare", unshare + [script]),
                "no space", "set XDG_CACHE_HOME to another disk")
        }
    }

    @Test func packageManagerThatIsOfflineIsOneLine() throws {
        try withFolder { folder in
            // Port 9 of this host: nobody listens.
            let variables = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"]
                .map { "\($0)=http://127.0.0.1:9" }
            expectOneLine(
                try Martlet.run(
                    tool: "/usr/bin/env",
                    ["XDG_CACHE_HOME=\(folder)"] + variables + [
                        try #require(Martlet.path), "pull", "debian",
                    ]),
                "cannot fetch", "--kernel PATH")
        }
    }

    @Test func twoPullsAtOnceShareOneKernel() throws {
        try withFolder { folder in
            let program = try #require(Martlet.path)
            func pull(_ name: String) throws -> Process {
                let output = URL(fileURLWithPath: "\(folder)/\(name)")
                try Data().write(to: output)
                let process = Process()
                process.executableURL = URL(fileURLWithPath: program)
                process.arguments = ["pull", "debian-cloud"]
                process.environment = ProcessInfo.processInfo.environment.merging([
                    "XDG_CACHE_HOME": folder
                ]) { $1 }
                process.standardInput = FileHandle.nullDevice
                process.standardOutput = try FileHandle(forWritingTo: output)
                process.standardError = FileHandle.nullDevice
                try process.run()
                return process
            }
            let first = try pull("first")
            let second = try pull("second")
            first.waitUntilExit()
            second.waitUntilExit()
            #expect(first.terminationStatus == 0)
            #expect(second.terminationStatus == 0)
            let path = try String(contentsOfFile: "\(folder)/first", encoding: .utf8)
                .trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(path.hasPrefix(folder))
            #expect(FileManager.default.fileExists(atPath: path))
            #expect(try String(contentsOfFile: "\(folder)/second", encoding: .utf8) == path + "\n")
            let kernels = try FileManager.default.contentsOfDirectory(
                atPath: folder + "/martlet/kernels")
            #expect(kernels.filter { $0.hasPrefix("linux-image") }.count == 1)
            let rest = try FileManager.default.contentsOfDirectory(atPath: folder + "/martlet")
            #expect(!rest.contains { $0.hasPrefix("fetching") })
        }
    }

    /// A resource count, not a time: processor ticks of the whole process while the guest sleeps.
    @Test func idleGuestUsesNoProcessor() throws {
        try withFolder { folder in
            let output = URL(fileURLWithPath: folder + "/out")
            try Data().write(to: output)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: try #require(Martlet.path))
            process.arguments = [
                "run", "--timeout", "120", "--", "sh", "-c", "echo ready; sleep 8",
            ]
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = try FileHandle(forWritingTo: output)
            process.standardError = FileHandle.nullDevice
            try process.run()
            while process.isRunning, try Data(contentsOf: output).isEmpty {
                Thread.sleep(forTimeInterval: 0.1)
            }
            // The guest's own start is over a second later.
            Thread.sleep(forTimeInterval: 1)
            let before = try ticks(of: process.processIdentifier)
            Thread.sleep(forTimeInterval: 5)
            let used = try ticks(of: process.processIdentifier) - before
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            // 2 % of one processor over 5 seconds; 1 or 2 ticks are usual.
            let limit = sysconf(Int32(_SC_CLK_TCK)) * 5 * 2 / 100
            #expect(used <= limit, "\(used) ticks in 5 s")
        }
    }

    /// User and system time (proc(5), stat fields 14 and 15), in clock ticks.
    private func ticks(of process: Int32) throws -> Int {
        let stat = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        let fields = try #require(stat.split(separator: ")").last).split(separator: " ")
        return try #require(Int(fields[11])) + #require(Int(fields[12]))
    }
}
