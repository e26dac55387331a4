import Foundation
import Testing

/// `martlet run` on a terminal: a pseudoterminal plays it.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct TerminalTests {
    @Test func progressIsWipedBeforeTheShellSpeaks() throws {
        var master: Int32 = -1
        var slave: Int32 = -1
        try #require(unsafe openpty(&master, &slave, nil, nil, nil) == 0)
        defer { close(master) }
        let terminal = FileHandle(fileDescriptor: slave, closeOnDealloc: true)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(Martlet.path))
        process.arguments = ["run", "--timeout", "120"]
        process.standardInput = terminal
        process.standardOutput = terminal
        process.standardError = terminal
        try process.run()
        try? terminal.close()
        var text = ""
        var left = false
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe read(master, &buffer, buffer.count)
            guard count > 0 else { break }
            text += String(decoding: buffer[..<count], as: UTF8.self)
            if !left, text.contains("martlet:~# ") {
                left = true
                let command = Array("exit 3\r".utf8)
                _ = unsafe write(master, command, command.count)
            }
        }
        process.waitUntilExit()
        #expect(process.terminationStatus == 3)
        let prompt = try #require(text.range(of: "martlet:~# "), "\(text)")
        let before = text[..<prompt.lowerBound]
        // A host that boots in less than a second draws nothing.
        if let progress = before.range(of: "booting", options: .backwards) {
            #expect(before[progress.upperBound...].hasPrefix("\r\u{1b}[K"), "\(text)")
            #expect(!text[prompt.upperBound...].contains("booting"))
        }
    }

    @Test func theWindowsSizeIsTheGuestsAndTheKeyLeaves() throws {
        let terminal = try PseudoTerminal(rows: 33, columns: 101)
        #expect(terminal.isCooked)
        try terminal.start(["run", "--timeout", "120"])
        try terminal.wait(for: "martlet:~# ")
        #expect(!terminal.isCooked)
        terminal.type("stty size\r")
        try terminal.wait(for: "33 101")
        terminal.resize(rows: 40, columns: 120)
        // The new size goes its own way: ask until it is there.
        terminal.type("until [ \"$(stty size)\" = '40 120' ]; do sleep 0.1; done; echo re''sized\r")
        try terminal.wait(for: "resized")
        terminal.type("\u{1d}")
        terminal.process.waitUntilExit()
        #expect(terminal.process.terminationStatus == 0)
        #expect(terminal.isCooked)
    }

    @Test(arguments: [SIGTERM, SIGHUP, SIGABRT])
    func theTerminalIsRestoredWhateverEndsTheProgram(signal: Int32) throws {
        let terminal = try PseudoTerminal(rows: 24, columns: 80)
        try terminal.start(["run", "--timeout", "120"])
        // Raw mode comes before the guest boots.
        while terminal.isCooked, terminal.process.isRunning { usleep(10_000) }
        #expect(terminal.process.isRunning)
        kill(terminal.process.processIdentifier, signal)
        terminal.process.waitUntilExit()
        #expect(terminal.process.terminationReason == .uncaughtSignal)
        #expect(terminal.process.terminationStatus == signal)
        #expect(terminal.isCooked)
    }
}
