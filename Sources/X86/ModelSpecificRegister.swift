/// A model-specific register by number, with the manual's name (SDM volume 4).
public struct ModelSpecificRegister: RawRepresentable, Sendable, Hashable,
    CustomStringConvertible
{
    public var rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let timeStampCounter = Self(rawValue: 0x10)
    public static let platformID = Self(rawValue: 0x17)
    public static let apicBase = Self(rawValue: 0x1b)
    public static let featureControl = Self(rawValue: 0x3a)
    public static let tscAdjust = Self(rawValue: 0x3b)
    public static let speculationControl = Self(rawValue: 0x48)
    public static let predictionCommand = Self(rawValue: 0x49)
    public static let biosUpdateSignature = Self(rawValue: 0x8b)
    public static let platformInformation = Self(rawValue: 0xce)
    public static let mtrrCapabilities = Self(rawValue: 0xfe)
    public static let archCapabilities = Self(rawValue: 0x10a)
    public static let miscFeaturesEnables = Self(rawValue: 0x140)
    public static let sysenterCS = Self(rawValue: 0x174)
    public static let sysenterESP = Self(rawValue: 0x175)
    public static let sysenterEIP = Self(rawValue: 0x176)
    public static let machineCheckCapabilities = Self(rawValue: 0x179)
    public static let miscEnable = Self(rawValue: 0x1a0)
    public static let debugControl = Self(rawValue: 0x1d9)
    public static let pat = Self(rawValue: 0x277)
    public static let mtrrDefaultType = Self(rawValue: 0x2ff)
    public static let tscDeadline = Self(rawValue: 0x6e0)
    /// First of the x2APIC registers, `x2APIC` + register offset / 16.
    public static let x2APIC = Self(rawValue: 0x800)
    public static let xss = Self(rawValue: 0xda0)
    public static let efer = Self(rawValue: 0xc000_0080)
    public static let star = Self(rawValue: 0xc000_0081)
    public static let lstar = Self(rawValue: 0xc000_0082)
    public static let cstar = Self(rawValue: 0xc000_0083)
    public static let syscallMask = Self(rawValue: 0xc000_0084)
    public static let fsBase = Self(rawValue: 0xc000_0100)
    public static let gsBase = Self(rawValue: 0xc000_0101)
    public static let kernelGSBase = Self(rawValue: 0xc000_0102)
    public static let tscAux = Self(rawValue: 0xc000_0103)

    private static let names: [UInt32: String] = [
        0x10: "IA32_TIME_STAMP_COUNTER", 0x17: "IA32_PLATFORM_ID", 0x1b: "IA32_APIC_BASE",
        0x3a: "IA32_FEATURE_CONTROL", 0x3b: "IA32_TSC_ADJUST", 0x48: "IA32_SPEC_CTRL",
        0x49: "IA32_PRED_CMD", 0x8b: "IA32_BIOS_SIGN_ID", 0xce: "MSR_PLATFORM_INFO",
        0xfe: "IA32_MTRRCAP", 0x10a: "IA32_ARCH_CAPABILITIES", 0x140: "MSR_MISC_FEATURES_ENABLES",
        0x174: "IA32_SYSENTER_CS", 0x175: "IA32_SYSENTER_ESP", 0x176: "IA32_SYSENTER_EIP",
        0x179: "IA32_MCG_CAP", 0x1a0: "IA32_MISC_ENABLE", 0x1d9: "IA32_DEBUGCTL",
        0x277: "IA32_PAT", 0x2ff: "IA32_MTRR_DEF_TYPE", 0x6e0: "IA32_TSC_DEADLINE",
        0xda0: "IA32_XSS", 0xc000_0080: "IA32_EFER", 0xc000_0081: "IA32_STAR",
        0xc000_0082: "IA32_LSTAR", 0xc000_0083: "IA32_CSTAR", 0xc000_0084: "IA32_FMASK",
        0xc000_0100: "IA32_FS_BASE", 0xc000_0101: "IA32_GS_BASE",
        0xc000_0102: "IA32_KERNEL_GS_BASE", 0xc000_0103: "IA32_TSC_AUX",
        0x250: "IA32_MTRR_FIX64K_00000", 0x258: "IA32_MTRR_FIX16K_80000",
        0x259: "IA32_MTRR_FIX16K_A0000",
    ]

    /// The manual's name, or the number in hexadecimal.
    public var description: String {
        if let name = Self.names[rawValue] { return name }
        let number = rawValue
        switch number {
        case 0x200..<0x220:
            let pair = (number &- 0x200) / 2
            return number & 1 == 0 ? "IA32_MTRR_PHYSBASE\(pair)" : "IA32_MTRR_PHYSMASK\(pair)"
        case 0x268...0x26f:
            let base = String(0xc0000 &+ (number &- 0x268) &* 0x8000, radix: 16)
            return "IA32_MTRR_FIX4K_" + base.uppercased()
        case 0x800..<0x900: return "x2APIC register 0x" + String(number &- 0x800, radix: 16)
        default: return "MSR 0x" + String(number, radix: 16)
        }
    }
}
