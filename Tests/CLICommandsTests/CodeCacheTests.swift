import Foundation
import Testing

/// `--code-cache`: later runs take over what earlier ones translated, and nothing that becomes of the
/// folder is the guest's business.
extension RunOptionTests {
    private func withFolder<Value>(_ body: (String) throws -> Value) throws -> Value {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try body(folder)
    }

    private static let script =
        "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; echo $i; dd if=/dev/zero bs=1k count=500 "
        + "2>/dev/null | sha256sum; seq 1 300 | awk '{ s += $1 * $1 } END { print s }'"

    private struct Run {
        var output: String
        var errors: [Substring]
        /// Counters of the code cache.
        var code: [String: Int]

        func count(_ name: String) -> Int { code[name] ?? -1 }
    }

    private func run(_ options: [String]) throws -> Run {
        let result = try Martlet.run(
            ["run", "--stats", "--timeout", "240"] + options + ["--", "sh", "-c", Self.script])
        let lines = String(decoding: result.errors, as: UTF8.self).split(separator: "\n")
        #expect(result.status == 0, "\(lines)")
        let line = try #require(lines.first { $0.hasPrefix("{") }, "\(lines)")
        let all = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        return Run(
            output: String(decoding: result.output, as: UTF8.self),
            errors: lines.filter { !$0.hasPrefix("{") },
            code: try #require(all?["code"] as? [String: Int]))
    }

    /// With other numbers of vCPUs too, and without a difference in what it prints.
    @Test func aSecondBootReusesTranslations() throws {
        try withFolder { folder in
            let plain = try run([])
            #expect(plain.output.hasPrefix("2000\n") && plain.count("keptTranslations") == 0)
            let first = try run(["--code-cache", folder + "/code"])
            #expect(first.count("reusedTranslations") == 0)
            #expect(first.count("keptTranslations") > 3000 && first.count("translations") > 3000)
            for cpus in ["1", "2"] {
                let again = try run(["--code-cache", folder + "/code", "--cpus", cpus])
                #expect(again.output == plain.output && again.errors.isEmpty, "\(again.errors)")
                let (reused, made) = (
                    again.count("reusedTranslations"), again.count("translations")
                )
                // Two vCPUs run code of the kernel that one does not.
                #expect(
                    reused > made * (cpus == "1" ? 9 : 2), "\(reused) reused, \(made) made")
                #expect(again.count("storedByteCount") > 1 << 20)
                #expect(again.count("damagedEntries") == 0)
            }
            let interpreted = try run(["--code-cache", folder + "/code", "--engine", "interpreter"])
            #expect(interpreted.output == plain.output)
            #expect(interpreted.count("reusedTranslations") == 0)
        }
    }

    /// Wherever there is damage, the guest does what it does, and one line says so at most.
    @Test func damageIsNotTheGuestsBusiness() throws {
        try withFolder { folder in
            let expected = try run(["--code-cache", folder]).output
            let files = try FileManager.default.contentsOfDirectory(atPath: folder)
            let path = folder + "/" + (try #require(files.first))
            var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
            for place in stride(from: 1000, to: bytes.count - 200_000, by: 20_000) {
                bytes[place] ^= 0x40
            }
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            try handle.write(contentsOf: bytes)
            let damaged = try run(["--code-cache", folder])
            #expect(damaged.output == expected)
            #expect(damaged.count("damagedEntries") > 10)
            #expect(damaged.count("reusedTranslations") > 1000)
            #expect(damaged.errors.count == 1, "\(damaged.errors)")
            #expect(damaged.errors.first?.hasPrefix("martlet: ") == true)
            let mended = try run(["--code-cache", folder])
            #expect(mended.output == expected && mended.errors.isEmpty, "\(mended.errors)")
            #expect(mended.count("damagedEntries") == 0)
        }
    }

    @Test func aFullDiskIsOneLine() throws {
        try withFolder { folder in
            let unshare = ["-Urm", "sh", "-c"]
            let mount = "mount -t tmpfs -o size=400k,mode=700 tmpfs \(folder)"
            guard try Martlet.run(tool: "/usr/bin/unshare", unshare + [mount]).status == 0 else {
                // Not every host lets a user mount in a namespace of his own.
                print("aFullDiskIsOneLine: skipped, unshare is not permitted here")
                return
            }
            let program = try #require(Martlet.path)
            let script =
                "\(mount) && \(program) run --timeout 120 --code-cache \(folder) -- echo done; "
                + "echo $?; ls -A \(folder)"
            let result = try Martlet.run(tool: "/usr/bin/unshare", unshare + [script])
            #expect(String(decoding: result.output, as: UTF8.self) == "done\n0\n")
            let lines = String(decoding: result.errors, as: UTF8.self).split(separator: "\n")
            #expect(lines.count == 1 && lines[0].hasPrefix("martlet: cannot write"), "\(lines)")
        }
    }

    /// Who may write to the folder runs code in the process.
    @Test func foldersOfOthersAreRefused() throws {
        try withFolder { folder in
            unsafe chmod(folder, 0o777)
            for path in [folder, "/dev/null", folder + "/no/parent", ""] {
                let result = try Martlet.run(["run", "--code-cache", path, "--", "true"])
                #expect(result.status == 125, "\(path)")
                let text = String(decoding: result.errors, as: UTF8.self)
                #expect(text.hasPrefix("martlet: ") && text.contains("--code-cache"), "\(text)")
                #expect(text.split(separator: "\n").count == 1, "\(text)")
            }
        }
    }
}
