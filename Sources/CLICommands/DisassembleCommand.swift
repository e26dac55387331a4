import ArgumentParser
import Vocabulary

/// `martlet disassemble`.
struct DisassembleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disassemble",
        abstract: "Shows machine code as Martlet's own decoder reads it.")

    func run() throws {}
}
