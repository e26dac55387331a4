internal import SoftwareCPU
internal import Vocabulary
internal import X86

/// Which processor the guest finds.
public enum ProcessorChoice: String, Sendable, CaseIterable {
    /// `v3` without ADX where the translator runs and the host has it, `v2` elsewhere. The interpreter is
    /// slower with wide vectors than without; code for ADX keeps two carries in the flags across its
    /// memory accesses, and there OpenSSL's RSA is a third as fast as with AVX2 alone.
    case auto
    /// x86-64-v2 with what `CPUIDModel.martletV2` says.
    case v2
    /// x86-64-v3 where the host has it.
    case v3
    /// Everything that the engine knows and the host has.
    case host

    /// Its CPUID. Throws where the host's processor lacks what it needs.
    func model(for engine: MachineConfiguration.Engine) throws(XError) -> CPUIDModel {
        let host = HostProcessor.features
        switch self {
        case .auto:
            guard engine == .translator else { return .martletV2 }
            return CPUIDModel.martletV3(on: host.subtracting(.adx)) ?? .martletV2
        case .v2: return .martletV2
        case .host: return .host(host)
        case .v3:
            guard let model = CPUIDModel.martletV3(on: host) else {
                throw XError(
                    .unsupported,
                    "this host's processor lacks what --cpu v3 needs (AVX2, BMI, FMA, F16C, LZCNT, "
                        + "MOVBE): use --cpu v2 or host")
            }
            return model
        }
    }
}
