import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// Small programs in real and long mode, from raw bytes.
struct RunTests {
    private func engine(_ code: [UInt8]) throws -> SoftwareEngine {
        let memory = try GuestMemory(regions: [
            MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 4 << 20)
        ])
        #expect(memory.write(GuestPhysicalAddress(0x1000), code))
        let engine = SoftwareEngine(memory: memory, events: PendingEvents()) { _, _ in
            CPUIDResult()
        }
        var state = ArchitecturalState()
        state.cs.base = 0
        state.cs.selector = 0
        state.rip = 0x1000
        engine.state = state
        return engine
    }

    @Test func addsInRealMode() throws {
        // mov ax,5; add ax,7; mov bx,ax; shl bx,2; hlt
        let engine = try engine([0xb8, 5, 0, 0x83, 0xc0, 7, 0x89, 0xc3, 0xc1, 0xe3, 2, 0xf4])
        #expect(engine.run(budget: 1000) == .halt)
        #expect(engine.state.generalPurposeRegisters[0] == 12)
        #expect(engine.state.generalPurposeRegisters[3] == 48)
    }

    @Test func loopsAndStores() throws {
        // xor ax,ax; mov cx,100; l: add ax,cx; loop l; mov [0x2000],ax; out 0x80,al; hlt
        let engine = try engine([
            0x31, 0xc0, 0xb9, 100, 0, 0x01, 0xc8, 0xe2, 0xfc, 0xa3, 0x00, 0x20, 0xe6, 0x80, 0xf4,
        ])
        #expect(
            engine.run(budget: 10000)
                == .portWrite(port: PortNumber(0x80), width: 1, value: 5050 & 0xff))
        #expect(engine.run(budget: 1000) == .halt)
        #expect(engine.state.generalPurposeRegisters[0] == 5050)
    }

    @Test func answersOfDevicesReachTheInstruction() throws {
        // mov al,1; in al,0x60; add al,1; hlt
        let engine = try engine([0xb0, 1, 0xe4, 0x60, 0x04, 1, 0xf4])
        #expect(engine.run(budget: 100) == .portRead(port: PortNumber(0x60), width: 1))
        engine.complete(read: 0x41)
        #expect(engine.run(budget: 100) == .halt)
        #expect(engine.state.generalPurposeRegisters[0] == 0x42)
    }
}
