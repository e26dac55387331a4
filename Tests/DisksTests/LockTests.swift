import Foundation
import Testing
import Vocabulary

@testable import Disks

@Suite struct LockTests {
    @Test(arguments: [DiskFormat.raw, .qcow2])
    func aSecondWriterIsRefused(_ format: DiskFormat) throws {
        let folder = try Folder()
        let path = folder("a")
        try DiskImage.create(path: path, format: format, byteCount: 1 << 20)
        let disk = try Disk(path, format)
        let error = #expect(throws: XError.self) { _ = try Disk(path, format) }
        #expect(error?.code == .busy)
        #expect(error?.message.contains("'\(path)' is in use") == true)
        let reader = #expect(throws: XError.self) { _ = try Disk(path, format, readOnly: true) }
        #expect(reader?.code == .busy)
        #expect(try DiskImage.info(path: path, format: format).usage == .written)
        try disk.close()
        #expect(try DiskImage.info(path: path, format: format).usage == .unused)
        let again = try Disk(path, format)
        try again.close()
    }

    @Test func readersAreNotAlone() throws {
        let folder = try Folder()
        let path = try folder.file("a", [UInt8](repeating: 0, count: 4096))
        let first = try Disk(path, readOnly: true)
        let second = try Disk(path, readOnly: true)
        #expect(throws: XError.self) { _ = try Disk(path) }
        #expect(try DiskImage.info(path: path, format: .raw).usage == .read)
        try first.close()
        try second.close()
        try Disk(path).close()
    }

    @Test func whatLiesBelowIsNotWritten() throws {
        let folder = try Folder()
        try DiskImage.create(path: folder("base"), format: .qcow2, byteCount: 1 << 20)
        var options = DiskImage.CreationOptions()
        options.backingPath = "base"
        options.backingFormat = .qcow2
        try DiskImage.create(
            path: folder("top"), format: .qcow2, byteCount: nil, options: options)
        let top = try Disk(folder("top"), .qcow2)
        #expect(throws: XError.self) { _ = try Disk(folder("base"), .qcow2) }
        try top.close()
        try Disk(folder("base"), .qcow2).close()
    }

    @Test func aDiskThatIsLetGoGivesItsLockBack() throws {
        let folder = try Folder()
        let path = try folder.file("a", [UInt8](repeating: 0, count: 4096))
        do { _ = try Disk(path).byteCount }
        for _ in 0..<200 {
            if let disk = try? Disk(path) { return try disk.close() }
            usleep(10_000)
        }
        Issue.record("still locked")
    }

    @Test(.enabled(if: Program.hasQEMU)) func theToolsOfQEMUAreKeptOut() throws {
        let folder = try Folder()
        let path = folder("a")
        try DiskImage.create(path: path, format: .qcow2, byteCount: 1 << 20)
        let disk = try Disk(path, .qcow2)
        try Program.run("qemu-io", ["-f", "qcow2", "-c", "write 0 512", path], status: 1)
        try disk.close()
        try Program.run("qemu-io", ["-f", "qcow2", "-c", "write 0 512", path])
        // Who only reads bears its readers, and no writer.
        let reader = try Disk(path, .qcow2, readOnly: true)
        try Program.run("qemu-io", ["-f", "qcow2", "-r", "-c", "read 0 512", path])
        try Program.run("qemu-io", ["-f", "qcow2", "-c", "write 0 512", path], status: 1)
        try reader.close()
    }

    @Test(.enabled(if: Program.hasQEMU)) func theToolsOfQEMUKeepUsOut() throws {
        let folder = try Folder()
        let path = folder("a")
        try DiskImage.create(path: path, format: .raw, byteCount: 1 << 20)
        for (option, usage) in [("-r", DiskImage.Usage.read), ("-n", .written)] {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Program.path("qemu-io") ?? "")
            process.arguments = ["-f", "raw", option, path]
            let input = Foundation.Pipe()
            process.standardInput = input
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            for _ in 0..<500 {
                if try DiskImage.info(path: path, format: .raw).usage == usage { break }
                usleep(10_000)
            }
            #expect(try DiskImage.info(path: path, format: .raw).usage == usage)
            let refusal = message { try Disk(path, readOnly: true).close() }
            #expect(
                usage == .read
                    ? refusal == "no error" : refusal.contains("is being written to"), "\(refusal)")
            #expect(message { try Disk(path).close() }.contains("is in use"))
            try input.fileHandleForWriting.close()
            process.waitUntilExit()
        }
    }
}
