import Foundation
import Testing

/// Guests that have booted before.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct BootCacheGuestTests {
    /// Of a boot that no other test has.
    private let word = "martlet.test=\(UInt32.random(in: 0...UInt32.max))"

    private struct Run {
        /// Its kernel's first words, which have times; its random numbers; its command's output.
        var boot = ""
        var random = ""
        var rest = ""
    }

    private func run(_ options: [String], _ script: String = "true") throws -> Run {
        let result = try Martlet.run(
            ["run", "--cached", "--timeout", "120", "--append", word] + options
                + [
                    "--", "sh", "-c",
                    "dmesg | head -n 40 | md5sum; head -c 8 /dev/urandom | od -An -tx1; "
                        + script,
                ])
        let text = String(decoding: result.output, as: UTF8.self)
        #expect(result.status == 0, "\(text) \(String(decoding: result.errors, as: UTF8.self))")
        let lines = text.split(separator: "\n", maxSplits: 2).map(String.init)
        guard lines.count >= 2 else { return Run() }
        return Run(boot: lines[0], random: lines[1], rest: lines.count > 2 ? lines[2] : "")
    }

    @Test(arguments: ["xen", "kvm"])
    func aGuestThatHasBootedGoesOnEachTime(platform: String) throws {
        let options = ["--platform", platform, "--memory", "128M", "--cpus", "2"]
        let first = try run(options, "echo one; date +%s")
        let second = try run(options, "cat /proc/self/comm; date +%s")
        let third = try run(options, "date +%s; hostname; nproc; echo x >/tmp/y; cat /tmp/y")
        #expect(first.boot == second.boot && second.boot == third.boot)
        #expect(Set([first.random, second.random, third.random]).count == 3)
        #expect(first.rest.hasPrefix("one\n"))
        let lines = third.rest.split(separator: "\n")
        #expect(lines.dropFirst() == ["martlet", "2", "x"])
        // The clock is right.
        let time = Int(lines.first ?? "") ?? 0
        #expect(abs(time - Int(Date().timeIntervalSince1970)) <= 5)
        // Whatever the guest finds is of the key.
        #expect(try run(options + ["--memory", "160M"]).boot != first.boot)
        #expect(try run(options).boot == first.boot)
    }

    @Test func filesAndNamesAreOfThisRun() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "martlet-cached-\(UUID().uuidString)"
        ).path
        try FileManager.default.createDirectory(
            atPath: folder + "/sub", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data("old\n".utf8).write(to: URL(fileURLWithPath: folder + "/sub/file"))
        let options = ["--memory", "128M", "--file", "\(folder):/given"]
        let first = try run(options, "cat /given/sub/file")
        #expect(first.rest == "old\n")
        let name = "c\(UInt32.random(in: 0...UInt32.max))"
        let second = try run(
            options + ["--name", name], "cat /given/sub/file; hostname; ping -c 1 10.0.2.2")
        #expect(second.boot == first.boot)
        #expect(second.rest.hasPrefix("old\n\(name)\n"))
        #expect(second.rest.contains(" 0% packet loss"), "\(second.rest)")
        try Data("new\n".utf8).write(to: URL(fileURLWithPath: folder + "/sub/file"))
        let third = try run(options, "cat /given/sub/file")
        #expect(third.boot != first.boot && third.rest == "new\n")
    }

    /// A file of the cache that is damaged is as good as none.
    @Test func aDamagedBootIsBootedAnew() throws {
        let directory =
            (ProcessInfo.processInfo.environment["XDG_CACHE_HOME"]
                ?? ProcessInfo.processInfo.environment["HOME", default: "/root"] + "/.cache")
            + "/martlet/boots"
        let options = ["--memory", "96M"]
        func files() -> Set<String> {
            Set((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [])
        }
        let before = files()
        let first = try run(options)
        let path = directory + "/" + (try #require(files().subtracting(before).first))
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try file.seek(toOffset: 16)
        try file.write(contentsOf: [0xff])
        try file.close()
        let second = try run(options)
        #expect(second.boot != first.boot)
        #expect(try run(options).boot == second.boot)
        try? FileManager.default.removeItem(atPath: path)
    }
}
