import Foundation
import HostIO
import Synchronization
import Testing
import Vocabulary

@testable import Disks

/// An image and what it must read as.
struct Model {
    var bytes: [UInt8]
    /// Bytes whose content nobody says, after a discard.
    var unknown: Set<Int> = []

    static func expectEqual(
        _ disk: Disk, _ model: Model, _ comment: @autoclosure () -> String = ""
    ) throws {
        let piece = 64 << 10
        var position = 0
        while position < model.bytes.count {
            let count = min(piece, model.bytes.count - position)
            let read = try disk.read(position, count)
            if read != Array(model.bytes[position..<position + count]) {
                for index in 0..<count where read[index] != model.bytes[position + index] {
                    if model.unknown.contains((position + index) / 512) { continue }
                    Issue.record(
                        "byte \(position + index): \(read[index]) in place of \(model.bytes[position + index]) \(comment())"
                    )
                    return
                }
            }
            position += count
        }
    }

    /// One random request, on the disk and here.
    mutating func step(_ disk: Disk, _ random: inout Random, largest: Int) throws {
        let sectors = bytes.count / 512
        let start = random.below(sectors)
        let most = max(1, min(largest / 512, sectors - start))
        let count = 1 + random.below(random.below(4) == 0 ? most : min(most, 8))
        let range = (start * 512)..<((start + count) * 512)
        switch random.below(10) {
        case 0..<5:
            let new = random.bytes(range.count)
            try disk.write(range.lowerBound, new, isForced: random.below(16) == 0)
            bytes.replaceSubrange(range, with: new)
            unknown.subtract(start..<start + count)
        case 5:
            try disk.zero(range.lowerBound, range.count, mayUnmap: random.below(2) == 0)
            bytes.replaceSubrange(range, with: [UInt8](repeating: 0, count: range.count))
            unknown.subtract(start..<start + count)
        case 6:
            try disk.discard(range.lowerBound, range.count)
            unknown.formUnion(start..<start + count)
        case 7: try disk.flush()
        default:
            let read = try disk.read(range.lowerBound, range.count)
            for index in 0..<range.count where read[index] != bytes[range.lowerBound + index] {
                if unknown.contains(start + index / 512) { continue }
                Issue.record("byte \(range.lowerBound + index) at a read of \(range)")
                return
            }
        }
    }
}

@Suite struct QCOW2Tests {
    struct Shape: CustomTestStringConvertible, Sendable {
        var engine: DiskEngine
        var clusterSize: Int
        var backing: DiskFormat?
        var testDescription: String {
            "\(engine) \(clusterSize) \(backing?.rawValue ?? "alone")"
        }
    }

    static let shapes: [Shape] = engines.flatMap { engine in
        [512, 4096, 65536].flatMap { size in
            [DiskFormat?.none, .raw, .qcow2].map {
                Shape(engine: engine, clusterSize: size, backing: $0)
            }
        }
    }

    /// Makes the image, with another below it that is shorter and whose end is within a cluster.
    static func make(
        _ folder: Folder, _ size: Int, _ shape: Shape, _ random: inout Random
    ) throws -> Model {
        var model = Model(bytes: [UInt8](repeating: 0, count: size))
        var options = DiskImage.CreationOptions()
        options.clusterSize = shape.clusterSize
        if let format = shape.backing {
            let short = size * 3 / 4 / 512 * 512 + 512
            try DiskImage.create(
                path: folder("base"), format: format, byteCount: UInt64(short), options: options)
            let base = try Disk(folder("base"), format, engine: shape.engine)
            for _ in 0..<20 {
                let at = random.below(short / 512 - 8) * 512
                let bytes = random.bytes(8 * 512)
                try base.write(at, bytes)
                model.bytes.replaceSubrange(at..<at + bytes.count, with: bytes)
            }
            try base.close()
            options.backingPath = "base"
            options.backingFormat = format
        }
        try DiskImage.create(
            path: folder("top"), format: .qcow2, byteCount: UInt64(size), options: options)
        return model
    }

    @Test(arguments: shapes) func anyRequestsAreAsOnAnArray(_ shape: Shape) throws {
        let folder = try Folder()
        var random = Random(UInt64(shape.clusterSize) &+ 77)
        // The end is within a cluster.
        let size = (shape.clusterSize == 512 ? 300 << 10 : 3 << 20) + 512 * 3
        var model = try Self.make(folder, size, shape, &random)
        for round in 0..<4 {
            let disk = try Disk(folder("top"), .qcow2, engine: shape.engine)
            for _ in 0..<60 {
                try model.step(disk, &random, largest: shape.clusterSize * 12)
            }
            try Model.expectEqual(disk, model, "in round \(round)")
            try disk.close()
            let report = try DiskImage.check(path: folder("top"), format: .qcow2)
            #expect(report.isClean && report.leakedClusters == 0, "\(report)")
        }
        if Program.hasQEMU { try Program.run("qemu-img", ["check", "-f", "qcow2", folder("top")]) }
        let disk = try Disk(folder("top"), .qcow2, readOnly: true, engine: shape.engine)
        try Model.expectEqual(disk, model)
        try disk.close()
    }

    /// Requests of many threads in flight at once, each in a stretch of its own that shares clusters with
    /// its neighbours'.
    @Test(arguments: engines) func manyAtOnceShareClusters(_ engine: DiskEngine) throws {
        let folder = try Folder()
        var options = DiskImage.CreationOptions()
        options.clusterSize = 4096
        try DiskImage.create(
            path: folder("top"), format: .qcow2, byteCount: 4 << 20, options: options)
        let disk = try Disk(folder("top"), .qcow2, engine: engine)
        let memory = IOBuffer(byteCount: 4 << 20)
        memory.fill(Random(4).copyBytes(4 << 20))
        let order = unsafe Array(0..<((4 << 20) / 1536)).shuffled(using: &Self.shuffler)
        let left = Atomic<Int>(order.count)
        let errors = Atomic<Int>(0)
        let done = Answer<Bool>()
        for index in order {
            let piece = unsafe UnsafeMutableRawBufferPointer(
                rebasing: memory.bytes[(index * 1536)..<(index * 1536 + 1536)])
            disk.submit(
                unsafe DiskRequest(.write, offset: UInt64(index * 1536), segments: [piece])
            ) { error in
                if error != nil { errors.wrappingAdd(1, ordering: .relaxed) }
                if left.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
                    done.give(true)
                }
            }
            if index % 50 == 0 { disk.submit(.flush) { _ in } }
        }
        #expect(done.wait())
        #expect(errors.load(ordering: .relaxed) == 0)
        let end = order.count * 1536
        for position in stride(from: 0, to: end - 65536, by: 65536) {
            #expect(try disk.read(position, 65536) == memory.array(position, 65536))
        }
        try disk.close()
        let report = try DiskImage.check(path: folder("top"), format: .qcow2)
        #expect(report.isClean, "\(report)")
        #expect(report.allocatedClusters == (end + 4095) / 4096)
    }

    nonisolated(unsafe) static var shuffler = Random(11)

    @Test func spaceIsUsedAgain() throws {
        let folder = try Folder()
        try DiskImage.create(path: folder("a"), format: .qcow2, byteCount: 64 << 20)
        let disk = try Disk(folder("a"), .qcow2)
        let bytes = Random(5).copyBytes(4 << 20)
        for round in 0..<8 {
            try disk.write(round * (8 << 20), bytes)
            try disk.discard(round * (8 << 20), bytes.count)
            try disk.flush()
        }
        try disk.close()
        let info = try DiskImage.info(path: folder("a"), format: .qcow2)
        #expect(info.allocatedByteCount < 2 << 20)
        let size =
            try FileManager.default.attributesOfItem(atPath: folder("a"))[.size] as? Int ?? 0
        #expect(size < 12 << 20)
        #expect(try DiskImage.check(path: folder("a"), format: .qcow2).endOffset < 6 << 20)
    }

    @Test func longChainsAndLoops() throws {
        let folder = try Folder()
        try DiskImage.create(path: folder("0"), format: .raw, byteCount: 1 << 20)
        let base = try Disk(folder("0"))
        try base.write(0, [UInt8](repeating: 42, count: 512))
        try base.close()
        for index in 1...33 {
            var options = DiskImage.CreationOptions()
            options.clusterSize = 4096
            options.backingPath = "\(index - 1)"
            options.backingFormat = index == 1 ? .raw : .qcow2
            if index <= 32 {
                try DiskImage.create(
                    path: folder("\(index)"), format: .qcow2, byteCount: nil, options: options)
            } else {
                #expect(
                    message {
                        try DiskImage.create(
                            path: folder("\(index)"), format: .qcow2, byteCount: nil,
                            options: options)
                    }.contains("more than 32 images"))
            }
        }
        let disk = try Disk(folder("31"), .qcow2)
        #expect(try disk.read(0, 512) == [UInt8](repeating: 42, count: 512))
        try disk.close()

        var options = DiskImage.CreationOptions()
        options.backingPath = "b"
        options.backingFormat = .qcow2
        try DiskImage.create(path: folder("b"), format: .qcow2, byteCount: 4096)
        try DiskImage.create(path: folder("c"), format: .qcow2, byteCount: 4096, options: options)
        try FileManager.default.removeItem(atPath: folder("b"))
        try FileManager.default.copyItem(atPath: folder("c"), toPath: folder("b"))
        let text = message { _ = try Disk(folder("b"), .qcow2) }
        #expect(text.contains("lies over itself"), "\(text)")
        #expect(!FileManager.default.fileExists(atPath: folder("33")))
    }

    @Test func failuresOfTheHostAreTheGuestsToHandle() throws {
        let folder = try Folder()
        try DiskImage.create(path: folder("a"), format: .qcow2, byteCount: 4 << 20)
        let host = FailingHost()
        let disk = try Disk(folder("a"), .qcow2, observer: host)
        let bytes = [UInt8](repeating: 3, count: 65536)
        try disk.write(0, bytes)
        host.failing.store(Int(ENOSPC), ordering: .relaxed)
        #expect(throws: RequestFailed(errno: .noSpace)) { try disk.write(65536, bytes) }
        #expect(throws: RequestFailed(errno: .noSpace)) { try disk.flush() }
        host.failing.store(0, ordering: .relaxed)
        // Space is there again: nothing was lost.
        try disk.write(131072, bytes)
        try disk.flush()
        try disk.close()
        #expect(try DiskImage.check(path: folder("a"), format: .qcow2).corruptions == 0)
        let again = try Disk(folder("a"), .qcow2)
        #expect(try again.read(0, 65536) == bytes)
        #expect(try again.read(65536, 65536).allSatisfy { $0 == 0 })
        try again.close()
    }

    @Test func aSyncThatFailsIsTheEnd() throws {
        let folder = try Folder()
        try DiskImage.create(path: folder("a"), format: .qcow2, byteCount: 4 << 20)
        let host = FailingHost()
        let disk = try Disk(folder("a"), .qcow2, observer: host)
        try disk.write(0, [UInt8](repeating: 3, count: 512))
        host.failingSync.store(Int(EIO), ordering: .relaxed)
        #expect(throws: RequestFailed(errno: .ioError)) { try disk.flush() }
        host.failingSync.store(0, ordering: .relaxed)
        #expect(throws: RequestFailed(errno: .ioError)) { try disk.flush() }
        #expect(throws: RequestFailed(errno: .ioError)) {
            try disk.write(0, [UInt8](repeating: 3, count: 512))
        }
        #expect(throws: XError.self) { try disk.close() }
    }
}

/// A host that refuses to write for a while.
final class FailingHost: HostFileObserver {
    let failing = Atomic<Int>(0)
    let failingSync = Atomic<Int>(0)

    func writeBegins(_ offset: UInt64, _ bytes: [UInt8]) -> Swift.Result<Int, HostErrno> {
        let errno = failing.load(ordering: .relaxed)
        return errno == 0 ? .success(0) : .failure(HostErrno(rawValue: CInt(errno)))
    }
    func writeEnds(_ number: Int) {}
    func syncBegins() -> Swift.Result<Int, HostErrno> {
        let errno = failingSync.load(ordering: .relaxed)
        return errno == 0 ? .success(0) : .failure(HostErrno(rawValue: CInt(errno)))
    }
    func syncEnds(_ number: Int) {}
}
