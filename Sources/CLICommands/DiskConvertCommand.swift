import ArgumentParser
import Disks
import Synchronization
import Vocabulary

/// `martlet disk convert`.
struct DiskConvertCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Copies a disk into a new one of another format, without its zeros.",
        discussion: """
            The copy holds everything itself, also what lies below a qcow2 disk. An NBD URI as \
            SOURCE is the disk of a server: nbd://HOST/EXPORT or nbd+unix:///EXPORT?socket=PATH.
            """)

    @Argument(help: "The disk to copy; nobody may write to it meanwhile.")
    var source: String

    @Argument(help: "Where the copy goes; nothing may be there yet.")
    var target: String

    @Option(help: ArgumentHelp("The format of the copy.", valueName: "format"))
    var to: ImageFormat

    @Option(
        help: ArgumentHelp(
            "The format of the disk to copy. Raw unless it is an NBD URI.",
            valueName: "format"))
    var from: SourceFormat?

    @Flag(help: "Prints no progress.")
    var quiet = false

    /// The disk to copy.
    func specification() throws -> DiskSpecification {
        let isAddress = DiskSpecification.isNetworkAddress(source)
        let format = from?.format ?? (isAddress ? .nbd : .raw)
        if format == .nbd, !isAddress {
            throw XError(
                .invalidArgument,
                "'\(source)' is no NBD URI: write nbd://HOST/EXPORT or nbd+unix:///EXPORT?socket=PATH"
            )
        }
        if format != .nbd, isAddress {
            throw XError(
                .unsupported,
                "the disk '\(source)' is on an NBD server and cannot be \(format.rawValue): leave --from "
                    + "out, or write ./\(source) for a file of that name")
        }
        var specification = DiskSpecification(path: source, format: format)
        specification.isReadOnly = true
        return specification
    }

    func run() throws {
        let specification = try specification()
        let progress = Progress(quiet: quiet)
        let shown = Atomic<UInt64>(.max)
        defer {
            progress.done()
            UnfinishedFile.leave()
        }
        let name = "converting '\(source)'"
        try Self.convert(specification, target, to.format) { done, total in
            let percent = total == 0 ? 100 : UInt64(Double(done) / Double(total) * 100)
            if shown.exchange(percent, ordering: .relaxed) != percent {
                progress.step("\(name): \(percent) %")
            }
        }
    }

    /// A target that is not whole is removed, also if a signal ends the program.
    private static func convert(
        _ source: DiskSpecification, _ target: String, _ format: DiskFormat,
        _ progress: @escaping DiskImage.ProgressHandler
    ) throws(XError) {
        let isThere = Atomic<Bool>(false)
        try DiskImage.convert(source, to: target, format: format) { done, total in
            if !isThere.exchange(true, ordering: .relaxed) { UnfinishedFile.enter(target) }
            progress(done, total)
        }
    }
}
