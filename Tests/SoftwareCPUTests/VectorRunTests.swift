import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// Vector instructions through the whole engine: bytes in guest memory, real mode.
struct VectorRunTests {
    private func prepare(
        _ code: [UInt8], control: UInt64 = 0
    ) throws -> (engine: SoftwareEngine, memory: GuestMemory) {
        let memory = try GuestMemory(regions: [
            MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 4 << 20)
        ])
        #expect(memory.write(GuestPhysicalAddress(0x1000), code))
        // Exceptions 6, 7, 13 and 19 lead to HLT at 0x600 plus the vector.
        for vector: UInt8 in [6, 7, 13, 19] {
            let entry = [vector, 0x06, 0, 0]
            #expect(memory.write(GuestPhysicalAddress(UInt64(vector) * 4), entry))
            #expect(memory.write(GuestPhysicalAddress(0x600 + UInt64(vector)), [0xf4]))
        }
        let engine = SoftwareEngine(memory: memory, events: PendingEvents()) { _, _ in
            CPUIDResult()
        }
        var state = ArchitecturalState()
        state.cs.base = 0
        state.cs.selector = 0
        state.rip = 0x1000
        state.generalPurposeRegisters[4] = 0x800
        state.cr4 = control
        engine.state = state
        return (engine, memory)
    }

    private func word(_ memory: GuestMemory, _ address: UInt64) throws -> UInt64 {
        let bytes = try #require(memory.read(GuestPhysicalAddress(address), byteCount: 8))
        return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    @Test func program() throws {
        let (engine, memory) = try prepare([
            0x0f, 0x20, 0xe0,  // mov eax, cr4
            0x66, 0x0d, 0x00, 0x06, 0x00, 0x00,  // or eax, 0x600
            0x0f, 0x22, 0xe0,  // mov cr4, eax
            0x66, 0xb8, 1, 0, 0, 0,  // mov eax, 1
            0xf2, 0x0f, 0x2a, 0xc0,  // cvtsi2sd xmm0, eax
            0x66, 0xb8, 3, 0, 0, 0,  // mov eax, 3
            0xf2, 0x0f, 0x2a, 0xc8,  // cvtsi2sd xmm1, eax
            0xf2, 0x0f, 0x5e, 0xc1,  // divsd xmm0, xmm1
            0x0f, 0x11, 0x06, 0xf8, 0x1f,  // movups [0x1ff8], xmm0
            0x0f, 0x10, 0x16, 0xf8, 0x1f,  // movups xmm2, [0x1ff8]
            0x66, 0x0f, 0xd4, 0xd0,  // paddq xmm2, xmm0
            0xf2, 0x0f, 0x11, 0x16, 0x00, 0x30,  // movsd [0x3000], xmm2
            0x0f, 0xae, 0x1e, 0x08, 0x30,  // stmxcsr [0x3008]
            0x0f, 0xae, 0x06, 0x10, 0x30,  // fxsave [0x3010]
            0x66, 0x0f, 0x74, 0xdb,  // pcmpeqb xmm3, xmm3
            0xbf, 0xf8, 0x3f,  // mov di, 0x3ff8
            0x66, 0x0f, 0xf7, 0xc3,  // maskmovdqu xmm0, xmm3
            0x0f, 0x6e, 0xc8,  // movd mm1, eax
            0x0f, 0xfe, 0xc9,  // paddd mm1, mm1
            0x0f, 0x7e, 0xcb,  // movd ebx, mm1
            0x0f, 0x77,  // emms
            0x66, 0xf3, 0x0f, 0xb8, 0xcb,  // popcnt ecx, ebx
            0xf4,  // hlt
        ])
        #expect(engine.run(budget: 1000) == .halt)
        let state = engine.state
        let third = (1.0 / 3.0).bitPattern
        #expect(state.rip == 0x105e)
        #expect(state.vector.low[0] == third)
        #expect(state.vector.low[2] == third &* 2)
        #expect(try word(memory, 0x1ff8) == third)
        #expect(try word(memory, 0x3000) == third &* 2)
        // Precision is the only sticky flag.
        #expect(try word(memory, 0x3008) & 0xffff_ffff == 0x1fa0)
        #expect(state.vector.mxcsr == 0x1fa0)
        #expect(try word(memory, 0x3010 + 24) == 0xffff_0000_1fa0)
        #expect(try word(memory, 0x3010 + 160 + 32) == third &* 2)
        #expect(try word(memory, 0x3ff8) == third)
        #expect(state.generalPurposeRegisters[3] == 6)
        #expect(state.generalPurposeRegisters[1] == 2)
        #expect(state.x87.tags == 0)
    }

    /// ADDPS with an unaligned operand, or with the control bits that forbid it.
    @Test func faults() throws {
        let instruction: [UInt8] = [0x0f, 0x58, 0x06, 0x08, 0x30, 0xf4]
        let (unaligned, _) = try prepare(instruction, control: 0x600)
        #expect(unaligned.run(budget: 10) == .halt)
        #expect(unaligned.state.rip == 0x60e)
        let (disabled, _) = try prepare(instruction)
        #expect(disabled.run(budget: 10) == .halt)
        #expect(disabled.state.rip == 0x607)
        let (switched, _) = try prepare(instruction, control: 0x600)
        switched.state.cr0 |= 8
        #expect(switched.run(budget: 10) == .halt)
        #expect(switched.state.rip == 0x608)
    }

    @Test func unmaskedException() throws {
        // divss xmm0, xmm1: 0 / 0, invalid
        let (engine, _) = try prepare([0xf3, 0x0f, 0x5e, 0xc1, 0xf4], control: 0x600)
        engine.state.vector.mxcsr = 0x1f00
        #expect(engine.run(budget: 10) == .halt)
        #expect(engine.state.rip == 0x614)
        #expect(engine.state.vector.mxcsr == 0x1f01)
    }

    /// A state from outside may hold anything.
    @Test func reservedControlBitsDoNotReachTheHost() throws {
        let (engine, _) = try prepare([0xf4])
        engine.state.vector.mxcsr = 0xffff_ffff
        #expect(engine.run(budget: 10) == .halt)
    }
}
