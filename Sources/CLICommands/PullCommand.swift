import ArgumentParser
import Vocabulary
struct PullCommand: ParsableCommand {
    func run() throws {}
}
struct RunCommand: ParsableCommand {
    func run() throws {}
}
struct DisassembleCommand: ParsableCommand {
    func run() throws {}
}
