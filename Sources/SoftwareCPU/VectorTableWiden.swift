internal import CEngine
internal import X86

// Vector instructions with narrow memory operands or an immediate byte.

extension VectorTable {
    /// xmm <- xmm op xmm/m64, m32 or m16.
    static func widening(_ mnemonic: Mnemonic) -> VectorRow? {
        switch mnemonic {
        case .pmovsxbw:
            return unsafe VectorRow(
                register: vector_pmovsxbw_register,
                memory: { unsafe vectorMemory($0, $1, 8, vector_pmovsxbw) })
        case .pmovsxwd:
            return unsafe VectorRow(
                register: vector_pmovsxwd_register,
                memory: { unsafe vectorMemory($0, $1, 8, vector_pmovsxwd) })
        case .pmovsxdq:
            return unsafe VectorRow(
                register: vector_pmovsxdq_register,
                memory: { unsafe vectorMemory($0, $1, 8, vector_pmovsxdq) })
        case .pmovzxbw:
            return unsafe VectorRow(
                register: vector_pmovzxbw_register,
                memory: { unsafe vectorMemory($0, $1, 8, vector_pmovzxbw) })
        case .pmovzxwd:
            return unsafe VectorRow(
                register: vector_pmovzxwd_register,
                memory: { unsafe vectorMemory($0, $1, 8, vector_pmovzxwd) })
        case .pmovzxdq:
            return unsafe VectorRow(
                register: vector_pmovzxdq_register,
                memory: { unsafe vectorMemory($0, $1, 8, vector_pmovzxdq) })
        case .movddup:
            return unsafe VectorRow(
                register: vector_movddup_register,
                memory: { unsafe vectorMemory($0, $1, 8, vector_movddup) })
        case .pmovsxbd:
            return unsafe VectorRow(
                register: vector_pmovsxbd_register,
                memory: { unsafe vectorMemory($0, $1, 4, vector_pmovsxbd) })
        case .pmovsxwq:
            return unsafe VectorRow(
                register: vector_pmovsxwq_register,
                memory: { unsafe vectorMemory($0, $1, 4, vector_pmovsxwq) })
        case .pmovzxbd:
            return unsafe VectorRow(
                register: vector_pmovzxbd_register,
                memory: { unsafe vectorMemory($0, $1, 4, vector_pmovzxbd) })
        case .pmovzxwq:
            return unsafe VectorRow(
                register: vector_pmovzxwq_register,
                memory: { unsafe vectorMemory($0, $1, 4, vector_pmovzxwq) })
        case .rcpss:
            return unsafe VectorRow(
                register: vector_rcpss_register,
                memory: { unsafe vectorMemory($0, $1, 4, vector_rcpss) })
        case .rsqrtss:
            return unsafe VectorRow(
                register: vector_rsqrtss_register,
                memory: { unsafe vectorMemory($0, $1, 4, vector_rsqrtss) })
        case .pmovsxbq:
            return unsafe VectorRow(
                register: vector_pmovsxbq_register,
                memory: { unsafe vectorMemory($0, $1, 2, vector_pmovsxbq) })
        case .pmovzxbq:
            return unsafe VectorRow(
                register: vector_pmovzxbq_register,
                memory: { unsafe vectorMemory($0, $1, 2, vector_pmovzxbq) })
        default:
            return nil
        }
    }

    /// xmm <- xmm op xmm/m128, imm8, without floating-point exceptions.
    static func immediate(_ mnemonic: Mnemonic) -> VectorRow? {
        switch mnemonic {
        case .pshufd:
            return unsafe VectorRow(
                register: vector_pshufd_register,
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_pshufd) })
        case .pshuflw:
            return unsafe VectorRow(
                register: vector_pshuflw_register,
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_pshuflw) })
        case .pshufhw:
            return unsafe VectorRow(
                register: vector_pshufhw_register,
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_pshufhw) })
        case .shufps:
            return unsafe VectorRow(
                register: vector_shufps_register,
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_shufps) })
        case .shufpd:
            return unsafe VectorRow(
                register: vector_shufpd_register,
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_shufpd) })
        case .palignr:
            return unsafe VectorRow(
                register: vector_palignr_register,
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_palignr) })
        case .pblendw:
            return unsafe VectorRow(
                register: vector_pblendw_register,
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_pblendw) })
        case .blendps:
            return unsafe VectorRow(
                register: vector_blendps_register,
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_blendps) })
        case .blendpd:
            return unsafe VectorRow(
                register: vector_blendpd_register,
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_blendpd) })
        case .mpsadbw:
            return unsafe VectorRow(
                register: vector_mpsadbw_register,
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_mpsadbw) })
        case .pclmulqdq:
            return unsafe VectorRow(
                register: vector_pclmulqdq_register,
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_pclmulqdq) })
        case .aeskeygenassist:
            return unsafe VectorRow(
                register: vector_aeskeygenassist_register,
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_aeskeygenassist) })
        default:
            return nil
        }
    }
}
