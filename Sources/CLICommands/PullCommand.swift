import ArgumentParser
import Vocabulary

/// `martlet pull`.
struct PullCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Gets a stock kernel through the package manager, without installing it.")

    @Argument(help: "debian, debian-cloud or debian-rt.")
    var name = "debian"

    @Flag(help: "Prints no progress.")
    var quiet = false

    func run() throws {
        guard KernelChoice.stockNames.contains(name) else {
            throw XError(
                .invalidArgument,
                "no kernel is named '\(name)': give \(KernelChoice.stockNames.joined(separator: ", "))"
            )
        }
    }
}
