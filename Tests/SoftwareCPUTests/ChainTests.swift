import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// Handlers go on with each other. Where one of them calls the next in place of jumping to it, the
/// host's stack ends before these runs do.
struct ChainTests {
    /// An instruction of each kind of handler, in blocks of two pages.
    private static let loop: [UInt8] = [
        0x50,  // push rax
        0x53,  // push rbx
        0x48, 0x03, 0x04, 0x24,  // add rax, [rsp]
        0x48, 0x89, 0x44, 0x24, 0x08,  // mov [rsp+8], rax
        0x48, 0xff, 0x04, 0x24,  // inc qword [rsp]
        0x80, 0x7c, 0x24, 0x08, 0x00,  // cmp byte [rsp+8], 0
        0x0f, 0xb6, 0x14, 0x24,  // movzx edx, byte [rsp]
        0x48, 0x8d, 0x34, 0x52,  // lea rsi, [rdx+rdx*2]
        0x4a, 0x8b, 0x3c, 0x04,  // mov rdi, [rsp+r8]
        0x48, 0x8b, 0x7d, 0x00,  // mov rdi, [rbp]: across two pages
        0x67, 0x48, 0x89, 0x7d, 0x00,  // mov [ebp], rdi
        0x48, 0x0f, 0xaf, 0xfe,  // imul rdi, rsi
        0x5b,  // pop rbx
        0x58,  // pop rax
        0xe8, 0xcc, 0x3f, 0x00, 0x00,  // call 0x5000
        0x85, 0xc0,  // test eax, eax
        0x74, 0x00,  // jz next
        0xff, 0xc9,  // dec ecx
        0x75, 0xc4,  // jnz start
        0xf4,  // hlt
    ]
    /// Those, with the return.
    private static let length: UInt64 = 20

    private func retired(_ rounds: UInt64, _ policy: TranslationPolicy) throws -> UInt64 {
        let machine = try TranslationMachine(Self.loop, at: 0x1000, policy)
        machine.memory.write(GuestPhysicalAddress(0x5000), [0xc3])
        machine.setRegisters([0: 1, 1: rounds, 5: 0x6ffc])
        #expect(machine.engine.run(budget: 1 << 40) == .halt)
        #expect(machine.engine.state.generalPurposeRegisters[1] == 0)
        #expect(machine.engine.state.generalPurposeRegisters[4] == 0x8000)
        return machine.engine.statistics.instructionsRetired
    }

    @Test(arguments: [TranslationPolicy.off, .afterRuns(200), .afterRuns(1)])
    func theHostsStackDoesNotGrow(_ policy: TranslationPolicy) throws {
        let once = try retired(1, policy)
        #expect(try retired(300_000, policy) == once + 299_999 * Self.length)
    }
}
