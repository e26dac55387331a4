import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// Loops and jumps in translations of several blocks, against the interpreter: registers, flags, memory
/// and what a page fault shows are the same to the last bit.
struct RandomCodeTests {
    private func end(
        _ code: RandomCode, _ seed: UInt64, _ policy: TranslationPolicy
    ) throws -> (exit: VMExit, state: ArchitecturalState, memory: [UInt8]) {
        let machine = try TranslationMachine(code.bytes, at: RandomCode.address, policy)
        machine.mapSmallPages()
        var random = OracleRandom(state: seed)
        for address in stride(from: 0x8000 as UInt64, to: 0xa000, by: 8) {
            machine.memory.write(GuestPhysicalAddress(address), integer: random.next())
        }
        for number in [0, 1, 2, 3, 8, 9, 10, 11, 14, 15] {
            machine.setRegisters([number: random.next()])
        }
        // RDI goes from one small page to the other and beyond.
        machine.setRegisters([
            4: 0x9800, 5: 0x3f8, 6: 0x9100, 7: 0x20_0f00 + seed % 256, 13: 3000,
        ])
        let exit = machine.engine.run(budget: 1_000_000)
        var state = machine.engine.state
        state.modelSpecific.tsc = 0
        var bytes: [UInt8] = []
        for start in [0x8000, 0x20_0000, 0x20_2000] as [UInt64] {
            bytes += (0..<0x2000).map {
                machine.memory.read(GuestPhysicalAddress(start + $0), as: UInt8.self) ?? 0
            }
        }
        // Shifts leave AF undefined; a fault's frame has the flags 24 bytes up.
        state.rflags &= ~0x10
        let image = Int(truncatingIfNeeded: state.generalPurposeRegisters[4]) + 24 - 0x8000
        if state.rip == 0x3001, bytes.indices.contains(image) { bytes[image] &= ~0x10 }
        return (exit, state, bytes)
    }

    /// Short translations, made before what follows has been run, and long ones.
    @Test(arguments: [1, 12, 60] as [UInt8])
    func translationsDoAsTheInterpreter(_ runs: UInt8) throws {
        for seed in 0..<250 as Range<UInt64> {
            let code = RandomCode(seed: seed)
            let expected = try end(code, seed, .off)
            let seen = try end(code, seed, .afterRuns(runs))
            #expect(seen.exit == expected.exit, "seed \(seed)")
            #expect(seen.state == expected.state, "seed \(seed)")
            #expect(seen.memory == expected.memory, "seed \(seed)")
        }
    }
}
