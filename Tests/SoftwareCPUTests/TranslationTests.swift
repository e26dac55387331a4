import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// 64-bit code, interpreted and translated from its first run.
struct TranslationTests {
    private static let engines: [TranslationPolicy] = [.off, .afterRuns(1)]

    /// 2 MiB pages at their own addresses up to 4 MiB, the code at 0x1ff0 of the first.
    func engine(
        _ code: [UInt8], at address: UInt64, _ policy: TranslationPolicy
    ) throws -> (SoftwareEngine, GuestMemory) {
        let machine = try TranslationMachine(code, at: address, policy)
        return (machine.engine, machine.memory)
    }

    /// FIP, FDP and FOP are those of the last x87 instruction before the fault, whatever came between.
    @Test func x87PointersAreExactAtFaults() throws {
        // mov ecx, 40; top: fld1; fld qword [rsi]; faddp; fstp qword [rsi+rcx*8]; lea rdi,[rdi+0x8000]
        // mov rax,[rdi]; dec ecx; jnz top; hlt. The load faults beyond 4 MiB.
        let code: [UInt8] = [
            0xb9, 40, 0, 0, 0, 0xd9, 0xe8, 0xdd, 0x06, 0xde, 0xc1, 0xdd, 0x1c, 0xce,
            0x48, 0x8d, 0xbf, 0, 0x80, 0, 0, 0x48, 0x8b, 0x07, 0xff, 0xc9, 0x75, 0xe9, 0xf4,
        ]
        var states: [ArchitecturalState] = []
        for policy in Self.engines {
            let (engine, _) = try engine(code, at: 0x1000, policy)
            var state = engine.state
            state.generalPurposeRegisters[6] = 0x9000
            state.generalPurposeRegisters[7] = 0x3f_0000
            engine.state = state
            #expect(engine.run(budget: 10000) == .halt)
            var end = engine.state
            end.modelSpecific.tsc = 0
            states.append(end)
        }
        #expect(states[0].cr2 == 0x40_0000)
        #expect(states[0].x87.instructionPointer == 0x100b)
        #expect(states[0].x87.dataPointer == 0x9000 + states[0].generalPurposeRegisters[1] * 8)
        #expect(states[0] == states[1])
    }

    /// Whatever is brought into the host's registers and back meanwhile, each instruction counts once.
    @Test func instructionsAreCountedOnce() throws {
        // mov ecx, 50; top: movaps xmm0, xmm1; fld1; fstp st0; sgdt [rsp]; dec ecx; jnz top; hlt
        let code: [UInt8] = [
            0xb9, 50, 0, 0, 0, 0x0f, 0x28, 0xc1, 0xd9, 0xe8, 0xdd, 0xd8, 0x0f, 0x01, 0x04, 0x24,
            0xff, 0xc9, 0x75, 0xf1, 0xf4,
        ]
        for policy in Self.engines {
            let (engine, _) = try engine(code, at: 0x1000, policy)
            var rounds = 0
            while engine.run(budget: 7) == .budgetSpent, rounds < 1000 { rounds += 1 }
            #expect(engine.state.generalPurposeRegisters[1] == 0)
            #expect(engine.statistics.instructionsRetired == 50 * 6 + 2)
        }
    }

    /// An exception that is not masked is raised by the next waiting instruction.
    @Test func x87ExceptionsThatAreNotMasked() throws {
        // fldcw [rsi] with ZM clear; fld1; fldz; fdivp; nop; fld1; hlt
        let code: [UInt8] = [
            0xd9, 0x2e, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x90, 0xd9, 0xe8, 0xf4,
        ]
        var states: [ArchitecturalState] = []
        for policy in Self.engines {
            let (engine, memory) = try engine(code, at: 0x1000, policy)
            memory.write(GuestPhysicalAddress(0x9000), [0x7b, 0x03])
            memory.write(
                GuestPhysicalAddress(0x2000 + 16 * 16), [0, 0x30, 8, 0, 0, 0x8e, 0, 0])
            var state = engine.state
            state.generalPurposeRegisters[6] = 0x9000
            engine.state = state
            #expect(engine.run(budget: 10000) == .halt)
            var end = engine.state
            end.modelSpecific.tsc = 0
            states.append(end)
        }
        #expect(states[0].rip == 0x3001)
        #expect(states[0].x87.status & 0x84 == 0x84)
        #expect(states[0].x87.instructionPointer == 0x1006)
        #expect(states[0] == states[1])
    }

    /// An instruction of two pages is looked at anew when either of its parts has changed.
    @Test func instructionsAcrossPagesChange() throws {
        // mov ecx, 20; top: add eax, 1 (its immediate in the next page); inc dword [0x2000 + rdi]
        // dec ecx; jnz top; hlt
        let code: [UInt8] = [
            0xb9, 20, 0, 0, 0, 0x81, 0xc0, 1, 0, 0, 0, 0xff, 0x87, 0, 0, 0, 0, 0xff, 0xc9, 0x75,
            0xf0, 0xf4,
        ]
        for policy in Self.engines {
            // The immediate starts the second page.
            let (engine, _) = try engine(code, at: 0x6000 - 7, policy)
            var state = engine.state
            state.generalPurposeRegisters[0] = 0
            state.generalPurposeRegisters[7] = 0x6000
            engine.state = state
            #expect(engine.run(budget: 10000) == .halt)
            // 1 + 2 + ... + 20.
            #expect(engine.state.generalPurposeRegisters[0] == 210)
        }
    }
}
