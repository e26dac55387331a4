import ArgumentParser
import Foundation
import FuzzTargets

@main
struct Fuzz: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fuzz",
        abstract: "Gives random bytes to the parts that take bytes from strangers.",
        subcommands: [RunCommand.self, ReplayCommand.self, BatchCommand.self])
}

struct TargetName: ExpressibleByArgument {
    var type: any FuzzTarget.Type

    init?(argument: String) {
        guard let type = FuzzTargets.named(argument) else { return nil }
        self.type = type
    }

    static var allValueStrings: [String] { FuzzTargets.all.map { $0.name } }
    var defaultValueDescription: String { type.name }
}

/// `fuzz run`.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Runs targets; what they find is shrunk and written to a folder.")

    @Argument(help: "loader, decoder, guest; all of them if none is named.")
    var targets: [TargetName] = []

    @Option(help: "Seconds for each target.")
    var seconds = 60.0

    @Option(help: "Where the random numbers start; a random one if it is not given.")
    var seed: UInt64?

    @Option(help: "The folder for what is found.")
    var cases = "Fuzz/FailCases"

    @Option(help: "Ends a target after so many findings.")
    var findings = 8

    func run() throws {
        let seed = seed ?? UInt64.random(in: 1...(1 << 48))
        let types = targets.isEmpty ? FuzzTargets.all : targets.map(\.type)
        var found = 0
        for type in types {
            let campaign = Campaign(
                type: type, seed: seed, seconds: seconds, findingLimit: findings, folder: cases)
            found += try campaign.run()
        }
        if found > 0 { throw ExitCode(1) }
    }
}

/// `fuzz replay`: one file, or the case that a seed and a number make, in this process.
struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Runs one case in this process.")

    @Argument(help: "A file of Fuzz/FailCases.")
    var file: String

    @Option(help: "Runs it so often.")
    var times = 1

    func run() throws {
        let url = URL(fileURLWithPath: file)
        let text = try String(contentsOf: url, encoding: .utf8)
        guard let found = FailCase(fileName: url.lastPathComponent, text: text),
            let type = FuzzTargets.named(found.targetName)
        else { throw ValidationError("'\(file)' is no case: its name starts with its target's") }
        for _ in 0..<times {
            if let fault = try type.init().run(found.bytes) {
                print(fault)
                throw ExitCode(Batch.faultStatus)
            }
        }
    }
}

/// What the children of a campaign run; not for people.
struct BatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "batch", shouldDisplay: false)

    @Argument var target: TargetName
    @Option var seed: UInt64
    @Option var first: UInt64
    @Option var seconds: Double
    @Option var progress: String

    func run() throws {
        try Batch(
            type: target.type, seed: seed, first: first, seconds: seconds, progressPath: progress
        ).run()
    }
}
