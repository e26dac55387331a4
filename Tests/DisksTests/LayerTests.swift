import Disks
import Foundation
import HostIO
import Synchronization
import Testing
import Vocabulary

/// A disk that goes on in an image over what it was, while it is used.
@Suite struct LayerTests {
    @Test(arguments: [DiskFormat.raw, .qcow2])
    func whatADiskWasStaysAndTheDiskGoesOn(format: DiskFormat) throws {
        let folder = try Folder()
        let size = 4 << 20
        try DiskImage.create(path: folder("base"), format: format, byteCount: UInt64(size))
        let disk = try Disk(folder("base"), format)
        // Each writer has its blocks: the number of the last write that was acknowledged is the least that
        // is read later.
        let writers = 3
        let blocks = 64
        let acknowledged = (0..<writers * blocks).map { _ in Atomic64() }
        let isDone = Atomic64()
        let threads = (0..<writers).map { writer in
            Thread {
                var random = Random(UInt64(writer + 1))
                var number: UInt64 = 0
                while isDone.value == 0 {
                    number += 1
                    let block = writer * blocks + random.below(blocks)
                    var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 4096)
                    for byte in 0..<8 {
                        bytes[byte] = UInt8(truncatingIfNeeded: number >> (8 * byte))
                    }
                    do {
                        try disk.write(block * 4096, bytes)
                        acknowledged[block].value = number
                    } catch {
                        Issue.record("a write failed: \(error)")
                        return
                    }
                }
                isDone.add(1)
            }
        }
        for thread in threads { thread.start() }
        var layers = ["base"]
        var frozen: [Data] = []
        for layer in 1...4 {
            Thread.sleep(forTimeInterval: 0.05)
            let before = acknowledged.map(\.value)
            let old = try disk.layOver(folder("layer\(layer)"))
            #expect(old.path == folder(layers[layers.count - 1]))
            #expect(old.format == (layer == 1 ? format : .qcow2))
            #expect(disk.specification.path == folder("layer\(layer)"))
            // Whoever lies over it as well sees at least what was acknowledged before.
            let reader = try Disk(old.path, old.format, readOnly: true)
            for block in 0..<writers * blocks {
                let bytes = try reader.read(block * 4096, 4096)
                #expect(Self.number(bytes) >= before[block])
            }
            try reader.close()
            layers.append("layer\(layer)")
            frozen.append(try Data(contentsOf: URL(fileURLWithPath: old.path)))
        }
        Thread.sleep(forTimeInterval: 0.05)
        isDone.value = 1
        while isDone.value < UInt64(writers + 1) { Thread.sleep(forTimeInterval: 0.001) }
        let last = acknowledged.map(\.value)
        for block in last.indices {
            #expect(try Self.number(disk.read(block * 4096, 4096)) == last[block])
        }
        try disk.close()
        for (name, bytes) in zip(layers, frozen) {
            #expect(try Data(contentsOf: URL(fileURLWithPath: folder(name))) == bytes)
        }
        let again = try Disk(folder("layer4"), .qcow2)
        for block in last.indices {
            #expect(try Self.number(again.read(block * 4096, 4096)) == last[block])
        }
        try again.close()
    }

    private static func number(_ bytes: [UInt8]) -> UInt64 {
        (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[$1]) << (8 * UInt64($1)) }
    }

    @Test func aPausedDiskBeginsNothing() throws {
        let folder = try Folder()
        let disk = try Disk(folder.file("disk", [UInt8](repeating: 1, count: 1 << 20)))
        try disk.pause()
        #expect(throws: XError.self) { try disk.pause() }
        let done = Atomic64()
        disk.submit(.flush) { _ in done.value = 1 }
        // The image is laid, and the pause goes on.
        _ = try disk.layOver(folder("layer"))
        Thread.sleep(forTimeInterval: 0.05)
        #expect(done.value == 0)
        disk.goOn()
        try disk.flush()
        while done.value == 0 { Thread.sleep(forTimeInterval: 0.001) }
        try disk.close()
    }

    @Test func whereSomethingIsNothingIsLaidAndTheDiskGoesOn() throws {
        let folder = try Folder()
        let path = try folder.file("disk", [UInt8](repeating: 1, count: 1 << 20))
        let taken = try folder.file("taken", [9])
        let disk = try Disk(path)
        #expect(throws: XError.self) { try disk.layOver(taken) }
        #expect(throws: XError.self) { try disk.layOver(folder("nowhere/layer")) }
        #expect(disk.specification.path == path)
        try disk.write(4096, [UInt8](repeating: 2, count: 4096))
        #expect(try disk.read(4096, 4096) == [UInt8](repeating: 2, count: 4096))
        try disk.close()
        #expect(throws: XError.self) { try disk.layOver(folder("late")) }
        let reader = try Disk(path, readOnly: true)
        #expect(throws: XError.self) { try reader.layOver(folder("late")) }
        try reader.close()
    }
}

/// A word that threads share.
private final class Atomic64: Sendable {
    private let word = Atomic<UInt64>(0)

    var value: UInt64 {
        get { word.load(ordering: .sequentiallyConsistent) }
        set { word.store(newValue, ordering: .sequentiallyConsistent) }
    }

    func add(_ count: UInt64) { word.add(count, ordering: .sequentiallyConsistent) }
}
