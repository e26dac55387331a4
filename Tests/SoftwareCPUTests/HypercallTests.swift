import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// What the machine asks of the engine on behalf of a paravirtual guest.
@Suite struct HypercallTests {
    static let before: UInt64 = 0x1111_2222_3333_4444
    static let after: UInt64 = 0x5555_6666_7777_8888
    static let pageDirectory: UInt64 = 0x12000
    /// Present, writable, a large page, global.
    static let globalPage: UInt64 = 0x183

    /// 64-bit code with `privilegeLevel` that loads RDI from 0x200000, calls and loads RDI again.
    private func engine(privilegeLevel: UInt16 = 0) throws -> (SoftwareEngine, GuestMemory) {
        let memory = try GuestMemory(regions: [
            MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 4 << 20)
        ])
        memory.write(
            GuestPhysicalAddress(0x1000),
            // mov rdi,[0x200000]; vmcall; mov rdi,[0x200000]; hlt
            [
                0x48, 0x8b, 0x3c, 0x25, 0, 0, 0x20, 0, 0x0f, 0x01, 0xc1,
                0x48, 0x8b, 0x3c, 0x25, 0, 0, 0x20, 0, 0xf4,
            ])
        for (address, value) in [
            (0, Self.after), (0x20_0000, Self.before), (0x10000, 0x11007), (0x11000, 0x12007),
            (Self.pageDirectory, 0x187), (Self.pageDirectory + 8, 0x20_0187),
        ] as [(UInt64, UInt64)] {
            memory.write(GuestPhysicalAddress(address), integer: value)
        }
        let engine = SoftwareEngine(memory: memory, events: PendingEvents()) { _, _ in
            CPUIDResult()
        }
        var state = ArchitecturalState()
        let level = privilegeLevel << 5
        state.cs = .init(
            selector: 0x10 | privilegeLevel, base: 0, limit: .max, attributes: 0xa09b | level)
        state.ss = .init(
            selector: 0x18 | privilegeLevel, base: 0, limit: .max, attributes: 0xc093 | level)
        state.cr0 = 0x8000_0011
        state.cr3 = 0x10000
        state.cr4 = 0xa0
        state.modelSpecific.efer = 0x500
        state.rip = 0x1000
        state.generalPurposeRegisters = (0..<16).map { 100 + $0 }
        engine.state = state
        return (engine, memory)
    }

    @Test func theFrameHasTheRegisters() throws {
        let (engine, _) = try engine()
        #expect(engine.run(budget: 100) == .hypercall)
        var frame = HypercallFrame()
        (frame.rax, frame.rcx, frame.rdx, frame.rbx) = (100, 101, 102, 103)
        (frame.rsi, frame.rdi) = (106, Self.before)
        (frame.r8, frame.r9, frame.r10) = (108, 109, 110)
        #expect(engine.hypercallFrame == frame)
        engine.complete(hypercall: 9)
        #expect(engine.run(budget: 100) == .halt)
        #expect(engine.state.generalPurposeRegisters[0] == 9)
    }

    @Test func theFrameSaysWhoAsks() throws {
        let (engine, _) = try engine(privilegeLevel: 3)
        #expect(engine.run(budget: 100) == .hypercall)
        #expect(engine.hypercallFrame.privilegeLevel == 3)
        var state = engine.state
        // The same bytes, but for MOV's prefix, in a 32-bit segment.
        state.cs.attributes = 0xc09b | 3 << 5
        state.rip = 0x1008
        engine.state = state
        #expect(engine.run(budget: 100) == .hypercall)
        #expect(!engine.hypercallFrame.is64Bit)
    }

    @Test(arguments: [true, false])
    func flushingDropsGlobalTranslationsToo(flush: Bool) throws {
        let (engine, memory) = try engine()
        #expect(engine.run(budget: 100) == .hypercall)
        #expect(engine.hypercallFrame.rdi == Self.before)
        memory.write(
            GuestPhysicalAddress(Self.pageDirectory + 8), integer: Self.globalPage)
        let flushes = engine.statistics.tlbFlushes
        if flush { engine.flushTLB() }
        engine.complete(hypercall: 0)
        #expect(engine.run(budget: 100) == .halt)
        #expect(engine.state.generalPurposeRegisters[7] == (flush ? Self.after : Self.before))
        #expect(engine.statistics.tlbFlushes - flushes == (flush ? 1 : 0))
    }
}
