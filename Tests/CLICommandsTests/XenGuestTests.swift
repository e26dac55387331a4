import Disks
import Foundation
import Testing

/// Stock kernels as Xen PVH guests.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct XenGuestTests {
    /// What the kernel and its counters say after a boot.
    private func boot(_ arguments: [String], _ script: String) throws -> String {
        let result = try Martlet.run(
            ["run", "--platform", "xen", "--timeout", "240", "--quiet"] + arguments
                + ["--", "sh", "-c", script])
        #expect(result.status == 0, "\(String(decoding: result.errors, as: UTF8.self))")
        return String(decoding: result.output, as: UTF8.self)
    }

    @Test(arguments: [true, false])
    func processorsComeUpAndSendEvents(usesFIFO: Bool) throws {
        let text = try boot(
            ["--cpus", "4"] + (usesFIFO ? [] : ["--append", "xen.fifo_events=0"]),
            """
            cat /sys/hypervisor/type /sys/hypervisor/uuid; nproc
            for p in 1 2 3 4; do (for i in 1 2 3 4 5 6 7 8; do busybox true; done) & done; wait
            grep -E 'HYP|xenbus|timer' /proc/interrupts; dmesg
            """)
        for line in [
            "Hypervisor detected: Xen HVM", "Booting kernel on Xen PVH",
            usesFIFO ? "xen:events: Using FIFO-based ABI" : "xen:events: Using 2-level ABI",
            "Xen HVM callback vector for event delivery is enabled",
            "xen: PV spinlocks enabled", "xen:grant_table: Grant tables using version 1 layout",
            "Grant table initialized", "xen:balloon: Initialising balloon driver",
            "clocksource: xen: mask", "Xen: using vcpuop timer interface",
        ] {
            #expect(text.contains(line), "no '\(line)' in\n\(text)")
        }
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines.first == "xen")
        #expect(lines.dropFirst().first?.utf8.count == 36)
        #expect(lines.dropFirst(2).first == "4")
        let callbacks = lines.first { $0.contains("HYP:") }?.split(separator: " ").dropFirst(1)
            .prefix(4).compactMap { Int($0) }
        #expect(callbacks?.count == 4 && callbacks?.allSatisfy { $0 > 0 } == true)
        #expect(lines.contains { $0.contains("xen-dyn") && $0.contains("xenbus") })
        let troubles = GuestLog.troubles(text)
        #expect(troubles.isEmpty, "\(troubles)")
    }

    /// A disk each, of both formats: written, read, given back.
    @Test(arguments: ["raw", "qcow2"])
    func disksKeepWhatIsWritten(format: String) throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-disk-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("disk").path
        var specification = DiskSpecification(path: path)
        specification.format = try #require(DiskFormat(rawValue: format))
        try DiskImage.create(path: path, format: specification.format, byteCount: 64 << 20)
        let disk = "\(path),format=\(format)"
        let text = try boot(
            ["--cpus", "2", "--disk", disk],
            """
            dmesg | grep blkfront; cat /sys/block/xvda/size /sys/block/xvda/queue/write_cache
            dd if=/dev/urandom of=/tmp/bytes bs=64k count=200 2>/dev/null
            dd if=/tmp/bytes of=/dev/xvda bs=256k oflag=direct conv=fsync 2>/dev/null
            dd if=/tmp/bytes of=/dev/xvda bs=4k seek=8000 conv=fsync 2>/dev/null
            echo 3 >/proc/sys/vm/drop_caches
            dd if=/dev/xvda bs=1M count=20 2>/dev/null | cmp -n 13107200 - /tmp/bytes && echo same
            dd if=/dev/xvda bs=4k skip=8000 count=3200 2>/dev/null | cmp - /tmp/bytes && echo same
            sha256sum </tmp/bytes; dmesg
            """)
        #expect(
            text.contains(
                "blkfront: xvda: flush diskcache: enabled; persistent grants: enabled; "
                    + "indirect descriptors: enabled"), "\(text)")
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines.contains("131072") && lines.contains("write back"))
        #expect(lines.count { $0 == "same" } == 2)
        let troubles = GuestLog.troubles(text)
        #expect(troubles.isEmpty, "\(troubles)")
        // Another machine reads what this one wrote.
        let again = try boot(
            ["--disk", disk + ",readonly"],
            "head -c 13107200 /dev/xvda | sha256sum; echo x >/dev/xvda || echo refused")
        let digest = lines.first { $0.hasSuffix("  -") }
        #expect(again.split(separator: "\n").first.map(String.init) == digest)
        #expect(again.contains("refused"))
    }

    /// A file system of the host's, changed in the guest, checked on the host.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/sbin/mkfs.ext4")))
    func fileSystemsStayWhole() throws {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-ext4-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try DiskImage.create(path: path, format: .raw, byteCount: 96 << 20)
        #expect(try Martlet.run(tool: "/sbin/mkfs.ext4", ["-q", "-F", path]).status == 0)
        let text = try boot(
            ["--disk", path, "--module", "ext4"],
            """
            mkdir /mnt && mount -t ext4 /dev/xvda /mnt && mkdir /mnt/many || exit 3
            for i in $(seq 1 500); do echo $i >/mnt/many/$i; done; sync; rm /mnt/many/*7
            umount /mnt && mount -t ext4 /dev/xvda /mnt && ls /mnt/many | wc -l; umount /mnt; dmesg
            """)
        #expect(text.hasPrefix("450\n"))
        let troubles = GuestLog.troubles(text)
        #expect(troubles.isEmpty, "\(troubles)")
        let check = try Martlet.run(tool: "/sbin/fsck.ext4", ["-f", "-n", path])
        #expect(check.status == 0, "\(String(decoding: check.output, as: UTF8.self))")
    }

    /// A file that is deleted on a file system that discards: the host has its space again.
    @Test(
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/sbin/mkfs.ext4")),
        arguments: ["raw", "qcow2"])
    func whatIsDeletedIsGivenBack(format: String) throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-discard-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("disk").path
        let raw = folder.appendingPathComponent("raw").path
        #expect(try Martlet.run(tool: "/sbin/mkfs.ext4", ["-q", raw, "96M"]).status == 0)
        #expect(try Martlet.run(["disk", "convert", raw, path, "--to", format]).status == 0)
        func megabytesOnTheHost() throws -> Int {
            let blocks = try Martlet.run(tool: "/usr/bin/stat", ["-c", "%b", path]).output
            let text = String(decoding: blocks, as: UTF8.self).split(separator: "\n").first
            return try #require(text.flatMap { Int($0) }) >> 11
        }
        let arguments = ["--disk", "\(path),format=\(format)", "--module", "ext4"]
        let mount = "mkdir /mnt && mount -t ext4 -o discard /dev/xvda /mnt || exit 3; "
        _ = try boot(
            arguments, mount + "dd if=/dev/urandom of=/mnt/large bs=1M count=40; umount /mnt")
        #expect(try megabytesOnTheHost() >= 40)
        // The file system discards once its journal has it, and not at all what is left when it goes.
        let text = try boot(
            arguments,
            "cat /sys/block/xvda/queue/discard_granularity; \(mount)"
                + "rm /mnt/large; sync; sleep 2; umount /mnt; dmesg")
        #expect(try megabytesOnTheHost() < 16)
        #expect(text.hasPrefix(format == "raw" ? "512\n" : "65536\n"))
        let troubles = GuestLog.troubles(text)
        #expect(troubles.isEmpty, "\(troubles)")
    }

    @Test func consoleOfXen() throws {
        let log = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-hvc-\(getpid()).log")
        defer { try? FileManager.default.removeItem(at: log) }
        _ = try boot(
            ["--console", "file:\(log.path)", "--append", "console=hvc0"],
            "seq 1 3000 > /dev/hvc0; echo end of numbers > /dev/hvc0; sleep 0.2")
        let text = try String(contentsOf: log, encoding: .utf8)
        #expect(text.contains("console [hvc0] enabled"))
        #expect(text.contains("2999\r\n3000\r\nend of numbers\r\n"))
    }
}
