import Foundation
import Testing
import Vocabulary

@testable import Snapshot

/// A folder with a memory file and a snapshot of it, which goes with its last reference.
final class SnapshotFiles {
    let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("martlet-snapshot-\(UUID().uuidString)")
    let memory: [UInt8]
    let manifest = Array("manifest".utf8)
    var path: String { file("snapshot") }

    /// - Parameter memory: of the machine; nil: of 1 MiB and a bit, mostly holes.
    init(memory given: [UInt8]? = nil, _ compression: SnapshotCompression = .none) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        memory = given ?? Self.mixture()
        try Data(memory).write(to: folder.appendingPathComponent("memory"))
        try write(compression)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// Compressible, not compressible, at both ends, lone pages, and zeros that were written.
    static func mixture(byteCount: Int = (1 << 20) + 12_288) -> [UInt8] {
        var memory = [UInt8](repeating: 0, count: byteCount)
        var generator = SystemRandomNumberGenerator()
        for index in 0..<100 { memory[index] = 7 }
        for index in 200_000..<400_000 {
            memory[index] = UInt8.random(in: 0...255, using: &generator)
        }
        for page in stride(from: 150, to: 250, by: 3) { memory[page * 4096 + page] = UInt8(page) }
        memory[memory.count - 1] = 9
        return memory
    }

    func file(_ name: String) -> String { folder.appendingPathComponent(name).path }

    func write(_ compression: SnapshotCompression, absent: (any AbsentPages)? = nil) throws {
        try withFile("memory", O_RDONLY) { descriptor in
            try SnapshotWriter.write(
                to: path, memory: MemoryInFile(descriptor, byteCount: UInt64(memory.count)),
                manifest: manifest, compression: compression, absent: absent)
        }
    }

    func withFile(_ name: String, _ flags: CInt, _ body: (CInt) throws -> Void) throws {
        let descriptor = unsafe open(file(name), flags | O_CREAT, 0o600)
        defer { close(descriptor) }
        try body(descriptor)
    }

    func bytes() throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

    func replace(_ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(fileURLWithPath: path)) }

    /// The memory that a snapshot has.
    func restored(_ reader: SnapshotReader) throws -> [UInt8] {
        try? FileManager.default.removeItem(atPath: file("again"))
        try withFile("again", O_RDWR) { descriptor in
            ftruncate(descriptor, off_t(reader.memoryByteCount))
            try reader.restore(into: descriptor)
        }
        return [UInt8](try Data(contentsOf: URL(fileURLWithPath: file("again"))))
    }

    func restored() throws -> [UInt8] { try restored(try SnapshotReader(path: path)) }

    /// Everything a reader can do with the file; throws what it finds.
    func readAll() throws {
        let reader = try SnapshotReader(path: path)
        try reader.verify()
    }

    /// Names in the folder.
    func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    }
}

extension SnapshotReader {
    /// A chunk's 64 KiB, as lazy restoring reads them.
    func chunk(_ index: Int, _ codec: ChunkCodec = ChunkCodec()) throws -> [UInt8] {
        // Whatever was there before.
        var bytes = [UInt8](repeating: 0xa5, count: SnapshotFormat.chunkByteCount)
        let failure: XError? = unsafe bytes.withUnsafeMutableBytes { bytes in
            do throws(XError) {
                try unsafe read(chunk: index, into: bytes, using: codec)
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Chunks that are read at once, with room for `count`.
    func chunks(_ range: Range<Int>, _ count: Int, _ codec: ChunkCodec) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 1, count: count << 16)
        let failure: XError? = unsafe bytes.withUnsafeMutableBytes { bytes in
            do throws(XError) {
                try unsafe read(chunks: range, into: bytes, using: codec)
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
        return bytes
    }
}
