import ArgumentParser
import Glibc
import Vocabulary
import XenStore

/// `martlet xenstore`.
struct XenStoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "xenstore",
        abstract: "Looks into a guest's XenStore and changes it, with the rights of the host.",
        discussion: """
            The guest is one of 'martlet run --platform xen --xenstore-socket PATH'. A path that does
            not begin with / begins at /local/domain/0. A node that is not there: status 1.
            """,
        subcommands: [List.self, Read.self, Write.self, Watch.self, Remove.self])

    struct Connection: ParsableArguments {
        @Option(help: ArgumentHelp("The socket of the guest's store.", valueName: "path"))
        var socket: String

        /// Connects, and says what the store refuses in the words of a person.
        func use(_ body: (XenStoreClient) throws -> Void) throws {
            let client = try XenStoreClient(path: socket)
            do {
                try body(client)
            } catch let refusal as Refusal {
                let error = refusal.error
                if error.code == .notFound {
                    StandardError.write("martlet: \(MartletProgram.oneLine(error.message))\n")
                    throw ExitCode(1)
                }
                throw error
            } catch let refusal as StoreError {
                throw XError(
                    .busy, "the store at '\(socket)' said \(refusal.rawValue): try it again",
                    cause: refusal)
            }
        }
    }

    /// Of one node.
    struct Refusal: Error {
        var error: XError

        init(_ refusal: StoreError, _ node: String) {
            let (code, words): (XError.Code, String) =
                switch refusal {
                case .notFound:
                    (.notFound, "is not there: 'martlet xenstore ls' shows what is")
                case .invalidArgument:
                    (.invalidArgument, "is no path: give /, and names of letters, digits and -_@")
                case .tooBig:
                    (
                        .invalidArgument,
                        "and its value have more than 4096 bytes: give a shorter one"
                    )
                case let other:
                    (.busy, "was refused by the store with \(other.rawValue): try it again")
                }
            error = XError(code, "the node '\(node)' \(words)", cause: refusal)
        }
    }

    /// Names the node in what the store refuses.
    static func about<Value>(_ node: String, _ body: () throws -> Value) throws -> Value {
        do { return try body() } catch let error as StoreError { throw Refusal(error, node) }
    }

    // MARK: Commands

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls", abstract: "Prints the nodes below a path with their values.")

        @OptionGroup var connection: Connection

        @Flag(name: .short, help: "Prints whole paths, and whole values.")
        var full = false

        @Argument(help: "The node to begin at.")
        var path = "/"

        func run() throws {
            try connection.use { try list($0, path, depth: 0) }
        }

        private func list(_ client: XenStoreClient, _ node: String, depth: Int) throws {
            let names: [String]
            do {
                names = try client.directory(node)
            } catch StoreError.notFound where depth > 0 {
                // It went while it was looked at.
                return
            } catch let error as StoreError {
                throw Refusal(error, node)
            }
            for name in names {
                let child = node.hasSuffix("/") ? node + name : node + "/" + name
                let value = try? client.read(child)
                print(
                    full
                        ? StoreText.line(child, value)
                        : StoreText.line(name, value, depth: depth, width: Terminal.outputWidth))
                try list(client, child, depth: depth + 1)
            }
        }
    }

    struct Read: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "read", abstract: "Prints the values of nodes, a line each.")

        @OptionGroup var connection: Connection

        @Flag(help: "Prints the bytes as they are, with nothing between them.")
        var raw = false

        @Argument(help: "The nodes.")
        var path: [String]

        func run() throws {
            try connection.use { client in
                var values: [[UInt8]] = []
                try client.inTransaction { transaction in
                    values = try path.map { node in
                        try XenStoreCommand.about(node) { try client.read(node, transaction) }
                    }
                }
                for value in values {
                    let line = raw ? value : Array((StoreText.visible(value) + "\n").utf8)
                    DescriptorOutput.write(line, to: STDOUT_FILENO)
                }
            }
        }
    }

    struct Write: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "write",
            abstract: "Gives nodes values, all or none, and makes those that are not there.")

        @OptionGroup var connection: Connection

        @Argument(help: ArgumentHelp("A node and its value, repeatable.", valueName: "path value"))
        var words: [String]

        func validate() throws {
            guard words.count.isMultiple(of: 2) else {
                throw ValidationError(
                    "the node '\(words.last ?? "")' has no value: give PATH VALUE, PATH VALUE...")
            }
        }

        func run() throws {
            try connection.use { client in
                try client.inTransaction { transaction in
                    for index in stride(from: 0, to: words.count, by: 2) {
                        try XenStoreCommand.about(words[index]) {
                            try client.write(words[index], words[index + 1], transaction)
                        }
                    }
                }
            }
        }
    }

    struct Watch: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "watch",
            abstract: "Prints the path of each change at a node and below, first its own at once.")

        @OptionGroup var connection: Connection

        @Option(name: .short, help: ArgumentHelp("Ends after so many lines.", valueName: "count"))
        var number: Int?

        @Argument(help: "The node, or @introduceDomain or @releaseDomain.")
        var path: String

        func validate() throws {
            guard number ?? 1 > 0 else {
                throw ValidationError("-n \(number ?? 0): give a number of lines above 0")
            }
        }

        func run() throws {
            try connection.use { client in
                try XenStoreCommand.about(path) { try client.watch(path) }
                var count = 0
                while number.map({ count < $0 }) ?? true {
                    let line = try client.nextEvent() + "\n"
                    guard DescriptorOutput.write(Array(line.utf8), to: STDOUT_FILENO) else {
                        return
                    }
                    count += 1
                }
            }
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rm", abstract: "Takes a node and all below it away.")

        @OptionGroup var connection: Connection

        @Argument(help: "The node.")
        var path: String

        func run() throws {
            try connection.use { client in
                try XenStoreCommand.about(path) { try client.remove(path) }
            }
        }
    }
}
