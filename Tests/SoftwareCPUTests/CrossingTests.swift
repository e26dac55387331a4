import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// Instructions that reach into the next page, and pages whose code is patched all the time.
struct CrossingTests {
    private static let engines: [TranslationPolicy] = [.off, .afterRuns(1), .afterRuns(5)]

    /// `add eax, imm32` whose opcode ends a page; the immediate follows in the next one, from where
    /// `jmp rdx` leads back. With 10 rounds to go the next page becomes another.
    @Test func theSecondPageIsMappedAnew() throws {
        // loop: dec ecx; jz done; cmp ecx, 10; jne go; mov [rsi], rbx; invlpg [rdi]
        // go: jmp 0x200fff; done: hlt
        let code: [UInt8] = [
            0xff, 0xc9, 0x74, 0x10, 0x83, 0xf9, 10, 0x75, 6, 0x48, 0x89, 0x1e, 0x0f, 0x01, 0x3f,
            0xe9, 0xeb, 0, 0, 0, 0xf4,
        ]
        for policy in Self.engines {
            let machine = try TranslationMachine(code, at: 0x20_0f00, policy)
            machine.mapSmallPages()
            machine.memory.write(GuestPhysicalAddress(0x20_0fff), [0x05])
            machine.memory.write(GuestPhysicalAddress(0x20_2000), [1, 0, 0, 0, 0xff, 0xe2])
            machine.memory.write(GuestPhysicalAddress(0x20_3000), [100, 0, 0, 0, 0xff, 0xe2])
            machine.setRegisters([
                0: 0, 1: 40, 2: 0x20_0f00, 3: 0x20_3003, 6: 0x1_3008, 7: 0x20_1000,
            ])
            #expect(machine.engine.run(budget: 10000) == .halt)
            #expect(machine.engine.state.generalPurposeRegisters[0] == 29 + 10 * 100)
        }
    }

    /// The same instruction, and its first byte becomes another: `sub` instead of `add`.
    @Test func theFirstByteChanges() throws {
        // loop: dec ecx; jz done; cmp ecx, 10; jne go; mov byte [rsi], 0x2d; nop; nop
        // go: jmp 0x200fff; done: hlt
        let code: [UInt8] = [
            0xff, 0xc9, 0x74, 0x0f, 0x83, 0xf9, 10, 0x75, 5, 0xc6, 0x06, 0x2d, 0x90, 0x90,
            0xe9, 0xec, 0, 0, 0, 0xf4,
        ]
        for policy in Self.engines {
            let machine = try TranslationMachine(code, at: 0x20_0f00, policy)
            machine.mapSmallPages()
            machine.memory.write(GuestPhysicalAddress(0x20_0fff), [0x05])
            machine.memory.write(GuestPhysicalAddress(0x20_2000), [1, 0, 0, 0, 0xff, 0xe2])
            machine.setRegisters([0: 100, 1: 40, 2: 0x20_0f00, 6: 0x20_0fff])
            #expect(machine.engine.run(budget: 10000) == .halt)
            #expect(machine.engine.state.generalPurposeRegisters[0] == 100 + 29 - 10)
            #expect(machine.engine.statistics.instructionsRetired == 39 * 7 + 3 + 3)
        }
    }

    /// A page of code that is patched before each run, long enough to be run instruction by
    /// instruction, and then left alone.
    @Test func patchedCodeRunsAsItIs() throws {
        // loop: mov [rsi+1], ecx; call rsi; add ebx, eax; dec ecx; jnz loop; mov ecx, 5000
        // more: call rsi; add ebx, eax; dec ecx; jnz more; hlt
        let code: [UInt8] = [
            0x89, 0x4e, 0x01, 0xff, 0xd6, 0x01, 0xc3, 0xff, 0xc9, 0x75, 0xf5, 0xb9, 0x88, 0x13, 0,
            0, 0xff, 0xd6, 0x01, 0xc3, 0xff, 0xc9, 0x75, 0xf8, 0xf4,
        ]
        for policy in Self.engines {
            let machine = try TranslationMachine(code, at: 0x20_0f00, policy)
            machine.mapSmallPages()
            // mov eax, imm32; ret
            machine.memory.write(GuestPhysicalAddress(0x20_2800), [0xb8, 0, 0, 0, 0, 0xc3])
            machine.setRegisters([1: 3000, 3: 0, 6: 0x20_1800])
            #expect(machine.engine.run(budget: 1_000_000) == .halt)
            #expect(machine.engine.state.generalPurposeRegisters[3] == 3000 * 3001 / 2 + 5000)
        }
    }
}
