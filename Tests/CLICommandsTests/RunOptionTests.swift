import Boot
import Foundation
import Machine
import Scheduler
import Testing

/// What the options of `martlet run` do to a guest that runs.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct RunOptionTests {
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private func withFile<Value>(
        _ content: [UInt8], _ body: (String) throws -> Value
    ) throws -> Value {
        let file = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(content).write(to: file)
        return try body(file.path)
    }

    @Test func modulesComeWithWhatTheyNeed() throws {
        let script = "cut -d ' ' -f 1 /proc/modules; grep -w ext4 /proc/filesystems"
        let result = try Martlet.run([
            "run", "--module", "ext4", "--timeout", "120", "--", "sh", "-c", script,
        ])
        #expect(result.status == 0, "\(text(result.errors))")
        let words = text(result.output).split(whereSeparator: \.isWhitespace)
        // ext4 by name in both lists, and two of its dependencies.
        for word in ["ext4", "jbd2", "mbcache"] {
            #expect(words.contains { $0 == word }, "\(words)")
        }
        #expect(words.last == "ext4")
    }

    @Test(arguments: [
        (["--module", "steam"], "has no module 'steam'"),
        (["--kernel", "/dev/null", "--module", "ext4"], "--kernel a stock kernel's name"),
        (["--initrd", "/dev/null", "--module", "ext4"], "--initrd has its own programs"),
    ])
    func modulesThatAreNotThereAreOneLine(options: [String], words: String) throws {
        let result = try Martlet.run(["run"] + options)
        #expect(result.status == 125)
        let line = text(result.errors)
        #expect(line.hasPrefix("martlet: ") && line.contains(words), "\(line)")
        #expect(line.split(separator: "\n").count == 1)
    }

    /// The ELF file that is in the bzImage.
    @Test func theUnpackedKernelBootsToo() throws {
        let kernel = try KernelStore().kernel("debian")
        let image = [UInt8](try Data(contentsOf: URL(fileURLWithPath: kernel.path)))
        let unpacked = try KernelDecompression.unpack(try BZImage(image).payload)
        try withFile(unpacked) { path in
            let result = try Martlet.run([
                "run", "--kernel", path, "--timeout", "120", "--", "uname", "-r",
            ])
            #expect(text(result.output) == kernel.release + "\n", "\(text(result.errors))")
        }
    }

    @Test func timeIsUp() throws {
        let result = try Martlet.run(["run", "--timeout", "0.5", "--console", "none", "--", "true"])
        #expect(result.status == 125)
        #expect(text(result.errors).contains("the guest was ended after 0.5 seconds"))
    }

    @Test func statisticsAreComplete() throws {
        let result = try Martlet.run(["run", "--stats", "--timeout", "120", "--", "true"])
        #expect(result.status == 0)
        let line = try #require(text(result.errors).split(separator: "\n").last)
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
        let all = try #require(object as? [String: Any])
        func number(_ name: String) -> Double { (all[name] as? NSNumber)?.doubleValue ?? -1 }
        #expect(number("instructionsRetired") > 1e8)
        #expect(number("seconds") > 0 && number("mips") > 0)
        #expect(number("secondsToFirstUserInstruction") > 0)
        #expect(number("tlbHitRate") > 0.5 && number("tlbHitRate") < 1)
        // The kernel and its initramfs alone are more.
        #expect(number("peakMemoryByteCount") > 67_108_864)
        let exits = try #require(all["exits"] as? [String: Any])
        #expect(exits["portWrite"] != nil, "\(exits)")
        let forms = try #require(all["exitsByForm"] as? [[String: Any]])
        #expect(forms.count == 20)
        let counts = forms.map { form in
            ["handler", "slowPath"].reduce(0) { $0 + ((form[$1] as? NSNumber)?.intValue ?? 0) }
        }
        #expect(counts == counts.sorted(by: >) && (counts.last ?? 0) > 0, "\(forms)")
        let code = try #require(all["code"] as? [String: Any])
        for name in ["translationNanoseconds", "codeByteCountInUse", "instructionByteCount"] {
            #expect(((code[name] as? NSNumber)?.doubleValue ?? 0) > 0, "\(name)")
        }
    }

    /// A kernel that fills memory with zeros, and a program that counts.
    @Test func aProfileNamesWhatTheGuestRuns() throws {
        try withFile([]) { path in
            let script =
                "dd if=/dev/zero of=/dev/null bs=512 count=400000 2>/dev/null; "
                + "i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done"
            let result = try Martlet.run([
                "run", "--profile", path, "--cpus", "2", "--timeout", "120", "--", "sh", "-c",
                script,
            ])
            #expect(result.status == 0 && result.errors.isEmpty, "\(text(result.errors))")
            var counts: [String: Int] = [:]
            for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
                let words = line.split(separator: " ")
                try #require(words.count == 2, "\(line)")
                let count: Int = try #require(Int(words[1]), "\(line)")
                counts[String(words[0])] = count
            }
            func samples(_ words: String) -> Int {
                counts.filter { $0.key.contains(words) }.values.reduce(0, +)
            }
            #expect(samples("vcpu") > 200)
            // Whichever of the two has the loop in this kernel.
            let zeros = samples(";kernel;read_zero") + samples(";kernel;clear_user")
            #expect(zeros > 10, "\(counts.keys.sorted())")
            #expect(samples(";user;space-0x") > 20)
            // The kernel has a name for nearly all of its code.
            #expect(samples(";kernel;0x") * 5 < samples(";kernel;"))
        }
    }

    /// What `perf` needs to name translated code: of each byte one name, the kernel's where it has one.
    @Test func aMapForPerfNamesTranslatedCode() throws {
        let script = "echo $$; exec \"$0\" run --perf-map --timeout 120 -- true"
        let result = try Martlet.run(
            tool: "/bin/sh", ["-c", script, try #require(Martlet.path)])
        #expect(result.status == 0, "\(text(result.errors))")
        let process = text(result.output).trimmingCharacters(in: .whitespacesAndNewlines)
        let path = "/tmp/perf-\(process).map"
        defer { try? FileManager.default.removeItem(atPath: path) }
        var ranges: [(start: UInt64, end: UInt64)] = []
        var names: Set<String> = []
        for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 2)
            try #require(words.count == 3, "\(line)")
            let start = try #require(UInt64(words[0], radix: 16))
            let size = try #require(UInt64(words[1], radix: 16))
            #expect(size > 0)
            ranges.append((start, start + size))
            names.insert(String(words[2].prefix { $0 != "+" }))
        }
        ranges.sort { $0.start < $1.start }
        #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.end <= $1.start })
        #expect(ranges.count > 1000)
        for name in ["martlet:routines", "guest:clear_page_erms"] {
            #expect(names.contains(name))
        }
        #expect(names.filter { $0.hasPrefix("guest:0xffffffff8") }.isEmpty)
    }

    /// A stock kernel with a cap, from its first instruction to its last.
    @Test func aCappedGuestStaysBelow() throws {
        let script =
            "for n in 1 2; do (i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done) & done; wait"
        let result = try Martlet.run([
            "run", "--cpus", "2", "--cpu-limit", "0.4", "--stats", "--timeout", "240", "--", "sh",
            "-c", script,
        ])
        #expect(result.status == 0, "\(text(result.errors))")
        let line = try #require(text(result.errors).split(separator: "\n").last)
        let statistics = try JSONDecoder().decode(MachineStatistics.self, from: Data(line.utf8))
        let spent = statistics.scheduling.reduce(0) { $0 + $1.runNanoseconds }
        #expect(Double(spent) * 1e-9 < statistics.seconds * 0.4 * 1.03, "\(statistics.seconds)")
        #expect(Double(spent) * 1e-9 > 1, "it had something to do")
    }

    @Test func theConsoleGoesWhereItIsTold() throws {
        let command = ["--timeout", "120", "--", "echo", "said"]
        let quiet = try Martlet.run(["run"] + command)
        #expect(text(quiet.output) == "said\n" && quiet.errors.isEmpty)
        let loud = try Martlet.run(["run", "--console", "stdio"] + command)
        #expect(text(loud.output) == "said\n")
        #expect(text(loud.errors).contains("Linux version"))
        #expect(text(loud.errors).contains("reboot: Power down"))
    }

    @Test func theLogsEndIsShownWhenTheGuestDies() throws {
        let crash = ["--timeout", "120", "--", "sh", "-c", "echo c >/proc/sysrq-trigger"]
        let result = try Martlet.run(["run"] + crash)
        #expect(result.status == 125)
        #expect(text(result.errors).contains("Kernel panic - not syncing: sysrq triggered crash"))
        let none = try Martlet.run(["run", "--console", "none"] + crash)
        #expect(none.status == 125)
        #expect(text(none.errors).split(separator: "\n").count == 1, "\(text(none.errors))")
    }

    /// The console of an initramfs of one's own is standard input and output, and takes more than a
    /// UART's FIFO holds.
    @Test func anInitramfsOfOnesOwnHasTheStandardStreams() throws {
        var tree = Initramfs()
        for folder in ["bin", "dev"] { try tree.addDirectory(folder) }
        try tree.addCharacterDevice("dev/console", major: 5, minor: 1, permissions: 0o600)
        try tree.addHost(KernelStore().busybox().path, as: "bin/busybox")
        try tree.addSymbolicLink("bin/sh", to: "busybox")
        let script = """
            #!/bin/sh
            n=0
            while read line && [ "$line" != end ]; do n=$((n+${#line})); done
            echo "counted $n"
            busybox poweroff -f

            """
        try tree.addFile("init", Array(script.utf8), permissions: 0o755)
        let line = String(repeating: "x", count: 59) + "\n"
        try withFile(try tree.bytes()) { path in
            let result = try Martlet.run(
                ["run", "--initrd", path, "--stats", "--timeout", "120"],
                input: String(repeating: line, count: 25) + "end\n")
            #expect(result.status == 0, "\(text(result.errors))")
            let said = text(result.output)
            #expect(said.contains("Linux version"))
            #expect(said.contains("counted \(59 * 25)"), "\(said.suffix(400))")
            let errors = text(result.errors).split(separator: "\n")
            #expect(errors.count == 1, "\(errors)")
            let statistics = try JSONDecoder().decode(
                MachineStatistics.self, from: Data((errors.last ?? "").utf8))
            let first = try #require(statistics.secondsToFirstUserInstruction)
            #expect(first > 0.05 && first < statistics.seconds)
        }
    }
}
