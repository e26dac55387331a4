import Foundation
import HostIO
import Synchronization
import Testing
import Vocabulary

@testable import Disks

@Suite struct ImageTests {
    @Test func createAndInfo() throws {
        let folder = try Folder()
        for bits in 9...21 {
            var options = DiskImage.CreationOptions()
            options.clusterSize = 1 << bits
            let path = folder("\(bits)")
            // What small clusters have tables for.
            let size: UInt64 = bits < 11 ? 128 << 30 : 1 << 40
            try DiskImage.create(
                path: path, format: .qcow2, byteCount: size - 100, options: options)
            let info = try DiskImage.info(path: path, format: .qcow2)
            #expect(info.byteCount == size && info.clusterSize == 1 << bits)
            #expect(info.version == 3 && info.refcountBits == 16 && info.compression == "zlib")
            #expect(info.isDirty == false && info.isCorrupt == false && info.snapshotCount == 0)
            if bits > 10 {
                #expect(try DiskImage.check(path: path, format: .qcow2).isClean)
                let disk = try Disk(path, .qcow2)
                try disk.write(Int(size) - 512, [UInt8](repeating: 1, count: 512))
                #expect(try disk.read(Int(size) - 1024, 1024).last == 1)
                try disk.close()
            }
        }
        try DiskImage.create(path: folder("raw"), format: .raw, byteCount: 1000)
        let info = try DiskImage.info(path: folder("raw"), format: .raw)
        #expect(info.byteCount == 1024 && info.format == .raw && info.clusterSize == nil)
    }

    @Test func mistakesOfCreation() throws {
        let folder = try Folder()
        func text(
            _ format: DiskFormat, _ size: UInt64?,
            _ change: (inout DiskImage.CreationOptions) -> Void = { _ in }
        ) -> String {
            var options = DiskImage.CreationOptions()
            change(&options)
            return message {
                try DiskImage.create(
                    path: folder("x"), format: format, byteCount: size, options: options)
            }
        }
        #expect(text(.nbd, 1).contains("on an NBD server"))
        #expect(text(.raw, nil).contains("has no size"))
        #expect(text(.qcow2, .max).contains("has no size"))
        #expect(text(.qcow2, 1) { $0.clusterSize = 1000 }.contains("clusters of 1000 bytes"))
        #expect(text(.qcow2, 1 << 60) { $0.clusterSize = 512 }.contains("give larger clusters"))
        #expect(text(.raw, 1) { $0.backingPath = "y" }.contains("make it qcow2"))
        #expect(text(.qcow2, 1) { $0.backingPath = "y" }.contains("format of 'y'"))
        #expect(
            text(.qcow2, 1) {
                $0.backingPath = "y"
                $0.backingFormat = .raw
            }.contains("cannot open the disk '\(folder("y"))'"))
        #expect(!FileManager.default.fileExists(atPath: folder("x")))
        #expect(text(.raw, 512) == "no error")
        #expect(text(.raw, 512).contains("remove it first"))
    }

    @Test func leaksAreGivenBack() throws {
        let folder = try Folder()
        let path = folder("a")
        try DiskImage.create(path: path, format: .qcow2, byteCount: 1 << 20)
        // The count of a cluster that nothing refers to.
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try handle.seek(toOffset: 2 * 65536 + 20)
        try handle.write(contentsOf: [0, 1])
        try handle.close()
        let report = try DiskImage.check(path: path, format: .qcow2)
        #expect(report.leakedClusters == 1 && report.corruptions == 0 && !report.isClean)
        let repaired = try DiskImage.check(path: path, format: .qcow2, repairLeaks: true)
        #expect(repaired.repairedLeaks == 1 && repaired.isClean)
        #expect(try DiskImage.check(path: path, format: .qcow2).leakedClusters == 0)
    }

    @Test func corruptionIsFound() throws {
        let folder = try Folder()
        let path = folder("a")
        try DiskImage.create(path: path, format: .qcow2, byteCount: 1 << 20)
        let disk = try Disk(path, .qcow2)
        try disk.write(0, [UInt8](repeating: 1, count: 65536 * 2))
        try disk.close()
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        // The cluster of the data is counted 0 times.
        try handle.seek(toOffset: 2 * 65536 + 8)
        try handle.write(contentsOf: [0, 0])
        try handle.close()
        let report = try DiskImage.check(path: path, format: .qcow2, repairLeaks: true)
        #expect(report.corruptions == 1 && !report.isClean && report.problems.count == 1)
        #expect(report.problems[0].contains("cluster 4 of the file"))
        #expect(report.allocatedClusters == 2 && report.totalClusters == 16)
    }

    @Test(arguments: [DiskFormat.raw, .qcow2]) func resizing(_ format: DiskFormat) throws {
        let folder = try Folder()
        let path = folder("a")
        var options = DiskImage.CreationOptions()
        options.clusterSize = 512
        try DiskImage.create(path: path, format: format, byteCount: 1 << 20, options: options)
        let disk = try Disk(path, format)
        let bytes = Random(1).copyBytes(1 << 20)
        try disk.write(0, bytes)
        try disk.close()
        // The tables of clusters of 512 bytes grow with it.
        try DiskImage.resize(path: path, format: format, byteCount: 48 << 20)
        #expect(try DiskImage.info(path: path, format: format).byteCount == 48 << 20)
        let larger = try Disk(path, format)
        #expect(try larger.read(0, 1 << 20) == bytes)
        for position in stride(from: 1 << 20, to: 48 << 20, by: 5 << 20) {
            #expect(try larger.read(position, 4096).allSatisfy { $0 == 0 })
            try larger.write(position, bytes)
        }
        for position in stride(from: 1 << 20, to: 48 << 20, by: 5 << 20) {
            #expect(try larger.read(position, 1 << 20) == bytes)
        }
        try larger.close()
        if format == .qcow2 {
            #expect(try DiskImage.check(path: path, format: format).isClean)
        }
        let refusal = message {
            try DiskImage.resize(path: path, format: format, byteCount: 1 << 20)
        }
        #expect(refusal.contains("say that it may shrink"))
        let used = message {
            try DiskImage.resize(
                path: path, format: format, byteCount: 1 << 20, allowShrink: true)
        }
        #expect(format == .raw ? used == "no error" : used.contains("holds data behind byte"))
    }

    @Test func growthShowsNothingOld() throws {
        let folder = try Folder()
        try DiskImage.create(path: folder("base"), format: .raw, byteCount: 2 << 20)
        let base = try Disk(folder("base"))
        try base.write(0, [UInt8](repeating: 7, count: 2 << 20))
        try base.close()
        var options = DiskImage.CreationOptions()
        options.backingPath = folder("base")
        options.backingFormat = .raw
        try DiskImage.create(
            path: folder("a"), format: .qcow2, byteCount: 1 << 20, options: options)
        try DiskImage.resize(path: folder("a"), format: .qcow2, byteCount: 3 << 20)
        let disk = try Disk(folder("a"), .qcow2)
        #expect(try disk.read(0, 1 << 20).allSatisfy { $0 == 7 })
        #expect(try disk.read(1 << 20, 2 << 20).allSatisfy { $0 == 0 })
        try disk.close()
        #expect(try DiskImage.check(path: folder("a"), format: .qcow2).isClean)
    }

    @Test(arguments: [DiskFormat.raw, .qcow2], [DiskFormat.raw, .qcow2])
    func conversion(_ from: DiskFormat, _ to: DiskFormat) throws {
        let folder = try Folder()
        try DiskImage.create(path: folder("a"), format: from, byteCount: 8 << 20)
        let disk = try Disk(folder("a"), from)
        try disk.write(1 << 20, Random(1).copyBytes(200 << 10))
        try disk.write(6 << 20, [UInt8](repeating: 0, count: 1 << 20))
        try disk.write((8 << 20) - 512, Random(2).copyBytes(512))
        let all = try disk.read(0, 8 << 20)
        try disk.close()
        let last = Mutex<(UInt64, UInt64)>((0, 0))
        try DiskImage.convert(
            DiskSpecification(path: folder("a"), format: from), to: folder("b"), format: to
        ) { done, total in
            last.withLock {
                #expect(done >= $0.0)
                $0 = (done, total)
            }
        }
        #expect(last.withLock { $0 } == (8 << 20, 8 << 20))
        let copy = try Disk(folder("b"), to, readOnly: true)
        #expect(try copy.read(0, 8 << 20) == all)
        try copy.close()
        // Zeros take no space.
        #expect(try DiskImage.info(path: folder("b"), format: to).allocatedByteCount < 1 << 20)
        let again = message {
            try DiskImage.convert(
                DiskSpecification(path: folder("a"), format: from), to: folder("b"), format: to)
        }
        #expect(again.contains("remove it first"))
    }

    @Test func conversionLooksThroughAllImages() throws {
        let folder = try Folder()
        var random = Random(21)
        var model = try QCOW2Tests.make(
            folder, 2 << 20, .init(engine: .automatic, clusterSize: 4096, backing: .qcow2), &random)
        let disk = try Disk(folder("top"), .qcow2)
        for _ in 0..<80 { try model.step(disk, &random, largest: 65536) }
        let all = try disk.read(0, 2 << 20)
        try disk.close()
        try DiskImage.convert(
            DiskSpecification(path: folder("top"), format: .qcow2), to: folder("b"), format: .raw)
        #expect([UInt8](try Data(contentsOf: URL(fileURLWithPath: folder("b")))) == all)
    }
}
