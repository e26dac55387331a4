import ArgumentParser
import Foundation
import Machine
import Testing
import Vocabulary

@testable import CLICommands

struct XenStoreCommandTests {
    private func parse<Command: ParsableCommand>(
        _ arguments: [String], as kind: Command.Type
    ) throws -> Command {
        let command = try MartletCommand.parseAsRoot(["xenstore"] + arguments)
        return try #require(command as? Command)
    }

    @Test func commandsAreParsed() throws {
        let list = try parse(["ls", "--socket", "/s"], as: XenStoreCommand.List.self)
        #expect(list.path == "/" && !list.full && list.connection.socket == "/s")
        let full = try parse(["ls", "-f", "/a", "--socket", "/s"], as: XenStoreCommand.List.self)
        #expect(full.path == "/a" && full.full)
        let read = try parse(
            ["read", "/a", "b", "--socket", "/s"], as: XenStoreCommand.Read.self)
        #expect(read.path == ["/a", "b"] && !read.raw)
        let write = try parse(
            ["write", "--socket", "/s", "/a", "1", "/b", ""], as: XenStoreCommand.Write.self)
        #expect(write.words == ["/a", "1", "/b", ""])
        let watch = try parse(
            ["watch", "/a", "-n", "3", "--socket", "/s"], as: XenStoreCommand.Watch.self)
        #expect(watch.path == "/a" && watch.number == 3)
        let remove = try parse(["rm", "/a", "--socket", "/s"], as: XenStoreCommand.Remove.self)
        #expect(remove.path == "/a")
    }

    @Test(
        arguments: [
            (["ls"], "--socket"), (["read", "--socket", "/s"], "<path>"),
            (["write", "--socket", "/s", "/a"], "'/a' has no value"),
            (["write", "--socket", "/s", "/a", "1", "/b"], "'/b' has no value"),
            (["watch", "--socket", "/s", "/a", "-n", "0"], "-n 0"),
            (["fly"], "fly"),
        ])
    func wrongWordsAreNamed(arguments: [String], words: String) throws {
        do {
            _ = try MartletCommand.parseAsRoot(["xenstore"] + arguments)
            Issue.record("accepted")
        } catch {
            #expect(MartletProgram.oneLine(MartletCommand.message(for: error)).contains(words))
            #expect(MartletProgram.report(error) == 125)
        }
    }

    @Test func aSocketThatIsNotThereIsNamed() throws {
        for path in ["/no/such/socket", "/dev/null", String(repeating: "x", count: 200)] {
            var command = try MartletCommand.parseAsRoot(["xenstore", "ls", "--socket", path])
            let error = try #require(throws: XError.self) { try command.run() }
            #expect(error.message.contains("'\(path)'") && error.message.contains("--socket"))
        }
    }

    @Test func theGuestHasToBeOfXen() throws {
        let options = ["run", "--xenstore-socket", "/s"]
        let other = try #require(
            try MartletCommand.parseAsRoot(options + ["--platform", "kvm"]) as? RunCommand)
        let error = try #require(throws: XError.self) { try other.baseConfiguration() }
        #expect(error.message.contains("--platform xen"))
        let xen = try #require(try MartletCommand.parseAsRoot(options) as? RunCommand)
        #expect(try xen.baseConfiguration().storeSocket == "/s")
    }

    @Test func linesAreThoseOfXenstoreLs() {
        #expect(StoreText.line("/a/b", Array("x\ty".utf8)) == "/a/b = \"x\\ty\"")
        #expect(StoreText.line("/a/b", nil) == "/a/b:")
        #expect(StoreText.line("b", [], depth: 2, width: 80) == "  b = \"\"")
        let long = [UInt8](repeating: 0x76, count: 71)
        #expect(
            StoreText.line("b", Array(long.dropLast()), depth: 1, width: 80)
                == " b = \"" + String(repeating: "v", count: 70) + "\"")
        #expect(
            StoreText.line("b", long, depth: 1, width: 80)
                == " b = \"" + String(repeating: "v", count: 70) + "\\...\"")
        // No escape sequence of a guest gets to a terminal.
        #expect(
            StoreText.visible([0, 7, 0x1b, 0x7f, 0xff, 0x5c])
                == "\\000\\007\\x1b\\x7f\\xff\\\\")
    }
}
