import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// Pages that have the same place in the TLB.
struct TLBVictimTests {
    /// 4 KiB pages at 0x80_9000 and 0x100_9000, which lead to 0x20_9000 and 0x20_a000.
    private func engine(
        _ code: [UInt8], _ policy: TranslationPolicy
    ) throws -> (SoftwareEngine, GuestMemory) {
        let (engine, memory) = try TranslationTests().engine(code, at: 0x1000, policy)
        for (address, value) in [
            (0x12020, 0x13003), (0x13048, 0x20_9003), (0x12040, 0x14003), (0x14048, 0x20_a003),
            (0x20_9000, 0xa), (0x20_a000, 0xb), (0x20_b000, 0xc),
        ] as [(UInt64, UInt64)] {
            memory.write(GuestPhysicalAddress(address), integer: value)
        }
        var state = engine.state
        state.generalPurposeRegisters[6] = 0x80_9000
        state.generalPurposeRegisters[7] = 0x100_9000
        engine.state = state
        return (engine, memory)
    }

    @Test(arguments: [TranslationPolicy.off, .afterRuns(1)])
    func twoPagesInTurnDoNotWalkEachTime(_ policy: TranslationPolicy) throws {
        // mov ecx, 1000; top: add rax,[rsi]; add [rdi],rax; dec ecx; jnz top; hlt
        let code: [UInt8] = [
            0xb9, 0xe8, 3, 0, 0, 0x48, 0x03, 0x06, 0x48, 0x01, 0x07, 0xff, 0xc9, 0x75, 0xf6, 0xf4,
        ]
        let (engine, memory) = try engine(code, policy)
        #expect(engine.run(budget: 100_000) == .halt)
        let sum = memory.read(GuestPhysicalAddress(0x20_a000), as: UInt64.self)
        #expect(sum == 0xb + 0xa * 500_500)
        #expect(engine.statistics.tlbMisses < 20)
    }

    @Test(arguments: [TranslationPolicy.off, .afterRuns(1)])
    func INVLPGFindsWhatWasDisplaced(_ policy: TranslationPolicy) throws {
        // mov ebx,[rsi]; mov ecx,[rdi]; mov dword [0x13048], 0x20b003; invlpg [rsi]
        // mov edx,[rsi]; hlt
        let code: [UInt8] = [
            0x8b, 0x1e, 0x8b, 0x0f, 0xc7, 0x04, 0x25, 0x48, 0x30, 0x01, 0, 0x03, 0xb0, 0x20, 0,
            0x0f, 0x01, 0x3e, 0x8b, 0x16, 0xf4,
        ]
        let (engine, _) = try engine(code, policy)
        #expect(engine.run(budget: 1000) == .halt)
        let registers = engine.state.generalPurposeRegisters
        #expect(registers[3] == 0xa)
        #expect(registers[1] == 0xb)
        #expect(registers[2] == 0xc)
    }

    @Test(arguments: [TranslationPolicy.off, .afterRuns(1)])
    func codeIsSeenToChangeByWayOfWhatWasDisplaced(_ policy: TranslationPolicy) throws {
        // mov ecx, 10; top: mov dword [rsi], "mov al, 1; ret"; mov dword [rdi], 0; call rsi; movzx ebx, al
        // mov byte [rsi+1], 2; call rsi; movzx edx, al; dec ecx; jnz top; hlt
        let code: [UInt8] = [
            0xb9, 10, 0, 0, 0, 0xc7, 0x06, 0xb0, 1, 0xc3, 0, 0xc7, 0x07, 0, 0, 0, 0, 0xff, 0xd6,
            0x0f, 0xb6, 0xd8, 0xc6, 0x46, 1, 2, 0xff, 0xd6, 0x0f, 0xb6, 0xd0, 0xff, 0xc9, 0x75,
            0xe2, 0xf4,
        ]
        let (engine, _) = try engine(code, policy)
        #expect(engine.run(budget: 1000) == .halt)
        let registers = engine.state.generalPurposeRegisters
        #expect(registers[1] == 0)
        #expect(registers[3] == 1)
        #expect(registers[2] == 2)
    }
}
