import Foundation
import HostIO
import Synchronization
import Testing
import Vocabulary

@testable import Disks

/// A server of nbdkit's, which ends with the test.
final class NBDServer: @unchecked Sendable {
    private let process = Process()
    let socket: String
    var uri: String { "nbd+unix:///?socket=\(socket)" }

    init(_ folder: Folder, _ arguments: [String]) throws {
        socket = folder("socket")
        process.executableURL = URL(fileURLWithPath: Program.path("nbdkit") ?? "")
        process.arguments = ["-f", "-U", socket] + arguments
        process.standardInput = FileHandle.nullDevice
        try process.run()
        for _ in 0..<1000 where !FileManager.default.fileExists(atPath: socket) { usleep(10_000) }
    }

    func stop() {
        // SIGTERM may be blocked in what a test's thread starts.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
    deinit { stop() }
}

@Suite(.enabled(if: Program.path("nbdkit") != nil)) struct NBDTests {
    @Test func anyRequestsAreAsOnAnArray() throws {
        let folder = try Folder()
        let server = try NBDServer(folder, ["memory", "4M"])
        var random = Random(2)
        var model = Model(bytes: [UInt8](repeating: 0, count: 4 << 20))
        let disk = try Disk(server.uri, .nbd)
        #expect(disk.byteCount == 4 << 20)
        #expect(disk.features.contains(.writeZeroes))
        for _ in 0..<150 { try model.step(disk, &random, largest: 300_000) }
        try Model.expectEqual(disk, model)
        #expect(throws: RequestFailed(errno: .invalid)) { try disk.read(4 << 20, 512) }
        try disk.close()
        let again = try Disk(server.uri, .nbd, readOnly: true)
        try Model.expectEqual(again, model)
        try again.close()
    }

    @Test func manyAtOnce() throws {
        let folder = try Folder()
        let server = try NBDServer(folder, ["memory", "4M"])
        let disk = try Disk(server.uri, .nbd)
        let memory = IOBuffer(byteCount: 4 << 20)
        memory.fill(Random(4).copyBytes(4 << 20))
        let left = Atomic<Int>(1024)
        let done = Answer<Bool>()
        for index in 0..<1024 {
            let piece = unsafe UnsafeMutableRawBufferPointer(
                rebasing: memory.bytes[index * 4096..<index * 4096 + 4096])
            disk.submit(
                unsafe DiskRequest(
                    .write, offset: UInt64(index * 4096), segments: [piece], isForced: index == 7)
            ) { error in
                #expect(error == nil)
                if left.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
                    done.give(true)
                }
            }
        }
        #expect(done.wait())
        #expect(try disk.read(0, 4 << 20) == memory.array(0, 4 << 20))
        try disk.close()
    }

    @Test func aServerThatEndsFailsItsRequests() throws {
        let folder = try Folder()
        let server = try NBDServer(folder, ["memory", "4M"])
        let disk = try Disk(server.uri, .nbd)
        try disk.write(0, [UInt8](repeating: 1, count: 512))
        server.stop()
        for _ in 0..<3 {
            #expect(throws: RequestFailed.self) { _ = try disk.read(0, 512) }
        }
        #expect(throws: XError.self) { try disk.close() }
        #expect(message { _ = try Disk(server.uri, .nbd) }.contains("is its server running?"))
    }

    /// Where the server says that it has zeros, they are not fetched: half a terabyte would take hours.
    @Test func whatItHasIsConverted() throws {
        let folder = try Folder()
        let server = try NBDServer(folder, ["memory", "512G"])
        let bytes = Random(5).copyBytes(300 << 10)
        let disk = try Disk(server.uri, .nbd)
        try disk.write(3 << 30, bytes)
        try disk.write((400 << 30) + 512, bytes)
        try disk.write((512 << 30) - 4096, [UInt8](repeating: 1, count: 4096))
        try disk.close()
        try DiskImage.convert(
            DiskSpecification(path: server.uri, format: .nbd), to: folder("a"), format: .qcow2)
        let copy = try Disk(folder("a"), .qcow2, readOnly: true)
        #expect(copy.byteCount == 512 << 30)
        #expect(try copy.read(3 << 30, 300 << 10) == bytes)
        #expect(try copy.read((400 << 30) + 512, 300 << 10) == bytes)
        #expect(try copy.read((512 << 30) - 8192, 8192).filter { $0 == 1 }.count == 4096)
        try copy.close()
        let report = try DiskImage.check(path: folder("a"), format: .qcow2)
        #expect(report.isClean && report.allocatedClusters < 20, "\(report)")
    }

    /// A server that says nothing of zeros, and a disk that ends within a sector.
    @Test func anOddDiskIsConverted() throws {
        let folder = try Folder()
        let bytes = Random(6).copyBytes(1_500_001)
        let source = try folder.file("source", bytes)
        let server = try NBDServer(folder, ["--no-sr", "file", source])
        try DiskImage.convert(
            DiskSpecification(path: server.uri, format: .nbd), to: folder("a"), format: .raw)
        let copy = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder("a"))))
        #expect(copy == bytes + [UInt8](repeating: 0, count: (512 - bytes.count % 512) % 512))
    }

    /// What is not whole is no disk.
    @Test func aServerThatEndsLeavesNoHalfCopy() throws {
        let folder = try Folder()
        let server = try NBDServer(
            folder, ["--filter=delay", "pattern", "64M", "rdelay=100ms"])
        let failure = message {
            try DiskImage.convert(
                DiskSpecification(path: server.uri, format: .nbd), to: folder("a"), format: .raw
            ) { done, _ in
                if done == 2 << 20 { server.stop() }
            }
        }
        #expect(failure.contains("whether the server still runs"), "\(failure)")
        #expect(!FileManager.default.fileExists(atPath: folder("a")))
    }

    @Test func whatTheServerDoesNotAllow() throws {
        let folder = try Folder()
        let server = try NBDServer(folder, ["-r", "memory", "1M"])
        #expect(message { _ = try Disk(server.uri, .nbd) }.contains("add ',readonly'"))
        let disk = try Disk(server.uri, .nbd, readOnly: true)
        #expect(try disk.read(0, 512).allSatisfy { $0 == 0 })
        #expect(disk.features == [])
        try disk.flush()
        try disk.close()
    }
}
