import Foundation
import Testing

/// Whole guests: the built `martlet` boots a stock kernel and runs programs in it. `make test` sets
/// MARTLET_BINARY; without it these are skipped, because they fetch a kernel.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct GuestTests {
    @Test func commandsGetTheirStreamsAndStatus() throws {
        let script = "cat; echo error >&2; exit 7"
        let result = try Martlet.run(
            ["run", "--timeout", "120", "--", "sh", "-c", script], input: "byte\u{0}for\r\nbyte")
        #expect(result.status == 7)
        #expect(result.output == Array("byte\u{0}for\r\nbyte".utf8))
        #expect(String(decoding: result.errors, as: UTF8.self) == "error\n")
    }

    @Test(arguments: ["debian", "debian-cloud", "debian-rt"])
    func stockKernelsBootCleanly(kernel: String) throws {
        let log = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-\(kernel)-\(getpid()).log")
        defer { try? FileManager.default.removeItem(at: log) }
        let result = try Martlet.run([
            "run", "--kernel", kernel, "--timeout", "120", "--console", "file:\(log.path)", "--",
            "uname", "-s",
        ])
        #expect(result.status == 0)
        #expect(result.output == Array("Linux\n".utf8))
        let text = try String(contentsOf: log, encoding: .utf8)
        for trouble in [
            "BUG:", "WARNING:", "Oops", "Call Trace", "unchecked MSR", "lockup", "RCU stall",
        ] {
            #expect(!text.contains(trouble), "the log of \(kernel) has '\(trouble)'")
        }
        #expect(text.contains("clocksource kvm-clock"))
        #expect(text.contains("reboot: Power down"))
    }

    @Test func programsComputeTheSameAsOnTheHost() throws {
        let script = """
            head -c 100000 /init | sha256sum
            echo 'scale=60; 4*a(1); e(1)' | /usr/bin/bc -l
            echo 'select sum(x*1.5), max(sqrt(x)) from (select 1 x union select 7);' \
            | /usr/bin/sqlite3 :memory:
            """
        let programs = ["/usr/bin/bc", "/usr/bin/sqlite3"].filter {
            FileManager.default.isExecutableFile(atPath: $0)
        }
        let present = script.split(separator: "\n").filter { line in
            line.contains("/usr/bin/bc") ? programs.contains("/usr/bin/bc") : true
        }
        guard programs.count == 2 else { return }
        let guest = try Martlet.run(
            ["run", "--timeout", "180"] + Martlet.files(programs) + [
                "--file", "/bin/true:/init.sample", "--", "sh", "-c",
                present.joined(separator: "\n").replacingOccurrences(
                    of: "/init ", with: "/init.sample "),
            ])
        let host = try Martlet.run(
            tool: "/bin/sh",
            ["-c", script.replacingOccurrences(of: "/init ", with: "/bin/true ")])
        #expect(guest.status == 0)
        #expect(
            String(decoding: guest.output, as: UTF8.self)
                == String(decoding: host.output, as: UTF8.self))
    }

    @Test(arguments: [
        ["run", "--kernel", "/dev/null"], ["run", "--kernel", "/bin/true", "--", "true"],
        ["run", "--memory", "1M", "--", "true"], ["run", "--memory", "999T", "--", "true"],
        ["run", "--engine", "steam"], ["run", "--no-such-option"], ["run", "--cpus", "0"],
        ["run", "--kernel", "/no/such/kernel"],
    ])
    func badInputIsOneLineAndStatus125(arguments: [String]) throws {
        let result = try Martlet.run(arguments)
        #expect(result.status == 125)
        #expect(result.output.isEmpty)
        let text = String(decoding: result.errors, as: UTF8.self)
        #expect(text.hasPrefix("martlet: "))
        #expect(text.split(separator: "\n").count == 1, "\(text)")
    }
}

/// Runs the program under test.
enum Martlet {
    struct Result {
        var status: Int32
        var output: [UInt8]
        var errors: [UInt8]
    }

    static var path: String? { ProcessInfo.processInfo.environment["MARTLET_BINARY"] }

    static func run(_ arguments: [String], input: String = "") throws -> Result {
        try run(tool: path ?? "martlet", arguments, input: input)
    }

    static func run(tool: String, _ arguments: [String], input: String = "") throws -> Result {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func file(_ name: String, _ content: Data) throws -> FileHandle {
            let url = folder.appendingPathComponent(name)
            try content.write(to: url)
            return try FileHandle(forUpdating: url)
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: tool)
        process.arguments = arguments
        process.standardInput = try file("in", Data(input.utf8))
        process.standardOutput = try file("out", Data())
        process.standardError = try file("err", Data())
        try process.run()
        process.waitUntilExit()
        return Result(
            status: process.terminationStatus,
            output: [UInt8](try Data(contentsOf: folder.appendingPathComponent("out"))),
            errors: [UInt8](try Data(contentsOf: folder.appendingPathComponent("err"))))
    }

    /// `--file` options for dynamically linked programs and their libraries.
    static func files(_ programs: [String]) -> [String] {
        var paths = Set(programs)
        for program in programs {
            let output = try? run(tool: "/usr/bin/ldd", [program]).output
            for word in String(decoding: output ?? [], as: UTF8.self).split(whereSeparator: {
                " \n\t".contains($0)
            }) where word.hasPrefix("/") { paths.insert(String(word)) }
        }
        return paths.sorted().flatMap { ["--file", "\($0):\($0)"] }
    }
}
