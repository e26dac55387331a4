import X86

/// Where the names and readings of Capstone 4 or 5 differ from the manuals' or from this table, each
/// with its reason.
enum CapstoneNames {
    /// Capstone's mnemonic without the prefixes it writes before it.
    static func stripped(_ mnemonic: String) -> String {
        mnemonic.split(separator: " ").last.map(String.init) ?? mnemonic
    }

    /// Our name for the same instruction as Capstone writes it.
    private static let spellings: [String: Set<String>] = [
        "callf": ["lcall", "call"], "jmpf": ["ljmp", "jmp"], "xlat": ["xlatb"], "fwait": ["wait"],
        "pusha": ["pushaw"], "pushad": ["pushal"], "popa": ["popaw"], "popad": ["popal"],
        "shl": ["sal"], "sysretq": ["sysret"], "sysexitq": ["sysexit"], "ud1": ["ud2b"],
        "movq": ["movd"], "vmovq": ["vmovd"], "vmovd": ["vmovq"],
        "rdpid": ["rdseed"], "mov": ["movabs"],
        "fcomip": ["fcompi"], "fucomip": ["fucompi"],
        // Hints of processors with control-flow enforcement, MPX or CLDEMOTE are NOPs here, WBNOINVD
        // and PREFETCHWT1 the instructions that older processors take them for.
        "nop": [
            "endbr32", "endbr64", "rdsspd", "rdsspq", "cldemote", "bndmk", "bndcl", "bndcu",
            "bndcn",
            "bndmov", "bndldx", "bndstx",
        ],
        "wbinvd": ["wbnoinvd"], "prefetchw": ["prefetchwt1"], "prefetch": ["prefetchwt1"],
        // Aliases of x87 opcodes that the manuals leave out.
        "fstp": ["fstpnce", "fstp8", "fstp9"], "fcom": ["fcom2"],
        "fcomp": ["fcomp3", "fcomp5"], "fxch": ["fxch4", "fxch7"],
        "fnop": ["fndisi", "feni8087_nop", "fdisi8087_nop", "fsetpm", "fnsetpm"],
    ]

    static func isKnownName(_ instruction: Instruction, _ theirs: String, _ mode: DecodeMode)
        -> Bool
    {
        let ours = Disassembler.mnemonic(instruction)
        if spellings[ours]?.contains(theirs) == true { return true }
        // Capstone writes the predicate into the name.
        let comparisons = ["cmpps", "cmppd", "cmpss", "cmpsd"]
        if comparisons.contains(where: { ours.hasSuffix($0) }),
            theirs.hasPrefix(ours.dropLast(2))
        {
            if theirs.hasSuffix(ours.suffix(2)) { return true }
        }
        // Capstone says the size of a memory operand in the name.
        if ours.hasPrefix("vcvt"), theirs == ours + "x" || theirs == ours + "y" { return true }
        // Outside 64-bit code VEX.W does not make them wider.
        if ["vpinsrd", "vpextrd"].contains(ours), mode != .code64 { return true }
        // REX.W goes before 66.
        if ["pushfq", "popfq"].contains(ours), instruction.prefixes.contains(.operandSize) {
            return true
        }
        guard mode == .code16 else { return false }
        // In 16-bit code Capstone does not see the prefix that chooses among SSE forms, and reads
        // CBW and CWD as their 32-bit forms.
        return instruction.form.mandatoryPrefix >= 2 || ["cbw", "cwd"].contains(ours)
    }

    static func isKnownLength(_ instruction: Instruction, _ mode: DecodeMode) -> Bool {
        switch instruction.mnemonic {
        // Capstone reads no ModRM byte.
        case .ud0, .ud1: true
        // AMD takes 16-bit displacements after 66 in 64-bit code, Intel ignores the prefix.
        case .jcc, .jmp, .call:
            mode == .code64 && instruction.prefixes.contains(.operandSize)
        // See isKnownName: 66 is taken as the operand size, or CRC32's operand.
        default:
            mode == .code16 && instruction.form.mandatoryPrefix >= 2
        }
    }

    /// Capstone 4 takes 66, F2 and F3 for some opcodes only as the last prefix before them.
    static func hasSeveralPrefixes(_ bytes: UnsafeRawBufferPointer) -> Bool {
        unsafe bytes.prefix(2).allSatisfy { prefixes.contains($0) }
    }

    private static let prefixes: Set<UInt8> = [
        0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3,
    ]

    /// Extensions that no processor model offers.
    private static let notOffered: Set<String> = [
        // SMX, VMX, SVM.
        "getsec", "vmread", "vmwrite", "vmptrld", "vmptrst", "vmclear", "vmxon", "vmxoff",
        "vmlaunch",
        "vmresume", "vmfunc", "vmrun", "vmload", "vmsave", "stgi", "clgi", "skinit", "invlpga",
        "invept", "invvpid",
        // 3DNow!, SSE4A.
        "femms", "extrq", "insertq", "movntsd", "movntss",
        // RDSEED, TSX, MPX, SGX, PKU, MONITOR.
        "rdseed", "xbegin", "xabort", "xend", "xtest",
        "encls", "enclu", "enclv", "rdpkru", "wrpkru", "monitor", "mwait", "monitorx", "mwaitx",
        "clzero", "clflushopt", "clwb", "pcommit", "ptwrite", "prefetchwt1",
        // RDPID in 32-bit code (no model has it), MOVDIR, PCONFIG, shadow stacks, GFNI.
        "rdpid", "movdiri", "movdir64b", "pconfig", "rstorssp", "saveprevssp", "setssbsy",
        "clrssbsy", "incsspd", "incsspq", "wrssd", "wrssq", "wrussd", "wrussq",
        "gf2p8affineqb", "gf2p8affineinvqb", "gf2p8mulb",
        "vgf2p8affineqb", "vgf2p8affineinvqb", "vgf2p8mulb",
        // VIA PadLock.
        "xstore", "xstorerng", "xcryptecb", "xcryptcbc", "xcryptctr", "xcryptcfb", "xcryptofb",
        "xsha1",
        "xsha256", "montmul",
        // TBM and LWP, by XOP.
        "blcfill", "blci", "blcic", "blcmsk", "blcs", "blsfill", "blsic", "t1mskc",
        "tzmsk", "llwpcb", "lwpins", "lwpval", "slwpcb",
        // SYSCALL in 32-bit code is AMD's.
        "syscall", "sysret", "sysretd",
        // Undocumented.
        "fstpnce", "ffreep", "loadall", "cpu_read", "cpu_write",
    ]

    /// FMA4, XOP's permutations, and mask registers of AVX-512, by VEX.
    private static func isOtherVEX(_ name: String) -> Bool {
        name.hasPrefix("vpermil2") || name.hasPrefix("k")
            || (name.hasPrefix("vfm") || name.hasPrefix("vfnm"))
                && !["132", "213", "231"].contains { name.contains($0) }
    }

    /// `bytes` at `start` (after the prefixes) are EVEX or XOP.
    private static func isVectorExtension(_ bytes: [UInt8], _ start: Int, _ mode: DecodeMode)
        -> Bool
    {
        guard start + 1 < bytes.count else { return false }
        if bytes[start] == 0x62 { return mode == .code64 || bytes[start + 1] >= 0xc0 }
        return bytes[start] == 0x8f && (bytes[start + 1] >> 3) & 7 != 0
    }

    /// The instruction is not one of the table's, with a reason.
    static func isNotOffered(_ mnemonic: String, _ bytes: [UInt8], _ mode: DecodeMode) -> Bool {
        let name = stripped(mnemonic)
        if notOffered.contains(name) || isOtherVEX(name) || mode != .code64 && name == "swapgs" {
            return true
        }
        let isREX = { (byte: UInt8) in mode == .code64 && byte & 0xf0 == 0x40 }
        guard let start = bytes.firstIndex(where: { !prefixes.contains($0) && !isREX($0) }) else {
            return true
        }
        if isVectorExtension(bytes, start, mode) { return true }
        if bytes[start] == 0xc4, start + 2 < bytes.count {
            // Capstone does not look at VEX.W of many forms that need it clear, and neither at the SIB
            // byte nor at the registers of gathers.
            if name.contains("gather") { return true }
            var clear = bytes
            clear[start + 2] &= 0x7f
            if bytes[start + 2] & 0x80 != 0, isInstruction(clear, mode) { return true }
        }
        // 3DNow!.
        if start + 1 < bytes.count, bytes[start] == 0x0f, bytes[start + 1] == 0x0f { return true }
        // LOCK where it may not be, which Capstone lets pass.
        if bytes[..<start].contains(0xf0) { return true }
        // 66, F2 or F3 before a form that the manuals mark NP: reserved, #UD here.
        let kept = bytes[..<start].filter { ![0x66, 0xf2, 0xf3].contains($0) }
        let plain = kept + bytes[start...]
        if plain.count < bytes.count, isInstruction(plain, mode) { return true }
        // F2 or F3 before a form that 66 chooses: reserved as well.
        if bytes[..<start].contains(where: { $0 == 0xf2 || $0 == 0xf3 }),
            isInstruction([0x66] + plain, mode)
        {
            return true
        }
        // In 16-bit code Capstone reads SSE forms without their prefix.
        if mode == .code16, bytes[start] == 0x0f { return isInstruction([0x66] + plain, mode) }
        // MOV to CS.
        return bytes[start] == 0x8e
    }

    private static func isInstruction(_ bytes: [UInt8], _ mode: DecodeMode) -> Bool {
        unsafe bytes.withUnsafeBytes {
            if case .instruction = unsafe Decoder.decode($0, mode: mode) { return true }
            return false
        }
    }

    /// Instructions of the table that Capstone does not read.
    static func isUnknownToCapstone(
        _ instruction: Instruction, _ bytes: [UInt8], _ mode: DecodeMode
    ) -> Bool {
        switch instruction.mnemonic {
        // For Capstone 5: aliases of x87 opcodes, BSF and BSR after F2, MOVSXD without REX.W.
        case .fcom, .fcomp, .fstp, .fxch: true
        case .bsf, .bsr: instruction.prefixes.contains(.repne)
        case .movsxd: !instruction.prefixes.contains(.rexW)
        // The reserved hints 0F 18 to 0F 1F and 0F 0D, which do nothing.
        case .nop, .prefetch, .prefetchw: true
        // Wider forms of VAES and VPCLMULQDQ, and one of AVX2.
        case .vaesenc, .vaesenclast, .vaesdec, .vaesdeclast, .vpclmulqdq, .vbroadcasti128: true
        // With ModRM.rm other than 0.
        case .lfence, .mfence, .sfence: true
        // Capstone takes no prefix before UD0, and REX.R in MOV of a segment register for a bit of
        // its number.
        case .ud0: true
        case .mov:
            if case .register(.segment, _) = instruction.operand0 {
                instruction.prefixes.contains(.rex)
            } else if case .register(.segment, _) = instruction.operand1 {
                instruction.prefixes.contains(.rex)
            } else {
                isControlRegisterMove(instruction)
            }
        default:
            mode == .code16 && instruction.form.mandatoryPrefix >= 2
                || hasIgnoredBits(bytes, mode)
        }
    }

    /// Bits of VEX that the form ignores: W, which Capstone 5 wants clear in some, and outside 64-bit
    /// code the highest of vvvv.
    private static func hasIgnoredBits(_ bytes: [UInt8], _ mode: DecodeMode) -> Bool {
        guard let start = bytes.firstIndex(where: { !prefixes.contains($0) }),
            bytes[start] == 0xc4, start + 2 < bytes.count
        else { return false }
        return bytes[start + 2] & 0x80 != 0 || mode != .code64 && bytes[start + 2] & 0x40 == 0
    }

    private static func isControlRegisterMove(_ instruction: Instruction) -> Bool {
        for operand in [instruction.operand0, instruction.operand1] {
            if case .register(.control, _) = operand { return true }
            if case .register(.debug, _) = operand { return true }
        }
        return false
    }
}
