import ArgumentParser
import Disks
import Vocabulary

/// `martlet disk check`.
struct DiskCheckCommand: ParsableCommand {
    /// The exit status of images that are broken, as qemu-img has it.
    static let errorStatus: Int32 = 2
    /// And of those that only waste space.
    static let leakStatus: Int32 = 3

    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Compares what a qcow2 disk refers to with what it counts.",
        discussion: """
            Exit status: 0 if all is well or was repaired, 2 if the disk has errors, 3 if it only \
            has leaks, which are clusters that nothing refers to: space lost, and no harm.
            """)

    @Argument(help: "The disk.")
    var path: String

    @Option(
        help: ArgumentHelp(
            "The format of the disk; only qcow2 can be checked.", valueName: "format"))
    var format = ImageFormat.raw

    @Flag(
        help:
            "Gives leaks back, and makes the counts that a writer which was killed left for later.")
    var repair = false

    func run() throws {
        guard format == .qcow2 else {
            let info = try DiskImage.info(path: path, format: .raw)
            throw XError(
                .unsupported,
                info.beginsLikeQCOW2 == true
                    ? "in a raw disk is nothing to check; \(DiskInfoCommand.hint(path))"
                    : "in the raw disk '\(path)' is nothing to check: add --format qcow2 if it is one"
            )
        }
        let report = try DiskImage.check(path: path, format: .qcow2, repairLeaks: repair)
        for line in Self.lines(report, repairs: repair) { print(line) }
        let status = Self.status(report)
        if status != 0 { throw ExitCode(status) }
    }

    static func status(_ report: DiskCheckReport) -> Int32 {
        if report.corruptions > 0 { return errorStatus }
        return report.isClean ? 0 : leakStatus
    }

    static func lines(_ report: DiskCheckReport, repairs: Bool) -> [String] {
        var lines = report.problems
        if report.corruptions > report.problems.count {
            lines.append("and \(report.corruptions - report.problems.count) errors more")
        }
        if report.isRebuilt { lines.append("made the refcounts that were left for later") }
        if report.repairedLeaks > 0 {
            lines.append("gave \(Self.count(report.repairedLeaks, "leaked cluster")) back")
        }
        let leaks = report.leakedClusters - report.repairedLeaks
        lines.append(
            "\(Self.count(report.corruptions, "error")), \(Self.count(leaks, "leaked cluster"))")
        if report.corruptions > 0 {
            lines.append(
                "errors cannot be repaired here: copy what is left with 'martlet disk convert', or try "
                    + "qemu-img check -r all")
        } else if leaks > 0 {
            lines.append(
                repairs ? "repair once more for the rest" : "leaks are given back with --repair")
        }
        if report.isMarkedCorrupt { lines.append("the disk is marked as corrupt") }
        if report.isMarkedDirty { lines.append("the disk is marked as dirty") }
        lines.append(
            "\(report.allocatedClusters) of \(Self.count(report.totalClusters, "cluster")) in use, "
                + "\(report.compressedClusters) packed")
        return lines
    }

    private static func count(_ number: Int, _ what: String) -> String {
        "\(number) \(what)\(number == 1 ? "" : "s")"
    }
}
