import Foundation
import HostIO
import Testing
import Vocabulary

@testable import SoftwareCPU

/// The files of the persistent code cache: what was written comes back or nothing does.
struct CodeStoreTests {
    /// Writes samples and closes the store.
    private func write(_ numbers: Range<Int>, to folder: StoreFolder) throws {
        let store = try folder.open()
        for number in numbers { store.keep(try .sample(number), UInt32(number + 1)) }
        #expect(store.keptCount == UInt64(numbers.count))
        try store.close()
    }

    private func find(_ number: Int, in store: CodeStore) throws -> StoredTranslation? {
        let wanted = try StoredTranslation.sample(number)
        return store.find(UInt32(number + 1)) { $0.key == wanted.key && $0.blocks == wanted.blocks }
    }

    @Test func whatIsWrittenComesBack() throws {
        let folder = try StoreFolder()
        try write(0..<3000, to: folder)
        #expect(folder.names.count == 1)
        let store = try folder.open()
        #expect(!store.isEmpty && store.indexByteCount <= 3000 * 32)
        for number in 0..<3000 {
            let found = try #require(try find(number, in: store))
            let expected = try StoredTranslation.sample(number)
            #expect(found.bytes == expected.bytes)
            #expect(found.relocationCount == 2 && found.linkCount == 1)
            #expect(found.relocation(0) == .init(place: 2, target: .instruction(3, block: 0)))
            #expect(found.relocation(1) == .init(place: 110, target: .routine(1)))
            #expect(found.link(0).target == 0x456 && found.link(0).isPolled)
        }
        #expect(!store.mayHave(5000))
        try store.close()
        #expect(folder.names.count == 1, "nothing new, no file")
    }

    @Test func theSameIsTakenOnce() throws {
        let folder = try StoreFolder()
        let store = try folder.open()
        for _ in 0..<3 { store.keep(try .sample(1), 2) }
        #expect(store.keptCount == 1)
        try store.close()
    }

    /// Where relocations are there are zeros, and code bytes stay as they are elsewhere.
    @Test func placesToBeFilledInAreClear() throws {
        let stored = try StoredTranslation.sample(5)
        var code = [UInt8](repeating: 0, count: stored.codeByteCount)
        unsafe code.withUnsafeMutableBufferPointer {
            if let base = $0.baseAddress { unsafe stored.copyCode(to: base) }
        }
        for place in code.indices {
            let isClear = (2..<10).contains(place) || (110..<114).contains(place)
            #expect(code[place] == (isClear ? 0 : UInt8(truncatingIfNeeded: place * 7 + 5)))
        }
    }

    /// A flipped bit anywhere: each translation is what was written, or is not there.
    @Test func flippedBitsAreFound() throws {
        let folder = try StoreFolder()
        try write(0..<4, to: folder)
        let whole = try folder.read()
        let name = folder.names
        var missing = 0
        for place in whole.indices {
            var bytes = whole
            bytes[place] ^= 1 << UInt8(place & 7)
            try? FileManager.default.removeItem(atPath: folder.file)
            try Data(bytes).write(to: URL(fileURLWithPath: folder.path + "/" + name[0]))
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o600], ofItemAtPath: folder.path + "/" + name[0])
            let store = try folder.open()
            for number in 0..<4 {
                if let found = try find(number, in: store) {
                    #expect(found.bytes == (try StoredTranslation.sample(number)).bytes)
                } else {
                    missing += 1
                }
            }
        }
        // Zeros between and behind entries belong to them: no bit is without consequence.
        #expect(missing >= whole.count)
    }

    @Test func truncatedFilesAreNone() throws {
        let folder = try StoreFolder()
        try write(0..<4, to: folder)
        let whole = try folder.read()
        let name = folder.path + "/" + folder.names[0]
        for count in Array(stride(from: 0, to: whole.count, by: 61)) + [79, 80, whole.count - 1] {
            try Data(whole[..<count]).write(to: URL(fileURLWithPath: name))
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: name)
            let store = try folder.open()
            #expect(store.isEmpty)
            #expect(folder.names.isEmpty, "it is of no use any more")
            #expect(throws: XError.self) { try store.close() }
        }
        // Longer is not right either.
        try Data(whole + [0]).write(to: URL(fileURLWithPath: name))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: name)
        #expect(try folder.open().isEmpty)
    }

    /// Somebody truncates or overwrites the file while it is read.
    @Test func filesMayShrinkWhileTheyAreOpen() throws {
        let folder = try StoreFolder()
        try write(0..<4, to: folder)
        let store = try folder.open()
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: folder.file))
        try handle.truncate(atOffset: 100)
        for number in 0..<4 { #expect(try find(number, in: store) == nil) }
        #expect(store.damagedCount == 4)
        let error = #expect(throws: XError.self) { try store.close() }
        #expect(error?.message.contains("is damaged") == true)
        #expect(error?.message.contains("\n") == false)
        #expect(folder.names.isEmpty, "nothing of it was left")
    }

    /// A checksum that is right, and a header that says another version or another build.
    @Test func otherVersionsAndBuildsAreNone() throws {
        let folder = try StoreFolder()
        try write(0..<4, to: folder)
        let whole = try folder.read()
        let indexOffset = whole.count - 4 * 8
        let index = Array(whole[indexOffset...])
        var other = CodeFileFormat.identity
        other[3] ^= 1
        let header = CodeFileFormat.header(
            count: 4, indexOffset: indexOffset, index: index, identity: other)
        #expect(header.count == 80 && header != Array(whole[..<80]))
        #expect(
            CodeFileFormat.header(count: 4, indexOffset: indexOffset, index: index)
                == Array(whole[..<80]))
        try folder.write(header + whole[80...])
        #expect(try folder.open().isEmpty)
    }

    @Test func whatIsInTheirPlaceIsNotRead() throws {
        let folder = try StoreFolder()
        try write(0..<4, to: folder)
        let file = folder.file
        try FileManager.default.removeItem(atPath: file)
        try FileManager.default.createDirectory(atPath: file, withIntermediateDirectories: false)
        #expect(try folder.open().isEmpty)
        try FileManager.default.removeItem(atPath: file)
        try FileManager.default.createSymbolicLink(
            atPath: file, withDestinationPath: "/etc/passwd")
        #expect(try folder.open().isEmpty)
        try FileManager.default.removeItem(atPath: file)
        #expect(unsafe mkfifo(file, 0o600) == 0)
        let store = try folder.open()
        #expect(store.isEmpty)
        store.keep(try .sample(1), 2)
        let error = #expect(throws: XError.self) { try store.close() }
        #expect(error?.message.contains("delete it") == true)
        #expect(try find(1, in: folder.open()) != nil)
    }

    @Test func theFolderMayGo() throws {
        let folder = try StoreFolder()
        try write(0..<4, to: folder)
        let store = try folder.open()
        try FileManager.default.removeItem(atPath: folder.path)
        #expect(try find(2, in: store) != nil, "what is open is there")
        store.keep(try .sample(9), 10)
        let error = #expect(throws: XError.self) { try store.close() }
        #expect(error?.message.hasPrefix("cannot write") == true)
    }
}

/// Several processes and many runs with one folder, and who else may write to it.
struct SharedCodeStoreTests {
    private func find(_ number: Int, in store: CodeStore) throws -> Bool {
        let wanted = try StoredTranslation.sample(number)
        return store.find(UInt32(number + 1)) { $0.bytes == wanted.bytes } != nil
    }

    @Test func twoWritersBothKeepTheirs() throws {
        let folder = try StoreFolder()
        let (one, other) = (try folder.open(), try folder.open())
        for number in 0..<2000 {
            one.keep(try .sample(number), UInt32(number + 1))
            other.keep(try .sample(number + 1000), UInt32(number + 1001))
        }
        // While they write nothing of theirs is seen, and nobody takes it for left over.
        let early = try folder.open()
        #expect(early.isEmpty)
        try early.close()
        try one.close()
        try other.close()
        let store = try folder.open()
        for number in 0..<3000 { #expect(try find(number, in: store), "\(number)") }
    }

    @Test func manyFilesBecomeOne() throws {
        let folder = try StoreFolder()
        for run in 0..<20 {
            let store = try folder.open()
            for number in (run * 10)..<(run * 10 + 20) {
                store.keep(try .sample(number), UInt32(number + 1))
            }
            try store.close()
            #expect(folder.names.count < CodeStore.filesToJoin)
            #expect(folder.names.allSatisfy(NewCodeFile.isOwn))
        }
        let store = try folder.open()
        for number in 0..<210 { #expect(try find(number, in: store), "\(number)") }
        // Each of those in two files is once in what they became.
        #expect(try folder.translations.count < 20 * 20)
    }

    /// What is damaged goes, and the rest stays.
    @Test func damageIsMended() throws {
        let folder = try StoreFolder()
        let first = try folder.open()
        for number in 0..<10 { first.keep(try .sample(number), UInt32(number + 1)) }
        try first.close()
        var bytes = try folder.read()
        bytes[80 + 100] ^= 1
        try folder.write(bytes)
        let store = try folder.open()
        #expect(try !find(0, in: store))
        #expect(throws: XError.self) { try store.close() }
        #expect(folder.names.count == 1)
        let mended = try folder.open()
        for number in 0..<10 { #expect(try find(number, in: mended) == (number > 0)) }
        #expect(mended.damagedCount == 0)
        try mended.close()
    }

    @Test func theFolderStaysWithinItsBounds() throws {
        let folder = try StoreFolder()
        // One of another build, and one that somebody has left who was killed.
        for name in ["martlet-0123456789abcdef-0-1-1.code", ".new-0-1-1"] {
            let path = folder.path + "/" + name
            try Data(count: 60_000).write(to: URL(fileURLWithPath: path))
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o600, .modificationDate: Date(timeIntervalSince1970: 1)],
                ofItemAtPath: path)
        }
        let store = try folder.open(mostBytes: 100_000)
        for number in 0..<200 { store.keep(try .sample(number), UInt32(number + 1)) }
        try store.close()
        #expect(folder.names.count == 1)
        #expect(try find(3, in: folder.open()))
    }

    @Test func othersMayNotWriteToIt() throws {
        let folder = try StoreFolder()
        let store = try folder.open()
        store.keep(try .sample(1), 2)
        try store.close()
        func refusal() -> String {
            do { _ = try folder.open() } catch let error as XError { return error.message } catch {}
            return "none"
        }
        for mode in [0o770, 0o707, 0o777, 0o1777] {
            unsafe chmod(folder.path, mode_t(mode))
            #expect(refusal().hasPrefix("others may write to the folder"), "\(mode)")
        }
        unsafe chmod(folder.path, 0o755)
        #expect(refusal() == "none")
        for mode in [0o660, 0o606] {
            unsafe chmod(folder.file, mode_t(mode))
            #expect(refusal().hasPrefix("others may write to the file"), "\(mode)")
        }
        unsafe chmod(folder.file, 0o644)
        #expect(refusal() == "none")
        if geteuid() == 0 {
            unsafe chown(folder.file, 12345, 0)
            #expect(refusal().contains("belongs to another user"))
            unsafe chown(folder.path, 12345, 0)
            #expect(refusal().contains("belongs to another user"))
        }
    }

    @Test func theFolderIsMadeForTheUserAlone() throws {
        let folder = try StoreFolder()
        _ = try CodeStore(directory: folder.path + "/new")
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + "/new")
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o700)
        #expect(throws: XError.self) { try CodeStore(directory: folder.path + "/no/parent") }
        #expect(throws: XError.self) { try CodeStore(directory: "") }
        let file = folder.path + "/file"
        try Data().write(to: URL(fileURLWithPath: file))
        let error = #expect(throws: XError.self) { try CodeStore(directory: file) }
        #expect(error?.message.contains("--code-cache") == true)
    }
}
