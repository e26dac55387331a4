import Testing
import Vocabulary
import X86

@testable import CLICommands

@Suite struct DisassembleTests {
    @Test func bytesWithAndWithoutSpaces() throws {
        #expect(try DisassembleCommand.parse("48 89,c8") == [0x48, 0x89, 0xc8])
        #expect(try DisassembleCommand.parse("4889C8") == [0x48, 0x89, 0xc8])
        #expect(throws: XError.self) { try DisassembleCommand.parse("4") }
        #expect(throws: XError.self) { try DisassembleCommand.parse("zz") }
        #expect(throws: XError.self) { try DisassembleCommand.parse("+1") }
    }

    @Test func linesHaveAddressBytesAndText() {
        let code: [UInt8] = [0x48, 0x89, 0xc8, 0x06, 0x74, 0x02, 0x0f]
        let lines = Array(Disassembly(code: code, address: 0x1000, mode: .code64))
        #expect(lines.count == 4)
        #expect(lines.first == "1000  48 89 c8                  mov rax, rcx")
        #expect(lines[1].hasSuffix("06                        (bad)"))
        #expect(lines[2].hasSuffix("je 0x1008"))
        #expect(lines[3].hasSuffix("(bad)"))
    }

    @Test func numbers() {
        #expect(ByteNumber(argument: "0x7c00")?.value == 0x7c00)
        #expect(ByteNumber(argument: "512")?.value == 512)
        #expect(ByteNumber(argument: "0x") == nil)
        #expect(ByteNumber(argument: "-1") == nil)
    }
}
