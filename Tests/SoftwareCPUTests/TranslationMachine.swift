import GuestMemory
import VirtualCPU
import Vocabulary
import X86

@testable import SoftwareCPU

/// 64-bit code in 2 MiB pages at their own addresses up to 4 MiB; faults end in a HLT.
struct TranslationMachine {
    let engine: SoftwareEngine
    let memory: GuestMemory
    let cache: CodeCache

    init(
        _ code: [UInt8], at address: UInt64, _ policy: TranslationPolicy,
        observation: CodeObservation = .none, store: CodeStore? = nil,
        features: InstructionFeatures = .base, isPaged: Bool = false
    ) throws {
        memory = try GuestMemory(
            regions: [MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 8 << 20)],
            isPaged: isPaged)
        for (address, value) in [
            (0x10000, 0x11007), (0x11000, 0x12007), (0x12000, 0x83), (0x12008, 0x20_0083),
        ] as [(UInt64, UInt64)] {
            memory.write(GuestPhysicalAddress(address), integer: value)
        }
        memory.write(GuestPhysicalAddress(address), code)
        // Gates for #PF and #NM: HLT at 0x3000.
        for vector: UInt64 in [7, 14] {
            memory.write(
                GuestPhysicalAddress(0x2000 + vector * 16), [0, 0x30, 8, 0, 0, 0x8e, 0, 0])
        }
        memory.write(GuestPhysicalAddress(0x4008), [0xff, 0xff, 0, 0, 0, 0x9b, 0xaf, 0])
        memory.write(GuestPhysicalAddress(0x3000), [0xf4])
        cache = CodeCache(
            memory: memory, translation: policy, observation: observation, store: store)
        let model = features == .base ? nil : CPUIDModel.host(features)
        engine = SoftwareEngine(memory: memory, events: PendingEvents(), code: cache) {
            guard let leaf = model?.leaf($0, $1, CPUIDModel.Context()) else { return CPUIDResult() }
            return CPUIDResult(eax: leaf.eax, ebx: leaf.ebx, ecx: leaf.ecx, edx: leaf.edx)
        }
        var state = ArchitecturalState()
        state.cs = .init(selector: 8, base: 0, limit: .max, attributes: 0xa09b)
        state.ss = .init(selector: 0x18, base: 0, limit: .max, attributes: 0xc093)
        state.ds = .init(selector: 0x18, base: 0, limit: .max, attributes: 0xc093)
        state.gdt = .init(base: 0x4000, limit: 0xfff)
        state.idt = .init(base: 0x2000, limit: 0xfff)
        state.cr0 = 0x8000_0031
        state.cr3 = 0x10000
        state.cr4 = 0x6a0
        if let model {
            // OSXSAVE.
            state.cr4 |= 1 << 18
            state.xcr0 = model.extendedStateMask
        }
        state.modelSpecific.efer = 0x500
        state.rip = address
        state.generalPurposeRegisters[4] = 0x8000
        state.x87.control = 0x37f
        state.x87.tags = 0
        engine.state = state
    }

    func setRegisters(_ values: [Int: UInt64]) {
        var state = engine.state
        for (number, value) in values { state.generalPurposeRegisters[number] = value }
        engine.state = state
    }

    /// 4 KiB pages at 0x200000 and 0x201000: the physical ones at 0x200000 and 0x202000. Their entries
    /// are at 0x13000.
    func mapSmallPages() {
        memory.write(GuestPhysicalAddress(0x12008), integer: 0x1_3007 as UInt64)
        memory.write(GuestPhysicalAddress(0x13000), integer: 0x20_0003 as UInt64)
        memory.write(GuestPhysicalAddress(0x13008), integer: 0x20_2003 as UInt64)
    }
}
