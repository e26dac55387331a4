import Foundation
import HostIO
import Synchronization
import Testing
import Vocabulary

@testable import Disks

/// A server of nbdkit's, which ends with the test.
final class NBDServer {
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
