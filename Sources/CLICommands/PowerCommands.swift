import ArgumentParser
import Foundation
import Machine
import Vocabulary

/// Seconds that a guest is given.
struct PowerTimes: ParsableArguments {
    @Option(
        help: ArgumentHelp("For the guest to acknowledge the request.", valueName: "seconds"))
    var acknowledge = PowerSequence.acknowledgeSeconds

    @Option(help: ArgumentHelp("For the guest to end, after that.", valueName: "seconds"))
    var end = PowerSequence.endSeconds

    func validate() throws {
        guard acknowledge > 0, acknowledge < 1e6, end > 0, end < 1e6 else {
            throw ValidationError("give seconds above 0, below a million")
        }
    }

    func request(
        _ kind: ControlMessage.Request.Kind, _ power: PowerRequest
    ) -> ControlMessage.Request {
        ControlMessage.Request(
            kind: kind, power: power, acknowledgeSeconds: acknowledge, endSeconds: end)
    }

    func request(
        _ kind: ControlMessage.Request.Kind, to file: String, compresses: Bool
    ) -> ControlMessage.Request {
        ControlMessage.Request(
            kind: kind, path: URL(fileURLWithPath: file).path, compresses: compresses,
            acknowledgeSeconds: acknowledge, endSeconds: end)
    }
}

/// `martlet stop`.
struct StopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "Asks a guest to power off, and ends it if it does not.")

    @Argument(help: "The machine's --name.") var name: String
    @OptionGroup var times: PowerTimes

    func run() throws { try ControlClient.sendAndTell(times.request(.stop, .powerOff), to: name) }
}

/// `martlet poweroff`.
struct PowerOffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "poweroff", abstract: "Asks a guest to power off, and waits for it.")

    @Argument(help: "The machine's --name.") var name: String
    @Flag(help: "Asks it to halt.") var halt = false
    @OptionGroup var times: PowerTimes

    func run() throws {
        try ControlClient.sendAndTell(
            times.request(.power, halt ? .halt : .powerOff), to: name)
    }
}

/// `martlet reboot`.
struct RebootCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reboot", abstract: "Asks a guest to end, and boots it again.")

    @Argument(help: "The machine's --name.") var name: String
    @OptionGroup var times: PowerTimes

    func run() throws { try ControlClient.sendAndTell(times.request(.power, .reboot), to: name) }
}

/// `martlet sysrq`.
struct SystemRequestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sysrq",
        abstract: "Presses a key of the guest kernel's SysRq; its log has what it says.")

    @Argument(help: "The machine's --name.") var name: String
    @Argument(help: "One key: h tells which there are.") var key: String

    func run() throws {
        guard key.utf8.count == 1, key.first?.isASCII == true else {
            throw XError(.invalidArgument, "'\(key)' is no key of SysRq: give one letter or digit")
        }
        try ControlClient.sendAndTell(
            ControlMessage.Request(kind: .sysrq, key: key), to: name)
    }
}

/// `martlet suspend`.
struct SuspendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "suspend",
        abstract: "Writes a machine to a file and ends it; martlet resume goes on with it.")

    @Argument(help: "The machine's --name.") var name: String
    @Argument(help: "The file, which is replaced.") var file: String
    @Flag(help: "Compresses the file: smaller, and slower to write and to resume.")
    var compress = false
    @OptionGroup var times: PowerTimes

    func run() throws {
        try ControlClient.sendAndTell(
            times.request(.suspend, to: file, compresses: compress), to: name)
    }
}

/// `martlet checkpoint`.
struct CheckpointCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkpoint",
        abstract: "Writes a machine to a file; its guest goes on.")

    @Argument(help: "The machine's --name.") var name: String
    @Argument(help: "The file, which is replaced.") var file: String
    @Flag(help: "Compresses the file: smaller, and slower to write and to resume.")
    var compress = false
    @OptionGroup var times: PowerTimes

    func run() throws {
        try ControlClient.sendAndTell(
            times.request(.checkpoint, to: file, compresses: compress), to: name)
    }
}
