import Disks
import Foundation
import Testing

/// A guest that is suspended while its disk has requests.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct SuspendedDiskGuestTests {
    /// Eight writers with a request in flight each, on a disk that is slow enough for a queue: what was
    /// asked for before a suspension is done once the guest goes on, whole and without an error.
    @Test(arguments: [DiskFormat.raw, .qcow2])
    func whatWasAskedForIsDone(format: DiskFormat) throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-suspend-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let disk = folder.appendingPathComponent("disk").path
        let file = folder.appendingPathComponent("snapshot").path
        try DiskImage.create(path: disk, format: format, byteCount: 32 << 20)
        let name = "t\(UInt32.random(in: 0...UInt32.max))"
        let script = """
            head -c 4194304 /dev/urandom >/tmp/bytes
            writer() {
              n=0
              while [ $n -lt 4 ]; do
                dd if=/tmp/bytes of=/dev/xvda bs=64k seek=$(($1 * 64)) oflag=direct conv=notrunc \\
                  2>/dev/null || echo failed
                dd if=/dev/xvda iflag=direct bs=64k skip=$(($1 * 64)) count=64 2>/dev/null |
                  cmp - /tmp/bytes || echo differs
                n=$((n + 1)); echo pass
              done
            }
            for i in 0 1 2 3 4 5 6 7; do writer $i & done; wait; dmesg; exit 7
            """
        var guest = try BackgroundGuest([
            "run", "--quiet", "--name", name, "--cpus", "2", "--memory", "128M", "--net", "none",
            "--timeout", "240", "--disk", "\(disk),format=\(format.rawValue),iops=400", "--", "sh",
            "-c", script,
        ])
        var text = ""
        for _ in 1...3 {
            #expect(guest.wait(for: "pass\n", times: 5))
            let suspended = try Martlet.run(["suspend", name, file])
            #expect(
                suspended.status == 0, "\(String(decoding: suspended.errors, as: UTF8.self))")
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
        #expect(text.components(separatedBy: "pass\n").count == 33, "\(text)")
        for trouble in ["failed", "differs", "I/O error", "blocked for more"] {
            #expect(!text.contains(trouble), "\(text)")
        }
    }
}
