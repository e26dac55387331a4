internal import CEngine

// Integer vector instructions on XMM registers: logic, shifts, lane movement, AES.

extension VectorTable {
    /// xmm <- xmm op xmm/m128: comparison, logic, shifts, packing.
    static func logic(_ mnemonic: Mnemonic) -> VectorRow? {
        switch mnemonic {
        case .pcmpeqb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pcmpeqb) },
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpeqb) })
        case .pcmpeqw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pcmpeqw) },
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpeqw) })
        case .pcmpeqd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pcmpeqd) },
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpeqd) })
        case .pcmpeqq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pcmpeqq) },
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpeqq) })
        case .pcmpgtb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pcmpgtb) },
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpgtb) })
        case .pcmpgtw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pcmpgtw) },
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpgtw) })
        case .pcmpgtd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pcmpgtd) },
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpgtd) })
        case .pcmpgtq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pcmpgtq) },
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpgtq) })
        case .pand:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pand) },
                memory: { unsafe vectorMemory16($0, $1, vector_pand) })
        case .pandn:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pandn) },
                memory: { unsafe vectorMemory16($0, $1, vector_pandn) })
        case .por:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_por) },
                memory: { unsafe vectorMemory16($0, $1, vector_por) })
        case .pxor:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pxor) },
                memory: { unsafe vectorMemory16($0, $1, vector_pxor) })
        case .andps:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_andps) },
                memory: { unsafe vectorMemory16($0, $1, vector_andps) })
        case .andpd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_andpd) },
                memory: { unsafe vectorMemory16($0, $1, vector_andpd) })
        case .andnps:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_andnps) },
                memory: { unsafe vectorMemory16($0, $1, vector_andnps) })
        case .andnpd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_andnpd) },
                memory: { unsafe vectorMemory16($0, $1, vector_andnpd) })
        case .orps:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_orps) },
                memory: { unsafe vectorMemory16($0, $1, vector_orps) })
        case .orpd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_orpd) },
                memory: { unsafe vectorMemory16($0, $1, vector_orpd) })
        case .xorps:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_xorps) },
                memory: { unsafe vectorMemory16($0, $1, vector_xorps) })
        case .xorpd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_xorpd) },
                memory: { unsafe vectorMemory16($0, $1, vector_xorpd) })
        case .psllw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psllw) },
                memory: { unsafe vectorMemory16($0, $1, vector_psllw) })
        case .pslld:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pslld) },
                memory: { unsafe vectorMemory16($0, $1, vector_pslld) })
        case .psllq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psllq) },
                memory: { unsafe vectorMemory16($0, $1, vector_psllq) })
        case .psrlw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psrlw) },
                memory: { unsafe vectorMemory16($0, $1, vector_psrlw) })
        case .psrld:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psrld) },
                memory: { unsafe vectorMemory16($0, $1, vector_psrld) })
        case .psrlq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psrlq) },
                memory: { unsafe vectorMemory16($0, $1, vector_psrlq) })
        case .psraw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psraw) },
                memory: { unsafe vectorMemory16($0, $1, vector_psraw) })
        case .psrad:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psrad) },
                memory: { unsafe vectorMemory16($0, $1, vector_psrad) })
        case .packsswb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_packsswb) },
                memory: { unsafe vectorMemory16($0, $1, vector_packsswb) })
        case .packssdw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_packssdw) },
                memory: { unsafe vectorMemory16($0, $1, vector_packssdw) })
        case .packuswb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_packuswb) },
                memory: { unsafe vectorMemory16($0, $1, vector_packuswb) })
        case .packusdw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_packusdw) },
                memory: { unsafe vectorMemory16($0, $1, vector_packusdw) })
        case .punpcklbw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_punpcklbw) },
                memory: { unsafe vectorMemory16($0, $1, vector_punpcklbw) })
        case .punpcklwd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_punpcklwd) },
                memory: { unsafe vectorMemory16($0, $1, vector_punpcklwd) })
        case .punpckldq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_punpckldq) },
                memory: { unsafe vectorMemory16($0, $1, vector_punpckldq) })
        case .punpcklqdq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_punpcklqdq) },
                memory: { unsafe vectorMemory16($0, $1, vector_punpcklqdq) })
        case .punpckhbw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_punpckhbw) },
                memory: { unsafe vectorMemory16($0, $1, vector_punpckhbw) })
        case .punpckhwd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_punpckhwd) },
                memory: { unsafe vectorMemory16($0, $1, vector_punpckhwd) })
        case .punpckhdq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_punpckhdq) },
                memory: { unsafe vectorMemory16($0, $1, vector_punpckhdq) })
        case .punpckhqdq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_punpckhqdq) },
                memory: { unsafe vectorMemory16($0, $1, vector_punpckhqdq) })
        case .unpcklps:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_unpcklps) },
                memory: { unsafe vectorMemory16($0, $1, vector_unpcklps) })
        case .unpcklpd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_unpcklpd) },
                memory: { unsafe vectorMemory16($0, $1, vector_unpcklpd) })
        case .unpckhps:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_unpckhps) },
                memory: { unsafe vectorMemory16($0, $1, vector_unpckhps) })
        case .unpckhpd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_unpckhpd) },
                memory: { unsafe vectorMemory16($0, $1, vector_unpckhpd) })
        case .pshufb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pshufb) },
                memory: { unsafe vectorMemory16($0, $1, vector_pshufb) })
        case .movshdup:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_movshdup) },
                memory: { unsafe vectorMemory16($0, $1, vector_movshdup) })
        case .movsldup:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_movsldup) },
                memory: { unsafe vectorMemory16($0, $1, vector_movsldup) })
        case .aesenc:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_aesenc) },
                memory: { unsafe vectorMemory16($0, $1, vector_aesenc) })
        case .aesenclast:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_aesenclast) },
                memory: { unsafe vectorMemory16($0, $1, vector_aesenclast) })
        case .aesdec:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_aesdec) },
                memory: { unsafe vectorMemory16($0, $1, vector_aesdec) })
        case .aesdeclast:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_aesdeclast) },
                memory: { unsafe vectorMemory16($0, $1, vector_aesdeclast) })
        case .aesimc:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_aesimc) },
                memory: { unsafe vectorMemory16($0, $1, vector_aesimc) })
        case .rcpps:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_rcpps) },
                memory: { unsafe vectorMemory16($0, $1, vector_rcpps) })
        case .rsqrtps:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_rsqrtps) },
                memory: { unsafe vectorMemory16($0, $1, vector_rsqrtps) })
        default:
            return nil
        }
    }
}
