import X86

@testable import SoftwareCPU

/// Which forms are compared in which modes, and why others are not.
enum OracleCoverage {
    /// Why a form is left out; nil: it is not.
    static func omission(_ form: Form) -> String? {
        switch form.mnemonic {
        case .pushf, .popf, .int3, .into, .arpl, .ud0, .ud1, .ud2: return nil
        case .xsaves, .xrstors, .rdpid: return "no processor model has it; FeatureTests"
        case _ where !engineFeatures.isSuperset(of: form.feature): return "the host lacks it"
        case .cpuid, .rdtsc, .rdtscp, .rdrand, .rdpmc, .xgetbv:
            return "the result is the processor's own"
        case .xsaveopt: return "processors may leave out what has not changed"
        case .int1: return "a hypervisor under the host gets its RIP wrong"
        case .int: return "INT 80 is a system call of the host"
        case .syscall, .sysenter, .vmcall, .vmmcall: return "enters the host's kernel or hypervisor"
        case .sgdt, .sidt, .sldt, .str, .smsw: return "UMIP: the host's kernel emulates it"
        case .rdfsbase, .rdgsbase, .wrfsbase, .wrgsbase: return "the host's thread pointer"
        case .invpcid, .clac, .stac, .swapgs, .rsm, .sysret, .sysexit, .xsetbv:
            return "#GP or #UD outside CPL 0, differently by maker and hypervisor"
        case .nop where form.opcode == 0x0d && form.isRegisterOnly:
            return "makers differ: #UD or no operation"
        default: break
        }
        // Others of CPL 0 raise #GP.
        if form.isPrivileged || !form.isSystem { return nil }
        return "names descriptors, which are not the host's"
    }

    private static let engineFeatures = InstructionFeatures.base.union(HostProcessor.features)

    static func runs(_ form: Form, in mode: OracleMode) -> Bool {
        mode.isLong ? !form.isInvalidIn64 : !form.isOnlyIn64
    }

    /// Instructions whose prefixes or displacements make them unfit to compare.
    static func isUnfit(_ instruction: Instruction, _ mode: OracleMode) -> Bool {
        let length = UInt64(instruction.length)
        let prefixes = instruction.prefixes
        // TZCNT and LZCNT where the processor has them.
        if instruction.mnemonic == .bsf || instruction.mnemonic == .bsr {
            return prefixes.contains(.rep)
        }
        // Whether masked-out bytes fault, and what of MMX state has changed then, is the maker's.
        if [.maskmovq, .maskmovdqu, .vmaskmovdqu].contains(instruction.mnemonic) {
            return !prefixes.isDisjoint(with: [.addressSize, .segment])
        }
        // EDX:EAX is chosen, and the place of the image is looked at.
        if hasImage(instruction), instruction.memory.base < 16 || instruction.memory.index < 16 {
            let registers = [instruction.memory.base, instruction.memory.index]
            if registers[0] == registers[1] || registers.contains(0) || registers.contains(2) {
                return true
            }
        }
        // Branches into themselves do not end.
        if instruction.operand0 == .relative, instruction.immediate &+ length < length {
            return true
        }
        return OracleMakers.isUnfit(instruction, mode)
    }

    /// Saves or loads a whole state.
    static func hasImage(_ instruction: Instruction) -> Bool {
        switch instruction.mnemonic {
        case .fldenv, .fnstenv, .frstor, .fnsave, .fxsave, .fxrstor, .xsave, .xsavec, .maskmovq,
            .maskmovdqu, .vmaskmovdqu, .xrstor:
            true
        default: false
        }
    }

    /// Ends elsewhere than behind itself.
    static func isBranch(_ instruction: Instruction) -> Bool {
        switch instruction.mnemonic {
        case .jcc, .jmp, .call, .ret, .loop, .loope, .loopne, .jrcxz: true
        default: false
        }
    }

    /// Fit for sequences, where any address may fault: goes on behind itself, and does not change how the rest is run.
    static func isStraight(_ form: Form) -> Bool {
        if omission(form) != nil || form.isPrivileged || form.isSystem { return false }
        if OracleMakers.isSegmentPush(form) || OracleMakers.showsPointers(form) { return false }
        if OracleMakers.mayNotBeWide(form) { return false }
        switch form.mnemonic {
        case .jcc, .jmp, .call, .ret, .loop, .loope, .loopne, .jrcxz, .enter, .leave, .fxsave,
            .fxrstor, .xsave, .xsavec, .maskmovq, .maskmovdqu,
            .vmaskmovdqu, .xrstor, .ldmxcsr, .vldmxcsr, .popf, .int3, .int1, .into, .ud0, .ud1,
            .ud2:
            return false
        default: return true
        }
    }

    /// With a count of zero, flags stay as they were; bit tests keep ZF.
    static func mayKeepFlags(_ form: Form) -> Bool {
        switch form.mnemonic {
        case .rol, .ror, .rcl, .rcr, .shl, .shr, .sar, .shld, .shrd, .cmps, .scas, .bt, .btc,
            .btr, .bts:
            true
        default: false
        }
    }

    /// Bits of RFLAGS that are compared.
    static func flagMask(_ undefined: Form.FlagSet, _ mnemonic: Mnemonic) -> UInt64 {
        // TF, NT, ID besides the arithmetic flags and DF.
        (mnemonic == .popf ? 0x20_4dd5 : 0xcd5) & ~undefined.rflags
    }

    /// The executions by form, forms that were never run, and what is left out for which reason.
    static func report(_ executions: [Int]) -> String {
        var counts: [Int] = []
        var never: [String] = []
        var left: [String: [String]] = [:]
        for form in Form.all {
            let name = "\(form.mnemonic)"
            if let reason = omission(form) {
                if left[reason, default: []].last != name { left[reason, default: []].append(name) }
            } else {
                counts.append(executions[Int(form.index)])
                if executions[Int(form.index)] == 0 { never.append(name) }
            }
        }
        counts.sort()
        var lines = [
            "oracle: \(counts.count) of \(Form.count) forms, executions of a form: least "
                + "\(counts.first ?? 0), median \(counts[counts.count / 2]); never run: \(never)"
        ]
        for (reason, names) in left.sorted(by: { $0.key < $1.key }) {
            lines.append("oracle: left out: \(names.joined(separator: " ")): \(reason)")
        }
        return lines.joined(separator: "\n")
    }
}
