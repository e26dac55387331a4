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
        return code.run(in: machine, seed: seed)
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
