import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// x87 instructions through the whole engine: bytes in guest memory, real mode.
struct X87RunTests {
    private func prepare(
        _ code: [UInt8], cr0: UInt64 = 0x20
    ) throws -> (engine: SoftwareEngine, memory: GuestMemory) {
        let memory = try GuestMemory(regions: [
            MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 4 << 20)
        ])
        #expect(memory.write(GuestPhysicalAddress(0x1000), code + [0xf4]))
        // Exceptions 6, 7 and 16 lead to HLT at 0x600 plus the vector.
        for vector: UInt8 in [6, 7, 16] {
            #expect(
                memory.write(GuestPhysicalAddress(UInt64(vector) * 4), [vector, 0x06, 0, 0]))
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
        state.cr0 |= cr0
        engine.state = state
        return (engine, memory)
    }

    private func word(_ memory: GuestMemory, _ address: UInt64) throws -> UInt64 {
        let bytes = try #require(memory.read(GuestPhysicalAddress(address), byteCount: 8))
        return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    @Test func computesAndStores() throws {
        let (engine, memory) = try prepare([
            0xdb, 0xe3,  // fninit
            0xd9, 0xe8,  // fld1
            0xd9, 0xeb,  // fldpi
            0xd8, 0xc1,  // fadd st0, st1
            0xdd, 0x16, 0x00, 0x20,  // fst qword [0x2000]
            0xdb, 0x1e, 0x08, 0x20,  // fistp dword [0x2008]
            0xdf, 0x36, 0x10, 0x20,  // fbstp [0x2010]
            0xd9, 0x3e, 0x20, 0x20,  // fnstcw [0x2020]
            0xdf, 0xe0,  // fnstsw ax
        ])
        #expect(engine.run(budget: 100) == .halt)
        #expect(try word(memory, 0x2000) == (Double.pi + 1).bitPattern)
        #expect(try word(memory, 0x2008) & 0xffff_ffff == 4)
        #expect(try word(memory, 0x2010) == 1)
        #expect(try word(memory, 0x2020) & 0xffff == 0x37f)
        #expect(engine.state.generalPurposeRegisters[0] & 0xb8ff == 0x20)
        #expect(engine.state.x87.tags == 0)
    }

    @Test func comparisonsSetFlags() throws {
        // fninit; fld1; fldz; fcomi st0, st1; jb over; hlt; over: fcmovb st0, st1
        let (engine, _) = try prepare([
            0xdb, 0xe3, 0xd9, 0xe8, 0xd9, 0xee, 0xdb, 0xf1, 0x72, 0x01, 0xf4, 0xda, 0xc1,
        ])
        #expect(engine.run(budget: 100) == .halt)
        #expect(engine.state.rip == 0x100e)
        let state = engine.state.x87
        let top = Int((state.status >> 11) & 7)
        #expect(top == 6)
        #expect(state.significand[top] == 1 << 63)
        #expect(state.signExponent[top] == 0x3fff)
    }

    @Test func stackFaultIsMaskedOrRaised() throws {
        // fninit; fadd st0, st1
        let (masked, _) = try prepare([0xdb, 0xe3, 0xd8, 0xc1])
        #expect(masked.run(budget: 100) == .halt)
        #expect(masked.state.x87.status == 0x41)
        #expect(masked.state.x87.signExponent[0] == 0xffff)
        // fninit; fldcw [0x1020]; fadd st0, st1; fnstsw ax; fwait
        let code: [UInt8] = [
            0xdb, 0xe3, 0xd9, 0x2e, 0x20, 0x10, 0xd8, 0xc1, 0xdf, 0xe0, 0x9b,
        ]
        let (unmasked, memory) = try prepare(code)
        #expect(memory.write(GuestPhysicalAddress(0x1020), [0x7e, 0x03]))
        #expect(unmasked.run(budget: 100) == .halt)
        #expect(unmasked.state.rip == 0x611)
        #expect(unmasked.state.generalPurposeRegisters[0] & 0xffff == 0x80c1)
        #expect(unmasked.state.x87.instructionPointer == 0x1006)
        #expect(unmasked.state.x87.opcode == 0x0c1)
    }

    @Test func environmentInRealMode() throws {
        // fninit; fld1; fld1; fnsave [0x2000]; fnstenv [0x2100]; frstor [0x2000]; fld st1
        let (engine, memory) = try prepare([
            0xdb, 0xe3, 0xd9, 0xe8, 0xd9, 0xe8, 0xdd, 0x36, 0x00, 0x20, 0xd9, 0x36, 0x00, 0x21,
            0xdd, 0x26, 0x00, 0x20, 0xd9, 0xc1,
        ])
        #expect(engine.run(budget: 100) == .halt)
        #expect(try word(memory, 0x2000) == 0x1004_0fff_3000_037f)
        #expect(try word(memory, 0x2100) & 0xffff_ffff_ffff == 0xffff_0000_037f)
        #expect(engine.state.x87.tags == 0xe0)
        #expect(engine.state.x87.status & 0x3800 == 0x2800)
    }

    @Test func deviceNotAvailable() throws {
        let (addition, _) = try prepare([0xd8, 0xc1], cr0: 8)
        #expect(addition.run(budget: 10) == .halt)
        #expect(addition.state.rip == 0x608)
        let (wait, _) = try prepare([0x9b], cr0: 8)
        #expect(wait.run(budget: 10) == .halt)
        #expect(wait.state.rip == 0x1002)
        let (monitored, _) = try prepare([0x9b], cr0: 10)
        #expect(monitored.run(budget: 10) == .halt)
        #expect(monitored.state.rip == 0x608)
    }
}
