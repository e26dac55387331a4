import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// Whatever the guest does, a budget comes to its end, and every budget gets the guest on. Found by
/// `make fuzz`.
struct BudgetTests {
    private let memory: GuestMemory
    private let events = PendingEvents()
    private let engine: SoftwareEngine

    init() throws {
        memory = try GuestMemory(regions: [
            MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 4 << 20)
        ])
        engine = SoftwareEngine(memory: memory, events: events) { _, _ in CPUIDResult() }
    }

    private func put(_ address: UInt64, _ bytes: [UInt8]) {
        #expect(memory.write(GuestPhysicalAddress(address), bytes))
    }

    private func word(_ address: UInt64) -> UInt64? {
        memory.read(GuestPhysicalAddress(address), as: UInt64.self)
    }

    /// Real mode at 0x1000 with a stack of its own.
    private func start(_ code: [UInt8], _ change: (inout ArchitecturalState) -> Void = { _ in }) {
        put(0x1000, code)
        var state = ArchitecturalState()
        state.cs.base = 0
        state.cs.selector = 0
        state.ss.base = 0x2_0000
        state.ss.selector = 0x2000
        state.rip = 0x1000
        change(&state)
        engine.state = state
    }

    @Test(.timeLimit(.minutes(1))) func exceptionsWithoutEndSpendTheBudget() {
        // #UD, whose handler is #UD.
        start([0x0f, 0x0b])
        put(6 * 4, [0x00, 0x10, 0, 0])
        #expect(engine.run(budget: 1000) == .budgetSpent)
        #expect(engine.statistics.exceptionsDelivered == 1000)
        #expect(engine.statistics.instructionsRetired == 0)
        events.raise(.leave)
        #expect(engine.run(budget: .max) == .eventsPending)
    }

    @Test(.timeLimit(.minutes(1))) func codeSegmentsThatEndInTheirPageSpendTheBudget() {
        // jmp $
        start([0xeb, 0xfe]) { $0.cs.limit = 0x1ffe }
        #expect(engine.run(budget: 1000) == .budgetSpent)
        #expect(engine.statistics.instructionsRetired == 1000)
        events.raise(.leave)
        #expect(engine.run(budget: .max) == .eventsPending)
    }

    @Test(.timeLimit(.minutes(1))) func returnsThatKeepTheResumeFlagSpendTheBudget() {
        // IRETD to itself, with RF, from a stack that is full of it and wraps.
        start([0x66, 0xcf]) {
            $0.debugRegisters[0] = 0x3000
            $0.debugRegisters[7] = 0x402
        }
        let frame: [UInt8] = [0x00, 0x10, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0]
        // 12 bytes do not divide 64 KiB: one frame, and SP back at it by a stack limit of 4 GiB.
        for index: UInt64 in 0..<5461 { put(0x2_0000 + index * 12, frame) }
        #expect(engine.run(budget: 1000) == .budgetSpent)
        #expect(engine.statistics.instructionsRetired == 1000)
    }

    @Test func aBudgetSmallerThanABlockGetsOn() {
        start([UInt8](repeating: 0x90, count: 10) + [0xf4])
        var exit = engine.run(budget: 1)
        for _ in 0..<10 where exit == .budgetSpent { exit = engine.run(budget: 1) }
        #expect(exit == .halt)
        #expect(engine.statistics.instructionsRetired == 11)
    }

    @Test func gatesToNoAddressAreProtectionFaults() {
        // One page of 1 GiB; the #UD gate's offset is not canonical, the #GP gate's is 0x3000.
        put(0x1_0000, [0x03, 0x10, 1])
        put(0x1_1000, [0x83])
        put(0x4008, [0xff, 0xff, 0, 0, 0, 0x9b, 0xaf, 0])
        put(0x2000 + 6 * 16, [0, 0, 8, 0, 0, 0x8e, 0, 0, 0, 0x80, 0, 0])
        put(0x2000 + 13 * 16, [0, 0x30, 8, 0, 0, 0x8e, 0, 0])
        put(0x3000, [0xf4])
        start([0x0f, 0x0b]) {
            $0.cr0 = 0x8000_0011
            $0.cr3 = 0x1_0000
            $0.cr4 = 0x20
            $0.modelSpecific.efer = 0x500
            $0.cs.selector = 8
            $0.cs.attributes = 0xa09b
            $0.gdt.base = 0x4000
            $0.idt.base = 0x2000
            $0.generalPurposeRegisters[4] = 0x6000
        }
        #expect(engine.run(budget: 1000) == .halt)
        #expect(engine.state.rip == 0x3001)
        // Error code with EXT alone, then the instruction that was #UD.
        #expect(word(0x6000 - 48) == 1)
        #expect(word(0x6000 - 40) == 0x1000)
    }
}
