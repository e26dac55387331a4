import ArgumentParser
import Foundation
import Snapshot
import Testing
import Vocabulary

@testable import CLICommands

/// `martlet snapshot` on files that no guest is needed for.
@Suite struct SnapshotCommandTests {
    private let folder = NSTemporaryDirectory() + "martlet-\(UUID().uuidString)"

    /// Runs `body` with a folder that has a memory file of 1 MiB.
    private func withFolder(_ body: () throws -> Void) throws {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var memory = [UInt8](repeating: 0, count: 1 << 20)
        for index in 70_000..<90_000 { memory[index] = UInt8(truncatingIfNeeded: index >> 4) | 1 }
        try Data(memory).write(to: URL(fileURLWithPath: path("memory")))
        try body()
    }

    private func path(_ name: String) -> String { folder + "/" + name }

    private func write(_ name: String, _ manifest: String) throws {
        let memory = unsafe open(path("memory"), O_RDONLY)
        defer { close(memory) }
        try SnapshotWriter.write(
            to: path(name), memory: MemoryInFile(memory, byteCount: 1 << 20),
            manifest: Array(manifest.utf8))
    }

    private func run(_ arguments: String...) -> (status: Int32, line: String) {
        do {
            var command = try MartletCommand.parseAsRoot(["snapshot"] + arguments)
            try command.run()
            return (0, "")
        } catch {
            let line = (error as? XError)?.message ?? MartletCommand.message(for: error)
            return (MartletProgram.report(error), line)
        }
    }

    @Test func mistakesAreOneLine() throws {
        try withFolder {
            try write("a", "no JSON")
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path("a")))
            var damaged = bytes
            damaged[9000] ^= 1
            try damaged.write(to: URL(fileURLWithPath: path("damaged")))
            try bytes.prefix(9000).write(to: URL(fileURLWithPath: path("short")))
            for (arguments, words) in [
                (["inspect", path("none")], ["cannot read the snapshot '\(path("none"))'"]),
                (["inspect", path("memory")], ["it is no snapshot"]),
                (["inspect", path("a")], ["its manifest is of another Martlet"]),
                (["verify", path("a")], ["its manifest is of another Martlet"]),
                (["verify", path("damaged")], ["is damaged between byte", "take another copy"]),
                (["verify", path("short")], ["it has 9000 of its", "take another copy"]),
                (["convert", path("damaged"), path("b")], ["is damaged between byte"]),
                (["convert", path("a"), path("short")], ["File exists", "remove it first"]),
                (["convert", path("a"), path("none/b")], ["cannot write the snapshot"]),
                (["convert", path("a")], ["<target>"]),
            ] {
                let result =
                    arguments.count == 2
                    ? run(arguments[0], arguments[1])
                    : run(arguments[0], arguments[1], arguments[2])
                #expect(result.status == 125)
                #expect(!result.line.contains("\n"), "\(result.line)")
                for word in words { #expect(result.line.contains(word), "\(result.line)") }
            }
            let names = try FileManager.default.contentsOfDirectory(atPath: folder)
            #expect(names.sorted() == ["a", "damaged", "memory", "short"])
        }
    }

    @Test func converting() throws {
        try withFolder {
            try write("a", "text")
            #expect(run("convert", path("a"), path("b"), "--compress").status == 0)
            #expect(run("convert", path("b"), path("c")).status == 0)
            #expect(run("convert", path("b"), path("d"), "--no-compress").status == 0)
            let compressions = try ["a", "b", "c", "d"].map {
                try SnapshotReader(path: path($0)).compression
            }
            #expect(compressions == [.none, .zstd, .zstd, .none])
            // The same bytes all over again, but for the header's time, which is kept.
            let (a, d) = (
                try Data(contentsOf: URL(fileURLWithPath: path("a"))),
                try Data(contentsOf: URL(fileURLWithPath: path("d")))
            )
            #expect(a == d)
        }
    }
}

/// `martlet snapshot` on a suspended guest.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct SnapshotGuestTests {
    private func martlet(_ arguments: String...) throws -> (status: Int32, text: String) {
        let result = try Martlet.run(arguments)
        return (result.status, String(decoding: result.output + result.errors, as: UTF8.self))
    }

    @Test func aSuspendedGuestIsShownAndConverted() throws {
        let name = "t\(UInt32.random(in: 0...UInt32.max))"
        let file = NSTemporaryDirectory() + "martlet-suspended-\(UUID().uuidString)"
        let copy = file + "-copy"
        defer { for path in [file, copy] { try? FileManager.default.removeItem(atPath: path) } }
        let guest = try BackgroundGuest([
            "run", "--quiet", "--name", name, "--cpus", "2", "--memory", "256M", "--timeout", "240",
            "--", "sh", "-c", "echo up; sleep 10; echo late; exit 9",
        ])
        #expect(guest.wait(for: "up\n"))
        let checkpoint = try martlet("checkpoint", name, file)
        #expect(checkpoint.status == 0, "\(checkpoint.text)")
        let plain = try martlet("snapshot", "inspect", file)
        #expect(plain.status == 0)
        #expect(plain.text.contains("compression none, mappable\n"), "\(plain.text)")
        let suspend = try martlet("suspend", name, file, "--compress")
        #expect(suspend.status == 0, "\(suspend.text)")
        _ = guest.end()
        let inspect = try martlet("snapshot", "inspect", file)
        for line in [
            "version: 2\n", "platform: xen\n", "vCPUs: 2, ", "compression zstd\n", "section mani: ",
        ] {
            #expect(inspect.text.contains(line), "\(inspect.text)")
        }
        let result = try Martlet.run(["snapshot", "inspect", file, "--json"])
        let json = try #require(
            JSONSerialization.jsonObject(with: Data(result.output)) as? [String: Any])
        #expect(json["version"] as? Int == 2 && json["compression"] as? String == "zstd")
        let machine = try #require(json["machine"] as? [String: Any])
        #expect(machine["processorCount"] as? Int == 2 && machine["platform"] as? String == "xen")
        #expect(try martlet("snapshot", "verify", file).text.contains("all is well"))
        #expect(try martlet("snapshot", "convert", file, copy, "--no-compress").status == 0)
        for path in [file, copy] {
            let resumed = try martlet("resume", "--quiet", "--timeout", "240", path)
            #expect(resumed.status == 9 && resumed.text.contains("late\n"), "\(resumed.text)")
        }
    }
}
