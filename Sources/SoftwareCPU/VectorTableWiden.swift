internal import CEngine

// Vector instructions with narrow memory operands or an immediate byte.

extension VectorTable {
    /// xmm <- xmm op xmm/m64, m32 or m16.
    static func widening(_ mnemonic: Mnemonic) -> VectorRow? {
        switch mnemonic {
        case .pmovsxbw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmovsxbw) },
                memory: { unsafe vectorMemory($0, $1, 8, vector_pmovsxbw) })
        case .pmovsxwd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmovsxwd) },
                memory: { unsafe vectorMemory($0, $1, 8, vector_pmovsxwd) })
        case .pmovsxdq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmovsxdq) },
                memory: { unsafe vectorMemory($0, $1, 8, vector_pmovsxdq) })
        case .pmovzxbw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmovzxbw) },
                memory: { unsafe vectorMemory($0, $1, 8, vector_pmovzxbw) })
        case .pmovzxwd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmovzxwd) },
                memory: { unsafe vectorMemory($0, $1, 8, vector_pmovzxwd) })
        case .pmovzxdq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmovzxdq) },
                memory: { unsafe vectorMemory($0, $1, 8, vector_pmovzxdq) })
        case .movddup:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_movddup) },
                memory: { unsafe vectorMemory($0, $1, 8, vector_movddup) })
        case .pmovsxbd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmovsxbd) },
                memory: { unsafe vectorMemory($0, $1, 4, vector_pmovsxbd) })
        case .pmovsxwq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmovsxwq) },
                memory: { unsafe vectorMemory($0, $1, 4, vector_pmovsxwq) })
        case .pmovzxbd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmovzxbd) },
                memory: { unsafe vectorMemory($0, $1, 4, vector_pmovzxbd) })
        case .pmovzxwq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmovzxwq) },
                memory: { unsafe vectorMemory($0, $1, 4, vector_pmovzxwq) })
        case .rcpss:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_rcpss) },
                memory: { unsafe vectorMemory($0, $1, 4, vector_rcpss) })
        case .rsqrtss:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_rsqrtss) },
                memory: { unsafe vectorMemory($0, $1, 4, vector_rsqrtss) })
        case .pmovsxbq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmovsxbq) },
                memory: { unsafe vectorMemory($0, $1, 2, vector_pmovsxbq) })
        case .pmovzxbq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmovzxbq) },
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
                register: { unsafe vectorImmediateRegister($0, $1, vector_pshufd) },
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_pshufd) })
        case .pshuflw:
            return unsafe VectorRow(
                register: { unsafe vectorImmediateRegister($0, $1, vector_pshuflw) },
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_pshuflw) })
        case .pshufhw:
            return unsafe VectorRow(
                register: { unsafe vectorImmediateRegister($0, $1, vector_pshufhw) },
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_pshufhw) })
        case .shufps:
            return unsafe VectorRow(
                register: { unsafe vectorImmediateRegister($0, $1, vector_shufps) },
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_shufps) })
        case .shufpd:
            return unsafe VectorRow(
                register: { unsafe vectorImmediateRegister($0, $1, vector_shufpd) },
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_shufpd) })
        case .palignr:
            return unsafe VectorRow(
                register: { unsafe vectorImmediateRegister($0, $1, vector_palignr) },
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_palignr) })
        case .pblendw:
            return unsafe VectorRow(
                register: { unsafe vectorImmediateRegister($0, $1, vector_pblendw) },
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_pblendw) })
        case .blendps:
            return unsafe VectorRow(
                register: { unsafe vectorImmediateRegister($0, $1, vector_blendps) },
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_blendps) })
        case .blendpd:
            return unsafe VectorRow(
                register: { unsafe vectorImmediateRegister($0, $1, vector_blendpd) },
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_blendpd) })
        case .mpsadbw:
            return unsafe VectorRow(
                register: { unsafe vectorImmediateRegister($0, $1, vector_mpsadbw) },
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_mpsadbw) })
        case .pclmulqdq:
            return unsafe VectorRow(
                register: { unsafe vectorImmediateRegister($0, $1, vector_pclmulqdq) },
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_pclmulqdq) })
        case .aeskeygenassist:
            return unsafe VectorRow(
                register: { unsafe vectorImmediateRegister($0, $1, vector_aeskeygenassist) },
                memory: { unsafe vectorImmediateMemory16($0, $1, vector_aeskeygenassist) })
        default:
            return nil
        }
    }
}
