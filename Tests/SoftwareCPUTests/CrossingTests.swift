import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// Pages whose code is patched all the time.
struct CrossingTests {
    private static let engines: [TranslationPolicy] = [.off, .afterRuns(1), .afterRuns(5)]

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
