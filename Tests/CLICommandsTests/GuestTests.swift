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

    @Test(arguments: [2, 8, 64])
    func processorsComeUpAndWork(count: Int) throws {
        let script = """
            nproc; for p in 1 2 3 4; do (for i in 1 2 3 4 5 6 7 8; do busybox true; done) & done; wait
            dmesg | grep -cE 'BUG:|WARNING:|Oops|Call Trace|unchecked MSR|lockup'
            """
        let result = try Martlet.run([
            "run", "--cpus", "\(count)", "--timeout", "240", "--", "sh", "-c", script,
        ])
        #expect(String(decoding: result.output, as: UTF8.self) == "\(count)\n0\n")
    }

    @Test(arguments: [
        ("debian", "kvm"), ("debian-cloud", "kvm"), ("debian-rt", "kvm"),
        ("debian-backports", "kvm"), ("debian", "none"), ("debian-backports", "none"),
        ("debian", "xen"), ("debian-cloud", "xen"),
    ])
    func stockKernelsBootCleanly(kernel: String, platform: String) throws {
        let log = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-\(kernel)-\(platform)-\(getpid()).log")
        defer { try? FileManager.default.removeItem(at: log) }
        let script = """
            uname -s; cat /sys/devices/system/clocksource/clocksource0/current_clocksource; dmesg
            """
        let result = try Martlet.run([
            "run", "--kernel", kernel, "--platform", platform, "--timeout", "240", "--console",
            "file:\(log.path)", "--", "sh", "-c", script,
        ])
        #expect(result.status == 0, "\(String(decoding: result.errors, as: UTF8.self))")
        let said = String(decoding: result.output, as: UTF8.self)
        // Linux goes on from kvm-clock to the counter itself, which is invariant; from Xen's clock only
        // newer kernels do.
        let clocks = platform == "xen" ? ["xen", "tsc"] : ["tsc"]
        #expect(
            clocks.contains { said.hasPrefix("Linux\n\($0)\n") }, "\(said.prefix(100))")
        #expect(said.contains("Switched to clocksource kvm-clock") == (platform == "kvm"))
        // The console has what came after the command, dmesg what is not for the console.
        let console = try String(contentsOf: log, encoding: .utf8)
        for text in [said, console] {
            let troubles = GuestLog.troubles(text)
            #expect(troubles.isEmpty, "\(kernel), \(platform): \(troubles)")
        }
        #expect(console.contains("reboot: Power down"))
    }

    @Test(arguments: [
        ["run", "--kernel", "/dev/null"], ["run", "--kernel", "/bin/true", "--", "true"],
        ["run", "--memory", "1M", "--", "true"], ["run", "--memory", "999T", "--", "true"],
        ["run", "--engine", "steam"], ["run", "--no-such-option"], ["run", "--cpus", "0"],
        ["run", "--cpus", "256"], ["run", "--cpus", "10000"], ["run", "--cpus", "-1"],
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

/// What a kernel's log must not have.
enum GuestLog {
    /// Lines of a good boot that have such a word: advice, and news of what is not there.
    private static let harmless = [
        // Printed whenever ACPI describes a host bridge (arch/x86/pci/acpi.c).
        "PCI: Using host bridge windows from ACPI; if necessary, use \"pci=nocrs\" and report a bug",
        // A driver that finds no device of its kind (drivers/iommu/amd/iommu_v2.c).
        "AMD-Vi: AMD IOMMUv2 functionality not available on this system - This is not a bug.",
    ]

    private static let words = [
        "bug", "oops", "warning", "call trace", "unchecked msr", "lockup", "rcu stall",
        "detected stall", "expedited stall", "general protection", "tainted", "hung task",
        "blocked for more than", "oom-killer", "allocation failure",
    ]

    /// Without what Linux says of each further console when it resumes in a new domain, on Xen too: it puts
    /// an event channel back whose interrupt is gone already (drivers/tty/hvc/hvc_xen.c, xencons_resume).
    static func withoutConsoleWarnings(_ log: String) -> String {
        var kept: [Substring] = []
        var block: [Substring]?
        for line in log.split(whereSeparator: \.isNewline) {
            if line.contains("[ cut here ]") { block = [] }
            guard block != nil else {
                kept.append(line)
                continue
            }
            block?.append(line)
            guard line.contains("[ end trace"), let lines = block else { continue }
            if !lines.contains(where: { $0.contains("xencons_resume") }) { kept += lines }
            block = nil
        }
        return (kept + (block ?? [])).joined(separator: "\n")
    }

    /// The lines that have a word of trouble and are not known as harmless.
    static func troubles(_ log: String) -> [String] {
        log.split(whereSeparator: \.isNewline).map(String.init).filter { line in
            let lower = line.lowercased()
            return words.contains { lower.contains($0) }
                && !harmless.contains { line.contains($0) }
        }
    }

    /// The troubles, and what the log says around the first of them: the line that explains a call trace
    /// need not have a word of trouble itself.
    static func surroundings(of troubles: [String], in log: String) -> String {
        let lines = log.split(whereSeparator: \.isNewline).map(String.init)
        guard let first = troubles.first, let place = lines.firstIndex(of: first) else { return "" }
        let around = lines[max(0, place - 30)..<min(lines.count, place + 60)]
        return (troubles + ["around the first:"] + around).joined(separator: "\n")
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
        try start(process)
        process.waitUntilExit()
        return Result(
            status: process.terminationStatus,
            output: [UInt8](try Data(contentsOf: folder.appendingPathComponent("out"))),
            errors: [UInt8](try Data(contentsOf: folder.appendingPathComponent("err"))))
    }

    /// Threads of dispatch block signals, and a program would inherit that: its alarms too.
    static func start(_ process: Process) throws {
        var none = sigset_t()
        var blocked = sigset_t()
        unsafe sigemptyset(&none)
        unsafe pthread_sigmask(SIG_SETMASK, &none, &blocked)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &blocked, nil) }
        try process.run()
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
