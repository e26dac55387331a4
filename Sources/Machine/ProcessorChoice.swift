internal import SoftwareCPU
internal import Vocabulary
internal import X86

/// Which processor the guest finds.
public enum ProcessorChoice: String, Sendable, CaseIterable {
    /// x86-64-v2 with what `CPUIDModel.martletV2` says.
    case v2
    /// x86-64-v3 where the host has it.
    case v3
    /// Everything that the engine knows and the host has.
    case host

    /// Its CPUID. Throws where the host's processor lacks what it needs.
    func model() throws(XError) -> CPUIDModel {
        let host = HostProcessor.features
        switch self {
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
