internal import CEngine
public import X86

/// The processor that this process runs on.
public enum HostProcessor {
    /// What it has of what forms of the instruction table may belong to. Vector instructions count
    /// where the host's kernel saves their registers.
    public static let features: InstructionFeatures = {
        var basic = host_cpuid(1, 0, 2)
        if host_xcr0() & 6 != 6 { basic &= ~(1 << 28) }
        return InstructionFeatures(
            basicECX: basic, structured: (host_cpuid(7, 0, 1), host_cpuid(7, 0, 2)),
            extendedECX: host_cpuid(0x8000_0001, 0, 2))
    }()
}
