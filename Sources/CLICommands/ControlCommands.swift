import ArgumentParser
import Foundation
import HostIO
import Machine
import Vocabulary

/// Talks to a running machine.
enum ControlClient {
    /// Sends a request and gives each reply to `each`. Throws what the machine says went wrong.
    ///
    /// - Returns: files that came along, which are the caller's; none if it throws.
    @discardableResult
    static func send(
        _ request: ControlMessage.Request, to name: String,
        each: (ControlMessage.Reply) -> Void = { _ in }
    ) throws -> [CInt] {
        let path = try ControlDirectory().path(name)
        guard let connection = try? UnixSocket.connect(path) else {
            throw XError(
                .notFound,
                "no machine named '\(name)' runs: see martlet ps, and give machines a --name")
        }
        let gone = XError(.hostCall, "the machine '\(name)' has gone without an answer")
        let isSent = UnixSocket.sendAll(
            connection.rawValue, ControlMessage.line(request), milliseconds: 5000)
        guard isSent else { throw gone }
        var lines = ControlLines(connection.rawValue)
        while let line = lines.next(milliseconds: -1) {
            guard
                let reply = try? JSONDecoder().decode(
                    ControlMessage.Reply.self, from: Data(line))
            else { break }
            if let error = reply.error {
                for file in lines.files { close(file) }
                throw XError(.busy, error)
            }
            each(reply)
            if reply.isLast { return lines.files }
        }
        for file in lines.files { close(file) }
        throw gone
    }

    /// The same, with its steps printed.
    static func sendAndTell(_ request: ControlMessage.Request, to name: String) throws {
        try send(request, to: name) { reply in
            if let step = reply.step { print("\(name): \(step)") }
        }
    }
}

/// `martlet ps`.
struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ps", abstract: "Lists machines that run with a --name.")

    @Flag(help: "Prints JSON.")
    var json = false

    func run() throws {
        let directory = try ControlDirectory()
        var found: [ControlMessage.Status] = []
        for name in directory.names {
            // One that has ended is left out; the next of its name replaces what it left.
            _ = try? ControlClient.send(ControlMessage.Request(kind: .status), to: name) { reply in
                if let status = reply.status { found.append(status) }
            }
        }
        if json {
            return print(String(decoding: ControlMessage.line(found).dropLast(), as: UTF8.self))
        }
        let rows =
            [["NAME", "PID", "PLATFORM", "VCPUS", "MEMORY", "SECONDS", "COMMAND"]]
            + found.map { status in
                [
                    status.name, String(status.process), status.platform,
                    String(status.processorCount), "\(status.memoryByteCount >> 20)M",
                    String(Int(status.seconds)), status.command.joined(separator: " "),
                ]
            }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        for row in rows {
            let cells = row.enumerated().map { column, text in
                column == row.count - 1
                    ? text : text.padding(toLength: widths[column], withPad: " ", startingAt: 0)
            }
            print(cells.joined(separator: "  "))
        }
    }
}
