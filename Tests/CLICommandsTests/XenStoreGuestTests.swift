import Foundation
import Testing

/// The XenStore of a stock guest, used from the host by Debian's programs and by Martlet's own.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct XenStoreGuestTests {
    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// A guest that waits for a line of input, and what was said until it ended.
    private final class WaitingGuest {
        let socket = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-store-\(UUID().uuidString)").path
        private let process = Process()
        private let (input, output) = (Pipe(), Pipe())

        init(_ script: String) throws {
            process.executableURL = URL(fileURLWithPath: Martlet.path ?? "martlet")
            process.arguments = [
                "run", "--platform", "xen", "--xenstore-socket", socket, "--timeout", "240",
                "--quiet", "--", "sh", "-c", "echo ready; read line; " + script,
            ]
            process.standardInput = input
            process.standardOutput = output
            try Martlet.start(process)
            var said = Data()
            while !said.contains(UInt8(ascii: "\n")) {
                let more = output.fileHandleForReading.availableData
                if more.isEmpty { break }
                said += more
            }
            #expect(String(decoding: said, as: UTF8.self) == "ready\n")
        }

        func finish() throws -> String {
            try input.fileHandleForWriting.write(contentsOf: Data("go\n".utf8))
            let rest = try output.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            return String(decoding: rest, as: UTF8.self)
        }

        deinit { if process.isRunning { process.terminate() } }

        /// One of Debian's programs, unmodified.
        func debian(_ program: String, _ arguments: String...) throws -> Martlet.Result {
            try Martlet.run(
                tool: "/usr/bin/env",
                ["XENSTORED_PATH=\(socket)", "timeout", "60", program] + arguments)
        }

        func martlet(_ command: String, _ arguments: String...) throws -> Martlet.Result {
            try Martlet.run(["xenstore", command, "--socket", socket] + arguments)
        }
    }

    private func expectGood(
        _ result: Martlet.Result, _ output: String = "",
        _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(
            result.status == 0, "\(Self.text(result.errors))", sourceLocation: location)
        #expect(Self.text(result.output) == output, sourceLocation: location)
    }

    /// Prints its lines as they come, into a file.
    private func watching(
        _ guest: WaitingGuest, _ words: [String], while body: () throws -> Void
    ) throws -> [String] {
        let file = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-watch-\(UUID().uuidString)")
        try Data().write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["XENSTORED_PATH=\(guest.socket)", "timeout", "60"] + words
        process.standardOutput = try FileHandle(forUpdating: file)
        try Martlet.start(process)
        // The first event is the watch's own, and says that it is set.
        for _ in 0..<3000 where try Data(contentsOf: file).isEmpty { usleep(10_000) }
        try body()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map(String.init)
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/xenstore-ls")))
    func programsOfTheHostUseTheStore() throws {
        let guest = try WaitingGuest("dmesg")
        let home = "/local/domain/1"
        expectGood(try guest.debian("xenstore-read", "\(home)/domid"), "1\n")
        expectGood(try guest.martlet("read", "\(home)/domid", "\(home)/name"), "1\nmartlet\n")
        expectGood(try guest.debian("xenstore-exists", "\(home)/device"))
        #expect(try guest.debian("xenstore-exists", "\(home)/no").status != 0)
        let list = try guest.debian("xenstore-list", home)
        #expect(Self.text(list.output).split(separator: "\n").contains("console"))

        // What is not there, said by each in its way.
        let missing = try guest.debian("xenstore-read", "/no/such")
        let own = try guest.martlet("read", "/no/such")
        #expect(missing.status == 1 && own.status == 1)
        #expect(Self.text(own.errors).hasPrefix("martlet: the node '/no/such' is not there"))
        #expect(own.output.isEmpty && Self.text(own.errors).split(separator: "\n").count == 1)
        let wrong = try guest.martlet("write", "//", "x")
        #expect(wrong.status == 125 && Self.text(wrong.errors).contains("'//' is no path"))

        // One writes, another reads; every byte.
        expectGood(try guest.debian("xenstore-write", "/t/a", "first", "/t/b/c", "second"))
        expectGood(try guest.martlet("read", "/t/a", "/t/b/c"), "first\nsecond\n")
        expectGood(try guest.debian("xenstore-chmod", "/t/a", "n0", "r1"))
        #expect(Self.text(try guest.debian("xenstore-ls", "-p", "/t").output).contains("(n0,r1)"))
        for start in stride(from: 1, to: 256, by: 51) {
            let octal = (start..<start + 51).map { byte in
                let digits = String(byte, radix: 8)
                return "\\" + String(repeating: "0", count: 3 - digits.count) + digits
            }.joined()
            expectGood(try guest.debian("xenstore-write", "/t/bytes/\(start)", octal))
            let read = try guest.debian("xenstore-read", "/t/bytes/\(start)")
            expectGood(
                try guest.martlet("read", "/t/bytes/\(start)"), Self.text(read.output))
            let raw = try guest.martlet("read", "--raw", "/t/bytes/\(start)")
            #expect(raw.output == (start..<start + 51).map { UInt8($0) })
        }
        let long = String(repeating: "v", count: 200)
        expectGood(try guest.martlet("write", "/t/long", long, "/t/d/e/f", ""))
        for number in 0..<100 {
            try #require(
                try guest.debian("xenstore-write", "/t/many/\(number)\(long)", "x").status == 0)
        }

        // The whole tree, as Debian's program prints it.
        for option in [[], ["-f"]] {
            let theirs = try Martlet.run(
                tool: "/usr/bin/env", ["XENSTORED_PATH=\(guest.socket)", "xenstore-ls"] + option)
            let ours = try Martlet.run(["xenstore", "ls", "--socket", guest.socket] + option)
            let (theirLines, ourLines) = (
                Self.text(theirs.output).split(separator: "\n"),
                Self.text(ours.output).split(separator: "\n")
            )
            #expect(theirLines.count > 190 && theirs.status == 0 && ours.status == 0)
            for (their, our) in zip(theirLines, ourLines) where their != our {
                #expect(our == their)
            }
            #expect(ourLines.count == theirLines.count)
        }

        // Each hears of the other.
        let theirs = try watching(guest, ["xenstore-watch", "-n", "2", "/t/a"]) {
            expectGood(try guest.martlet("write", "/t/a/deep", "x"))
        }
        #expect(theirs == ["/t/a", "/t/a/deep"])
        let path = Martlet.path ?? ""
        let ours = try watching(
            guest, [path, "xenstore", "watch", "--socket", guest.socket, "-n", "2", "/t"]
        ) {
            expectGood(try guest.debian("xenstore-rm", "/t/b"))
        }
        #expect(ours == ["/t", "/t/b"])
        expectGood(try guest.martlet("rm", "/t"))
        #expect(try guest.debian("xenstore-exists", "/t").status != 0)

        // The guest hears of it, and answers by taking the key away.
        expectGood(try guest.debian("xenstore-write", "\(home)/control/sysrq", "h"))
        var left = "h"
        for _ in 0..<1000 where left == "h" {
            left = Self.text(try guest.martlet("read", "--raw", "\(home)/control/sysrq").output)
            usleep(10_000)
        }
        #expect(left != "h")

        // There is one store for one socket.
        let second = try Martlet.run([
            "run", "--platform", "xen", "--xenstore-socket", guest.socket, "--", "true",
        ])
        #expect(second.status == 125)
        #expect(Self.text(second.errors).contains("somebody listens at the socket"))

        let log = try guest.finish()
        #expect(log.contains("sysrq: HELP"), "\(log)")
        let troubles = GuestLog.troubles(log)
        #expect(troubles.isEmpty, "\(troubles)")
        #expect(!FileManager.default.fileExists(atPath: guest.socket), "the socket is left")
        let late = try guest.martlet("ls")
        #expect(late.status == 125 && Self.text(late.errors).contains(guest.socket))
    }
}
