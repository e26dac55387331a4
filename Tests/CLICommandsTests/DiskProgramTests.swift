import Foundation
import Testing

/// `martlet disk` as a program: what goes where, exit statuses, signals.
@Suite(.serialized, .enabled(if: Martlet.path != nil)) struct DiskProgramTests {
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = NSTemporaryDirectory() + "martlet-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    @Test func streamsAndStatuses() throws {
        try withFolder { folder in
            let path = folder + "/a"
            let create = try Martlet.run(["disk", "create", path, "1G", "--format", "qcow2"])
            #expect(create.status == 0 && create.output.isEmpty && create.errors.isEmpty)
            let again = try Martlet.run(["disk", "create", path, "1G"])
            #expect(again.status == 125 && again.output.isEmpty)
            #expect(text(again.errors).split(separator: "\n").count == 1)
            #expect(text(again.errors).hasPrefix("martlet: cannot create the disk '\(path)'"))

            let info = try Martlet.run(["disk", "info", path, "--format", "qcow2", "--json"])
            #expect(info.status == 0 && info.errors.isEmpty)
            let json = try #require(
                JSONSerialization.jsonObject(with: Data(info.output)) as? [String: Any])
            #expect(json["byteCount"] as? Int == 1 << 30 && json["format"] as? String == "qcow2")
            #expect(json["usage"] as? String == "unused")

            // A hint is no failure, and not in what is printed.
            let raw = try Martlet.run(["disk", "info", path])
            #expect(raw.status == 0 && text(raw.output).contains("format: raw"))
            #expect(text(raw.errors).contains("begins like a qcow2 image"))

            let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
            try handle.seek(toOffset: 2 * 65536 + 20)
            try handle.write(contentsOf: [0, 1])
            try handle.close()
            let check = try Martlet.run(["disk", "check", path, "--format", "qcow2"])
            #expect(check.status == 3 && check.errors.isEmpty)
            #expect(text(check.output).contains("0 errors, 1 leaked cluster\n"))
            let repair = try Martlet.run(["disk", "check", path, "--format", "qcow2", "--repair"])
            #expect(
                repair.status == 0 && text(repair.output).contains("gave 1 leaked cluster back"))
        }
    }

    /// A disk that takes minutes to copy, and somebody who has no time.
    @Test(
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/nbdkit")),
        arguments: [SIGINT, SIGTERM, SIGHUP])
    func aSignalLeavesNoHalfCopy(_ signal: Int32) throws {
        try withFolder { folder in
            let server = Process()
            server.executableURL = URL(fileURLWithPath: "/usr/bin/nbdkit")
            server.arguments = [
                "-f", "-U", folder + "/s", "--filter=delay", "pattern", "1G", "rdelay=200ms",
            ]
            try server.run()
            defer {
                kill(server.processIdentifier, SIGKILL)
                server.waitUntilExit()
            }
            let files = FileManager.default
            for _ in 0..<1000 where !files.fileExists(atPath: folder + "/s") { usleep(10_000) }
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Martlet.path ?? "")
            process.arguments = [
                "disk", "convert", "nbd+unix:///?socket=\(folder)/s", folder + "/a", "--to", "raw",
            ]
            try Martlet.start(process)
            func allocated() -> Int {
                var information = stat()
                guard unsafe stat(folder + "/a", &information) == 0 else { return 0 }
                return Int(information.st_blocks)
            }
            for _ in 0..<1000 where allocated() == 0 { usleep(10_000) }
            #expect(allocated() > 0)
            kill(process.processIdentifier, signal)
            process.waitUntilExit()
            #expect(process.terminationReason == .uncaughtSignal)
            #expect(process.terminationStatus == signal)
            #expect(!files.fileExists(atPath: folder + "/a"))
        }
    }

    /// What fails in the middle is removed too.
    @Test func aFullDiskLeavesNoHalfCopy() throws {
        try withFolder { folder in
            let unshare = ["-Urm", "sh", "-c"]
            let mount = "mount -t tmpfs -o size=2M tmpfs \(folder)/t"
            try FileManager.default.createDirectory(
                atPath: folder + "/t", withIntermediateDirectories: true)
            guard try Martlet.run(tool: "/usr/bin/unshare", unshare + [mount]).status == 0 else {
                print("aFullDiskLeavesNoHalfCopy: skipped, unshare is not permitted here")
                return
            }
            try Data(repeating: 7, count: 8 << 20).write(
                to: URL(fileURLWithPath: folder + "/source"))
            let program = try #require(Martlet.path)
            let script =
                "\(mount) && { \(program) disk convert \(folder)/source \(folder)/t/a --to qcow2; "
                + "echo $?; ls \(folder)/t; }"
            let result = try Martlet.run(tool: "/usr/bin/unshare", unshare + [script])
            #expect(text(result.output) == "125\n", "\(text(result.output))")
            let line = text(result.errors)
            #expect(line.split(separator: "\n").count == 1, "\(line)")
            #expect(line.contains("No space left on device: make room there"), "\(line)")
        }
    }
}
