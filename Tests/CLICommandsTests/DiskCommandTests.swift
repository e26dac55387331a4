import ArgumentParser
import Disks
import Foundation
import Testing
import Vocabulary

@testable import CLICommands

/// `martlet disk`, in this process; what it prints is tested where it is made.
@Suite struct DiskCommandTests {
    /// A folder that goes with its last reference.
    final class Folder {
        let path = NSTemporaryDirectory() + "martlet-\(UUID().uuidString)"

        init() throws {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func callAsFunction(_ name: String) -> String { path + "/" + name }

        func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: self(name)) }
    }

    /// Runs a command; its exit status, and the line that a failure has.
    @discardableResult
    private func disk(_ arguments: String...) -> (status: Int32, line: String) { run(arguments) }

    private func run(_ arguments: [String]) -> (status: Int32, line: String) {
        do {
            var command = try MartletCommand.parseAsRoot(["disk"] + arguments)
            try command.run()
            return (0, "")
        } catch {
            let line = (error as? XError)?.message ?? MartletCommand.message(for: error)
            return (MartletProgram.report(error), line)
        }
    }

    /// A refusal: status 125 and one line that has all of `words`.
    private func refused(
        _ words: String..., by arguments: String..., location: SourceLocation = #_sourceLocation
    ) {
        let result = run(arguments)
        #expect(result.status == 125, sourceLocation: location)
        #expect(!result.line.contains("\n"), "\(result.line)", sourceLocation: location)
        for word in words {
            #expect(result.line.contains(word), "\(result.line)", sourceLocation: location)
        }
    }

    private func size(_ path: String, _ format: DiskFormat = .raw) throws -> UInt64 {
        try DiskImage.info(path: path, format: format).byteCount
    }

    /// 3 MiB with bytes here and there.
    private func content() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 3 << 20)
        for index in 0..<(200 << 10) {
            bytes[(1 << 20) + index] = UInt8(truncatingIfNeeded: index &* 7 ^ index >> 8) | 1
        }
        bytes[bytes.count - 1] = 9
        return bytes
    }

    private func write(_ bytes: [UInt8], _ path: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    private func bytes(_ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    // MARK: Words

    @Test func mistakesSayWhereToLook() {
        #expect(MartletProgram.help(for: ["disk", "info", "--x"]) == "martlet disk info --help")
        #expect(MartletProgram.help(for: ["fly"]) == "martlet --help")
        refused("--magic", by: "info", "x", "--magic")
        refused("nbd", by: "info", "x", "--format", "nbd")
        refused("5X", by: "create", "x", "5X")
        refused("--to", by: "convert", "x", "y")
    }

    // MARK: create and info

    @Test func creating() throws {
        let folder = try Folder()
        #expect(disk("create", folder("raw"), "10M").status == 0)
        #expect(try size(folder("raw")) == 10 << 20)
        #expect(disk("create", folder("a"), "1G", "--format", "qcow2").status == 0)
        #expect(try size(folder("a"), .qcow2) == 1 << 30)
        // Without a size it is as large as what lies below, which is looked for beside it.
        #expect(
            disk(
                "create", folder("top"), "--format", "qcow2", "--backing", "raw",
                "--backing-format", "raw"
            ).status == 0)
        let top = try DiskImage.info(path: folder("top"), format: .qcow2)
        #expect(top.byteCount == 10 << 20 && top.backingPath == "raw")
        #expect(DiskInfoCommand.lines(top).contains("backing file: raw (raw)"))
    }

    @Test func nothingIsOverwritten() throws {
        let folder = try Folder()
        try write([1, 2, 3], folder("a"))
        refused("File exists", "remove it first", by: "create", folder("a"), "1M")
        refused("remove it first", by: "create", folder("a"), "1M", "--format", "qcow2")
        try write([4], folder("b"))
        refused("remove it first", by: "convert", folder("b"), folder("a"), "--to", "qcow2")
        #expect(try bytes(folder("a")) == [1, 2, 3])
    }

    @Test func mistakesOfCreation() throws {
        let folder = try Folder()
        let new = folder("new")
        refused("has no size", "10G", by: "create", new)
        refused("--format qcow2", by: "create", new, "--backing", "x", "--backing-format", "raw")
        refused(
            "--backing-format raw or qcow2", by: "create", new, "--backing", "x", "--format",
            "qcow2")
        refused("--backing FILE", by: "create", new, "1M", "--backing-format", "raw")
        refused(
            "cannot open the disk '\(folder("x"))'", by: "create", new, "--backing", "x",
            "--format", "qcow2", "--backing-format", "raw")
        refused("make its folder first", by: "create", folder("no/new"), "1M")
        refused("has no size", by: "create", new, "15E")
        #expect(!folder.has("new"))
    }

    @Test func whatInfoSays() throws {
        let folder = try Folder()
        disk("create", folder("a"), "1G", "--format", "qcow2")
        let info = try DiskImage.info(path: folder("a"), format: .qcow2)
        let lines = DiskInfoCommand.lines(info)
        for line in [
            "format: qcow2, version 3", "virtual size: 1 GiB (1073741824 bytes)",
            "cluster size: 64 KiB (65536 bytes)", "dirty: no", "corrupt: no", "in use: no",
        ] {
            #expect(lines.contains(line), "\(lines)")
        }
        #expect(disk("info", folder("a"), "--format", "qcow2", "--json").status == 0)
        #expect(disk("info", folder("a")).status == 0)
        #expect(try DiskImage.info(path: folder("a"), format: .raw).beginsLikeQCOW2 == true)
        refused("make it with 'martlet disk create'", by: "info", folder("none"))
        refused("neither a file nor a block device", by: "info", folder.path)
        try write(content(), folder("raw"))
        refused("is no qcow2 image", by: "info", folder("raw"), "--format", "qcow2")
        #expect(try DiskImage.info(path: folder("raw"), format: .raw).beginsLikeQCOW2 == false)
    }

    @Test func whatIsInUse() throws {
        let folder = try Folder()
        disk("create", folder("a"), "1M", "--format", "qcow2")
        var specification = DiskSpecification(path: folder("a"), format: .qcow2)
        let writer = try Disk(opening: specification, name: "test")
        let info = try DiskImage.info(path: folder("a"), format: .qcow2)
        #expect(DiskInfoCommand.lines(info).contains("in use: yes, somebody writes to it"))
        let word = "is being written to"
        refused(word, by: "check", folder("a"), "--format", "qcow2")
        refused(
            word, by: "convert", folder("a"), folder("b"), "--to", "raw", "--from", "qcow2")
        refused("is in use", by: "resize", folder("a"), "+1M", "--format", "qcow2")
        refused("is in use", by: "check", folder("a"), "--format", "qcow2", "--repair")
        #expect(!folder.has("b"))
        try writer.close()
        specification.isReadOnly = true
        let reader = try Disk(opening: specification, name: "test")
        let read = try DiskImage.info(path: folder("a"), format: .qcow2)
        #expect(DiskInfoCommand.lines(read).contains("in use: yes, others read it"))
        #expect(disk("check", folder("a"), "--format", "qcow2").status == 0)
        try reader.close()
    }

    // MARK: check

    /// Puts bytes into a file at an offset.
    private func patch(_ path: String, _ offset: UInt64, _ bytes: [UInt8]) throws {
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try handle.seek(toOffset: offset)
        try handle.write(contentsOf: bytes)
        try handle.close()
    }

    @Test func statusOfChecks() throws {
        let folder = try Folder()
        let path = folder("a")
        try write(content(), folder("raw"))
        disk("convert", folder("raw"), path, "--to", "qcow2")
        func check() throws -> Int32 {
            let status = disk("check", path, "--format", "qcow2").status
            if QEMUImage.isThere {
                let theirs = try QEMUImage.run("check", "-f", "qcow2", path)
                #expect(theirs.status == status, "\(theirs.output)")
            }
            return status
        }
        #expect(try check() == 0)
        // The count of a cluster that nothing refers to; qemu-img looks no further than the file goes.
        try patch(path, 100 << 16, [0])
        try patch(path, 2 * 65536 + 200, [0, 1])
        #expect(try check() == 3)
        #expect(disk("check", path, "--format", "qcow2", "--repair").status == 0)
        #expect(try check() == 0)
        // The count of the first cluster of data.
        try patch(path, 2 * 65536 + 8, [0, 0])
        #expect(try check() == 2)
        #expect(disk("check", path, "--format", "qcow2", "--repair").status == 2)
        #expect(try check() == 2)
    }

    @Test func whatChecksSay() {
        var report = DiskCheckReport()
        report.leakedClusters = 3
        report.totalClusters = 16
        #expect(
            DiskCheckCommand.lines(report, repairs: false) == [
                "0 errors, 3 leaked clusters", "leaks are given back with --repair",
                "0 of 16 clusters in use, 0 packed",
            ])
        report.repairedLeaks = 3
        #expect(DiskCheckCommand.lines(report, repairs: true)[0] == "gave 3 leaked clusters back")
        #expect(DiskCheckCommand.status(report) == 0)
        report.corruptions = 30
        report.problems = ["here"]
        let lines = DiskCheckCommand.lines(report, repairs: true)
        #expect(lines.contains("and 29 errors more"))
        #expect(lines.contains { $0.contains("qemu-img check -r all") })
        #expect(DiskCheckCommand.status(report) == 2)
    }

    @Test func rawDisksCannotBeChecked() throws {
        let folder = try Folder()
        try write(content(), folder("a"))
        refused("nothing to check", "--format qcow2 if it is one", by: "check", folder("a"))
        disk("create", folder("b"), "1M", "--format", "qcow2")
        refused("nothing to check", "begins like a qcow2 image", by: "check", folder("b"))
        refused("make it with", by: "check", folder("none"))
    }

    // MARK: resize

    @Test(arguments: [ImageFormat.raw, .qcow2]) func resizing(_ format: ImageFormat) throws {
        let folder = try Folder()
        let path = folder("a")
        let name = format.rawValue
        disk("create", path, "10M", "--format", name)
        #expect(disk("resize", path, "+2M", "--format", name).status == 0)
        #expect(try size(path, format.format) == 12 << 20)
        #expect(disk("resize", "--format", name, path, "20M").status == 0)
        #expect(try size(path, format.format) == 20 << 20)
        refused("add --shrink", by: "resize", path, "-1M", "--format", name)
        refused("add --shrink", by: "resize", path, "1M", "--format", name)
        #expect(disk("resize", path, "-1M", "--format", name, "--shrink").status == 0)
        #expect(try size(path, format.format) == 19 << 20)
        #expect(disk("resize", path, "--shrink", "--format", name, "3M").status == 0)
        #expect(try size(path, format.format) == 3 << 20)
        refused("cannot change by -4M", by: "resize", path, "-4M", "--shrink", "--format", name)
        refused(
            "more than a file can have", by: "resize", path, "+15E", "--format", name)
        refused("the size 'lots'", by: "resize", path, "lots", "--format", name)
        refused("--shrnk", by: "resize", path, "--shrnk", "1M", "--format", name)
        refused("a disk and its size are needed", by: "resize", path, "--format", name)
        refused("make it with", by: "resize", folder("none"), "1M", "--format", name)
    }

    @Test func dataIsNotCutOff() throws {
        let folder = try Folder()
        try write(content(), folder("raw"))
        disk("convert", folder("raw"), folder("a"), "--to", "qcow2")
        refused(
            "holds data behind byte", by: "resize", folder("a"), "1M", "--format", "qcow2",
            "--shrink")
        #expect(try size(folder("a"), .qcow2) == 3 << 20)
    }

    // MARK: convert

    @Test func converting() throws {
        let folder = try Folder()
        let all = content()
        try write(all, folder("raw"))
        #expect(disk("convert", folder("raw"), folder("a"), "--to", "qcow2").status == 0)
        #expect(
            disk("convert", folder("a"), folder("b"), "--to", "raw", "--from", "qcow2").status == 0)
        #expect(try bytes(folder("b")) == all)
        let allocated = try DiskImage.info(path: folder("b"), format: .raw).allocatedByteCount
        #expect(allocated < 1 << 20, "zeros take no space")
    }

    // MARK: qemu-img

    /// What it says of a disk's size.
    private func sizeForQEMU(_ path: String, _ format: String) throws -> UInt64? {
        let json = try QEMUImage.run("info", "--output=json", "-f", format, path).output
        struct Answer: Decodable {
            var size: UInt64
            enum CodingKeys: String, CodingKey { case size = "virtual-size" }
        }
        return try JSONDecoder().decode(Answer.self, from: Data(json.utf8)).size
    }

    @Test(.enabled(if: QEMUImage.isThere)) func itAgreesOnSizes() throws {
        let folder = try Folder()
        for (index, text) in ["0", "1", "513", "10M", "3T"].enumerated() {
            for format in ImageFormat.allCases {
                let path = folder("\(format.rawValue)\(index)")
                disk("create", path, text, "--format", format.rawValue)
                #expect(
                    try sizeForQEMU(path, format.rawValue) == size(path, format.format), "\(text)")
                disk("resize", path, "+7M", "--format", format.rawValue)
                #expect(
                    try sizeForQEMU(path, format.rawValue) == size(path, format.format), "\(text)")
            }
        }
        try write([UInt8](repeating: 1, count: 1000), folder("odd"))
        #expect(try sizeForQEMU(folder("odd"), "raw") == size(folder("odd")))
    }

    @Test(.enabled(if: QEMUImage.isThere)) func itAgreesOnWhatWasConverted() throws {
        let folder = try Folder()
        try write(content(), folder("raw"))
        disk(
            "create", folder("top"), "--format", "qcow2", "--backing", "raw",
            "--backing-format", "raw")
        disk("convert", folder("top"), folder("a"), "--to", "qcow2", "--from", "qcow2")
        for (name, format) in [("a", "qcow2"), ("top", "qcow2")] {
            let answer = try QEMUImage.run(
                "compare", "-f", "raw", "-F", format, folder("raw"), folder(name))
            #expect(answer.status == 0, "\(answer.output)")
        }
        #expect(try QEMUImage.run("check", "-f", "qcow2", folder("a")).status == 0)
        // Its own images, packed.
        let packed = try QEMUImage.run(
            "convert", "-c", "-f", "raw", "-O", "qcow2", folder("raw"), folder("packed"))
        #expect(packed.status == 0, "\(packed.output)")
        disk("convert", folder("packed"), folder("b"), "--to", "raw", "--from", "qcow2")
        #expect(try bytes(folder("b")) == content())
    }

    @Test func mistakesOfConversion() throws {
        let folder = try Folder()
        try write(content(), folder("raw"))
        let new = folder("new")
        refused("make it with", by: "convert", folder("none"), new, "--to", "raw")
        refused(
            "is no qcow2 image", by: "convert", folder("raw"), new, "--to", "raw", "--from", "qcow2"
        )
        refused(
            "is no NBD URI", by: "convert", folder("raw"), new, "--to", "raw", "--from", "nbd")
        refused(
            "leave --from out", by: "convert", "nbd://host/x", new, "--to", "raw", "--from", "raw")
        refused(
            "is its server running?", by: "convert", "nbd+unix:///?socket=\(folder("none"))", new,
            "--to", "raw")
        refused("neither a file", by: "convert", "/dev/null", new, "--to", "raw")
        refused(
            "make its folder first", by: "convert", folder("raw"), folder("no/new"), "--to", "raw")
        #expect(!folder.has("new"))
    }
}

/// qemu-img, where it is installed.
enum QEMUImage {
    private static let path = ["/usr/bin/qemu-img", "/usr/local/bin/qemu-img"]
        .first { FileManager.default.isExecutableFile(atPath: $0) }

    static let isThere = path != nil

    static func run(_ arguments: String...) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path ?? "qemu-img")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
