import Foundation
import Testing

/// The bare-metal guests of `Guests/privileged`, which test themselves and report over the UART.
/// `make test` builds them and sets MARTLET_GUESTS to their folder.
@Suite(.serialized, .enabled(if: Martlet.path != nil && BareGuest.folder != nil))
struct PrivilegedGuestTests {
    @Test(arguments: [
        "long-paging", "long-exceptions", "long-segments", "long-registers", "long-debug",
        "long-modes", "long-strings", "legacy-paging", "legacy-segments", "legacy-tasks",
        "legacy-vm86",
    ])
    func guestFindsNothingWrong(name: String) throws {
        let result = try BareGuest.run(name)
        let lines = result.text.split(separator: "\n")
        let failures = lines.filter { $0.hasPrefix("FAIL ") }
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
        #expect(lines.last == "end", "\(name) did not come to its end: \(result.text.suffix(500))")
        #expect(lines.filter { $0.hasPrefix("ok ") }.count > 40)
        #expect(result.status == 0)
    }

    @Test(arguments: [
        ("accident-triple", "triple fault", "triple fault"),
        ("accident-halt", "HLT with interrupts off, nothing can wake the guest", "hlt"),
        (
            "accident-hole", "jumped to 0x30000000, where there is no memory",
            "fetch from 0x30000000, no memory"
        ),
    ])
    func accidentIsReportedWithRegisters(name: String, reason: String, lastExit: String) throws {
        let result = try BareGuest.run(name, ["--memory", "256M"])
        #expect(result.status == 125)
        let lines = result.text.split(separator: "\n").map(String.init)
        #expect(lines.first == "vCPU 0: \(reason)")
        #expect(lines.contains { $0.hasPrefix("rip 0x") && $0.contains("rflags 0x") })
        #expect(lines.contains { $0.hasPrefix("rax 0x0000000000007e57 ") })
        #expect(lines.contains { $0.hasPrefix("cr0 0x80010033 ") })
        let exits = lines.drop { $0 != "last exits, oldest first:" }
        #expect(exits.contains("  \(lastExit)"))
        #expect(lines.last?.hasPrefix("martlet: vCPU 0: \(reason)") == true)
    }

    @Test func initramfsThatDoesNotFitIsOneLine() throws {
        let file = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-large-\(getpid())")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(count: 64 << 20).write(to: file)
        let result = try BareGuest.run("long-modes", ["--memory", "64M"], initrd: file.path)
        #expect(result.status == 125)
        #expect(result.text.hasPrefix("martlet: the initramfs of 64 MiB does not fit"))
        #expect(result.text.split(separator: "\n").count == 1)
    }

    @Test func kernelOfAnotherArchitectureIsOneLine() throws {
        let folder = try #require(BareGuest.folder)
        var image = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/long-modes.elf"))
        image[18] = 183
        let file = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-aarch64-\(getpid())")
        defer { try? FileManager.default.removeItem(at: file) }
        try image.write(to: file)
        let result = try Martlet.run([
            "run", "--kernel", file.path, "--initrd", "/dev/null",
        ])
        #expect(result.status == 125)
        let text = String(decoding: result.errors, as: UTF8.self)
        #expect(
            text == "martlet: the kernel is for another architecture (ELF machine 183): "
                + "give one for x86-64\n")
    }
}

/// Runs a guest of `Guests/privileged`.
enum BareGuest {
    static var folder: String? { ProcessInfo.processInfo.environment["MARTLET_GUESTS"] }

    static func run(
        _ name: String, _ options: [String] = [], initrd: String = "/dev/null"
    ) throws -> (status: Int32, text: String) {
        let result = try Martlet.run(
            [
                "run", "--kernel", "\(folder ?? ".")/\(name).elf", "--initrd", initrd,
                "--console", "stdio", "--timeout", "60",
            ] + options)
        // The console, then what Martlet itself has to say.
        return (result.status, String(decoding: result.output + result.errors, as: UTF8.self))
    }
}
