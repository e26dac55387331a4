import Foundation
import Testing
import Vocabulary

@testable import Paging

/// What a snapshot's neighbour says of the order in which it is touched.
struct WorkingSetTests {
    private let set = WorkingSet(identity: 0x1122_3344_5566_7788, chunks: [7, 0, 4095, 8, 9, 3])

    private func decode(_ bytes: [UInt8]) throws(XError) -> WorkingSet {
        try WorkingSet(bytes, identity: set.identity, chunkCount: 4096)
    }

    private func reason(_ bytes: [UInt8]) -> String? {
        do throws(XError) {
            _ = try decode(bytes)
            return nil
        } catch { return error.message }
    }

    @Test func itComesBack() throws {
        #expect(try decode(set.bytes) == set)
        let empty = WorkingSet(identity: set.identity, chunks: [])
        #expect(try decode(empty.bytes) == empty)
        #expect(set.bytes.count == 24 + 6 * 4 + 4)
        #expect(Array(set.bytes.prefix(8)) == Array("MARTLETW".utf8))
        let long = WorkingSet(identity: 1, chunks: [UInt32](repeating: 1, count: 1 << 20 | 5))
        #expect(long.chunks.count == WorkingSet.largestCount)
    }

    @Test func whateverIsCutOffIsFoundOut() {
        let bytes = set.bytes
        for count in 0..<bytes.count { #expect(reason(Array(bytes[..<count])) != nil, "\(count)") }
        #expect(reason(bytes + [0]) != nil)
        #expect(reason(bytes + bytes) != nil)
    }

    @Test func whateverBitIsFlippedIsFoundOut() {
        for bit in 0..<set.bytes.count * 8 {
            var bytes = set.bytes
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(reason(bytes) != nil, "bit \(bit)")
        }
    }

    @Test func anotherSnapshotsIsRefused() {
        let other = WorkingSet(identity: 5, chunks: [1]).bytes
        #expect(reason(other) == "it is of another snapshot")
        let beyond = WorkingSet(identity: set.identity, chunks: [1, 4096]).bytes
        #expect(reason(beyond) == "it has chunks that the snapshot has not")
        var newer = set.bytes
        newer[8] = 2
        #expect(reason(newer) == "it is of version 2, and this Martlet reads 1")
    }

    @Test func itIsAFile() throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-working-set-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("file").path
        func read(_ path: String) throws -> WorkingSet? {
            try WorkingSet(path: path, identity: set.identity, chunkCount: 4096)
        }
        #expect(try read(path) == nil)
        try WorkingSet(identity: 1, chunks: [1, 2]).write(to: path)
        #expect(throws: XError.self) { try read(path) }
        // In its place, and nothing is left beside it.
        try set.write(to: path)
        #expect(try read(path) == set)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["file"])
        // What is no file, or too large, is not read at all.
        #expect(throws: XError.self) { try read(folder.path) }
        let pipe = folder.appendingPathComponent("pipe").path
        let isMade = unsafe mkfifo(pipe, 0o600)
        #expect(isMade == 0)
        #expect(throws: XError.self) { try read(pipe) }
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try handle.truncate(atOffset: 1 << 40)
        try handle.close()
        #expect(throws: XError.self) { try read(path) }
        #expect(throws: XError.self) { try set.write(to: folder.path + "/no/file") }
    }
}
