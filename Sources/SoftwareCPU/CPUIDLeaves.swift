internal import CEngine
internal import VirtualCPU

extension EngineContext {
    /// The machine's leaf with the bits that mirror this processor's control registers.
    func answerCPUID(_ cpu: CPU, _ leaf: UInt32, _ subleaf: UInt32) -> CPUIDResult {
        var result = cpuid(leaf, subleaf)
        let osxsaveBit: UInt32 = 1 << 27
        if leaf == 1 {
            result.ecx &= ~osxsaveBit
            if unsafe cpu.pointee.cr4 & CR4.osxsave != 0 { result.ecx |= osxsaveBit }
        }
        return result
    }
}
