import ArgumentParser
import Foundation
import Machine
import Snapshot
import Vocabulary

/// `martlet snapshot`.
struct SnapshotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "Shows, checks and converts files of suspended machines.",
        discussion: """
            martlet snapshot inspect machine.snapshot
            martlet snapshot verify machine.snapshot
            martlet snapshot convert machine.snapshot small.snapshot --compress

            They are made by martlet suspend and checkpoint; martlet resume goes on with one.
            """,
        subcommands: [
            SnapshotInspectCommand.self, SnapshotVerifyCommand.self, SnapshotConvertCommand.self,
        ])
}

/// `martlet snapshot inspect`.
struct SnapshotInspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Says what a snapshot holds.",
        discussion: "Memory is not read: martlet snapshot verify does that.")

    @Argument(help: "The file, or its address on an NBD server.")
    var file: String

    @Flag(help: "Prints JSON.")
    var json = false

    func run() throws {
        // One after the other: a server may have no more than one client.
        let machine = try MachineSnapshot(path: file).summary
        let description = SnapshotDescription(try SnapshotReader(path: file), machine: machine)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            print(String(decoding: try encoder.encode(description), as: UTF8.self))
        } else {
            for line in description.lines { print(line) }
        }
    }
}

/// `martlet snapshot verify`.
struct SnapshotVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Reads all of a snapshot and compares it with its checksums.",
        discussion: "Exit status: 0 if all is well, 125 if not, with what is damaged.")

    @Argument(help: "The file, or its address on an NBD server.")
    var file: String

    func run() throws {
        let line: String
        do {
            let reader = try SnapshotReader(path: file)
            try reader.verify()
            line =
                "\(file): all is well, \(reader.presentPageCount) pages and "
                + "\(ByteSize.text(UInt64(reader.manifest.count))) of other state"
        }
        // One after the other: a server may have no more than one client.
        _ = try MachineSnapshot(path: file)
        print(line)
    }
}

/// `martlet snapshot convert`.
struct SnapshotConvertCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Copies a snapshot into a new one, compressed or not.",
        discussion: """
            The copy is of the version that this Martlet writes, whatever the snapshot's is. \
            Compressed as the snapshot is unless it is said.
            """)

    @Argument(help: "The snapshot to copy, or its address on an NBD server.")
    var source: String

    @Argument(help: "Where the copy goes; nothing may be there yet.")
    var target: String

    @Flag(inversion: .prefixedNo, help: "Compresses the copy.")
    var compress: Bool?

    func run() throws {
        let reader = try SnapshotReader(path: source)
        var compression = reader.compression
        if let compress { compression = compress ? .zstd : .none }
        defer { UnfinishedFile.leave() }
        try SnapshotWriter.convert(reader, to: target, compression: compression) { name in
            UnfinishedFile.enter(name)
        }
    }
}

/// What a snapshot holds, as `martlet snapshot inspect` says it.
struct SnapshotDescription: Codable, Equatable {
    struct Section: Codable, Equatable {
        var tag: String
        var isOptional: Bool
        var offset: UInt64
        var byteCount: UInt64
    }

    var path: String
    var version: UInt32
    /// When it was made, in seconds since 1970; nil: not known.
    var createdSeconds: Double?
    var machine: MachineSnapshot.Summary
    var memoryByteCount: UInt64
    /// Pages of 4096 bytes that are in the file, and those that are zeros.
    var presentPages: UInt64
    var zeroPages: UInt64
    /// Bytes of memory as the file has them.
    var storedByteCount: UInt64
    var compression: String
    /// Whether pages can be mapped as they lie in the file.
    var isMappable: Bool
    var sections: [Section]

    init(_ reader: SnapshotReader, machine: MachineSnapshot.Summary) {
        path = reader.path
        version = reader.version
        createdSeconds = reader.createdNanoseconds.map { Double($0) / 1e9 }
        self.machine = machine
        memoryByteCount = reader.memoryByteCount
        presentPages = UInt64(reader.presentPageCount)
        zeroPages = (reader.memoryByteCount + 4095) / 4096 - presentPages
        storedByteCount = reader.storedByteCount
        compression = reader.compression.name
        isMappable = reader.isMappable
        sections = reader.sections.map {
            Section(
                tag: $0.tag.description, isOptional: $0.isOptional, offset: $0.offset,
                byteCount: $0.byteCount)
        }
    }

    var lines: [String] {
        var lines = ["path: \(path)", "version: \(version)"]
        if let createdSeconds {
            let date = Date(timeIntervalSince1970: createdSeconds)
            lines.append("created: \(ISO8601DateFormatter().string(from: date))")
        }
        lines += [
            "platform: \(machine.platform)",
            "vCPUs: \(machine.processorCount), processor \(machine.processor), engine "
                + machine.engine,
            "memory: \(ByteSize.text(memoryByteCount))",
            "pages: \(presentPages) present, \(zeroPages) zero",
            "stored: \(ByteSize.text(storedByteCount)), compression \(compression)"
                + (isMappable ? ", mappable" : ""),
        ]
        for section in sections {
            lines.append(
                "section \(section.tag): \(ByteSize.text(section.byteCount)) at byte \(section.offset)"
                    + (section.isOptional ? ", optional" : ""))
        }
        return lines
    }
}
