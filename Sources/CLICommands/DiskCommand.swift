import ArgumentParser
import Disks
import Vocabulary

/// `martlet disk`.
struct DiskCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disk",
        abstract: "Makes, shows, checks, resizes and converts disk images.",
        discussion: """
            martlet disk create disk.img 10G
            martlet disk resize disk.img +5G
            martlet disk convert disk.img disk.qcow2 --to qcow2
            martlet disk info disk.qcow2 --format qcow2

            A disk is raw unless its format is named: what it holds decides nothing, because its \
            guest wrote that.
            """,
        subcommands: [
            DiskCreateCommand.self, DiskInfoCommand.self, DiskCheckCommand.self,
            DiskResizeCommand.self, DiskConvertCommand.self,
        ])
}

/// The format of a disk image in a file.
enum ImageFormat: String, ExpressibleByArgument, CaseIterable {
    case raw, qcow2

    var format: DiskFormat {
        switch self {
        case .raw: .raw
        case .qcow2: .qcow2
        }
    }
}

/// The format of a disk that is only read.
enum SourceFormat: String, ExpressibleByArgument, CaseIterable {
    case raw, qcow2, nbd

    var format: DiskFormat {
        switch self {
        case .raw: .raw
        case .qcow2: .qcow2
        case .nbd: .nbd
        }
    }
}

/// `10G`: the size of a disk.
struct DiskSize: ExpressibleByArgument, Equatable {
    var byteCount: UInt64

    init?(argument: String) {
        guard let count = ByteSize.byteCount(argument, plainShift: 0) else { return nil }
        byteCount = count
    }
}

/// `10G`, `+1G` or `-1G`: the new size of a disk.
enum DiskSizeChange: Equatable {
    case to(UInt64)
    case more(UInt64)
    case less(UInt64)

    init?(argument: String) {
        let digits =
            argument.first.map("+-".contains) == true ? argument.dropFirst() : argument[...]
        guard let count = ByteSize.byteCount(String(digits), plainShift: 0) else { return nil }
        switch argument.first {
        case "+": self = .more(count)
        case "-": self = .less(count)
        default: self = .to(count)
        }
    }

    /// The size of a disk that had `old` bytes; nil: no disk can have it.
    func applied(to old: UInt64) -> UInt64? {
        switch self {
        case .to(let count): return count
        case .more(let count):
            let (sum, overflow) = old.addingReportingOverflow(count)
            return overflow ? nil : sum
        case .less(let count): return count <= old ? old - count : nil
        }
    }
}

/// `martlet disk create`.
struct DiskCreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Makes an empty disk, or one over another disk that stays as it is.")

    @Argument(help: "Where; nothing may be there yet.")
    var path: String

    @Argument(help: "Bytes, or with a unit: 512M, 10G. Over another disk: that one's size.")
    var size: DiskSize?

    @Option(help: ArgumentHelp("The format of the disk.", valueName: "format"))
    var format = ImageFormat.raw

    @Option(
        help: ArgumentHelp(
            "The disk below, whose bytes the new one shows until they are written; its path is "
                + "relative to the new disk's folder.", valueName: "file"))
    var backing: String?

    @Option(help: ArgumentHelp("The format of the disk below.", valueName: "format"))
    var backingFormat: ImageFormat?

    func run() throws {
        guard size != nil || backing != nil else {
            throw XError(
                .invalidArgument,
                "the new disk '\(path)' has no size: give one, such as 10G, or --backing FILE")
        }
        if let backing, format != .qcow2 {
            throw XError(
                .invalidArgument,
                "a raw disk cannot lie over '\(backing)': add --format qcow2")
        }
        if let backing, backingFormat == nil {
            throw XError(
                .invalidArgument,
                "the format of '\(backing)' is not said: add --backing-format raw or qcow2")
        }
        if backing == nil, backingFormat != nil {
            throw XError(
                .invalidArgument,
                "--backing-format has no disk: add --backing FILE, or leave it out")
        }
        var options = DiskImage.CreationOptions()
        options.backingPath = backing
        options.backingFormat = backingFormat?.format
        try DiskImage.create(
            path: path, format: format.format, byteCount: size?.byteCount, options: options)
    }
}

/// `martlet disk resize`.
struct DiskResizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resize",
        abstract: "Makes a disk larger or smaller.",
        usage: "martlet disk resize PATH SIZE [--format raw|qcow2] [--shrink]",
        discussion: """
            SIZE is the new size, 10G, or the difference to the old one, +1G or -1G. A smaller raw \
            disk has lost what was behind its new end; of a qcow2 disk that must be unused.
            """)

    // Unrecognized: -1G looks like an option.
    @Argument(
        parsing: .allUnrecognized,
        help: ArgumentHelp("The disk and its size.", valueName: "path size"))
    var words: [String] = []

    @Option(help: ArgumentHelp("The format of the disk.", valueName: "format"))
    var format = ImageFormat.raw

    @Flag(help: "Lets the disk become smaller.")
    var shrink = false

    func run() throws {
        if let unknown = words.first(where: {
            $0.hasPrefix("-") && DiskSizeChange(argument: $0) == nil
        }
        ) {
            throw XError(
                .invalidArgument,
                "'\(unknown)' is no option and no size: see 'martlet disk resize --help'")
        }
        guard words.count == 2 else {
            throw XError(
                .invalidArgument,
                "a disk and its size are needed, and given is '\(words.joined(separator: " "))': write "
                    + "martlet disk resize PATH SIZE")
        }
        let path = words[0]
        guard let change = DiskSizeChange(argument: words[1]) else {
            throw XError(
                .invalidArgument, "the size '\(words[1])' is none: give one such as 10G, +1G or -1G"
            )
        }
        let old = try DiskImage.info(path: path, format: format.format).byteCount
        guard let new = change.applied(to: old) else {
            throw XError(
                .invalidArgument,
                "the disk '\(path)' has \(ByteSize.text(old)) and cannot change by \(words[1]): give "
                    + "another size")
        }
        guard new >= old || shrink else {
            throw XError(
                .invalidArgument,
                "the disk '\(path)' has \(ByteSize.text(old)), and \(ByteSize.text(new)) would cut off "
                    + "its end: add --shrink if nothing is there")
        }
        try DiskImage.resize(
            path: path, format: format.format, byteCount: new, allowShrink: shrink)
    }
}
