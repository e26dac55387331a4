import ArgumentParser
import Disks
import Foundation
import Machine
import Vocabulary

/// `martlet resume`.
struct ResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Goes on with a machine that was suspended, or with a checkpoint of it.",
        discussion: """
            Its disks and networks are those it had, and must be as it left them: a checkpoint goes with \
            a copy of its disks of that moment. With --lazy its memory is read when it is touched: the file \
            must stay as it is. With --record what was touched is written to FILE.workingset, and later \
            runs with --lazy read that ahead.
            """,
        aliases: ["restore"])

    @Argument(help: "The file, or its address on an NBD server.") var file: String

    @Option(help: ArgumentHelp("Another name for the machine.", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("Ends the guest after so many seconds.", valueName: "seconds"))
    var timeout: Double?

    @Flag(help: "Prints statistics as JSON on standard error at the end.")
    var stats = false

    @Flag(help: "Goes on at once, and reads its memory as it is touched.")
    var lazy = false

    @Flag(help: "With --lazy: keeps which memory was touched, for later runs to read ahead.")
    var record = false

    @Flag(help: "Prints no progress.")
    var quiet = false

    func validate() throws {
        if record, !lazy { throw ValidationError("--record goes with --lazy") }
        if record, DiskSpecification.isNetworkAddress(file) {
            throw ValidationError("--record writes beside a file, and '\(file)' is on a server")
        }
    }

    func run() throws {
        let snapshot = try MachineSnapshot(path: file)
        guard let data = snapshot.note(SavedRun.note),
            let saved = try? JSONDecoder().decode(SavedRun.self, from: data)
        else {
            throw XError(
                .invalidFormat,
                "the snapshot '\(file)' was not made by martlet suspend or checkpoint")
        }
        var changes = saved.changes ?? RunChanges()
        changes.name = name ?? changes.name
        var resumption = GuestRun.Resumption(snapshot, saved, isLazy: lazy)
        // Before the folder becomes another.
        if lazy, !DiskSpecification.isNetworkAddress(file) {
            resumption.workingSet = SnapshotWorkingSet(of: file, snapshot, records: record)
        }
        var options = try saved.options(changes)
        options.timeout = timeout
        options.stats = stats
        options.quiet = quiet
        let status = try GuestRun(options, changes, resuming: resumption).run()
        if status != 0 { throw ExitCode(status) }
    }
}

/// What `martlet run` keeps with a machine that is suspended.
struct SavedRun: Codable {
    static let note = "run"

    /// Of `martlet run`.
    var arguments: [String]
    /// Where paths among them begin.
    var directory: String
    /// Of the agent's session; nil: the guest has an initramfs of the user's.
    var session: AgentSession.Saved?
    /// What is other than the arguments say; nil: nothing.
    var changes: RunChanges?

    /// The options of the run that was suspended, with changes, where its paths are right.
    func options(_ changes: RunChanges) throws -> RunCommand {
        guard FileManager.default.changeCurrentDirectoryPath(directory) else {
            throw XError(
                .notFound,
                "the folder '\(directory)' of the suspended run is not there: make it again, with its "
                    + "disks")
        }
        guard arguments.first == "run",
            var command = try RunCommand.parseAsRoot(Array(arguments.dropFirst())) as? RunCommand
        else {
            throw XError(.invalidFormat, "what was suspended was no martlet run")
        }
        changes.apply(to: &command)
        return command
    }
}
