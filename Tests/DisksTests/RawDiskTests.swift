import Foundation
import HostIO
import Synchronization
import Testing
import Vocabulary

@testable import Disks

@Suite struct RawDiskTests {
    @Test(arguments: engines) func bytesComeBack(_ engine: DiskEngine) throws {
        let folder = try Folder()
        let path = try folder.file("a", [UInt8](repeating: 7, count: 1 << 20))
        var random = Random(1)
        let disk = try Disk(path, engine: engine)
        #expect(disk.engineName == (engine == .uring ? "io_uring" : "threads"))
        #expect(disk.byteCount == 1 << 20)
        let bytes = random.bytes(100 * 512)
        try disk.write(4096, bytes)
        try disk.flush()
        #expect(try disk.read(4096, bytes.count) == bytes)
        #expect(try disk.read(0, 4096) == [UInt8](repeating: 7, count: 4096))
        try disk.close()
        let file = try Data(contentsOf: URL(fileURLWithPath: path))
        #expect(Array(file[4096..<4096 + bytes.count]) == bytes)
        #expect(file.count == 1 << 20)
    }

    @Test(arguments: engines) func manyAtOnce(_ engine: DiskEngine) throws {
        let folder = try Folder()
        let path = try folder.file("a", [UInt8](repeating: 0, count: 8 << 20))
        let disk = try Disk(path, engine: engine)
        let count = 2000
        let left = Atomic<Int>(count)
        let errors = Atomic<Int>(0)
        let done = Answer<Bool>()
        let memory = IOBuffer(byteCount: count * 4096)
        for index in 0..<count {
            memory.store64(index * 4096, UInt64(index) &* 0x0101_0101_0101)
            let piece = unsafe UnsafeMutableRawBufferPointer(
                rebasing: memory.bytes[(index * 4096)..<(index * 4096 + 4096)])
            disk.submit(
                unsafe DiskRequest(.write, offset: UInt64(index * 4096), segments: [piece])
            ) { error in
                if error != nil { errors.wrappingAdd(1, ordering: .relaxed) }
                if left.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
                    done.give(true)
                }
            }
        }
        #expect(done.wait())
        #expect(errors.load(ordering: .relaxed) == 0)
        for index in stride(from: 0, to: count, by: 97) {
            #expect(try disk.read(index * 4096, 4096) == memory.array(index * 4096, 4096))
        }
        #expect(disk.metrics.writes == UInt64(count))
        #expect(disk.metrics.bytesWritten == UInt64(count * 4096))
        #expect(disk.metrics.inFlight == 0)
        #expect(disk.metrics.mostInFlight >= 1)
        try disk.close()
    }

    @Test(arguments: engines) func aLongListOfSegments(_ engine: DiskEngine) throws {
        let folder = try Folder()
        // More segments than the host takes at once.
        let count = 3000 * 512
        let path = try folder.file("a", [UInt8](repeating: 1, count: count))
        let disk = try Disk(path, engine: engine)
        let bytes = Random(3).copyBytes(count)
        let memory = IOBuffer(byteCount: count)
        memory.fill(bytes)
        var pieces: [UnsafeMutableRawBufferPointer] = unsafe []
        for index in 0..<3000 {
            unsafe pieces.append(.init(rebasing: memory.bytes[(index * 512)..<(index * 512 + 512)]))
        }
        try disk.wait(unsafe DiskRequest(.write, offset: 0, segments: pieces))
        #expect(try disk.read(0, count) == bytes)
        try disk.close()
    }

    @Test(arguments: engines) func behindTheEndOfTheFileAreZeros(_ engine: DiskEngine) throws {
        let folder = try Folder()
        let path = try folder.file("a", [UInt8](repeating: 9, count: 700))
        let disk = try Disk(path, engine: engine)
        #expect(disk.byteCount == 1024)
        let expected = [UInt8](repeating: 9, count: 700) + [UInt8](repeating: 0, count: 324)
        #expect(try disk.read(0, 1024) == expected)
        #expect(throws: RequestFailed(errno: .invalid)) { try disk.read(512, 1024) }
        #expect(throws: RequestFailed(errno: .invalid)) { try disk.read(100, 512) }
        #expect(throws: RequestFailed(errno: .invalid)) { try disk.read(0, 100) }
        #expect(throws: RequestFailed(errno: .invalid)) {
            try disk.wait(DiskRequest(.discard, offset: UInt64.max - 511, byteCount: 1024))
        }
        #expect(disk.metrics.errors == 4)
        try disk.close()
        #expect(throws: RequestFailed(errno: .shutDown)) { try disk.read(0, 512) }
    }

    @Test(arguments: engines) func growthIsNoticed(_ engine: DiskEngine) throws {
        let folder = try Folder()
        let path = try folder.file("a", [UInt8](repeating: 1, count: 4096))
        let disk = try Disk(path, readOnly: true, engine: engine)
        #expect(throws: RequestFailed(errno: .invalid)) { try disk.read(4096, 512) }
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try handle.truncate(atOffset: 8192)
        #expect(try disk.refreshSize() == 8192)
        #expect(try disk.read(4096, 512) == [UInt8](repeating: 0, count: 512))
        #expect(throws: RequestFailed(errno: .readOnly)) {
            try disk.write(0, [UInt8](repeating: 0, count: 512))
        }
        try disk.close()
    }

    @Test(arguments: engines, [true, false])
    func zerosAndDiscards(_ engine: DiskEngine, _ mayUnmap: Bool) throws {
        let folder = try Folder()
        let path = try folder.file("a", [UInt8](repeating: 5, count: 1 << 20))
        let disk = try Disk(path, engine: engine)
        try disk.zero(65536, 131072, mayUnmap: mayUnmap)
        #expect(try disk.read(65536, 131072).allSatisfy { $0 == 0 })
        #expect(try disk.read(65024, 512).allSatisfy { $0 == 5 })
        #expect(try disk.read(196608, 512).allSatisfy { $0 == 5 })
        try disk.discard(0, 4096)
        #expect(disk.metrics.discards == 1 && disk.metrics.zeroWrites == 1)
        #expect(disk.features == [.discard, .writeZeroes, .flush])
        try disk.close()
        let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
        #expect(size == 1 << 20)
    }

    @Test(arguments: engines) func directTransfersOfAnyMemory(_ engine: DiskEngine) throws {
        let folder = try Folder()
        let path = try folder.file("a", Random(9).copyBytes(1 << 18))
        var specification = DiskSpecification(path: path)
        specification.isDirect = true
        let disk: Disk
        do {
            disk = try Disk(opening: specification, name: "direct", engine: engine)
        } catch {
            // A file system without direct I/O says so.
            #expect(error.message.contains("leave ',direct' out"))
            return
        }
        let sector = disk.sectorSize
        let bytes = Random(10).copyBytes(8 * sector)
        // Memory at an odd address.
        let memory = IOBuffer(byteCount: bytes.count + 1)
        memory.fill(bytes, at: 1)
        let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: memory.bytes[1...])
        try disk.wait(
            unsafe DiskRequest(
                .write, offset: UInt64(sector * 3), segments: [piece], isForced: true))
        #expect(try disk.read(sector * 3, bytes.count) == bytes)
        try disk.close()
    }

    @Test func requestsAreLimited() throws {
        let folder = try Folder()
        let path = try folder.file("a", [UInt8](repeating: 5, count: 4096))
        let disk = try Disk(
            opening: DiskSpecification(parsing: path + ",iops=100"), name: "slow")
        let start = HostThread.monotonicNow.nanoseconds
        // Ten at once are a tenth of a second's worth; the other twenty have their turns.
        for _ in 0..<30 { _ = try disk.read(0, 512) }
        let seconds = Double(HostThread.monotonicNow.nanoseconds - start) / 1e9
        #expect(seconds > 0.15)
        #expect(disk.metrics.delayed >= 15)
        try disk.close()
    }

    @Test func turnsComeInOrder() {
        var limit = RequestLimit(requestsPerSecond: 1000)
        let now = Instant(nanoseconds: 5_000_000_000)
        var last: UInt64 = 0
        var delayed = 0
        for _ in 0..<300 {
            guard let due = limit.admit(now) else { continue }
            #expect(due.nanoseconds > last && due.nanoseconds > now.nanoseconds)
            last = due.nanoseconds
            delayed += 1
        }
        #expect(delayed == 300 - 101)
        #expect(limit.admit(Instant(nanoseconds: 9_000_000_000)) == nil)
    }
}

extension Random {
    /// Bytes, of a generator that is not kept.
    func copyBytes(_ count: Int) -> [UInt8] {
        var copy = self
        return copy.bytes(count)
    }
}
