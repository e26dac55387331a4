import ArgumentParser
import Disks
import Foundation
import Vocabulary

/// `martlet disk info`.
struct DiskInfoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Says what a disk is, and whether it is in use.")

    @Argument(help: "The disk.")
    var path: String

    @Option(help: ArgumentHelp("The format of the disk.", valueName: "format"))
    var format = ImageFormat.raw

    @Flag(help: "Prints JSON.")
    var json = false

    func run() throws {
        let info = try DiskImage.info(path: path, format: format.format)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            print(String(decoding: try encoder.encode(info), as: UTF8.self))
        } else {
            for line in Self.lines(info) { print(line) }
        }
        if info.beginsLikeQCOW2 == true { StandardError.write("martlet: \(Self.hint(path))\n") }
    }

    /// What a raw disk may be instead.
    static func hint(_ path: String) -> String {
        "the raw disk '\(path)' begins like a qcow2 image: add --format qcow2 if it is one and its guest "
            + "did not write that"
    }

    static func lines(_ info: DiskImage.Info) -> [String] {
        func yesOrNo(_ value: Bool) -> String { value ? "yes" : "no" }
        var lines = ["path: \(info.path)"]
        lines.append(
            "format: \(info.format.rawValue)" + (info.version.map { ", version \($0)" } ?? ""))
        lines.append("virtual size: \(ByteSize.text(info.byteCount))")
        lines.append("allocated: \(ByteSize.text(info.allocatedByteCount))")
        if let size = info.clusterSize {
            lines.append("cluster size: \(ByteSize.text(UInt64(size)))")
        }
        if let bits = info.refcountBits { lines.append("refcounts: \(bits) bits") }
        if let compression = info.compression { lines.append("compression: \(compression)") }
        if let count = info.snapshotCount { lines.append("snapshots: \(count)") }
        if let backing = info.backingPath {
            lines.append("backing file: \(backing) (\(info.backingFormat ?? "format not said"))")
        }
        if let isDirty = info.isDirty { lines.append("dirty: \(yesOrNo(isDirty))") }
        if let isCorrupt = info.isCorrupt { lines.append("corrupt: \(yesOrNo(isCorrupt))") }
        switch info.usage {
        case .unused: lines.append("in use: no")
        case .read: lines.append("in use: yes, others read it")
        case .written: lines.append("in use: yes, somebody writes to it")
        }
        return lines
    }
}
