import ArgumentParser
import Machine
import Testing
import Vocabulary

@testable import CLICommands

@Suite struct OptionsTests {
    @Test(
        arguments: [
            ("512M", 512 << 20), ("1", 1 << 20), ("2G", 2 << 30), ("64k", 64 << 10),
            ("1T", 1 << 40),
            ("3GiB", 3 << 30), ("3GB", 3 << 30),
        ] as [(String, UInt64)])
    func memorySizes(text: String, bytes: UInt64) {
        #expect(MemorySize(argument: text)?.byteCount == bytes)
    }

    @Test(arguments: ["", "M", "-1M", "1X", "1.5G", "99999999999999999999", "999999999999T", "0"])
    func wrongMemorySizes(text: String) {
        #expect(MemorySize(argument: text) == nil)
    }

    @Test func consoleChoices() {
        #expect(ConsoleChoice(argument: "stdio") == .stdio)
        #expect(ConsoleChoice(argument: "none") == ConsoleChoice.none)
        #expect(ConsoleChoice(argument: "file:/x/y:z") == .file("/x/y:z"))
        #expect(ConsoleChoice(argument: "file:") == nil)
        #expect(ConsoleChoice(argument: "tty") == nil)
    }

    @Test func interruptPriorities() throws {
        #expect(
            InterruptPriorities(argument: "uart0=50,timer=0")?.values == ["uart0": 50, "timer": 0])
        for wrong in ["", "uart0", "uart0=", "=5", "uart0=x", "uart0=5,", "uart0=5=6"] {
            #expect(InterruptPriorities(argument: wrong) == nil)
        }
        let command = try MartletCommand.parseAsRoot([
            "run", "--interrupts", "inline", "--interrupt-priority", "rtc=7",
        ])
        let configuration = try #require(command as? RunCommand).baseConfiguration()
        #expect(configuration.interrupts.mode == .inline)
        #expect(configuration.interrupts.priority(of: "rtc") == 7)
        #expect(configuration.interrupts.priority(of: "uart1") == 50)
        #expect(configuration.interrupts.priority(of: "timer") == 80)
    }

    @Test func fileMappings() {
        let mapping = FileMapping(argument: "/a:b:/guest")
        #expect(mapping?.hostPath == "/a:b")
        #expect(mapping?.guestPath == "/guest")
        #expect(FileMapping(argument: "/a") == nil)
        #expect(FileMapping(argument: "/a:relative") == nil)
        #expect(FileMapping(argument: ":/guest") == nil)
    }

    @Test func everythingAfterTheTerminatorIsTheCommand() throws {
        let command = try MartletCommand.parseAsRoot([
            "run", "--memory", "1G", "--stats", "--", "ls", "--stats", "-l",
        ])
        let run = try #require(command as? RunCommand)
        #expect(run.command == ["ls", "--stats", "-l"])
        #expect(run.stats)
        #expect(run.memory.byteCount == 1 << 30)
    }

    /// Martlet's own failures are 125, whoever finds them.
    @Test(arguments: [
        ["run", "--memory", "lots"], ["run", "--no-such-option"], ["run", "--engine", "magic"],
        ["run", "--engine", "kvm"],
        ["run", "--memory", "1M"], ["run", "--memory", "999T"], ["run", "--cpus", "0"],
        ["run", "--cpus", "-1"], ["run", "--cpus", "256"], ["run", "--cpus", "10000"],
        ["run", "--cpus", "9223372036854775807"], ["run", "--cpu-limit", "0"],
        ["run", "--interrupts", "polled"], ["run", "--interrupt-priority", "uart0=100"],
        ["run", "--interrupt-priority", "uart9=1"], ["run", "--trace", "/no/such/folder/x"],
        ["run", "--profile", "/no/such/folder/x"],
        ["run", "--timeout", "-1"], ["fly"], ["pull", "windows"],
    ])
    func failuresAreOneHundredTwentyFive(arguments: [String]) {
        do {
            var command = try MartletCommand.parseAsRoot(arguments)
            try command.run()
            Issue.record("accepted")
        } catch {
            #expect(MartletProgram.report(error) == 125)
        }
    }

    /// Before anything is made for them, and with what to do.
    @Test(arguments: ["0", "256", "10000", "9223372036854775807"])
    func impossibleNumbersOfProcessorsAreNamed(count: String) throws {
        var command = try MartletCommand.parseAsRoot(["run", "--cpus", count])
        let error = try #require(throws: XError.self) { try command.run() }
        #expect(error.code == .invalidArgument)
        #expect(error.message.contains(count) && error.message.contains("--cpus"))
    }

    @Test func theGuestsStatusIsPassedOn() {
        #expect(MartletProgram.report(ExitCode(7)) == 7)
    }

    @Test func messagesAreOneLine() {
        #expect(MartletProgram.oneLine("a\n  b\n\nc ") == "a b c")
    }

    @Test func theEscapeKeyEndsWhatIsTyped() {
        let (typed, leaves) = EscapeKey.split([1, 2, 0x1d, 3][...])
        #expect(Array(typed) == [1, 2])
        #expect(leaves)
        #expect(!EscapeKey.split([0x5d][...]).leaves)
    }

    @Test func theConsoleKeepsItsEnd() throws {
        let log = try ConsoleLog(nil, capacity: 100)
        for number in 0..<200 { log.append(Array("line \(number)\r\n".utf8)) }
        #expect(log.tail(lines: 2) == "line 198\nline 199")
        #expect(log.text().utf8.count <= 200)
    }
}
