import ArgumentParser
import Boot
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
        let progress = Progress(quiet: quiet)
        let kernel = try KernelStore().pull(name) { progress.step($0) }
        progress.done()
        print(kernel.path)
    }
}
