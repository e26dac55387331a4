import Disks
import Foundation
import Testing

/// Clones of running guests.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct ForkGuestTests {
    /// A folder for a test's files, and a machine's name.
    private struct Place {
        let name = "f\(UInt32.random(in: 0...UInt32.max))"
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "martlet-fork-\(UUID().uuidString)"
        ).path

        init() throws {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
        }

        func text(_ file: String) -> String {
            (try? String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)) ?? ""
        }

        /// What a clone has said, once it has said `word`.
        func output(_ clone: String, until word: String) -> String {
            for _ in 0..<300 {
                let text = text("\(clone).out")
                if text.contains(word) { return text }
                Thread.sleep(forTimeInterval: 0.1)
            }
            return text("\(clone).out") + text("\(clone).err") + text("\(clone).log")
        }
    }

    private func martlet(_ arguments: [String]) throws -> (status: Int32, text: String) {
        let result = try Martlet.run(arguments)
        return (result.status, String(decoding: result.output + result.errors, as: UTF8.self))
    }

    /// Says who it is and what it has again and again, and writes to its disk who it is.
    private static let telling = """
        dd if=/dev/urandom of=/tmp/a bs=1M count=8 2>/dev/null; md5sum </tmp/a; echo up; n=0
        while :; do
          if [ -b /dev/xvda ]; then hostname >/dev/xvda; sync; fi
          echo "turn $n $(hostname) $(cat /sys/class/net/eth0/address 2>/dev/null) \
        $(head -c 8 /dev/urandom | od -An -tx1 | tr -d ' ') $(md5sum </tmp/a)"
          n=$((n+1)); sleep 0.1
        done
        """

    @Test(arguments: ["xen", "kvm"])
    func clonesAreMachinesOfTheirOwn(platform: String) throws {
        let place = try Place()
        defer { try? FileManager.default.removeItem(atPath: place.folder) }
        var arguments = [
            "run", "--quiet", "--platform", platform, "--cpus", "2", "--memory", "256M", "--name",
            place.name, "--timeout", "200",
        ]
        let disk = place.folder + "/disk"
        if platform == "xen" {
            try DiskImage.create(path: disk, format: .raw, byteCount: 8 << 20)
            arguments += ["--disk", disk]
        }
        let machine = try BackgroundGuest(arguments + ["--", "sh", "-c", Self.telling])
        #expect(machine.wait(for: "turn 3 "), "\(machine.text)")
        let digest = String(machine.text.prefix { $0 != " " })
        let fork = try martlet([
            "fork", place.name, "--count", "3", "--folder", place.folder,
        ])
        #expect(fork.status == 0, "\(fork.text)")
        #expect(fork.text.split(separator: "\n").count == 3)
        let base = FileManager.default.contents(atPath: disk)
        // A fork of the same machine later, and of a clone.
        #expect(machine.wait(for: "turn 20 "))
        #expect(
            try martlet(["fork", place.name, "--folder", place.folder]).status == 0)
        #expect(
            try martlet(["fork", place.name + "-1", "--folder", place.folder]).status == 0)
        let clones = ["-1", "-2", "-3", "-4", "-1-1"].map { place.name + $0 }
        var (identities, addresses) = (Set<Substring>(), Set<Substring>())
        for clone in clones {
            let text = place.output(clone, until: "turn 35 ")
            let lines = text.split(separator: "\n").filter { $0.hasPrefix("turn ") }
            let words = lines.last?.split(separator: " ") ?? []
            #expect(words.count == (platform == "xen" ? 7 : 6), "\(text)")
            #expect(words.dropFirst(2).first.map(String.init) == clone, "\(text)")
            #expect(text.components(separatedBy: digest).count == lines.count + 1, "\(text)")
            // Its numbers are its own, from the first line on that has its name.
            for line in lines where line.contains(clone + " ") {
                let own = line.split(separator: " ").dropFirst(platform == "xen" ? 4 : 3).first
                #expect(own.map { identities.insert($0).inserted } == true, "\(line)")
            }
            if platform == "xen", words.count == 7 { addresses.insert(words[3]) }
            let troubles = GuestLog.troubles(
                GuestLog.withoutConsoleWarnings(place.text("\(clone).log")))
            #expect(troubles.isEmpty, "\(troubles)")
        }
        #expect(addresses.count == (platform == "xen" ? clones.count : 0))
        for clone in clones + [place.name] {
            #expect(try martlet(["stop", clone, "--end", "5"]).status == 0)
        }
        _ = machine.wait(for: "never")
        _ = machine.end()
        guard platform == "xen" else { return }
        // What the disk was stays; each has gone on in an image of its own.
        #expect(FileManager.default.contents(atPath: disk) == base)
        for clone in clones + [place.name] {
            let names = try FileManager.default.contentsOfDirectory(atPath: place.folder)
                .filter { $0.hasPrefix(clone + "-xvda") && $0.hasSuffix(".qcow2") }
            // The last that was laid over the others.
            let image = try #require(names.max { ($0.count, $0) < ($1.count, $1) }, "\(clone)")
            let raw = place.folder + "/" + clone + ".raw"
            #expect(
                try martlet([
                    "disk", "convert", "--from", "qcow2", "--to", "raw", "--quiet",
                    place.folder + "/" + image, raw,
                ]).status == 0)
            let begin = try #require(FileManager.default.contents(atPath: raw)).prefix(64)
            let word = String(decoding: begin.prefix { $0 != 10 }, as: UTF8.self)
            #expect(word == (clone == place.name ? "martlet" : clone))
        }
    }

    @Test func whatCannotBeForkedIsSaid() throws {
        let place = try Place()
        defer { try? FileManager.default.removeItem(atPath: place.folder) }
        let none = try martlet(["fork", place.name, "--folder", place.folder])
        #expect(none.status == 125 && none.text.contains("no machine named"))
        let machine = try BackgroundGuest([
            "run", "--quiet", "--memory", "128M", "--resident", "64M", "--name", place.name,
            "--timeout", "100", "--", "sh", "-c", "echo up; sleep 100",
        ])
        #expect(machine.wait(for: "up\n"))
        let paged = try martlet(["fork", place.name, "--folder", place.folder])
        #expect(paged.status == 125 && paged.text.contains("--resident cannot be forked"))
        #expect(try martlet(["fork", place.name, "--count", "0"]).status != 0)
        #expect(try martlet(["clone", "--files", "1", "--plan", "{}"]).status == 125)
        #expect(try martlet(["stop", place.name]).status == 0)
        _ = machine.end()
    }

    /// A clone is suspended and goes on in another process, as itself.
    @Test func aCloneIsSuspendedAndGoesOn() throws {
        let place = try Place()
        defer { try? FileManager.default.removeItem(atPath: place.folder) }
        let machine = try BackgroundGuest([
            "run", "--quiet", "--memory", "128M", "--name", place.name, "--timeout", "200", "--",
            "sh", "-c", Self.telling,
        ])
        #expect(machine.wait(for: "turn 3 "), "\(machine.text)")
        let (clone, file) = (place.name + "-1", place.folder + "/snapshot")
        #expect(try martlet(["fork", place.name, "--folder", place.folder]).status == 0)
        _ = place.output(clone, until: " \(clone) ")
        let suspended = try martlet(["suspend", clone, file])
        #expect(suspended.status == 0, "\(suspended.text)")
        let again = try BackgroundGuest([
            "resume", "--lazy", "--quiet", "--timeout", "100", file,
        ])
        #expect(again.wait(for: " \(clone) ", times: 5), "\(again.text)")
        #expect(try martlet(["ps"]).text.contains(clone))
        // All of its memory is read before its clones have it.
        #expect(try martlet(["fork", clone, "--folder", place.folder]).status == 0)
        let text = place.output(clone + "-1", until: " \(clone)-1 ")
        #expect(text.contains(" \(clone)-1 "), "\(text)")
        for name in [clone + "-1", clone, place.name] {
            #expect(try martlet(["stop", name]).status == 0)
        }
        _ = again.end()
        _ = machine.end()
    }
}
