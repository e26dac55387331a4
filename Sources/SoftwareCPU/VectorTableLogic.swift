internal import CEngine
internal import X86

// Integer vector instructions on XMM registers: logic, shifts, lane movement, AES.

extension VectorTable {
    /// xmm <- xmm op xmm/m128: comparison, logic, shifts, packing.
    static func logic(_ mnemonic: Mnemonic) -> VectorRow? {
        switch mnemonic {
        case .pcmpeqb:
            return unsafe VectorRow(
                register: vector_pcmpeqb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpeqb) })
        case .pcmpeqw:
            return unsafe VectorRow(
                register: vector_pcmpeqw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpeqw) })
        case .pcmpeqd:
            return unsafe VectorRow(
                register: vector_pcmpeqd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpeqd) })
        case .pcmpeqq:
            return unsafe VectorRow(
                register: vector_pcmpeqq_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpeqq) })
        case .pcmpgtb:
            return unsafe VectorRow(
                register: vector_pcmpgtb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpgtb) })
        case .pcmpgtw:
            return unsafe VectorRow(
                register: vector_pcmpgtw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpgtw) })
        case .pcmpgtd:
            return unsafe VectorRow(
                register: vector_pcmpgtd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpgtd) })
        case .pcmpgtq:
            return unsafe VectorRow(
                register: vector_pcmpgtq_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pcmpgtq) })
        case .pand:
            return unsafe VectorRow(
                register: vector_pand_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pand) })
        case .pandn:
            return unsafe VectorRow(
                register: vector_pandn_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pandn) })
        case .por:
            return unsafe VectorRow(
                register: vector_por_register,
                memory: { unsafe vectorMemory16($0, $1, vector_por) })
        case .pxor:
            return unsafe VectorRow(
                register: vector_pxor_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pxor) })
        case .andps:
            return unsafe VectorRow(
                register: vector_andps_register,
                memory: { unsafe vectorMemory16($0, $1, vector_andps) })
        case .andpd:
            return unsafe VectorRow(
                register: vector_andpd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_andpd) })
        case .andnps:
            return unsafe VectorRow(
                register: vector_andnps_register,
                memory: { unsafe vectorMemory16($0, $1, vector_andnps) })
        case .andnpd:
            return unsafe VectorRow(
                register: vector_andnpd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_andnpd) })
        case .orps:
            return unsafe VectorRow(
                register: vector_orps_register,
                memory: { unsafe vectorMemory16($0, $1, vector_orps) })
        case .orpd:
            return unsafe VectorRow(
                register: vector_orpd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_orpd) })
        case .xorps:
            return unsafe VectorRow(
                register: vector_xorps_register,
                memory: { unsafe vectorMemory16($0, $1, vector_xorps) })
        case .xorpd:
            return unsafe VectorRow(
                register: vector_xorpd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_xorpd) })
        case .psllw:
            return unsafe VectorRow(
                register: vector_psllw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psllw) })
        case .pslld:
            return unsafe VectorRow(
                register: vector_pslld_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pslld) })
        case .psllq:
            return unsafe VectorRow(
                register: vector_psllq_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psllq) })
        case .psrlw:
            return unsafe VectorRow(
                register: vector_psrlw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psrlw) })
        case .psrld:
            return unsafe VectorRow(
                register: vector_psrld_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psrld) })
        case .psrlq:
            return unsafe VectorRow(
                register: vector_psrlq_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psrlq) })
        case .psraw:
            return unsafe VectorRow(
                register: vector_psraw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psraw) })
        case .psrad:
            return unsafe VectorRow(
                register: vector_psrad_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psrad) })
        case .packsswb:
            return unsafe VectorRow(
                register: vector_packsswb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_packsswb) })
        case .packssdw:
            return unsafe VectorRow(
                register: vector_packssdw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_packssdw) })
        case .packuswb:
            return unsafe VectorRow(
                register: vector_packuswb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_packuswb) })
        case .packusdw:
            return unsafe VectorRow(
                register: vector_packusdw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_packusdw) })
        case .punpcklbw:
            return unsafe VectorRow(
                register: vector_punpcklbw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_punpcklbw) })
        case .punpcklwd:
            return unsafe VectorRow(
                register: vector_punpcklwd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_punpcklwd) })
        case .punpckldq:
            return unsafe VectorRow(
                register: vector_punpckldq_register,
                memory: { unsafe vectorMemory16($0, $1, vector_punpckldq) })
        case .punpcklqdq:
            return unsafe VectorRow(
                register: vector_punpcklqdq_register,
                memory: { unsafe vectorMemory16($0, $1, vector_punpcklqdq) })
        case .punpckhbw:
            return unsafe VectorRow(
                register: vector_punpckhbw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_punpckhbw) })
        case .punpckhwd:
            return unsafe VectorRow(
                register: vector_punpckhwd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_punpckhwd) })
        case .punpckhdq:
            return unsafe VectorRow(
                register: vector_punpckhdq_register,
                memory: { unsafe vectorMemory16($0, $1, vector_punpckhdq) })
        case .punpckhqdq:
            return unsafe VectorRow(
                register: vector_punpckhqdq_register,
                memory: { unsafe vectorMemory16($0, $1, vector_punpckhqdq) })
        case .unpcklps:
            return unsafe VectorRow(
                register: vector_unpcklps_register,
                memory: { unsafe vectorMemory16($0, $1, vector_unpcklps) })
        case .unpcklpd:
            return unsafe VectorRow(
                register: vector_unpcklpd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_unpcklpd) })
        case .unpckhps:
            return unsafe VectorRow(
                register: vector_unpckhps_register,
                memory: { unsafe vectorMemory16($0, $1, vector_unpckhps) })
        case .unpckhpd:
            return unsafe VectorRow(
                register: vector_unpckhpd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_unpckhpd) })
        case .pshufb:
            return unsafe VectorRow(
                register: vector_pshufb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pshufb) })
        case .movshdup:
            return unsafe VectorRow(
                register: vector_movshdup_register,
                memory: { unsafe vectorMemory16($0, $1, vector_movshdup) })
        case .movsldup:
            return unsafe VectorRow(
                register: vector_movsldup_register,
                memory: { unsafe vectorMemory16($0, $1, vector_movsldup) })
        case .aesenc:
            return unsafe VectorRow(
                register: vector_aesenc_register,
                memory: { unsafe vectorMemory16($0, $1, vector_aesenc) })
        case .aesenclast:
            return unsafe VectorRow(
                register: vector_aesenclast_register,
                memory: { unsafe vectorMemory16($0, $1, vector_aesenclast) })
        case .aesdec:
            return unsafe VectorRow(
                register: vector_aesdec_register,
                memory: { unsafe vectorMemory16($0, $1, vector_aesdec) })
        case .aesdeclast:
            return unsafe VectorRow(
                register: vector_aesdeclast_register,
                memory: { unsafe vectorMemory16($0, $1, vector_aesdeclast) })
        case .aesimc:
            return unsafe VectorRow(
                register: vector_aesimc_register,
                memory: { unsafe vectorMemory16($0, $1, vector_aesimc) })
        case .rcpps:
            return unsafe VectorRow(
                register: vector_rcpps_register,
                memory: { unsafe vectorMemory16($0, $1, vector_rcpps) })
        case .rsqrtps:
            return unsafe VectorRow(
                register: vector_rsqrtps_register,
                memory: { unsafe vectorMemory16($0, $1, vector_rsqrtps) })
        default:
            return nil
        }
    }
}
