internal import X86

/// How a block's translation carries an instruction out.
enum TranslationKind {
    /// By its handler.
    case handler
    /// It does nothing.
    case nothing
    /// The same instruction on the host, registers and memory operand replaced.
    case same
    /// The same for vector registers.
    case vector
    /// The same for what is encoded by VEX: general-purpose registers, and vector registers, which
    /// have to be in the host's with all of their 256 bits.
    case vex, wideVector
    /// The same in the host's FPU.
    case x87
    case loadAddress
    case push, pop, leave
    case divide
    case conditionalJump, counterJump, jump, call, ret

    /// - Parameters:
    ///   - instruction: nil is what does not decode.
    init(
        _ instruction: Instruction?, vectors: VectorAvailability, x87: X87Availability,
        isWide: Bool = false
    ) {
        guard let instruction else {
            self = .handler
            return
        }
        if instruction.form.isVEX {
            self = Self.chooseVEX(instruction, isWide)
            return
        }
        if BlockTranslation.isX87(instruction) {
            let isAvailable =
                instruction.mnemonic == .fwait ? !x87.waitNotAvailable : !x87.deviceNotAvailable
            self = isAvailable ? .x87 : .handler
            return
        }
        self = Self.choose(instruction, vectors)
    }

    private static func choose(
        _ instruction: Instruction, _ vectors: VectorAvailability
    ) -> TranslationKind {
        let form = instruction.form
        switch instruction.mnemonic {
        case .nop, .prefetch, .prefetchw, .prefetchnta, .prefetcht0, .prefetcht1, .prefetcht2:
            return .nothing
        case .add, .or, .adc, .sbb, .and, .sub, .xor, .cmp, .test, .inc, .dec, .neg, .not, .rol,
            .ror, .rcl, .rcr, .shl, .shr, .sar, .shld, .shrd, .imul, .mul, .movzx, .movsx, .movsxd,
            .bsf, .bsr, .setcc, .cmovcc, .xchg, .xadd, .cmpxchg, .cmpxchg8b, .cmpxchg16b, .popcnt,
            .crc32, .movnti, .bswap, .cbw, .cwd, .cmc, .clc, .stc, .lahf, .sahf, .lfence, .sfence,
            .mfence, .lzcnt, .tzcnt, .movbe, .adcx, .adox:
            return .same
        case .mov: return isGeneralMove(instruction) ? .same : .handler
        case .bt, .bts, .btr, .btc:
            // A bit offset in a register reaches beyond the operand.
            return instruction.hasMemoryOperand && instruction.operand1 != .immediate
                ? .handler : .same
        case .lea: return instruction.operandSize >= 4 ? .loadAddress : .handler
        case .push:
            guard instruction.operandSize == 8 else { return .handler }
            switch instruction.operand0 {
            case .register(.general, _), .immediate, .memory: return .push
            default: return .handler
            }
        case .pop:
            guard instruction.operandSize == 8, case .register(.general, _) = instruction.operand0
            else { return .handler }
            return .pop
        case .leave: return instruction.operandSize == 8 ? .leave : .handler
        case .div, .idiv: return instruction.operandSize >= 4 ? .divide : .handler
        case .jcc: return .conditionalJump
        case .jrcxz: return instruction.addressSize == 8 ? .counterJump : .handler
        case .jmp: return .jump
        case .call: return .call
        case .ret: return .ret
        case .maskmovdqu, .maskmovq, .movq2dq, .movdq2q: return .handler
        default: break
        }
        let (one, other) = (form.registerField, form.registerOrMemoryField)
        if one == .xmm || other == .xmm, one != .mmx, other != .mmx, vectors == .available {
            return .vector
        }
        return .handler
    }

    /// MOV between general-purpose registers, immediates and memory.
    private static func isGeneralMove(_ instruction: Instruction) -> Bool {
        func isGeneral(_ operand: Operand) -> Bool {
            switch operand {
            case .register(.general, _), .register(.highByte, _), .immediate: true
            // A0 to A3 have an address for an immediate.
            case .memory: instruction.form.hasModRM
            default: false
            }
        }
        return isGeneral(instruction.operand0) && isGeneral(instruction.operand1)
    }

    var isHandler: Bool { if case .handler = self { true } else { false } }

    /// It ends the block.
    var endsBlock: Bool {
        switch self {
        case .conditionalJump, .counterJump, .jump, .call, .ret: true
        default: false
        }
    }

    /// What it does with the flags.
    func flagUse(_ instruction: Instruction?) -> FlagUse {
        guard let instruction else { return .handler }
        switch self {
        case .handler: return .handler
        case .nothing, .loadAddress: return FlagUse(instruction)
        case .push, .pop, .leave, .divide, .call, .ret:
            var use = FlagUse(instruction)
            use.observes = true
            return use
        case .same, .vector, .vex, .wideVector, .x87, .jump, .conditionalJump, .counterJump:
            var use = FlagUse(instruction)
            use.observes = instruction.hasMemoryOperand
            return use
        }
    }
}
