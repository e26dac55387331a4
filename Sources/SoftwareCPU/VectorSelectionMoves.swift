internal import CEngine
internal import X86

// Handlers of moves, by the kinds of their operands.

extension VectorLowering {
    /// Moves of whole registers, scalars and halves.
    static func move(
        _ instruction: VectorInstruction, _ op: inout DecodedInstruction
    ) -> InstructionHandler? {
        switch instruction.mnemonic {
        case .movaps, .movapd, .movdqa, .movntdqa, .movntps, .movntpd, .movntdq:
            return unsafe moveAligned(instruction)
        case .movups, .movupd, .movdqu, .lddqu:
            return unsafe moveUnaligned(instruction)
        case .movss:
            return unsafe moveScalarSingle(instruction)
        case .movsd:
            return unsafe moveScalarDouble(instruction)
        case .movlps, .movlpd, .movhps, .movhpd, .movhlps, .movlhps:
            return unsafe moveHalf(instruction, &op)
        case .movd, .movq:
            return instruction.touchesMMX
                ? unsafe moveMMX(instruction) : unsafe moveGeneral(instruction)
        case .movq2dq:
            return { unsafe mmxRead($0, $1) { unsafe vector_extend64_register($0, $1) } }
        case .movdq2q:
            return { unsafe mmxMove($0, $1, as: UInt64.self) }
        case .movntq:
            return { unsafe mmxStore($0, $1, as: UInt64.self) }
        case .movnti:
            if case .general(_, byteCount: 8) = instruction.second {
                return { unsafe storeLow($0, $1, as: UInt64.self) }
            }
            return { unsafe storeLow($0, $1, as: UInt32.self) }
        case .maskmovq:
            return { cpu, op in
                if unsafe mmxPending(cpu, op) { return nil }
                guard let next = unsafe storeMasked(cpu, op, 8) else { return nil }
                unsafe mmxTransition(cpu)
                return unsafe next
            }
        case .maskmovdqu:
            return { unsafe storeMasked($0, $1, 16) }
        default:
            return nil
        }
    }

    private static func moveAligned(_ instruction: VectorInstruction) -> InstructionHandler? {
        if instruction.first.isMemory { return { unsafe storeVectorAligned($0, $1) } }
        if instruction.second.isMemory { return { unsafe vectorMemory16($0, $1, vector_move16) } }
        return unsafe vector_move16_register
    }

    private static func moveUnaligned(_ instruction: VectorInstruction) -> InstructionHandler? {
        if instruction.first.isMemory { return { unsafe storeVector($0, $1) } }
        if instruction.second.isMemory { return { unsafe vectorMemory($0, $1, 16, vector_move16) } }
        return unsafe vector_move16_register
    }

    private static func moveScalarSingle(_ instruction: VectorInstruction) -> InstructionHandler? {
        if instruction.first.isMemory { return { unsafe storeLow($0, $1, as: UInt32.self) } }
        if instruction.second.isMemory {
            return { unsafe vectorMemory($0, $1, 4, vector_extend32) }
        }
        return unsafe vector_movss_register
    }

    private static func moveScalarDouble(_ instruction: VectorInstruction) -> InstructionHandler? {
        // The string instruction of the same name has no vector operand.
        guard instruction.touchesVector else { return nil }
        if instruction.first.isMemory { return { unsafe storeLow($0, $1, as: UInt64.self) } }
        if instruction.second.isMemory {
            return { unsafe vectorMemory($0, $1, 8, vector_extend64) }
        }
        return unsafe vector_movsd_register
    }

    private static func moveHalf(
        _ instruction: VectorInstruction, _ op: inout DecodedInstruction
    ) -> InstructionHandler? {
        let high = instruction.mnemonic == .movhps || instruction.mnemonic == .movhpd
        if instruction.first.isMemory {
            if high { unsafe op.source &+= 8 }
            return { unsafe storeLow($0, $1, as: UInt64.self) }
        }
        if instruction.second.isMemory {
            return high
                ? { unsafe vectorMemory($0, $1, 8, vector_movlhps) }
                : { unsafe vectorMemory($0, $1, 8, vector_movsd) }
        }
        return instruction.mnemonic == .movhlps
            ? unsafe vector_movhlps_register : unsafe vector_movlhps_register
    }

    /// MOVD and MOVQ with an XMM register.
    private static func moveGeneral(_ instruction: VectorInstruction) -> InstructionHandler? {
        let wide = instruction.mnemonic == .movq || instruction.wide
        if instruction.first.isMemory {
            return wide
                ? { unsafe storeLow($0, $1, as: UInt64.self) }
                : { unsafe storeLow($0, $1, as: UInt32.self) }
        }
        if instruction.second.isMemory {
            return wide
                ? { unsafe vectorMemory($0, $1, 8, vector_extend64) }
                : { unsafe vectorMemory($0, $1, 4, vector_extend32) }
        }
        if instruction.first.isVector {
            return wide
                ? unsafe vector_extend64_register
                : unsafe vector_extend32_register
        }
        return wide
            ? unsafe vector_to_general64_register
            : unsafe vector_to_general32_register
    }

    /// MOVD and MOVQ with an MMX register.
    private static func moveMMX(_ instruction: VectorInstruction) -> InstructionHandler? {
        let wide = instruction.mnemonic == .movq || instruction.wide
        if instruction.first.isMemory {
            return wide
                ? { unsafe mmxStore($0, $1, as: UInt64.self) }
                : { unsafe mmxStore($0, $1, as: UInt32.self) }
        }
        if instruction.second.isMemory {
            return wide
                ? { unsafe mmxLoad($0, $1, as: UInt64.self) }
                : { unsafe mmxLoad($0, $1, as: UInt32.self) }
        }
        if instruction.first.isMMX {
            return wide
                ? { unsafe mmxMove($0, $1, as: UInt64.self) }
                : { unsafe mmxMove($0, $1, as: UInt32.self) }
        }
        return wide
            ? { unsafe mmxRead($0, $1) { unsafe registerToGeneral($0, $1, as: UInt64.self) } }
            : { unsafe mmxRead($0, $1) { unsafe registerToGeneral($0, $1, as: UInt32.self) } }
    }
}
