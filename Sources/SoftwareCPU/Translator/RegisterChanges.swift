internal import X86

// What instructions that are translated do to general-purpose registers.

extension Instruction {
    /// Those that it may change, one bit each: all of them where that is not worth knowing.
    var changedRegisters: UInt16 {
        switch mnemonic {
        case .cmp, .test, .bt, .jcc, .jmp, .nop, .prefetch, .prefetchw, .prefetchnta, .prefetcht0,
            .prefetcht1, .prefetcht2, .movnti, .cmc, .clc, .stc, .sahf, .lfence, .sfence, .mfence:
            return 0
        case .add, .or, .adc, .sbb, .and, .sub, .xor, .inc, .dec, .neg, .not, .rol, .ror, .rcl,
            .rcr, .shl, .shr, .sar, .shld, .shrd, .movzx, .movsx, .movsxd, .mov, .lea, .bsf, .bsr,
            .setcc, .cmovcc, .bts, .btr, .btc, .popcnt, .crc32, .bswap:
            return Self.bit(operand0)
        case .push, .call, .ret: return Self.stackPointer
        case .pop: return Self.stackPointer | Self.bit(operand0)
        case .leave: return Self.stackPointer | 1 &<< 5
        case .xchg, .xadd: return Self.bit(operand0) | Self.bit(operand1)
        case .imul where operand1 != .none: return Self.bit(operand0)
        case .imul, .mul, .div, .idiv, .cmpxchg8b, .cmpxchg16b: return Self.accumulators
        case .cmpxchg: return Self.accumulators | Self.bit(operand0)
        case .cbw, .lahf: return 1
        case .cwd: return Self.accumulators
        case .fnstsw: return 1
        // RCX or XMM0, and lengths in RAX and RDX.
        case .pcmpestri, .pcmpestrm, .pcmpistri, .pcmpistrm, .vpcmpestri, .vpcmpestrm, .vpcmpistri,
            .vpcmpistrm:
            return .max
        default: break
        }
        if BlockTranslation.isX87(self) { return 0 }
        if form.registerField == .xmm || form.registerOrMemoryField == .xmm {
            return Self.bit(operand0)
        }
        return .max
    }

    private static let stackPointer: UInt16 = 1 &<< 4
    /// RAX and RDX.
    private static let accumulators: UInt16 = 1 | 1 &<< 2

    private static func bit(_ operand: Operand) -> UInt16 {
        switch operand {
        case .register(.general, let number): 1 &<< UInt16(number & 15)
        case .register(.highByte, _): 0xf
        default: 0
        }
    }

    /// What it adds to the 64-bit register; nil: something else, or nobody knows what.
    func addition(to register: UInt8) -> Int64? {
        if changedRegisters & 1 &<< UInt16(register & 15) == 0 { return 0 }
        let isOwn = operand0 == .register(.general, register) && operandSize == 8
        switch mnemonic {
        case .push: return register == 4 ? -8 : nil
        case .pop: return register == 4 && operand0 != .register(.general, 4) ? 8 : nil
        case .inc where isOwn: return 1
        case .dec where isOwn: return -1
        case .add where isOwn && operand1 == .immediate: return Int64(bitPattern: immediate)
        case .sub where isOwn && operand1 == .immediate: return 0 &- Int64(bitPattern: immediate)
        case .lea
        where isOwn && addressSize == 8 && memory.base == register
            && memory.index == MemoryOperand.absent:
            return memory.displacement
        default: return nil
        }
    }
}

extension Operand {
    /// The bit of a general-purpose register that it names as a whole or in its lower part; 0: it names
    /// none.
    var generalRegister: UInt16 {
        if case .register(.general, let number) = self { 1 &<< UInt16(number & 15) } else { 0 }
    }
}
