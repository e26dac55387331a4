import Boot
import Glibc
import Testing
import Vocabulary

/// An entry as a reader of the format sees it.
private struct ArchiveEntry: Equatable {
    var path: String
    var mode: UInt32
    var content: [UInt8]
    var device: [UInt32]
}

private func parse(_ archive: [UInt8]) throws -> [ArchiveEntry] {
    var entries: [ArchiveEntry] = []
    var offset = 0
    func field(_ index: Int) throws -> UInt32 {
        let start = offset + 6 + index * 8
        let text = String(decoding: archive[start..<(start + 8)], as: UTF8.self)
        return try #require(UInt32(text, radix: 16))
    }
    while true {
        try #require(archive.count >= offset + 110)
        try #require(archive[offset..<(offset + 6)].elementsEqual("070701".utf8))
        let nameCount = Int(try field(11))
        let size = Int(try field(6))
        let name = archive[(offset + 110)..<(offset + 110 + nameCount - 1)]
        let path = String(decoding: name, as: UTF8.self)
        let mode = try field(1)
        let device = [try field(9), try field(10)]
        let start = (offset + 110 + nameCount + 3) & ~3
        if path == "TRAILER!!!" { return entries }
        entries.append(
            ArchiveEntry(
                path: path, mode: mode, content: Array(archive[start..<(start + size)]),
                device: device))
        offset = (start + size + 3) & ~3
    }
}

@Suite struct InitramfsTests {
    @Test func entriesComeSortedWithTheirParents() throws {
        var tree = Initramfs()
        try tree.addFile("/b/c/file", [1, 2, 3, 4, 5], permissions: 0o640)
        try tree.addSymbolicLink("a", to: "b/c")
        try tree.addCharacterDevice("dev/console", major: 5, minor: 1, permissions: 0o600)
        try tree.addFile("b/empty", [])
        let entries = try parse(try tree.bytes())
        #expect(
            entries.map(\.path) == ["a", "b", "b/c", "b/c/file", "b/empty", "dev", "dev/console"])
        #expect(entries[0].mode == 0o120777)
        #expect(entries[0].content == Array("b/c".utf8))
        #expect(entries[1].mode == 0o040755)
        #expect(entries[3].mode == 0o100640)
        #expect(entries[3].content == [1, 2, 3, 4, 5])
        #expect(entries[4].content.isEmpty)
        #expect(entries[6].mode == 0o020600)
        #expect(entries[6].device == [5, 1])
    }

    @Test func theOrderOfAddingDoesNotMatter() throws {
        var first = Initramfs()
        try first.addFile("x", [1])
        try first.addFile("y/z", [2])
        var second = Initramfs()
        try second.addFile("/y//./z", [2])
        try second.addFile("x", [1])
        #expect(try first.bytes() == second.bytes())
    }

    @Test func pathsThatLeaveTheTreeAreRefused() throws {
        var tree = Initramfs()
        #expect(throws: XError.self) { try tree.addFile("a/../../b", []) }
        #expect(throws: XError.self) { try tree.addFile("/", []) }
        try tree.addFile("file", [])
        #expect(throws: XError.self) { try tree.addFile("file/below", []) }
    }

    @Test func hostTreesAreCopiedWithLinksAndModes() throws {
        let root = "/tmp/martlet-initramfs-test.\(getpid())"
        unsafe mkdir(root, 0o755)
        unsafe mkdir(root + "/inner", 0o700)
        let file = unsafe open(root + "/inner/data", O_CREAT | O_WRONLY, 0o600)
        let content = [UInt8](repeating: 7, count: 3_000_001)
        unsafe #expect(write(file, content, content.count) == content.count)
        fchmod(file, 0o751)
        close(file)
        unsafe symlink("inner/data", root + "/link")
        defer {
            unsafe unlink(root + "/inner/data")
            unsafe unlink(root + "/link")
            unsafe rmdir(root + "/inner")
            unsafe rmdir(root)
        }
        var tree = Initramfs()
        try tree.addHost(root, as: "/opt/here")
        let entries = try parse(try tree.bytes())
        #expect(
            entries.map(\.path) == [
                "opt", "opt/here", "opt/here/inner", "opt/here/inner/data", "opt/here/link",
            ])
        #expect(entries[2].mode == 0o040700)
        #expect(entries[3].mode == 0o100751)
        #expect(entries[3].content == content)
        #expect(entries[4].content == Array("inner/data".utf8))
        let error = #expect(throws: XError.self) { try tree.addHost(root + "/none", as: "/x") }
        #expect(error?.code == .notFound)
        #expect(error?.message.contains(root + "/none") == true)
    }

    @Test func theGuestsTreeHasWhatTheKernelNeeds() throws {
        let busybox = KernelStore.Busybox(
            path: "/bin/sh", applets: ["bin/sh", "usr/sbin/chroot", "usr/bin/head"])
        let entries = try parse(try GuestSystem.initramfs(busybox: busybox).bytes())
        let byPath = Dictionary(uniqueKeysWithValues: entries.map { ($0.path, $0) })
        #expect(byPath["init"]?.mode == 0o100755)
        #expect(byPath["init"]?.content == GuestSystem.agent)
        #expect(byPath["dev/console"]?.device == [5, 1])
        #expect(byPath["usr/bin/sh"]?.content == Array("/usr/bin/busybox".utf8))
        #expect(byPath["usr/sbin/chroot"]?.mode == 0o120777)
        #expect(byPath["bin"]?.content == Array("usr/bin".utf8))
    }

    @Test func theAgentIsAStaticProgram() throws {
        let image = GuestSystem.agent
        #expect(image.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]))
        #expect(try !ELFImage(image).segments.isEmpty)
        #expect(GuestSystem.resolve("/bin/x") == "/usr/bin/x")
        #expect(GuestSystem.resolve("/binary/x") == "/binary/x")
    }
}
