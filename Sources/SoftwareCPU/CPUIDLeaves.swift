internal import CEngine
internal import VirtualCPU
internal import X86

extension EngineContext {
    /// The machine's leaf with the bits that mirror this processor's control registers, and whether
    /// its local APIC is enabled (SDM volume 3, 11.4.3).
    func answerCPUID(_ cpu: CPU, _ leaf: UInt32, _ subleaf: UInt32) -> CPUIDResult {
        var result = cpuid(leaf, subleaf)
        let osxsaveBit: UInt32 = 1 << 27
        if leaf == 1 {
            result.ecx &= ~osxsaveBit
            if !localAPICIsEnabled { result.edx &= ~(1 << 9) }
            if unsafe cpu.pointee.cr4 & CR4.osxsave != 0 { result.ecx |= osxsaveBit }
        }
        if leaf == 0xd, subleaf < 2 {
            // The area for what XCR0 enables, in the standard and in the compacted format.
            result.ebx = unsafe UInt32(ExtendedState.byteCount(cpu.pointee.xcr0))
        }
        return result
    }

    /// What the machine's CPUID offers of what a form may belong to.
    var offeredFeatures: InstructionFeatures {
        let structured = cpuid(7, 0)
        return InstructionFeatures(
            basicECX: cpuid(1, 0).ecx, structured: (structured.ebx, structured.ecx),
            extendedECX: cpuid(0x8000_0001, 0).ecx)
    }
}
