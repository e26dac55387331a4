internal import CEngine
internal import X86

// MMX instructions.

extension VectorTable {
    /// mm <- mm op mm/m64, or m32.
    static func mmx(_ mnemonic: Mnemonic) -> VectorRow? {
        switch mnemonic {
        case .paddb:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_paddb) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_paddb) })
        case .paddw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_paddw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_paddw) })
        case .paddd:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_paddd) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_paddd) })
        case .paddq:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_paddq) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_paddq) })
        case .paddsb:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_paddsb) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_paddsb) })
        case .paddsw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_paddsw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_paddsw) })
        case .paddusb:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_paddusb) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_paddusb) })
        case .paddusw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_paddusw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_paddusw) })
        case .psubb:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psubb) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psubb) })
        case .psubw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psubw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psubw) })
        case .psubd:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psubd) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psubd) })
        case .psubq:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psubq) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psubq) })
        case .psubsb:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psubsb) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psubsb) })
        case .psubsw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psubsw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psubsw) })
        case .psubusb:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psubusb) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psubusb) })
        case .psubusw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psubusw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psubusw) })
        case .phaddw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_phaddw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_phaddw) })
        case .phaddd:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_phaddd) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_phaddd) })
        case .phaddsw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_phaddsw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_phaddsw) })
        case .phsubw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_phsubw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_phsubw) })
        case .phsubd:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_phsubd) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_phsubd) })
        case .phsubsw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_phsubsw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_phsubsw) })
        case .pmullw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pmullw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pmullw) })
        case .pmulhw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pmulhw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pmulhw) })
        case .pmulhuw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pmulhuw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pmulhuw) })
        case .pmulhrsw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pmulhrsw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pmulhrsw) })
        case .pmuludq:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pmuludq) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pmuludq) })
        case .pmaddwd:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pmaddwd) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pmaddwd) })
        case .pmaddubsw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pmaddubsw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pmaddubsw) })
        case .psadbw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psadbw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psadbw) })
        case .pavgb:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pavgb) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pavgb) })
        case .pavgw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pavgw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pavgw) })
        case .pmaxub:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pmaxub) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pmaxub) })
        case .pmaxsw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pmaxsw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pmaxsw) })
        case .pminub:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pminub) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pminub) })
        case .pminsw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pminsw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pminsw) })
        case .psignb:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psignb) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psignb) })
        case .psignw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psignw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psignw) })
        case .psignd:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psignd) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psignd) })
        case .pabsb:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pabsb) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pabsb) })
        case .pabsw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pabsw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pabsw) })
        case .pabsd:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pabsd) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pabsd) })
        case .pcmpeqb:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pcmpeqb) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pcmpeqb) })
        case .pcmpeqw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pcmpeqw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pcmpeqw) })
        case .pcmpeqd:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pcmpeqd) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pcmpeqd) })
        case .pcmpgtb:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pcmpgtb) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pcmpgtb) })
        case .pcmpgtw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pcmpgtw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pcmpgtw) })
        case .pcmpgtd:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pcmpgtd) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pcmpgtd) })
        case .pand:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pand) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pand) })
        case .pandn:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pandn) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pandn) })
        case .por:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_por) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_por) })
        case .pxor:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pxor) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pxor) })
        case .psllw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psllw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psllw) })
        case .pslld:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pslld) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pslld) })
        case .psllq:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psllq) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psllq) })
        case .psrlw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psrlw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psrlw) })
        case .psrld:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psrld) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psrld) })
        case .psrlq:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psrlq) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psrlq) })
        case .psraw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psraw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psraw) })
        case .psrad:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_psrad) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_psrad) })
        case .packsswb:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_packsswb) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_packsswb) })
        case .packssdw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_packssdw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_packssdw) })
        case .packuswb:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_packuswb) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_packuswb) })
        case .punpckhbw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_punpckhbw) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_punpckhbw) })
        case .punpckhwd:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_punpckhwd) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_punpckhwd) })
        case .punpckhdq:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_punpckhdq) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_punpckhdq) })
        case .pshufb:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_pshufb) },
                memory: { unsafe mmxMemory($0, $1, 8, vector_mmx_pshufb) })
        case .punpcklbw:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_punpcklbw) },
                memory: { unsafe mmxMemory($0, $1, 4, vector_mmx_punpcklbw) })
        case .punpcklwd:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_punpcklwd) },
                memory: { unsafe mmxMemory($0, $1, 4, vector_mmx_punpcklwd) })
        case .punpckldq:
            return unsafe VectorRow(
                register: { unsafe mmxRegister($0, $1, vector_mmx_punpckldq) },
                memory: { unsafe mmxMemory($0, $1, 4, vector_mmx_punpckldq) })
        default:
            return nil
        }
    }

    /// mm <- mm op mm/m64, imm8.
    static func mmxImmediate(_ mnemonic: Mnemonic) -> VectorRow? {
        switch mnemonic {
        case .pshufw:
            return unsafe VectorRow(
                register: { unsafe mmxImmediateRegister($0, $1, vector_mmx_pshufw) },
                memory: { unsafe mmxImmediateMemory($0, $1, vector_mmx_pshufw) })
        case .palignr:
            return unsafe VectorRow(
                register: { unsafe mmxImmediateRegister($0, $1, vector_mmx_palignr) },
                memory: { unsafe mmxImmediateMemory($0, $1, vector_mmx_palignr) })
        default:
            return nil
        }
    }
}
