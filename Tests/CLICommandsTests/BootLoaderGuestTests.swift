import Boot
import Foundation
import Testing

/// Of Debian's package grub-xen-host.
private let grub = "/usr/lib/grub-xen/grub-i386-xen_pvh.bin"

/// Debian's GRUB for PVH guests of Xen: 32-bit code that reads Xen's disks by itself,
/// and a kernel that starts from what it has read.
@Suite(
    .serialized,
    .enabled(
        if: Martlet.path != nil && FileManager.default.fileExists(atPath: grub)
            && FileManager.default.isExecutableFile(atPath: "/sbin/mkfs.ext4")))
struct BootLoaderGuestTests {
    /// A file system with a kernel, an initramfs and what GRUB is to do with them.
    private func withDisk(_ configuration: String, _ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-grub-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let boot = folder.appendingPathComponent("tree/boot")
        try FileManager.default.createDirectory(
            at: boot.appendingPathComponent("grub"), withIntermediateDirectories: true)
        try Data(configuration.utf8).write(to: boot.appendingPathComponent("grub/grub.cfg"))
        try Data(String(repeating: "read from the disk\n", count: 3).utf8)
            .write(to: boot.appendingPathComponent("message"))
        let store = try KernelStore()
        try FileManager.default.copyItem(
            atPath: store.kernel("debian").path, toPath: boot.path + "/vmlinuz")
        var tree = Initramfs()
        for folder in ["bin", "dev", "proc", "sys"] { try tree.addDirectory(folder) }
        try tree.addCharacterDevice("dev/console", major: 5, minor: 1, permissions: 0o600)
        try tree.addHost(try store.busybox().path, as: "bin/busybox")
        let script = """
            #!/bin/busybox sh
            export PATH=/bin; /bin/busybox --install -s /bin
            mount -t proc proc /proc; mount -t sysfs sys /sys
            echo; cat /proc/cmdline /sys/hypervisor/type; dmesg | grep 'paravirtualized kernel'
            for device in /sys/bus/xen/devices/*; do cat $device/nodename; done; poweroff -f

            """
        try tree.addFile("init", Array(script.utf8), permissions: 0o755)
        try Data(try tree.bytes()).write(to: boot.appendingPathComponent("initrd"))
        let disk = folder.appendingPathComponent("disk").path
        let made = try Martlet.run(
            tool: "/sbin/mkfs.ext4",
            ["-q", "-d", folder.appendingPathComponent("tree").path, disk, "64M"])
        try #require(made.status == 0)
        try body(disk)
    }

    private func run(_ disk: String, input: String = "") throws -> String {
        let result = try Martlet.run(
            [
                "run", "--platform", "xen", "--kernel", grub, "--initrd", "/dev/null", "--quiet",
                "--net", "none", "--timeout", "50", "--disk", disk,
            ], input: input)
        #expect(result.status == 0, "\(String(decoding: result.errors, as: UTF8.self))")
        return String(decoding: result.output, as: UTF8.self)
    }

    @Test func aKernelOfTheDiskIsBooted() throws {
        let configuration = """
            cat /boot/message
            linux /boot/vmlinuz console=hvc0 panic=-1 from=grub
            initrd /boot/initrd
            boot
            """
        try withDisk(configuration) { disk in
            let text = try run(disk)
            #expect(text.contains("Welcome to GRUB!"))
            #expect(text.components(separatedBy: "read from the disk").count == 4)
            for line in [
                "BOOT_IMAGE=/boot/vmlinuz console=hvc0 panic=-1 from=grub\r\nxen\r\n",
                "Booting paravirtualized kernel on Xen PVH", "device/vbd/51712",
            ] {
                #expect(text.contains(line), "no '\(line)' in\n\(text)")
            }
        }
    }

    /// Keys come by the console's ring, which GRUB looks at without events.
    @Test func theMenuTakesKeys() throws {
        let configuration = """
            set timeout=-1
            menuentry "first" { echo wrong }
            menuentry "second" { cat /boot/message; halt }
            """
        try withDisk(configuration) { disk in
            let text = try run(disk, input: "\u{1b}[B\r")
            #expect(text.contains("*first") && text.contains("*second"), "\(text)")
            #expect(text.contains("read from the disk"))
        }
    }
}
