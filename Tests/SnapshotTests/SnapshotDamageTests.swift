import Foundation
import Testing
import Vocabulary

@testable import Snapshot

/// Snapshots from strangers, and what is left of them after accidents.
struct SnapshotDamageTests {
    /// Version 1 has nothing that covers what fills its header up.
    private static func version1() throws -> [UInt8] {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/version-1.snapshot").path
        return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    private func flipBits(
        _ files: SnapshotFiles, in range: Range<Int>, times: Int, except: Range<Int> = 0..<0
    ) throws {
        let whole = try files.bytes()
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<times {
            let place = Int.random(in: range, using: &generator)
            if except.contains(place) { continue }
            var damaged = whole
            damaged[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            try files.replace(damaged)
            #expect(throws: XError.self, "byte \(place)") { try files.readAll() }
        }
        try files.replace(whole)
        try files.readAll()
    }

    @Test(arguments: SnapshotCompression.allCases)
    func everyDamageIsFound(compression: SnapshotCompression) throws {
        let files = try SnapshotFiles(compression)
        let size = try files.bytes().count
        try flipBits(files, in: 0..<size, times: 200)
        try flipBits(files, in: 0..<4096, times: 100)
        for section in try SnapshotReader(path: files.path).sections {
            try flipBits(
                files, in: Int(section.offset)..<Int(section.offset + section.byteCount), times: 50)
        }
    }

    @Test func everyDamageOfVersion1IsFound() throws {
        let files = try SnapshotFiles(memory: [])
        let bytes = try Self.version1()
        try files.replace(bytes)
        try flipBits(files, in: 0..<bytes.count, times: 300, except: 60..<4096)
    }

    /// At every boundary, one byte before and behind it, and anywhere.
    @Test(arguments: SnapshotCompression.allCases)
    func everyTruncationIsFound(compression: SnapshotCompression) throws {
        let files = try SnapshotFiles(compression)
        let whole = try files.bytes()
        let reader = try SnapshotReader(path: files.path)
        var places = [0, 4, 15, 16, 59, 4088, whole.count]
        for section in reader.sections { places += [Int(section.offset), Int(section.end)] }
        for run in reader.runs.prefix(5) { places.append(Int(run.offset)) }
        for _ in 0..<30 { places.append(Int.random(in: 0..<whole.count)) }
        for place in Set(places.flatMap { [$0 - 1, $0, $0 + 1] }).sorted()
        where (0..<whole.count).contains(place) {
            try files.replace(Array(whole[..<place]))
            #expect(throws: XError.self, "\(place) bytes") { try files.readAll() }
        }
        try files.replace(whole + [1, 2, 3])
        try files.readAll()
    }

    @Test func aFileThatIsTruncatedMeanwhileSaysSo() throws {
        let files = try SnapshotFiles()
        let reader = try SnapshotReader(path: files.path)
        let last = try #require(reader.runs.last)
        unsafe truncate(files.path, off_t(last.offset) + 100)
        let error = #expect(throws: XError.self) { try reader.chunk(Int(last.chunk)) }
        #expect(error?.message.contains("it was truncated") == true)
        #expect(error?.message.contains("byte \(last.offset + 100)") == true)
        #expect(error?.message.contains(files.path) == true)
        // What is still there is read.
        _ = try reader.chunk(0)
        #expect(throws: XError.self) { try files.restored(reader) }
        #expect(throws: XError.self) { try reader.verify() }
    }

    @Test func damageNamesItsPlace() throws {
        let files = try SnapshotFiles()
        var bytes = try files.bytes()
        let reader = try SnapshotReader(path: files.path)
        let run = reader.runs[2]
        bytes[Int(run.offset) + 5000] ^= 4
        try files.replace(bytes)
        let error = #expect(throws: XError.self) { try reader.chunk(Int(run.chunk)) }
        #expect(error?.message.contains("between byte \(run.offset) and") == true)
        #expect(error?.message.contains("take another copy") == true)
        _ = try reader.chunk(Int(reader.runs[1].chunk))
    }

    @Test func whatIsNoSnapshotIsRefused() throws {
        let files = try SnapshotFiles()
        for bytes in [[], [1], [UInt8](repeating: 0, count: 5000), Array("MARTLETS".utf8)] {
            try files.replace(bytes)
            let error = #expect(throws: XError.self) { try files.readAll() }
            #expect(error?.message.contains("it is no snapshot") == true)
        }
        #expect(throws: XError.self) { try SnapshotReader(path: files.folder.path) }
        #expect(throws: XError.self) { try SnapshotReader(path: "/dev/zero") }
        let fifo = files.file("fifo")
        unsafe mkfifo(fifo, 0o600)
        #expect(throws: XError.self) { try SnapshotReader(path: fifo) }
    }

    // MARK: Checksums that are right

    /// The file with another header.
    private func change(
        _ files: SnapshotFiles, _ body: (inout SnapshotHeader) -> Void
    ) throws -> XError? {
        let whole = try files.bytes()
        defer { try? files.replace(whole) }
        let (found, _) = SnapshotHeader.parse(Array(whole[..<4096]))
        var header = try #require(found)
        body(&header)
        try files.replace(header.bytes + whole[4096...])
        do {
            try files.readAll()
            return nil
        } catch let error as XError { return error }
    }

    @Test func sectionsThatAreNotKnown() throws {
        let files = try SnapshotFiles()
        let whole = try files.bytes()
        let extra = Array("something new".utf8)
        func section(_ isOptional: Bool) -> SnapshotSection {
            SnapshotSection(
                tag: SnapshotSection.Tag("newt"), isOptional: isOptional,
                offset: UInt64(whole.count), byteCount: UInt64(extra.count),
                checksum: SnapshotFormat.checksum(extra))
        }
        try files.replace(whole + extra)
        let refused = try change(files) {
            $0.sections.append(section(false))
            $0.fileByteCount += UInt64(extra.count)
        }
        #expect(refused?.message.contains("section 'newt'") == true)
        #expect(
            try change(files) {
                $0.sections.insert(section(true), at: 0)
                $0.fileByteCount += UInt64(extra.count)
            } == nil)
        // It is skipped, but damage of it is found.
        try files.replace(whole + extra.reversed())
        let damaged = try change(files) {
            $0.sections.append(section(true))
            $0.fileByteCount += UInt64(extra.count)
        }
        #expect(damaged?.message.contains("section 'newt'") == true)
    }

    @Test func headersThatMakeNoSense() throws {
        let files = try SnapshotFiles()
        let changes: [(inout SnapshotHeader) -> Void] = [
            { $0.memoryByteCount = .max }, { $0.memoryByteCount = 1 << 41 },
            { $0.memoryByteCount = 4096 }, { $0.fileByteCount = .max },
            { $0.fileByteCount += 1 }, { $0.fileByteCount = 4096 }, { $0.sections = [] },
            { $0.sections.removeFirst() }, { $0.sections.append($0.sections[0]) },
            { $0.sections[1].offset = .max }, { $0.sections[1].offset = 0 },
            { $0.sections[1].byteCount = .max }, { $0.sections[1].byteCount -= 1 },
            { $0.sections[2].byteCount -= 4096 }, { $0.sections[2].byteCount += 4096 },
            { $0.sections[2].offset += 4096 }, { $0.sections[2].checksum ^= 1 },
            { $0.sections[0].byteCount = 1 << 30 }, { $0.sections[0].offset -= 1 },
        ]
        for (index, body) in changes.enumerated() {
            #expect(try change(files, body) != nil, "\(index)")
        }
        #expect(try change(files) { _ in } == nil)
    }

    /// Any entry of the table, with its checksum right.
    @Test(arguments: SnapshotCompression.allCases)
    func tablesThatMakeNoSense(compression: SnapshotCompression) throws {
        let files = try SnapshotFiles(compression)
        let whole = try files.bytes()
        let reader = try SnapshotReader(path: files.path)
        let (found, _) = SnapshotHeader.parse(Array(whole[..<4096]))
        let header = try #require(found)
        let index = try #require(header.sections.firstIndex { $0.tag == .memoryTable })
        func take(_ change: (inout [SnapshotRun]) -> Void) throws {
            var (runs, table): ([SnapshotRun], [UInt8]) = (reader.runs, [])
            change(&runs)
            for run in runs { run.append(to: &table) }
            var header = header
            header.sections[index].checksum = SnapshotFormat.checksum(table)
            var bytes = whole
            let place = Int(header.sections[index].offset)
            bytes.replaceSubrange(place..<place + table.count, with: table)
            bytes.replaceSubrange(..<4096, with: header.bytes)
            try files.replace(bytes)
        }
        func refuse(_ change: (inout [SnapshotRun]) -> Void, _ what: String) throws {
            try take(change)
            #expect(throws: XError.self, "\(what)") { try files.readAll() }
        }
        try refuse({ $0[1].chunk = 1 << 20 }, "chunk beyond memory")
        try refuse({ $0[1].chunk = $0[0].chunk }, "chunk twice")
        try refuse({ $0.swapAt(0, 1) }, "not ascending")
        try refuse({ $0[1].offset = $0[0].offset }, "overlapping")
        try refuse({ $0[1].offset = .max }, "offset")
        try refuse({ $0[1].offset = 0 }, "in the header")
        try refuse({ $0[1].byteCount = .max }, "byte count")
        try refuse({ $0[1].byteCount = 0 }, "no bytes")
        try refuse({ $0[1].pages = 0 }, "no pages")
        try refuse({ $0[1].pages ^= 0x8000 }, "other pages")
        try refuse({ $0[$0.count - 1].pages = .max }, "pages behind the end of memory")
        try refuse({ $0[1].encoding = .chunk }, "encoding of version 1")
        try refuse({ $0[1].encoding = $0[1].encoding == .zstd ? .pages : .zstd }, "encoding")
        // And whatever comes to mind.
        for _ in 0..<200 {
            try refuse(
                { runs in
                    let index = Int.random(in: 0..<runs.count)
                    switch Int.random(in: 0..<3) {
                    case 0: runs[index].byteCount ^= 1 << UInt32.random(in: 0..<32)
                    case 1: runs[index].offset ^= 1 << UInt64.random(in: 0..<64)
                    default: runs[index].checksum ^= 1 << UInt64.random(in: 0..<64)
                    }
                }, "random")
            // A run at another free place of memory is another memory, and no damage.
            try take { runs in
                runs[Int.random(in: 0..<runs.count)].chunk ^= 1 << UInt32.random(in: 0..<32)
            }
            _ = try? files.readAll()
        }
    }
}
