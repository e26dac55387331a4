import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// The arithmetic flags that a fault shows, where a translation has not stored them.
struct TranslationFlagTests {
    /// Instructions before a load that faults in the third round, and the flags that are defined.
    private static let cases: [(name: String, code: [UInt8], mask: UInt64)] = [
        ("shl eax, 3", [0xc1, 0xe0, 3], 0xc5),
        ("shl eax, 1", [0xd1, 0xe0], 0x8c5),
        ("shr rax, 5", [0x48, 0xc1, 0xe8, 5], 0xc5),
        ("shr eax, 1", [0xd1, 0xe8], 0x8c5),
        ("sar eax, 31", [0xc1, 0xf8, 31], 0xc5),
        ("shl al, 8", [0xc0, 0xe0, 8], 0xc4),
        ("add ecx, eax; rol eax, 7", [0x01, 0xc1, 0xc1, 0xc0, 7], 0xd5),
        ("xor eax, ecx; ror eax, 9; ror eax, 2", [0x31, 0xc8, 0xc1, 0xc8, 9, 0xc1, 0xc8, 2], 0xc5),
        ("sub r10d, eax; ror r10d, 1", [0x41, 0x29, 0xc2, 0x41, 0xd1, 0xca], 0x8d5),
        ("add eax, ecx; adc rdx, 0", [0x01, 0xc8, 0x48, 0x83, 0xd2, 0], 0x8d5),
        ("add eax, eax; adc edx, ecx", [0x01, 0xc0, 0x11, 0xca], 0x8d5),
        ("cmp eax, ecx; sbb edx, ecx", [0x39, 0xc8, 0x19, 0xca], 0x8d5),
        ("cmp eax, ecx; sbb edx, edx", [0x39, 0xc8, 0x19, 0xd2], 0x8d5),
        ("shl eax, 4; inc ecx", [0xc1, 0xe0, 4, 0xff, 0xc1], 0x8d5),
        ("add eax, ecx; dec edx", [0x01, 0xc8, 0xff, 0xca], 0x8d5),
        ("imul edx, eax", [0x0f, 0xaf, 0xd0], 0x801),
        ("mul ecx", [0xf7, 0xe1], 0x801),
        // The operands are overwritten by a load before the fault, and a carry survives it.
        ("add eax, ecx; mov eax, [rsi]", [0x01, 0xc8, 0x8b, 0x06], 0x8d5),
        ("cmp eax, ecx; mov ecx, [rsi]", [0x39, 0xc8, 0x8b, 0x0e], 0x8d5),
        (
            "add eax, ecx; mov eax, [rsi]; adc edx, 0; mov [rsi], edx",
            [0x01, 0xc8, 0x8b, 0x06, 0x83, 0xd2, 0, 0x89, 0x16], 0x8d5
        ),
        (
            "add r8, rax; mov rax, [rsi]; mov [rsi], r8; mov r8, rdx; adc r8, 0; mul rcx",
            [
                0x49, 0x01, 0xc0, 0x48, 0x8b, 0x06, 0x4c, 0x89, 0x06, 0x49, 0x89, 0xd0, 0x49, 0x83,
                0xd0, 0, 0x48, 0xf7, 0xe1,
            ], 0x801
        ),
        ("shl eax, cl", [0xd3, 0xe0], 0xc5),
        ("add edx, eax; shl eax, cl (0)", [0x31, 0xc9, 0x01, 0xc2, 0xd3, 0xe0], 0x8c5),
    ]

    @Test(arguments: 0..<23) func flagsAreExactAtFaults(_ number: Int) throws {
        let (name, code, mask) = Self.cases[number]
        for seed in [0x8000_0001, 0x7fff_ffff, 0x1234_5678_9abc_def0, 0, .max] as [UInt64] {
            var seen: [UInt64] = []
            for policy in [.off, .afterRuns(1)] as [TranslationPolicy] {
                // The instructions; mov r9, [rdi]; add rdi, rbp; cmp rdi, rdi; jmp back
                var loop = code + [0x4c, 0x8b, 0x0f, 0x48, 0x01, 0xef, 0x48, 0x39, 0xff]
                loop += [0xeb, UInt8(truncatingIfNeeded: -(loop.count + 2))]
                let machine = try TranslationMachine(loop, at: 0x1000, policy)
                machine.memory.write(GuestPhysicalAddress(0x9000), integer: seed)
                machine.setRegisters([
                    0: seed, 1: 0xffff_ffff_8000_0003, 2: seed ^ 0x55, 5: 0x8000, 6: 0x9000,
                    7: 0x3f_0000, 8: seed &* 3, 10: seed &+ 1,
                ])
                #expect(machine.engine.run(budget: 10000) == .halt, "\(name)")
                let state = machine.engine.state
                #expect(state.cr2 == 0x40_0000, "\(name)")
                // What the gate has pushed: RFLAGS is the fourth from the top.
                let flags: UInt64 = try #require(
                    machine.memory.read(
                        GuestPhysicalAddress(state.generalPurposeRegisters[4] &+ 24),
                        as: UInt64.self))
                seen.append(flags & mask)
                seen += state.generalPurposeRegisters[0..<4]
            }
            #expect(
                Array(seen.prefix(5)) == Array(seen.suffix(5)),
                "\(name), \(String(seed, radix: 16))")
        }
    }
}
