import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// Instructions that one engine decoded and another one, or a device, writes.
struct CodeCoherenceTests {
    private func engine(_ memory: GuestMemory, at rip: UInt64) -> SoftwareEngine {
        let engine = SoftwareEngine(memory: memory, events: PendingEvents()) { _, _ in
            CPUIDResult()
        }
        var state = ArchitecturalState()
        state.cs.base = 0
        state.cs.selector = 0
        state.rip = rip
        engine.state = state
        return engine
    }

    private func memory() throws -> GuestMemory {
        let memory = try GuestMemory(regions: [
            MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 4 << 20)
        ])
        // mov ax, 1; hlt; and at 0x2000: mov byte [0x1001], 2; hlt
        #expect(memory.write(GuestPhysicalAddress(0x1000), [0xb8, 1, 0, 0xf4]))
        #expect(memory.write(GuestPhysicalAddress(0x2000), [0xc6, 0x06, 0x01, 0x10, 2, 0xf4]))
        return memory
    }

    // Engines run on from where HLT left off: loading state would drop all blocks.
    @Test func anotherEnginesStoreIsSeen() throws {
        let memory = try memory()
        // jmp back to 0x1000 behind the HLT.
        #expect(memory.write(GuestPhysicalAddress(0x1004), [0xeb, 0xfa]))
        #expect(memory.write(GuestPhysicalAddress(0x2006), [0xeb, 0xf8]))
        let reader = engine(memory, at: 0x1000)
        let writer = engine(memory, at: 0x2000)
        // The writer's page with the code is in its TLB, writable, before it is decoded.
        #expect(writer.run(budget: 100) == .halt)
        #expect(memory.write(GuestPhysicalAddress(0x1001), [1]))
        #expect(reader.run(budget: 100) == .halt)
        #expect(reader.state.generalPurposeRegisters[0] & 0xffff == 1)
        #expect(writer.run(budget: 100) == .halt)
        #expect(reader.run(budget: 100) == .halt)
        #expect(reader.state.generalPurposeRegisters[0] & 0xffff == 2)
    }

    @Test func aDevicesStoreIsSeen() throws {
        let memory = try memory()
        #expect(memory.write(GuestPhysicalAddress(0x1004), [0xeb, 0xfa]))
        let reader = engine(memory, at: 0x1000)
        #expect(reader.run(budget: 100) == .halt)
        #expect(memory.write(GuestPhysicalAddress(0x1001), [7]))
        #expect(reader.run(budget: 100) == .halt)
        #expect(reader.state.generalPurposeRegisters[0] & 0xffff == 7)
    }

    @Test func moreChangesThanTheMailboxHolds() throws {
        let memory = try memory()
        #expect(memory.write(GuestPhysicalAddress(0x1004), [0xeb, 0xfa]))
        let reader = engine(memory, at: 0x1000)
        #expect(reader.run(budget: 100) == .halt)
        for page in UInt64(0x100)..<0x200 { memory.announce(.written, page << 12, by: 0) }
        #expect(memory.write(GuestPhysicalAddress(0x1001), [9]))
        #expect(reader.run(budget: 100) == .halt)
        #expect(reader.state.generalPurposeRegisters[0] & 0xffff == 9)
    }
}
