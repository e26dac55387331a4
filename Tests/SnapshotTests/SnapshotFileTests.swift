import Foundation
import Testing
import Vocabulary

@testable import Snapshot

/// Snapshots as files: written, read back, and damaged.
struct SnapshotFileTests {
    /// Memory of 1 MiB and a bit, mostly holes.
    private final class Files {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-snapshot-\(UUID().uuidString)")
        let memory: [UInt8]
        let manifest = Array("manifest".utf8)
        var path: String { folder.appendingPathComponent("snapshot").path }

        init() throws {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            var memory = [UInt8](repeating: 0, count: (1 << 20) + 12_288)
            var generator = SystemRandomNumberGenerator()
            // Compressible, not compressible, at both ends, and zeros that were written.
            for index in 0..<100 { memory[index] = 7 }
            for index in 200_000..<400_000 {
                memory[index] = UInt8.random(in: 0...255, using: &generator)
            }
            memory[memory.count - 1] = 9
            self.memory = memory
            try Data(memory).write(to: folder.appendingPathComponent("memory"))
            try withMemory("memory", O_RDONLY) { descriptor in
                try SnapshotWriter.write(
                    to: path, memory: descriptor, memoryByteCount: UInt64(memory.count),
                    manifest: manifest)
            }
        }

        deinit { try? FileManager.default.removeItem(at: folder) }

        func withMemory(_ name: String, _ flags: CInt, _ body: (CInt) throws -> Void) throws {
            let descriptor = unsafe open(
                folder.appendingPathComponent(name).path, flags | O_CREAT, 0o600)
            defer { close(descriptor) }
            try body(descriptor)
        }

        func restored() throws -> [UInt8] {
            let reader = try SnapshotReader(path: path)
            #expect(reader.manifest == manifest && reader.memoryByteCount == UInt64(memory.count))
            try? FileManager.default.removeItem(at: folder.appendingPathComponent("again"))
            try withMemory("again", O_RDWR) { descriptor in
                ftruncate(descriptor, off_t(memory.count))
                try reader.restore(into: descriptor)
            }
            return [UInt8](try Data(contentsOf: folder.appendingPathComponent("again")))
        }
    }

    @Test func memoryComesBack() throws {
        let files = try Files()
        #expect(try files.restored() == files.memory)
        let size = try Data(contentsOf: URL(fileURLWithPath: files.path)).count
        // 200 kB do not compress; the rest is next to nothing.
        #expect(size > 200_000 && size < 400_000)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: files.folder.path).allSatisfy {
                !$0.contains("new")
            })
    }

    @Test func everyDamageIsFound() throws {
        let files = try Files()
        let whole = try Data(contentsOf: URL(fileURLWithPath: files.path))
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            let place = Int.random(in: 0..<whole.count, using: &generator)
            // What fills the header up means nothing.
            if (60..<4096).contains(place) { continue }
            var damaged = whole
            damaged[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            try damaged.write(to: URL(fileURLWithPath: files.path))
            #expect(throws: XError.self, "byte \(place)") { try files.restored() }
        }
        for count in [0, 10, 4095, 4096, whole.count / 2, whole.count - 1] {
            try whole.prefix(count).write(to: URL(fileURLWithPath: files.path))
            #expect(throws: XError.self, "\(count) bytes") { try files.restored() }
        }
    }

    @Test func otherVersionsAreRefusedByName() throws {
        let files = try Files()
        var bytes = try Data(contentsOf: URL(fileURLWithPath: files.path))
        bytes[8] = 2
        try bytes.write(to: URL(fileURLWithPath: files.path))
        let error = #expect(throws: XError.self) { try SnapshotReader(path: files.path) }
        #expect(error?.message.contains("version 2") == true)
    }

    @Test func aFailedWriteLeavesNothing() throws {
        let files = try Files()
        let missing = files.folder.appendingPathComponent("none/snapshot").path
        try files.withMemory("memory", O_RDONLY) { descriptor in
            #expect(throws: XError.self) {
                try SnapshotWriter.write(
                    to: missing, memory: descriptor, memoryByteCount: 4096, manifest: [])
            }
        }
        #expect(throws: XError.self) { try SnapshotReader(path: missing) }
    }
}
