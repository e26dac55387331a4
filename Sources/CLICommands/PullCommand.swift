import ArgumentParser
import Boot
import Vocabulary

/// `martlet pull`.
struct PullCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Gets a stock kernel through the package manager, without installing it.")

    @Argument(help: ArgumentHelp(stringLiteral: KernelStore.names.joined(separator: ", ") + "."))
    var name = "debian"

    @Flag(help: "Prints no progress.")
    var quiet = false

    func run() throws {
        let progress = Progress(quiet: quiet)
        let kernel = try KernelStore().pull(name) { progress.step($0) }
        progress.done()
        print(kernel.path)
    }
}
