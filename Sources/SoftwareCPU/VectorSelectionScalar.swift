internal import CEngine
internal import X86

// Handlers of conversions, of instructions on general-purpose registers and of control.

extension VectorLowering {
    /// Conversions with a general-purpose or MMX register on one side.
    static func conversion(_ instruction: VectorInstruction) -> InstructionHandler? {
        switch instruction.mnemonic {
        case .cvtsi2ss, .cvtsi2sd:
            return unsafe conversionFromInteger(instruction)
        case .cvtss2si, .cvttss2si, .cvtsd2si, .cvttsd2si:
            return instruction.second.isMemory
                ? unsafe conversionToIntegerLoaded(instruction)
                : unsafe conversionToInteger(instruction)
        default:
            return unsafe conversionMMX(instruction)
        }
    }

    private static func conversionMMX(_ instruction: VectorInstruction) -> InstructionHandler? {
        let isMemory = instruction.second.isMemory
        switch instruction.mnemonic {
        case .cvtps2pi:
            return isMemory
                ? { unsafe floatToMMXLoaded($0, $1, 8, vector_cvtps2pi) }
                : { unsafe floatToMMX($0, $1, vectorSource($0, $1), vector_cvtps2pi) }
        case .cvttps2pi:
            return isMemory
                ? { unsafe floatToMMXLoaded($0, $1, 8, vector_cvttps2pi) }
                : { unsafe floatToMMX($0, $1, vectorSource($0, $1), vector_cvttps2pi) }
        case .cvtpd2pi:
            return isMemory
                ? { unsafe floatToMMXLoaded($0, $1, 16, vector_cvtpd2pi) }
                : { unsafe floatToMMX($0, $1, vectorSource($0, $1), vector_cvtpd2pi) }
        case .cvttpd2pi:
            return isMemory
                ? { unsafe floatToMMXLoaded($0, $1, 16, vector_cvttpd2pi) }
                : { unsafe floatToMMX($0, $1, vectorSource($0, $1), vector_cvttpd2pi) }
        case .cvtpi2ps:
            return isMemory
                ? { unsafe floatMemory($0, $1, 8, .other, vector_cvtpi2ps) }
                : { unsafe floatFromMMX($0, $1, vector_cvtpi2ps) }
        case .cvtpi2pd:
            return isMemory
                ? { unsafe floatMemory($0, $1, 8, .other, vector_cvtpi2pd) }
                : { unsafe floatFromMMX($0, $1, vector_cvtpi2pd) }
        default:
            return nil
        }
    }

    private static func conversionFromInteger(
        _ instruction: VectorInstruction
    ) -> InstructionHandler? {
        let isMemory = instruction.second.isMemory
        let single = instruction.mnemonic == .cvtsi2ss
        switch (single, instruction.wide) {
        case (true, false):
            return isMemory
                ? { unsafe floatMemory($0, $1, 4, .other, vector_cvtsi2ss32) }
                : { unsafe floatRegister($0, $1, .other, vector_cvtsi2ss32) }
        case (true, true):
            return isMemory
                ? { unsafe floatMemory($0, $1, 8, .other, vector_cvtsi2ss64) }
                : { unsafe floatRegister($0, $1, .other, vector_cvtsi2ss64) }
        case (false, false):
            return isMemory
                ? { unsafe floatMemory($0, $1, 4, .other, vector_cvtsi2sd32) }
                : { unsafe floatRegister($0, $1, .other, vector_cvtsi2sd32) }
        case (false, true):
            return isMemory
                ? { unsafe floatMemory($0, $1, 8, .other, vector_cvtsi2sd64) }
                : { unsafe floatRegister($0, $1, .other, vector_cvtsi2sd64) }
        }
    }

    private static func conversionToInteger(
        _ instruction: VectorInstruction
    ) -> InstructionHandler? {
        let wide = instruction.wide
        switch instruction.mnemonic {
        case .cvtss2si:
            return wide
                ? { unsafe floatRegister($0, $1, .other, vector_cvtss2si64) }
                : { unsafe floatRegister($0, $1, .other, vector_cvtss2si32) }
        case .cvttss2si:
            return wide
                ? { unsafe floatRegister($0, $1, .other, vector_cvttss2si64) }
                : { unsafe floatRegister($0, $1, .other, vector_cvttss2si32) }
        case .cvtsd2si:
            return wide
                ? { unsafe floatRegister($0, $1, .other, vector_cvtsd2si64) }
                : { unsafe floatRegister($0, $1, .other, vector_cvtsd2si32) }
        default:
            return wide
                ? { unsafe floatRegister($0, $1, .other, vector_cvttsd2si64) }
                : { unsafe floatRegister($0, $1, .other, vector_cvttsd2si32) }
        }
    }

    private static func conversionToIntegerLoaded(
        _ instruction: VectorInstruction
    ) -> InstructionHandler? {
        let wide = instruction.wide
        switch instruction.mnemonic {
        case .cvtss2si:
            return wide
                ? { unsafe floatMemory($0, $1, 4, .other, vector_cvtss2si64) }
                : { unsafe floatMemory($0, $1, 4, .other, vector_cvtss2si32) }
        case .cvttss2si:
            return wide
                ? { unsafe floatMemory($0, $1, 4, .other, vector_cvttss2si64) }
                : { unsafe floatMemory($0, $1, 4, .other, vector_cvttss2si32) }
        case .cvtsd2si:
            return wide
                ? { unsafe floatMemory($0, $1, 8, .other, vector_cvtsd2si64) }
                : { unsafe floatMemory($0, $1, 8, .other, vector_cvtsd2si32) }
        default:
            return wide
                ? { unsafe floatMemory($0, $1, 8, .other, vector_cvttsd2si64) }
                : { unsafe floatMemory($0, $1, 8, .other, vector_cvttsd2si32) }
        }
    }

    /// PTEST, CRC32, POPCNT, string comparison.
    static func scalar(_ instruction: VectorInstruction) -> InstructionHandler? {
        switch instruction.mnemonic {
        case .ptest:
            return instruction.second.isMemory
                ? { cpu, op in
                    guard let source = unsafe vectorAligned(cpu, op) else { return nil }
                    return unsafe testVector(cpu, op, source)
                } : unsafe vector_ptest_register
        case .crc32:
            return unsafe checksum(instruction)
        case .popcnt:
            return unsafe population(instruction)
        case .pcmpistri:
            return { unsafe stringIndex($0, $1, .implicit, vector_pcmpistri) }
        case .pcmpistrm:
            return { unsafe stringMask($0, $1, .implicit, vector_pcmpistrm) }
        case .pcmpestri:
            return instruction.wide
                ? { unsafe stringIndex($0, $1, .explicit64, vector_pcmpestri) }
                : { unsafe stringIndex($0, $1, .explicit32, vector_pcmpestri) }
        case .pcmpestrm:
            return instruction.wide
                ? { unsafe stringMask($0, $1, .explicit64, vector_pcmpestrm) }
                : { unsafe stringMask($0, $1, .explicit32, vector_pcmpestrm) }
        default:
            return nil
        }
    }

    /// The size of the source operand of CRC32 and POPCNT.
    private static func sourceByteCount(_ instruction: VectorInstruction) -> Int {
        switch instruction.second {
        case .general(_, let byteCount), .memory(let byteCount): byteCount
        case .highByte: 1
        default: 4
        }
    }

    private static func checksum(_ instruction: VectorInstruction) -> InstructionHandler? {
        let isMemory = instruction.second.isMemory
        switch sourceByteCount(instruction) {
        case 1:
            return isMemory
                ? { unsafe checksumMemory($0, $1, vector_crc32_8) }
                : { unsafe checksumRegister($0, $1, vector_crc32_8) }
        case 2:
            return isMemory
                ? { unsafe checksumMemory($0, $1, vector_crc32_16) }
                : { unsafe checksumRegister($0, $1, vector_crc32_16) }
        case 4:
            return isMemory
                ? { unsafe checksumMemory($0, $1, vector_crc32_32) }
                : { unsafe checksumRegister($0, $1, vector_crc32_32) }
        default:
            return isMemory
                ? { unsafe checksumMemory($0, $1, vector_crc32_64) }
                : { unsafe checksumRegister($0, $1, vector_crc32_64) }
        }
    }

    private static func population(_ instruction: VectorInstruction) -> InstructionHandler? {
        let isMemory = instruction.second.isMemory
        switch sourceByteCount(instruction) {
        case 2:
            return isMemory
                ? { unsafe countOnesMemory($0, $1, as: UInt16.self) }
                : { unsafe countOnesRegister($0, $1, as: UInt16.self) }
        case 4:
            return isMemory
                ? { unsafe countOnesMemory($0, $1, as: UInt32.self) }
                : { unsafe countOnesRegister($0, $1, as: UInt32.self) }
        default:
            return isMemory
                ? { unsafe countOnesMemory($0, $1, as: UInt64.self) }
                : { unsafe countOnesRegister($0, $1, as: UInt64.self) }
        }
    }

    /// MXCSR, state saving, EMMS, fences and cache hints.
    static func control(
        _ instruction: VectorInstruction, _ op: inout DecodedInstruction
    ) -> InstructionHandler? {
        unsafe op.auxiliary = instruction.wide ? 1 : 0
        switch instruction.mnemonic {
        case .ldmxcsr: return { unsafe loadMXCSR($0, $1) }
        case .stmxcsr: return { unsafe storeMXCSR($0, $1) }
        case .fxsave: return { unsafe saveLegacyState($0, $1) }
        case .fxrstor: return { unsafe restoreLegacyState($0, $1) }
        case .xsave: return { unsafe saveExtendedState($0, $1, .standard) }
        case .xsaveopt: return { unsafe saveExtendedState($0, $1, .optimized) }
        case .xsavec: return { unsafe saveExtendedState($0, $1, .compacted) }
        case .xsaves: return { unsafe saveExtendedState($0, $1, .supervisor) }
        case .xrstor: return { unsafe restoreExtendedState($0, $1, supervisor: false) }
        case .xrstors: return { unsafe restoreExtendedState($0, $1, supervisor: true) }
        case .xgetbv: return { unsafe readExtendedControl($0, $1) }
        case .xsetbv: return { unsafe writeExtendedControl($0, $1) }
        case .emms: return { unsafe emptyMMX($0, $1) }
        case .clflush: return { unsafe flushLine($0, $1) }
        // Hints have no effect and no faults; memory accesses of one virtual processor are in
        // order as they are, and the host's own ordering rules hold between them.
        case .prefetch, .prefetchnta, .prefetcht0, .prefetcht1, .prefetcht2, .prefetchw:
            return { unsafe $1 + 1 }
        case .lfence, .sfence:
            return { unsafe $1 + 1 }
        case .mfence:
            return { unsafe fenceMemory($1) }
        default:
            return nil
        }
    }
}
