/// The processor that a guest sees through CPUID (SDM volume 2A, CPUID).
///
/// The model says it is GenuineIntel, family 6, model 28, stepping 10: the in-order Atom, which
/// like this engine runs nothing ahead of time. Kernels know that it needs no mitigation against
/// speculation, so they neither warn nor run slower paths. Being Intel also makes kernels take the
/// TSC frequency from leaf 0x15, call the host by VMCALL, and enter from 32-bit programs by
/// SYSENTER. What the model offers beyond that processor is said in the feature leaves, which is
/// where guests must look.
public struct CPUIDModel: Sendable, Hashable {
    /// What the user names it by.
    public var name: String
    /// What it has of what later processors added.
    public var features: InstructionFeatures = []

    /// x86-64-v2 with AES, PCLMUL, RDRAND, FSGSBASE, SMEP, SMAP, UMIP, PCID, INVPCID, XSAVE for
    /// x87 and SSE, RDTSCP, 1 GiB pages, NX, ERMS, x2APIC, the TSC-deadline timer, TSC adjustment
    /// and an invariant TSC.
    public static let martletV2 = CPUIDModel(name: "martlet-v2")

    /// x86-64-v3: the above with AVX, AVX2, BMI1, BMI2, F16C, FMA, LZCNT and MOVBE, XSAVE for AVX
    /// state, and ADX, SHA, VAES and VPCLMULQDQ where `host` has them. Nil: `host` lacks one of the
    /// others, which are carried out by its own.
    public static func martletV3(on host: InstructionFeatures) -> CPUIDModel? {
        guard host.isSuperset(of: .version3) else { return nil }
        let features = InstructionFeatures.version3.union(host.intersection(.optional))
        return CPUIDModel(name: "martlet-v3", features: features)
    }

    /// All that the engine knows and `host` has.
    public static func host(_ host: InstructionFeatures) -> CPUIDModel {
        let known = InstructionFeatures.version3.union(.optional)
        return CPUIDModel(name: "martlet-host", features: host.intersection(known))
    }

    /// Bits of a physical address.
    public static let physicalAddressBits: UInt32 = 46
    /// Bits of a linear address.
    public static let linearAddressBits: UInt32 = 48
    /// Family, model and stepping as leaf 1 has them.
    public static let signature: UInt32 = 0x0001_06ca
    /// Highest basic leaf.
    public static let highestBasicLeaf: UInt32 = 0x16
    /// Highest extended leaf.
    public static let highestExtendedLeaf: UInt32 = 0x8000_0008
    /// XCR0 bits a guest may set: x87 and SSE, and AVX where it is offered.
    public var extendedStateMask: UInt64 { features.contains(.avx) ? 7 : 3 }

    /// What leaves say about one processor of one machine.
    public struct Context: Sendable, Hashable {
        /// This processor's x2APIC ID.
        public var apicID: UInt32 = 0
        /// Processors of the machine, at least 1.
        public var processorCount: UInt32 = 1
        /// CR4.OSXSAVE of this processor.
        public var hasOSXSAVE = false
        /// The global enable bit of IA32_APIC_BASE.
        public var isAPICEnabled = true
        /// TSC frequency in Hz; 0 if it is not known.
        public var tscFrequency: UInt64 = 0
        /// Frequency in Hz that clocks the local APIC's timer and is told as the crystal's: kernels
        /// take it for the timer's. They multiply its kHz by the numerator of the TSC's ratio in
        /// 32 bits, so at 1 GHz the numerator is at most 4294: the ratio is right to about 1 ppm,
        /// and to 120 ppm just beside a whole number of GHz.
        public var crystalFrequency: UInt32 = 1_000_000_000

        public init() {}
    }

    /// The four registers that CPUID returns.
    public typealias Registers = (eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32)

    /// What CPUID returns for `leaf` in EAX and `subleaf` in ECX. Leaves 0x4000_0000 to
    /// 0x4fff_ffff belong to the machine's platform face and are zero here. Any other leaf beyond
    /// the highest reads as the highest basic leaf, as on hardware.
    public func leaf(_ leaf: UInt32, _ subleaf: UInt32, _ context: Context) -> Registers {
        switch leaf {
        case 0: return vendor(Self.highestBasicLeaf)
        case 1: return features(context)
        // Look in leaf 4.
        case 2: return (0x0000_ff01, 0, 0, 0)
        case 4: return cache(subleaf, context)
        // The APIC timer always runs.
        case 6: return (1 << 2, 0, 0, 0)
        case 7: return structuredFeatures(subleaf)
        case 0xb: return topology(subleaf, context)
        case 0xd: return extendedState(subleaf)
        case 0x15: return crystal(context)
        case 3, 5, 8, 9, 0xa, 0xc, 0xe...0x14: return (0, 0, 0, 0)
        case 0x4000_0000...0x4fff_ffff: return (0, 0, 0, 0)
        case 0x8000_0000: return (Self.highestExtendedLeaf, 0, 0, 0)
        case 0x8000_0001:
            return (0, 0, Self.lahf | features.leaves.extendedECX, Self.extendedEDX)
        case 0x8000_0002...0x8000_0004: return brand(leaf &- 0x8000_0002)
        case 0x8000_0005: return (0, 0, 0, 0)
        // L2: 1 MiB, 8 ways, 64-byte lines.
        case 0x8000_0006: return (0, 0, 1024 << 16 | 6 << 12 | 64, 0)
        // Invariant TSC.
        case 0x8000_0007: return (0, 0, 0, 1 << 8)
        case 0x8000_0008:
            return (Self.linearAddressBits << 8 | Self.physicalAddressBits, 0, 0, 0)
        default: return frequencies(context)
        }
    }
}

extension CPUIDModel {
    /// LAHF and SAHF in 64-bit code.
    private static let lahf: UInt32 = 1 << 0

    /// Leaf 0x8000_0001: SYSCALL, NX, 1 GiB pages, RDTSCP, long mode.
    private static let extendedEDX = bits(11, 20, 26, 27, 29)

    private static func bits(_ positions: UInt32...) -> UInt32 {
        positions.reduce(0) { $0 | 1 &<< $1 }
    }

    private func vendor(_ highest: UInt32) -> Registers {
        // "GenuineIntel" in EBX, EDX, ECX.
        (highest, 0x756e_6547, 0x6c65_746e, 0x4965_6e69)
    }

    private func features(_ context: Context) -> Registers {
        // SSE3, PCLMULQDQ, SSSE3, CMPXCHG16B, PCID, SSE4.1, SSE4.2, x2APIC, POPCNT, TSC-deadline,
        // AES, XSAVE, RDRAND, hypervisor.
        var ecx = Self.bits(0, 1, 9, 13, 17, 19, 20, 21, 23, 24, 25, 26, 30, 31)
        ecx |= features.leaves.basicECX
        if context.hasOSXSAVE { ecx |= 1 << 27 }
        // FPU, DE, PSE, TSC, MSR, PAE, CMPXCHG8B, SYSENTER, MTRR, PGE, CMOV, PAT, PSE-36, CLFLUSH,
        // MMX, FXSR, SSE, SSE2.
        var edx = Self.bits(0, 2, 3, 4, 5, 6, 8, 11, 12, 13, 15, 16, 17, 19, 23, 24, 25, 26)
        if context.isAPICEnabled { edx |= 1 << 9 }
        // HTT: EBX has the number of APIC IDs.
        if context.processorCount > 1 { edx |= 1 << 28 }
        let flushLine: UInt32 = 8
        let identifiers = min(1 &<< identifierBits(context), 255)
        let ebx = (context.apicID & 0xff) &<< 24 | identifiers &<< 16 | flushLine &<< 8
        return (Self.signature, ebx, ecx, edx)
    }

    private func structuredFeatures(_ subleaf: UInt32) -> Registers {
        guard subleaf == 0 else { return (0, 0, 0, 0) }
        // FSGSBASE, TSC_ADJUST, SMEP, ERMS, INVPCID, SMAP; UMIP.
        let leaves = features.leaves
        return (
            0, Self.bits(0, 1, 7, 9, 10, 20) | leaves.structuredEBX,
            Self.bits(2) | leaves.structuredECX, 0
        )
    }

    /// Bits of an APIC ID that number the processors.
    private func identifierBits(_ context: Context) -> UInt32 {
        let highest = max(context.processorCount, 1) &- 1
        return UInt32(32 &- highest.leadingZeroBitCount)
    }

    private func topology(_ subleaf: UInt32, _ context: Context) -> Registers {
        switch subleaf {
        // One thread a core.
        case 0: return (0, 1, 1 << 8, context.apicID)
        case 1:
            let count = min(max(context.processorCount, 1), 0xffff)
            return (identifierBits(context), count, 2 << 8 | 1, context.apicID)
        default: return (0, 0, subleaf & 0xff, context.apicID)
        }
    }

    private func cache(_ subleaf: UInt32, _ context: Context) -> Registers {
        let cores = min((1 &<< identifierBits(context)) &- 1, 63) &<< 26
        let selfInitializing: UInt32 = 1 << 8
        func describe(type: UInt32, level: UInt32, ways: UInt32, sets: UInt32) -> Registers {
            let eax = type | level &<< 5 | selfInitializing | cores
            return (eax, (ways &- 1) &<< 22 | 63, sets &- 1, 0)
        }
        switch subleaf {
        case 0: return describe(type: 1, level: 1, ways: 8, sets: 64)
        case 1: return describe(type: 2, level: 1, ways: 8, sets: 64)
        case 2: return describe(type: 3, level: 2, ways: 8, sets: 2048)
        default: return (0, 0, 0, 0)
        }
    }

    private func extendedState(_ subleaf: UInt32) -> Registers {
        // The legacy region and the XSAVE header, and the upper halves of YMM registers. EBX is for
        // what XCR0 enables, which the processor fills in.
        let legacySize: UInt32 = 512 + 64
        let upperSize: UInt32 = features.contains(.avx) ? 256 : 0
        let areaSize = legacySize + upperSize
        switch subleaf {
        case 0: return (UInt32(extendedStateMask), areaSize, areaSize, 0)
        case 2 where upperSize != 0: return (upperSize, legacySize, 0, 0)
        // XSAVEOPT, XSAVEC, XGETBV with ECX 1.
        case 1: return (Self.bits(0, 1, 2), areaSize, 0, 0)
        default: return (0, 0, 0, 0)
        }
    }

    private func crystal(_ context: Context) -> Registers {
        let crystal = UInt64(context.crystalFrequency)
        guard crystal >= 1000, context.tscFrequency > 0 else { return (0, 0, 0, 0) }
        // Linux multiplies the crystal's kHz by the numerator in 32 bits.
        let limit = UInt64(UInt32.max) / (crystal / 1000)
        guard let ratio = Self.ratio(context.tscFrequency, crystal, limit) else {
            return (0, 0, 0, 0)
        }
        return (ratio.denominator, ratio.numerator, context.crystalFrequency, 0)
    }

    /// The fraction nearest to `value / unit` whose numerator is at most `limit`, by continued
    /// fractions. Nil if there is none above 0.
    private static func ratio(
        _ value: UInt64, _ unit: UInt64, _ limit: UInt64
    ) -> (numerator: UInt32, denominator: UInt32)? {
        typealias Fraction = (numerator: UInt64, denominator: UInt64)
        var (high, low) = (value, unit)
        var (current, previous): (Fraction, Fraction) = ((1, 0), (0, 1))
        func next(_ factor: UInt64) -> Fraction {
            (
                current.numerator &* factor &+ previous.numerator,
                current.denominator &* factor &+ previous.denominator
            )
        }
        func distance(_ fraction: Fraction) -> Double {
            guard fraction.numerator > 0, fraction.denominator > 0 else { return .infinity }
            let exact = Double(value) / Double(unit)
            return abs(Double(fraction.numerator) / Double(fraction.denominator) - exact)
        }
        while low != 0 {
            let quotient = high / low
            let room =
                current.numerator == 0
                ? .max : (limit &- min(limit, previous.numerator)) / current.numerator
            let following = next(min(quotient, room))
            if quotient > room {
                if distance(following) < distance(current) { current = following }
                break
            }
            (current, previous) = (following, current)
            (high, low) = (low, high % low)
        }
        guard let numerator = UInt32(exactly: current.numerator), numerator > 0,
            let denominator = UInt32(exactly: current.denominator), denominator > 0
        else { return nil }
        return (numerator, denominator)
    }

    private func frequencies(_ context: Context) -> Registers {
        let megahertz = UInt32(min(context.tscFrequency / 1_000_000, 0xffff))
        return megahertz == 0 ? (0, 0, 0, 0) : (megahertz, megahertz, 100, 0)
    }

    private func brand(_ part: UInt32) -> Registers {
        let text = Array("Martlet processor \(name)".utf8.prefix(47))
        func word(_ offset: Int) -> UInt32 {
            (0..<4).reduce(0) { value, step in
                let position = Int(part &* 16) &+ offset &+ step
                guard position < text.count else { return value }
                return value | UInt32(text[position]) &<< UInt32(step &* 8)
            }
        }
        return (word(0), word(4), word(8), word(12))
    }
}
