internal import CEngine
internal import X86

// Handlers of single elements, shifts by an immediate, masks and string comparisons.

extension VectorLowering {
    /// Insertion, extraction, sign masks, blends under XMM0.
    static func element(
        _ instruction: VectorInstruction, _ op: inout DecodedInstruction
    ) -> InstructionHandler? {
        let isMemory = instruction.second.isMemory
        switch instruction.mnemonic {
        case .pinsrb, .pinsrw, .pinsrd, .pinsrq:
            return unsafe insertion(instruction)
        case .pextrb, .pextrw, .pextrd, .pextrq, .extractps:
            return unsafe extraction(instruction, &op)
        case .insertps:
            return isMemory
                ? { unsafe insertElementLoaded($0, $1) } : { unsafe insertElement($0, $1) }
        case .pmovmskb:
            return instruction.second.isMMX
                ? { unsafe mmxRead($0, $1) { unsafe vector_mmx_pmovmskb_register($0, $1) } }
                : unsafe vector_pmovmskb_register
        case .movmskps:
            return unsafe vector_movmskps_register
        case .movmskpd:
            return unsafe vector_movmskpd_register
        case .pblendvb:
            return isMemory
                ? { unsafe blendUnderMaskMemory($0, $1, vector_pblendvb) }
                : { unsafe blendUnderMask($0, $1, vectorSource($0, $1), vector_pblendvb) }
        case .blendvps:
            return isMemory
                ? { unsafe blendUnderMaskMemory($0, $1, vector_blendvps) }
                : { unsafe blendUnderMask($0, $1, vectorSource($0, $1), vector_blendvps) }
        case .blendvpd:
            return isMemory
                ? { unsafe blendUnderMaskMemory($0, $1, vector_blendvpd) }
                : { unsafe blendUnderMask($0, $1, vectorSource($0, $1), vector_blendvpd) }
        default:
            return nil
        }
    }

    /// The element that the immediate names, as bytes from the start of the register.
    private static func elementOffset(_ immediate: UInt8, byteCount: UInt16) -> UInt16 {
        (UInt16(immediate) &* byteCount) & 15
    }

    private static func insertion(
        _ instruction: VectorInstruction
    ) -> InstructionHandler? {
        let isMemory = instruction.second.isMemory
        switch instruction.mnemonic {
        case .pinsrb:
            return isMemory
                ? { unsafe vectorImmediateMemory($0, $1, 1, vector_insert8) }
                : unsafe vector_insert8_register
        case .pinsrw where instruction.first.isMMX:
            return isMemory ? unsafe insertMMXLoaded : unsafe insertMMXRegister
        case .pinsrw:
            return isMemory
                ? { unsafe vectorImmediateMemory($0, $1, 2, vector_insert16) }
                : unsafe vector_insert16_register
        case .pinsrq:
            return isMemory
                ? { unsafe vectorImmediateMemory($0, $1, 8, vector_insert64) }
                : unsafe vector_insert64_register
        default:
            return isMemory
                ? { unsafe vectorImmediateMemory($0, $1, 4, vector_insert32) }
                : unsafe vector_insert32_register
        }
    }

    private static let insertMMXRegister: InstructionHandler = { cpu, op in
        if unsafe mmxPending(cpu, op) { return nil }
        return unsafe mmxInsert(cpu, op, vectorSource(cpu, op).load(as: UInt16.self))
    }

    private static let insertMMXLoaded: InstructionHandler = { cpu, op in
        if unsafe mmxPending(cpu, op) { return nil }
        guard let value = unsafe load(cpu, op, effectiveAddress(cpu, op), as: UInt16.self) else {
            return nil
        }
        return unsafe mmxInsert(cpu, op, value)
    }

    private static func extraction(
        _ instruction: VectorInstruction, _ op: inout DecodedInstruction
    ) -> InstructionHandler? {
        let toMemory = instruction.first.isMemory
        let immediate = instruction.immediate
        switch instruction.mnemonic {
        case .pextrb:
            unsafe op.source &+= elementOffset(immediate, byteCount: 1)
            return toMemory
                ? { unsafe storeLow($0, $1, as: UInt8.self) }
                : unsafe vector_to_general8_register
        case .pextrw where instruction.second.isMMX:
            unsafe op.source &+= elementOffset(immediate & 3, byteCount: 2)
            return { unsafe mmxRead($0, $1) { unsafe registerToGeneral($0, $1, as: UInt16.self) } }
        case .pextrw:
            unsafe op.source &+= elementOffset(immediate, byteCount: 2)
            return toMemory
                ? { unsafe storeLow($0, $1, as: UInt16.self) }
                : unsafe vector_to_general16_register
        case .pextrq:
            unsafe op.source &+= elementOffset(immediate, byteCount: 8)
            return toMemory
                ? { unsafe storeLow($0, $1, as: UInt64.self) }
                : unsafe vector_to_general64_register
        default:
            unsafe op.source &+= elementOffset(immediate, byteCount: 4)
            return toMemory
                ? { unsafe storeLow($0, $1, as: UInt32.self) }
                : unsafe vector_to_general32_register
        }
    }

    /// Shifts by an immediate byte.
    static func shift(_ instruction: VectorInstruction) -> InstructionHandler? {
        instruction.first.isMMX ? unsafe shiftMMX(instruction) : unsafe shiftVector(instruction)
    }

    private static func shiftVector(_ instruction: VectorInstruction) -> InstructionHandler? {
        guard instruction.first.isVector else { return nil }
        switch instruction.mnemonic {
        case .psllw: return unsafe vector_psllw_register_immediate
        case .pslld: return unsafe vector_pslld_register_immediate
        case .psllq: return unsafe vector_psllq_register_immediate
        case .psrlw: return unsafe vector_psrlw_register_immediate
        case .psrld: return unsafe vector_psrld_register_immediate
        case .psrlq: return unsafe vector_psrlq_register_immediate
        case .psraw: return unsafe vector_psraw_register_immediate
        case .psrad: return unsafe vector_psrad_register_immediate
        case .pslldq: return unsafe vector_pslldq_register_immediate
        case .psrldq: return unsafe vector_psrldq_register_immediate
        default: return nil
        }
    }

    private static func shiftMMX(_ instruction: VectorInstruction) -> InstructionHandler? {
        switch instruction.mnemonic {
        case .psllw: return { unsafe mmxShift($0, $1, vector_mmx_psllw_immediate) }
        case .pslld: return { unsafe mmxShift($0, $1, vector_mmx_pslld_immediate) }
        case .psllq: return { unsafe mmxShift($0, $1, vector_mmx_psllq_immediate) }
        case .psrlw: return { unsafe mmxShift($0, $1, vector_mmx_psrlw_immediate) }
        case .psrld: return { unsafe mmxShift($0, $1, vector_mmx_psrld_immediate) }
        case .psrlq: return { unsafe mmxShift($0, $1, vector_mmx_psrlq_immediate) }
        case .psraw: return { unsafe mmxShift($0, $1, vector_mmx_psraw_immediate) }
        case .psrad: return { unsafe mmxShift($0, $1, vector_mmx_psrad_immediate) }
        default: return nil
        }
    }
}
