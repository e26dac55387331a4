import Foundation
import HostIO
import Testing
import Vocabulary

@testable import Disks

/// Images that somebody else made: whatever is in them, the program goes on.
@Suite struct HostileTests {
    /// A small image with everything in it.
    static func image(_ folder: Folder, clusterSize: Int) throws -> [UInt8] {
        var options = DiskImage.CreationOptions()
        options.clusterSize = clusterSize
        try DiskImage.create(
            path: folder("good"), format: .qcow2, byteCount: 256 << 10, options: options)
        let disk = try Disk(folder("good"), .qcow2)
        var random = Random(1)
        for _ in 0..<20 { try disk.write(random.below(480) * 512, random.bytes(8 * 512)) }
        try disk.zero(64 << 10, 32 << 10)
        try disk.close()
        return [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder("good"))))
    }

    /// Whatever comes, it is a value or an error.
    static func use(_ path: String, _ random: inout Random) {
        _ = try? DiskImage.info(path: path, format: .qcow2)
        _ = try? DiskImage.check(path: path, format: .qcow2)
        guard let disk = try? Disk(path, .qcow2) else { return }
        let sectors = Int(clamping: min(disk.byteCount / 512, 1024))
        for _ in 0..<12 where sectors > 8 {
            let start = random.below(sectors - 8) * 512
            switch random.below(5) {
            case 0: _ = try? disk.read(start, 8 * 512)
            case 1: try? disk.zero(start, 8 * 512)
            case 2: try? disk.discard(start, 8 * 512)
            case 3: try? disk.flush()
            default: try? disk.write(start, random.bytes(8 * 512))
            }
        }
        try? disk.close()
        _ = try? DiskImage.check(path: path, format: .qcow2, repairLeaks: true)
        _ = try? DiskImage.resize(path: path, format: .qcow2, byteCount: 512 << 10)
    }

    @Test(arguments: [512, 4096]) func changedBytes(_ clusterSize: Int) throws {
        let folder = try Folder()
        let good = try Self.image(folder, clusterSize: clusterSize)
        var random = Random(UInt64(clusterSize))
        for round in 0..<120 {
            var bad = good
            // The header, the tables behind it, anywhere.
            let most = [104, 4 * clusterSize, bad.count][round % 3]
            for _ in 0..<(1 + random.below(6)) {
                bad[random.below(min(most, bad.count))] =
                    [0, 1, 0x80, 0xff, UInt8(truncatingIfNeeded: random.next())][random.below(5)]
            }
            if random.below(6) == 0 { bad.removeLast(random.below(bad.count)) }
            Self.use(try folder.file("bad", bad), &random)
        }
    }

    /// Tables that point at tables, at the header, at themselves, and far behind the end.
    @Test func changedPointers() throws {
        let folder = try Folder()
        let size = 4096
        let good = try Self.image(folder, clusterSize: size)
        let clusters = good.count / size
        var random = Random(3)
        for _ in 0..<80 {
            var bad = good
            for _ in 0..<(1 + random.below(4)) {
                let cluster = [3, 4, 1, 2, random.below(clusters)][random.below(5)]
                let place = cluster * size + random.below(64) * 8
                guard place + 8 <= bad.count else { continue }
                let target = UInt64(random.below(clusters + 4) * size)
                let entry =
                    [
                        target, target | 1 << 63, target | 1 << 63 | 1, target | 1 << 62,
                        0x00ff_ffff_ffff_f000, random.next(),
                    ][random.below(6)]
                for index in 0..<8 {
                    bad[place + index] = UInt8(truncatingIfNeeded: entry >> UInt64(56 - index * 8))
                }
            }
            Self.use(try folder.file("bad", bad), &random)
        }
    }

    @Test func whatIsNotUnderstoodIsNamed() throws {
        let folder = try Folder()
        let good = try Self.image(folder, clusterSize: 4096)
        func text(_ change: (inout [UInt8]) -> Void) throws -> String {
            var bad = good
            change(&bad)
            let path = try folder.file("bad", bad)
            return message { _ = try Disk(path, .qcow2) }
        }
        #expect(try text { $0[0] = 0 }.contains("is no qcow2 image"))
        #expect(try text { $0[7] = 9 }.contains("has version 9"))
        #expect(try text { $0[35] = 1 }.contains("is encrypted"))
        #expect(try text { $0[79] = 0x10 }.contains("extended L2 entries"))
        #expect(try text { $0[79] = 0x24 }.contains("external data file, bit 5"))
        #expect(try text { $0[79] = 2 }.contains("marked as corrupt"))
        #expect(try text { $0[63] = 1 }.contains("has 1 internal snapshots"))
        #expect(try text { $0[23] = 30 }.contains("clusters of 2^30"))
        #expect(try text { $0[99] = 7 }.contains("refcounts of 2^7 bits"))
        #expect(try text { $0[24] = 0x7f }.contains("L1 entries for"))
        #expect(try text { $0[104] = 2 }.contains("compression type 2"))
        #expect(try text { $0 = Array($0[..<100]) }.contains("is broken"))
        #expect(message { _ = try Disk(folder("none"), .qcow2) }.contains("make it with"))
        #expect(message { _ = try Disk(folder.path) }.contains("cannot open"))
        let device = message { _ = try Disk("/dev/null", readOnly: true) }
        #expect(device.contains("neither a file nor a block device"))
    }

    @Test func aFormatIsNeverGuessed() throws {
        let folder = try Folder()
        let good = try Self.image(folder, clusterSize: 4096)
        // A guest of a raw disk writes a qcow2 header: it stays what it is.
        let disk = try Disk(try folder.file("raw", good))
        #expect(try disk.read(0, 4096) == Array(good[..<4096]))
        #expect(disk.byteCount == UInt64((good.count + 511) / 512 * 512))
        try disk.close()
        // An image that does not say what lies below it.
        var bytes = good
        let path = Array("/etc/passwd".utf8)
        bytes.replaceSubrange(2000..<2000 + path.count, with: path)
        bytes.replaceSubrange(8..<16, with: [0, 0, 0, 0, 0, 0, 0x07, 0xd0])
        bytes.replaceSubrange(16..<20, with: [0, 0, 0, UInt8(path.count)])
        let bad = try folder.file("bad", bytes)
        #expect(
            message { _ = try Disk(bad, .qcow2) }.contains(
                "does not say which format its backing image"))
    }
}
