import Foundation
import HostIO
import Testing
import Vocabulary

@testable import Disks

/// The same images in QEMU's hands.
@Suite(.enabled(if: Program.hasQEMU)) struct QEMUTests {
    static let flavours: [[String]] = [
        [], ["compat=0.10"], ["refcount_bits=1"], ["refcount_bits=2"], ["refcount_bits=8"],
        ["refcount_bits=64"], ["lazy_refcounts=on"], ["cluster_size=512"], ["cluster_size=2M"],
        ["preallocation=metadata"], ["preallocation=full"],
    ]

    /// Its image, our requests, its check and its reading.
    @Test(arguments: flavours) func itsImagesAreChanged(_ flavour: [String]) throws {
        let folder = try Folder()
        let path = folder("a")
        let options = flavour.flatMap { ["-o", $0] }
        try Program.run("qemu-img", ["create", "-q", "-f", "qcow2"] + options + [path, "3M"])
        try Program.run("qemu-io", ["-f", "qcow2", "-c", "write -P 7 100k 300k", path])
        var model = Model(bytes: [UInt8](repeating: 0, count: 3 << 20))
        model.bytes.replaceSubrange(
            102_400..<409_600, with: [UInt8](repeating: 7, count: 307_200))
        var random = Random(UInt64(flavour.count &+ 31))
        let disk = try Disk(path, .qcow2)
        try Model.expectEqual(disk, model)
        for _ in 0..<60 { try model.step(disk, &random, largest: 200_000) }
        let all = try disk.read(0, 3 << 20)
        try disk.close()
        try Program.run("qemu-img", ["check", "-f", "qcow2", path])
        try Program.run("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", path, folder("raw")])
        #expect([UInt8](try Data(contentsOf: URL(fileURLWithPath: folder("raw")))) == all)
    }

    @Test(arguments: ["zlib", "zstd"]) func packedClusters(_ compression: String) throws {
        let folder = try Folder()
        var random = Random(8)
        // Some of it packs, some does not.
        var bytes = [UInt8](repeating: 0, count: 3 << 20)
        for index in 0..<bytes.count where index < 2 << 20 {
            bytes[index] = UInt8(truncatingIfNeeded: index >> 9)
        }
        bytes.replaceSubrange(1 << 20..<5 << 18, with: random.bytes(1 << 18))
        let raw = try folder.file("raw", bytes)
        let path = folder("a")
        try Program.run(
            "qemu-img",
            [
                "convert", "-c", "-f", "raw", "-O", "qcow2", "-o",
                "compression_type=\(compression)", raw, path,
            ])
        #expect(try DiskImage.info(path: path, format: .qcow2).compression == compression)
        let report = try DiskImage.check(path: path, format: .qcow2)
        #expect(report.isClean && report.compressedClusters > 10, "\(report)")
        var model = Model(bytes: bytes)
        let disk = try Disk(path, .qcow2)
        try Model.expectEqual(disk, model)
        for _ in 0..<80 { try model.step(disk, &random, largest: 200_000) }
        try Model.expectEqual(disk, model)
        try disk.close()
        let after = try DiskImage.check(path: path, format: .qcow2)
        #expect(after.isClean && after.leakedClusters == 0, "\(after)")
        try Program.run("qemu-img", ["check", "-f", "qcow2", path])
    }

    @Test func itReadsOurs() throws {
        let folder = try Folder()
        var random = Random(12)
        var model = try QCOW2Tests.make(
            folder, 3 << 20, .init(engine: .automatic, clusterSize: 65536, backing: .qcow2),
            &random)
        let disk = try Disk(folder("top"), .qcow2)
        for _ in 0..<80 { try model.step(disk, &random, largest: 200_000) }
        let all = try disk.read(0, 3 << 20)
        try disk.close()
        let raw = try folder.file("raw", all)
        try Program.run("qemu-img", ["compare", "-f", "qcow2", "-F", "raw", folder("top"), raw])
        let info = try Program.run("qemu-img", ["info", "--backing-chain", folder("top")])
        #expect(info.contains("backing file format: qcow2"))
        for bits in 9...21 {
            var options = DiskImage.CreationOptions()
            options.clusterSize = 1 << bits
            try DiskImage.create(
                path: folder("\(bits)"), format: .qcow2, byteCount: 1 << 30, options: options)
            try Program.run("qemu-img", ["check", "-f", "qcow2", folder("\(bits)")])
        }
    }

    /// A writer with lazy refcounts that is killed leaves them wrong.
    @Test func dirtyImagesAreRepaired() throws {
        let folder = try Folder()
        let path = folder("a")
        try Program.run(
            "qemu-img",
            [
                "create", "-q", "-f", "qcow2", "-o", "lazy_refcounts=on,cluster_size=4096", path,
                "8M",
            ])
        _ = try? Program.run(
            "qemu-io",
            [
                "-f", "qcow2", "-c", "write -P 9 1M 2M", "-c", "flush", "-c", "abort", path,
            ])
        #expect(try DiskImage.info(path: path, format: .qcow2).isDirty == true)
        #expect(try DiskImage.check(path: path, format: .qcow2).corruptions > 0)
        let disk = try Disk(path, .qcow2)
        #expect(try disk.read(1 << 20, 2 << 20).allSatisfy { $0 == 9 })
        try disk.write(4 << 20, [UInt8](repeating: 4, count: 1 << 20))
        try disk.close()
        #expect(try DiskImage.info(path: path, format: .qcow2).isDirty == false)
        #expect(try DiskImage.check(path: path, format: .qcow2).isClean)
        try Program.run("qemu-img", ["check", "-f", "qcow2", path])
        try Program.run(
            "qemu-io",
            ["-f", "qcow2", "-r", "-c", "read -P 9 1M 2M", "-c", "read -P 4 4M 1M", path])
    }

    /// The same, without a guest that opens it.
    @Test func checksMakeCountsThatWereLeft() throws {
        let folder = try Folder()
        let path = folder("a")
        try Program.run(
            "qemu-img",
            [
                "create", "-q", "-f", "qcow2", "-o", "lazy_refcounts=on,cluster_size=4096", path,
                "8M",
            ])
        _ = try? Program.run(
            "qemu-io",
            ["-f", "qcow2", "-c", "write -P 9 1M 2M", "-c", "flush", "-c", "abort", path])
        let before = try DiskImage.check(path: path, format: .qcow2)
        #expect(before.isMarkedDirty && before.corruptions > 0 && !before.isRebuilt)
        let after = try DiskImage.check(path: path, format: .qcow2, repairLeaks: true)
        #expect(after.isClean && after.isRebuilt && !after.isMarkedDirty, "\(after)")
        try Program.run("qemu-img", ["check", "-f", "qcow2", path])
        try Program.run(
            "qemu-io",
            ["-f", "qcow2", "-r", "-c", "read -P 9 1M 2M", "-c", "read -P 0 3M 1M", path])
    }

    /// What is marked as corrupt and is not any more can be used again once that was looked at.
    @Test func aRepairTakesTheMarkAway() throws {
        let folder = try Folder()
        let path = folder("a")
        try DiskImage.create(path: path, format: .qcow2, byteCount: 1 << 20)
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try handle.seek(toOffset: 79)
        try handle.write(contentsOf: [2])
        try handle.close()
        #expect(message { try Disk(path, .qcow2).close() }.contains("marked as corrupt"))
        let report = try DiskImage.check(path: path, format: .qcow2)
        #expect(report.isClean && report.isMarkedCorrupt)
        #expect(
            try !DiskImage.check(path: path, format: .qcow2, repairLeaks: true).isMarkedCorrupt)
        try Disk(path, .qcow2).close()
        try Program.run("qemu-img", ["check", "-f", "qcow2", path])
    }

    @Test func snapshotsAreReadOnly() throws {
        let folder = try Folder()
        let path = folder("a")
        try Program.run("qemu-img", ["create", "-q", "-f", "qcow2", path, "1M"])
        try Program.run("qemu-io", ["-f", "qcow2", "-c", "write -P 3 0 64k", path])
        try Program.run("qemu-img", ["snapshot", "-c", "one", path])
        #expect(message { _ = try Disk(path, .qcow2) }.contains("1 internal snapshots"))
        let disk = try Disk(path, .qcow2, readOnly: true)
        #expect(try disk.read(0, 65536).allSatisfy { $0 == 3 })
        try disk.close()
        let check = message { _ = try DiskImage.check(path: path, format: .qcow2) }
        #expect(check.contains("check it with qemu-img"))
    }
}
