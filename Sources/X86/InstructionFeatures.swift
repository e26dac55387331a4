/// CPUID features that forms of the instruction table belong to, in the order of the generator.
public struct InstructionFeatures: OptionSet, Sendable, Hashable {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let lzcnt = InstructionFeatures(rawValue: 1 << 8)
    public static let bmi1 = InstructionFeatures(rawValue: 1 << 9)
    public static let bmi2 = InstructionFeatures(rawValue: 1 << 10)
    public static let movbe = InstructionFeatures(rawValue: 1 << 11)
    public static let adx = InstructionFeatures(rawValue: 1 << 12)
    public static let sha = InstructionFeatures(rawValue: 1 << 13)
    /// AVX and AVX2, together.
    public static let avx = InstructionFeatures(rawValue: 1 << 14)
    public static let fma = InstructionFeatures(rawValue: 1 << 15)
    public static let f16c = InstructionFeatures(rawValue: 1 << 16)
    public static let vaes = InstructionFeatures(rawValue: 1 << 17)
    public static let vpclmulqdq = InstructionFeatures(rawValue: 1 << 18)

    /// What every model has: XSAVE, RDTSCP, FSGSBASE, RDRAND, RDPID (which raises #UD where it is
    /// carried out), AES, PCLMULQDQ.
    public static let base = InstructionFeatures(rawValue: 0xfe)
    /// Every feature that the table knows.
    public static let all = InstructionFeatures(rawValue: 0x7_fffe)
    /// What x86-64-v3 adds to x86-64-v2.
    public static let version3: InstructionFeatures = [
        .lzcnt, .bmi1, .bmi2, .movbe, .avx, .fma, .f16c,
    ]
    /// What a model may have beyond `version3`.
    public static let optional: InstructionFeatures = [.adx, .sha, .vaes, .vpclmulqdq]

    /// The features that a processor's leaves offer, beyond `base`.
    ///
    /// Everything that touches vector registers is taken only with AVX2: the engine carries it out
    /// by instructions of the host's encoded by VEX.
    /// - Parameters:
    ///   - basicECX: ECX of leaf 1.
    ///   - structured: EBX and ECX of leaf 7, subleaf 0.
    ///   - extendedECX: ECX of leaf 0x8000_0001.
    public init(
        basicECX: UInt32, structured: (ebx: UInt32, ecx: UInt32), extendedECX: UInt32
    ) {
        var found: InstructionFeatures = []
        func note(_ feature: InstructionFeatures, _ register: UInt32, _ bit: UInt32) {
            if register & (1 &<< bit) != 0 { found.insert(feature) }
        }
        note(.movbe, basicECX, 22)
        note(.bmi1, structured.ebx, 3)
        note(.bmi2, structured.ebx, 8)
        note(.adx, structured.ebx, 19)
        note(.lzcnt, extendedECX, 5)
        if basicECX & (1 << 28) != 0, structured.ebx & (1 << 5) != 0 {
            found.insert(.avx)
            note(.fma, basicECX, 12)
            note(.f16c, basicECX, 29)
            note(.sha, structured.ebx, 29)
            note(.vaes, structured.ecx, 9)
            note(.vpclmulqdq, structured.ecx, 10)
        }
        self = found
    }

    /// Bits of ECX of leaf 1, EBX and ECX of leaf 7, ECX of leaf 0x8000_0001, as `init` reads them.
    var leaves:
        (basicECX: UInt32, structuredEBX: UInt32, structuredECX: UInt32, extendedECX: UInt32)
    {
        func bit(_ feature: InstructionFeatures, _ position: UInt32) -> UInt32 {
            contains(feature) ? 1 &<< position : 0
        }
        let basic = bit(.movbe, 22) | bit(.avx, 28) | bit(.fma, 12) | bit(.f16c, 29)
        let structured =
            bit(.bmi1, 3) | bit(.avx, 5) | bit(.bmi2, 8) | bit(.adx, 19) | bit(.sha, 29)
        return (basic, structured, bit(.vaes, 9) | bit(.vpclmulqdq, 10), bit(.lzcnt, 5))
    }
}
