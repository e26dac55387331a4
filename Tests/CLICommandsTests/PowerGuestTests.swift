import Disks
import Foundation
import Testing

/// Machines with a name, and what is asked of them from outside.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct PowerGuestTests {
    private func name() -> String { "t\(UInt32.random(in: 0...UInt32.max))" }

    private func martlet(_ arguments: String...) throws -> (status: Int32, text: String) {
        let result = try Martlet.run(arguments)
        return (result.status, String(decoding: result.output + result.errors, as: UTF8.self))
    }

    private func guest(_ name: String, _ script: String, platform: String = "xen") throws
        -> BackgroundGuest
    {
        let guest = try BackgroundGuest([
            "run", "--quiet", "--platform", platform, "--name", name, "--timeout", "240", "--",
            "sh", "-c", script,
        ])
        #expect(guest.wait(for: "up\n"))
        return guest
    }

    @Test func poweroffIsAcknowledgedAndDone() throws {
        let name = name()
        let guest = try guest(name, "echo up; sleep 1000")
        let list = try martlet("ps")
        #expect(list.text.contains(name) && list.text.contains("sh -c echo up; sleep 1000"))
        let again = try martlet("run", "--platform", "xen", "--name", name, "--", "true")
        #expect(again.status == 125 && again.text.contains("runs already"))
        let off = try martlet("poweroff", name)
        #expect(
            off.text == """
                \(name): asked the guest for 'poweroff'
                \(name): the guest has acknowledged it
                \(name): the machine has ended: the guest powered off

                """)
        #expect(off.status == 0)
        #expect(guest.end().status == 125)
        let gone = try martlet("poweroff", name)
        #expect(gone.status == 125 && gone.text.contains("no machine named '\(name)' runs"))
        #expect(try !martlet("ps").text.contains(name))
    }

    @Test func rebootBootsAgain() throws {
        let name = name()
        let guest = try guest(name, "echo up; dmesg | grep -c 'Linux version'; sleep 1000")
        let reboot = try martlet("reboot", name)
        #expect(reboot.status == 0 && reboot.text.contains("the guest asked for a reset"))
        #expect(guest.wait(for: "up\n", times: 2))
        // More than are served at once, one after the other.
        for _ in 0..<40 {
            let key = try martlet("sysrq", name, "h")
            #expect(key.status == 0 && key.text.contains("pressed SysRq h"))
        }
        #expect(try martlet("stop", name).status == 0)
        _ = guest.end()
    }

    /// Its kernel acknowledges, but has nothing to power off with.
    @Test func stopEndsAGuestThatDoesNotEnd() throws {
        let name = name()
        let guest = try guest(name, "rm -f /sbin/poweroff /usr/sbin/poweroff; echo up; sleep 1000")
        let off = try martlet("poweroff", name, "--end", "1")
        #expect(off.status == 125 && off.text.contains("has not ended after 1 seconds"))
        let stop = try martlet("stop", name, "--end", "1")
        #expect(stop.status == 0 && stop.text.contains("ended it by force"))
        _ = guest.end()
    }

    @Test func whatAPlatformCannotIsSaid() throws {
        let name = name()
        let guest = try guest(name, "echo up; sleep 1000", platform: "kvm")
        let reboot = try martlet("reboot", name)
        #expect(reboot.status == 125 && reboot.text.contains("has a power button only"))
        #expect(try martlet("sysrq", name, "h").status == 125)
        #expect(try martlet("stop", name, "--end", "0.5").status == 0)
        _ = guest.end()
    }

    private var file: String {
        FileManager.default.temporaryDirectory.appendingPathComponent(
            "martlet-suspended-\(UUID().uuidString)"
        ).path
    }

    /// Numbers that a guest's program counts up to 59, a tenth of a second for each.
    private static let counting = """
        echo up; n=0; while [ $n -lt 60 ]; do echo count $n; n=$((n+1)); sleep 0.1; done
        echo kept >/dev/xvda && sync && head -n 1 /dev/xvda
        ping -c 1 -W 5 10.0.2.2 >/dev/null && echo reached; dmesg; exit 7
        """

    private func counts(_ text: String) -> [Int] {
        text.split(separator: "\n").filter { $0.hasPrefix("count ") }.compactMap {
            Int($0.dropFirst(6))
        }
    }

    @Test(arguments: [1, 2])
    func aSuspendedGuestGoesOnInAnotherProcess(processors: Int) throws {
        let (name, file) = (name(), file)
        let disk = file + "-disk"
        defer { for path in [file, disk] { try? FileManager.default.removeItem(atPath: path) } }
        try DiskImage.create(path: disk, format: .raw, byteCount: 16 << 20)
        let first = try BackgroundGuest([
            "run", "--quiet", "--platform", "xen", "--cpus", "\(processors)", "--name", name,
            "--timeout", "240", "--disk", disk, "--", "sh", "-c", Self.counting,
        ])
        #expect(first.wait(for: "count 5\n"))
        let suspended = try martlet("suspend", name, file)
        #expect(suspended.status == 0, "\(suspended.text)")
        let second = try BackgroundGuest(["resume", "--quiet", "--timeout", "240", file])
        // Name and disk are free as soon as the command has ended.
        #expect(first.wait(for: "never", times: 1) == false)
        #expect(first.end().status == 0)
        #expect(second.wait(for: "reached\n"), "\(second.text)")
        _ = second.wait(for: "never")
        #expect(second.end().status == 7)
        #expect(second.text.contains("kept\n"))
        #expect(counts(first.text + second.text) == Array(0..<60))
        let troubles = GuestLog.troubles(GuestLog.withoutConsoleWarnings(second.text))
        #expect(troubles.isEmpty, "\(troubles)")
    }

    /// The guest goes on, its connection too; and a checkpoint is a machine of its own.
    @Test func checkpointsAreNotFelt() throws {
        let (name, file) = (name(), file)
        let folder = FileManager.default.temporaryDirectory.path
        defer { try? FileManager.default.removeItem(atPath: file) }
        let server = try XenNetworkGuestTests.Server(folder)
        defer { withExtendedLifetime(server) {} }
        let guest = try guest(
            name,
            """
            timeout 12 wget -q -O /tmp/slow http://10.0.2.2:\(server.port)/slow & echo up; wait
            seq 0 99 | cmp - /tmp/slow && echo whole; dmesg; ls /sys/class/net; exit 7
            """)
        for _ in 0..<10 {
            let checkpoint = try martlet("checkpoint", name, file)
            #expect(checkpoint.status == 0, "\(checkpoint.text)")
        }
        #expect(guest.wait(for: "whole\n"), "\(guest.text)")
        _ = guest.wait(for: "never")
        #expect(guest.end().status == 7)
        let troubles = GuestLog.troubles(guest.text)
        #expect(troubles.isEmpty, "\(troubles)")
        let again = try BackgroundGuest(["resume", "--quiet", "--timeout", "60", file])
        #expect(again.wait(for: "eth0\n"), "\(again.text)")
        #expect(again.end().status == 7)
    }

    /// What is on its way when the guest is suspended is there once, whole, when it goes on.
    @Test func outputIsWholeAcrossSuspensions() throws {
        let (name, file) = (name(), file)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let script = """
            echo up; n=0; while [ $n -lt 150 ]; do echo burst $n; seq 1 500; n=$((n+1)); sleep 0.02; done
            exit 7
            """
        var guest = try guest(name, script)
        var text = ""
        for round in 1...4 {
            #expect(guest.wait(for: "burst \(round * 25)\n"))
            let suspended = try martlet("suspend", name, file)
            #expect(suspended.status == 0, "\(suspended.text)")
            _ = guest.wait(for: "never")
            #expect(guest.end().status == 0)
            text += guest.text
            guest = try BackgroundGuest([
                "resume", "--quiet", "--name", name, "--timeout", "240", file,
            ])
        }
        _ = guest.wait(for: "never")
        #expect(guest.end().status == 7)
        text += guest.text
        let numbers = (1...500).map { "\($0)\n" }.joined()
        let wanted = "up\n" + (0..<150).map { "burst \($0)\n" + numbers }.joined()
        #expect(text == wanted)
    }

    /// A program that cannot be frozen: its file system is.
    @Test func aRefusalHasItsReason() throws {
        let (name, file) = (name(), file)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let guest = try BackgroundGuest([
            "run", "--quiet", "--name", name, "--timeout", "240", "--module", "ext4", "--disk",
            try Self.emptyDisk(file + "-disk"), "--", "sh", "-c",
            """
            echo 1000 >/sys/power/pm_freeze_timeout
            mke2fs /dev/xvda >/dev/null; mkdir -p /mnt; mount -t ext4 /dev/xvda /mnt && fsfreeze --freeze /mnt
            touch /mnt/x & sleep 0.5; echo up; sleep 8; fsfreeze --unfreeze /mnt; wait; echo thawed; sleep 1000
            """,
        ])
        defer { try? FileManager.default.removeItem(atPath: file + "-disk") }
        #expect(guest.wait(for: "up\n"), "\(guest.text)")
        let refused = try martlet("suspend", name, file)
        #expect(refused.status == 125)
        #expect(refused.text.contains("refusing to freeze"), "\(refused.text)")
        #expect(refused.text.contains("freeze processes failed -16"), "\(refused.text)")
        #expect(!FileManager.default.fileExists(atPath: file))
        // Nothing is left of it: once there is no reason any more, it works.
        #expect(guest.wait(for: "thawed\n"))
        let suspended = try martlet("suspend", name, file)
        #expect(suspended.status == 0, "\(suspended.text)")
        _ = guest.end()
    }

    private static func emptyDisk(_ path: String) throws -> String {
        try DiskImage.create(path: path, format: .raw, byteCount: 64 << 20)
        return path
    }

    /// The guest sees its disk grow, and uses what is new.
    @Test(arguments: [DiskFormat.raw, .qcow2]) func aDiskGrows(format: DiskFormat) throws {
        let (name, path) = (name(), file)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try DiskImage.create(path: path, format: format, byteCount: 8 << 20)
        let guest = try BackgroundGuest([
            "run", "--quiet", "--name", name, "--timeout", "240", "--disk",
            "\(path),format=\(format.rawValue)", "--", "sh", "-c",
            """
            echo up; while [ $(cat /sys/block/xvda/size) = 16384 ]; do sleep 0.05; done
            cat /sys/block/xvda/size; echo new | dd of=/dev/xvda bs=1M seek=23 conv=fsync 2>/dev/null
            dd if=/dev/xvda bs=1M skip=8 count=15 2>/dev/null | tr -d '\\0' | wc -c
            dd if=/dev/xvda bs=1M skip=23 2>/dev/null | head -n 1; dmesg | grep 'xvda: detected capacity'
            """,
        ])
        #expect(guest.wait(for: "up\n"), "\(guest.text)")
        for wrong in [["xvdb", "24M"], ["xvda", "4M"], ["xvda", "big"]] {
            #expect(try martlet("resize", name, wrong[0], wrong[1]).status == 125)
        }
        let grown = try martlet("resize", name, "xvda", "+16M")
        #expect(grown.text == "\(name): xvda has 24 MiB (25165824 bytes) now\n")
        _ = guest.wait(for: "never")
        #expect(guest.end().status == 0)
        #expect(guest.text.hasPrefix("up\n49152\n0\nnew\n"), "\(guest.text)")
        let size = try DiskImage.info(path: path, format: format).byteCount
        #expect(size == 24 << 20)
    }
}
