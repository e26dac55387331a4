import Foundation
import Testing
import Vocabulary

@testable import Snapshot

/// Snapshots as files: written, read back, and replaced.
struct SnapshotFileTests {
    @Test(arguments: SnapshotCompression.allCases)
    func memoryComesBack(compression: SnapshotCompression) throws {
        let files = try SnapshotFiles(compression)
        let reader = try SnapshotReader(path: files.path)
        #expect(reader.manifest == files.manifest)
        #expect(reader.memoryByteCount == UInt64(files.memory.count))
        #expect(reader.version == 2 && reader.compression == compression)
        #expect(reader.isMappable == (compression == .none))
        #expect(try files.restored() == files.memory)
        try reader.verify()
        #expect(try files.names() == ["again", "memory", "snapshot"])
        let created = try #require(reader.createdNanoseconds)
        #expect(abs(Double(created) / 1e9 - Date().timeIntervalSince1970) < 600)
        // 200 kB do not compress.
        #expect(reader.storedByteCount > 200_000 && reader.storedByteCount < 500_000)
        let present = stride(from: 0, to: files.memory.count, by: 4096).filter { start in
            files.memory[start..<min(start + 4096, files.memory.count)].contains { $0 != 0 }
        }
        #expect(reader.presentPageCount == present.count)
    }

    /// Memory that ends within a page, and none at all.
    @Test(arguments: SnapshotCompression.allCases)
    func memoryMayEndAnywhere(compression: SnapshotCompression) throws {
        for count in [0, 1, 4095, 4097, 65_535, 65_537, 200_001] {
            let files = try SnapshotFiles(
                memory: [UInt8](repeating: 3, count: count), compression)
            #expect(try files.restored() == files.memory, "\(count)")
            try files.readAll()
        }
    }

    @Test func pagesCanBeMapped() throws {
        let files = try SnapshotFiles()
        let reader = try SnapshotReader(path: files.path)
        let bytes = try files.bytes()
        for page in 0..<UInt64((files.memory.count + 4095) / 4096) {
            let start = Int(page) * 4096
            let wanted = Array(files.memory[start..<start + 4096])
            guard let place = reader.place(ofPage: page) else {
                #expect(wanted.allSatisfy { $0 == 0 }, "page \(page)")
                continue
            }
            #expect(place.isMultiple(of: 4096))
            #expect(Array(bytes[Int(place)..<Int(place) + 4096]) == wanted, "page \(page)")
        }
        #expect(reader.place(ofPage: .max) == nil)
    }

    @Test(arguments: SnapshotCompression.allCases)
    func neighboursAreReadTogether(compression: SnapshotCompression) throws {
        let files = try SnapshotFiles(compression)
        let reader = try SnapshotReader(path: files.path)
        let codec = ChunkCodec()
        let whole = files.memory + [UInt8](repeating: 0, count: 1 << 20)
        for first in 0...reader.chunkCount {
            for count in 0...reader.chunkCount - first + 1 {
                let bytes = try reader.chunks(first..<first + count, count, codec)
                #expect(bytes == Array(whole[first << 16..<(first + count) << 16]))
                #expect(throws: XError.self) {
                    try reader.chunks(first..<first + count + 1, count, codec)
                }
            }
        }
        // Each is checked.
        let stored = try files.bytes()
        for _ in 0..<50 {
            var bytes = stored
            bytes[Int.random(in: 4096..<4096 + Int(reader.storedByteCount))] ^= 4
            try files.replace(bytes)
            let damaged = try SnapshotReader(path: files.path)
            #expect(damaged.identity == reader.identity)
            let memory = try? damaged.chunks(0..<reader.chunkCount, reader.chunkCount, codec)
            #expect(memory == nil || memory == Array(whole[..<(reader.chunkCount << 16)]))
        }
    }

    @Test func everySnapshotHasItsIdentity() throws {
        let files = try SnapshotFiles()
        let first = try SnapshotReader(path: files.path)
        #expect(try SnapshotReader(path: files.path).identity == first.identity)
        try files.write(.none)
        let again = try SnapshotReader(path: files.path)
        #expect(again.identity != first.identity)
        try files.write(.zstd)
        #expect(try SnapshotReader(path: files.path).identity != again.identity)
    }

    @Test(arguments: SnapshotCompression.allCases)
    func chunksAreReadAlone(compression: SnapshotCompression) throws {
        let files = try SnapshotFiles(compression)
        let reader = try SnapshotReader(path: files.path)
        let codec = ChunkCodec()
        var stored: [Int: UInt16] = [:]
        reader.forEachStoredChunk { stored[$0] = $1 }
        for chunk in (0..<reader.chunkCount).shuffled() {
            let bytes = try reader.chunk(chunk, codec)
            let start = chunk << 16
            let memory = files.memory[start..<min(start + 65_536, files.memory.count)]
            #expect(bytes == Array(memory) + [UInt8](repeating: 0, count: 65_536 - memory.count))
            var pages: UInt16 = 0
            for page in 0..<16
            where bytes[page * 4096..<page * 4096 + 4096].contains(where: { $0 != 0 }) {
                pages |= 1 << UInt16(page)
            }
            #expect(reader.presentPages(inChunk: chunk) == pages)
            #expect(stored[chunk] ?? 0 == pages)
        }
        #expect(reader.chunkIndex(ofPage: 17) == 1)
        for chunk in [-1, reader.chunkCount, Int.max] {
            #expect(try reader.chunk(chunk).allSatisfy { $0 == 0 })
            #expect(reader.presentPages(inChunk: chunk) == 0)
        }
    }

    /// Four threads at once, each with a codec.
    @Test(arguments: SnapshotCompression.allCases)
    func threadsReadAtOnce(compression: SnapshotCompression) throws {
        let files = try SnapshotFiles(
            memory: SnapshotFiles.mixture(byteCount: 8 << 20), compression)
        let reader = try SnapshotReader(path: files.path)
        let memory = files.memory
        DispatchQueue.concurrentPerform(iterations: 4) { _ in
            let codec = ChunkCodec()
            for _ in 0..<300 {
                let chunk = Int.random(in: 0..<reader.chunkCount)
                let bytes = try? reader.chunk(chunk, codec)
                #expect(bytes == Array(memory[chunk << 16..<(chunk + 1) << 16]))
            }
        }
    }

    /// More than two threads' worth of runs, and enough for several pieces.
    @Test(arguments: SnapshotCompression.allCases)
    func largeMemoryComesBack(compression: SnapshotCompression) throws {
        var memory = [UInt8](repeating: 0, count: 40 << 20)
        for page in 0..<memory.count / 4096 where page % 37 != 0 && page / 512 % 5 != 3 {
            memory[page * 4096 + page % 4096] = UInt8(truncatingIfNeeded: page) | 1
        }
        let files = try SnapshotFiles(memory: memory, compression)
        #expect(try files.restored() == memory)
        try files.readAll()
        // The last run of all is the one that is damaged.
        let reader = try SnapshotReader(path: files.path)
        let last = try #require(reader.runs.last)
        var bytes = try files.bytes()
        bytes[Int(last.offset)] ^= 1
        try files.replace(bytes)
        let error = #expect(throws: XError.self) { try files.restored() }
        #expect(error?.message.contains("byte \(last.offset)") == true)
        #expect(throws: XError.self) { try files.readAll() }
    }

    // MARK: Absent pages

    /// Pages of a mixture that the file of the memory does not have.
    private final class Elsewhere: AbsentPages {
        let memory: [UInt8]
        let absent: Set<UInt64>
        let failing: UInt64?

        init(_ memory: [UInt8], _ absent: Set<UInt64>, failing: UInt64? = nil) {
            (self.memory, self.absent, self.failing) = (memory, absent, failing)
        }

        func isAbsent(page: UInt64) -> Bool { absent.contains(page) }

        func read(page: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(XError) {
            if page == failing { throw XError(.hostCall, "page \(page) is not to be had") }
            let start = Int(page) * 4096
            unsafe buffer.copyBytes(from: memory[start..<start + 4096])
        }
    }

    @Test(arguments: SnapshotCompression.allCases)
    func pagesComeFromElsewhere(compression: SnapshotCompression) throws {
        let files = try SnapshotFiles(compression)
        let count = UInt64(files.memory.count / 4096)
        let all = files.memory
        for absent in [Set(0..<count), Set((0..<count).filter { $0 % 3 == 0 || $0 < 40 })] {
            // Holes and stale bytes are where they are missing.
            try files.withFile("memory", O_RDWR) { descriptor in
                ftruncate(descriptor, 0)
                ftruncate(descriptor, off_t(all.count))
                for page in 0..<Int(count) {
                    let isAbsent = absent.contains(UInt64(page))
                    if isAbsent, page % 2 == 0 { continue }
                    let part =
                        isAbsent
                        ? [UInt8](repeating: 0xee, count: 4096)
                        : Array(all[page * 4096..<page * 4096 + 4096])
                    if part.contains(where: { $0 != 0 }) {
                        unsafe pwrite(descriptor, part, 4096, off_t(page * 4096))
                    }
                }
            }
            try files.write(compression, absent: Elsewhere(all, absent))
            #expect(try files.restored() == all)
        }
        let before = try files.bytes()
        let error = #expect(throws: XError.self) {
            try files.write(compression, absent: Elsewhere(all, [5, 77], failing: 77))
        }
        #expect(error?.message.contains("page 77") == true)
        #expect(try files.bytes() == before)
    }

    // MARK: Atomicity

    @Test func aFailedWriteLeavesNothing() throws {
        let files = try SnapshotFiles()
        let missing = files.file("none/snapshot")
        try files.withFile("memory", O_RDONLY) { descriptor in
            let error = #expect(throws: XError.self) {
                try SnapshotWriter.write(
                    to: missing, memory: MemoryInFile(descriptor, byteCount: 4096), manifest: [])
            }
            #expect(error?.message.contains("'\(missing)'") == true)
        }
        #expect(throws: XError.self) { try SnapshotReader(path: missing) }
    }

    /// Whoever looks sees the old file until the new one is whole.
    @Test func theOldFileStaysUntilTheEnd() throws {
        let files = try SnapshotFiles()
        let old = try files.bytes()
        try files.withFile("memory", O_RDONLY) { descriptor in
            let size = UInt64(files.memory.count)
            do {
                let staged = try SnapshotWriter.stage(
                    to: files.path, memory: MemoryInFile(descriptor, byteCount: size), manifest: [1]
                )
                #expect(try files.bytes() == old)
                #expect(try files.names().count == 3)
                _ = staged
            }
            // It was given up.
            #expect(try files.names() == ["memory", "snapshot"])
            #expect(try files.bytes() == old)
            // Memory that cannot be read in the middle of it.
            #expect(throws: XError.self) {
                try SnapshotWriter.write(
                    to: files.path, memory: MemoryInFile(descriptor, byteCount: size + 4096),
                    manifest: [1])
            }
            #expect(try files.names() == ["memory", "snapshot"])
            #expect(try files.bytes() == old)
            try SnapshotWriter.stage(
                to: files.path, memory: MemoryInFile(descriptor, byteCount: size), manifest: [1]
            ).commit()
            #expect(try files.names() == ["memory", "snapshot"])
            #expect(try SnapshotReader(path: files.path).manifest == [1])
        }
    }

    // MARK: Versions

    private static func fixture(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/\(name).snapshot").path
    }

    /// The memory of the golden files.
    private static var goldenMemory: [UInt8] {
        var memory = [UInt8](repeating: 0, count: (1 << 20) + 8192)
        for index in 0..<10_000 { memory[index] = UInt8(truncatingIfNeeded: index / 100) }
        var x: UInt32 = 1
        for index in 200_000..<212_000 {
            x = x &* 1_664_525 &+ 1_013_904_223
            memory[index] = UInt8(x >> 24)
        }
        memory[500_000] = 5
        memory[memory.count - 1] = 9
        return memory
    }

    /// Files as they were written by the versions before and by this one's first.
    @Test(arguments: ["version-1", "version-2", "version-2-zstd"])
    func filesOfOldAreRead(name: String) throws {
        let reader = try SnapshotReader(path: Self.fixture(name))
        #expect(reader.version == (name == "version-1" ? 1 : 2))
        #expect(reader.manifest == Array("the manifest of the golden file".utf8))
        try reader.verify()
        let files = try SnapshotFiles(memory: [])
        let golden = Self.goldenMemory
        #expect(try files.restored(reader) == golden)
        for chunk in 0..<reader.chunkCount {
            let part = golden[chunk << 16..<min((chunk + 1) << 16, golden.count)]
            #expect(try Array(reader.chunk(chunk)[..<part.count]) == Array(part))
        }
        if reader.version == 1 {
            #expect(reader.presentPages(inChunk: 0) == .max)
            #expect(reader.presentPages(inChunk: 1) == 0)
            #expect(!reader.isMappable)
        }
        // And made one of the other kind.
        for compression in SnapshotCompression.allCases {
            #expect(throws: XError.self, "nothing is replaced") {
                try SnapshotWriter.convert(reader, to: files.path, compression: compression)
            }
            try FileManager.default.removeItem(atPath: files.path)
            try SnapshotWriter.convert(reader, to: files.path, compression: compression)
            #expect(try files.names().filter { $0.hasPrefix("snapshot") } == ["snapshot"])
            let copy = try SnapshotReader(path: files.path)
            try copy.verify()
            #expect(copy.version == 2 && copy.compression == compression)
            #expect(copy.manifest == reader.manifest)
            #expect(copy.createdNanoseconds == reader.createdNanoseconds)
            #expect(try files.restored(copy) == golden)
        }
    }

    @Test func otherVersionsAreRefusedByName() throws {
        let files = try SnapshotFiles()
        var bytes = try files.bytes()
        bytes[8] = 3
        try files.replace(bytes)
        let error = #expect(throws: XError.self) { try SnapshotReader(path: files.path) }
        #expect(error?.message.contains("version 3") == true)
    }

    /// Writes the golden files of this version: once, when it is new.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["MARTLET_WRITE_FIXTURES"] != nil))
    func writeFixtures() throws {
        let reader = try SnapshotReader(path: Self.fixture("version-1"))
        for (name, compression) in [
            ("version-2", SnapshotCompression.none), ("version-2-zstd", .zstd),
        ] {
            try SnapshotWriter.convert(
                reader, to: Self.fixture(name), compression: compression)
        }
    }
}
