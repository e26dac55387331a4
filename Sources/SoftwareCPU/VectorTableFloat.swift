internal import CEngine
internal import X86

// Vector floating point on XMM registers.

extension VectorTable {
    /// xmm <- xmm op xmm/m.
    static func float(_ mnemonic: Mnemonic) -> VectorRow? {
        switch mnemonic {
        case .addps:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .packedSingle(.add), vector_addps) },
                memory: { unsafe floatMemory16($0, $1, .packedSingle(.add), vector_addps) })
        case .addpd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .packedDouble(.add), vector_addpd) },
                memory: { unsafe floatMemory16($0, $1, .packedDouble(.add), vector_addpd) })
        case .addss:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .scalarSingle(.add), vector_addss) },
                memory: { unsafe floatMemory($0, $1, 4, .scalarSingle(.add), vector_addss) })
        case .addsd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .scalarDouble(.add), vector_addsd) },
                memory: { unsafe floatMemory($0, $1, 8, .scalarDouble(.add), vector_addsd) })
        case .subps:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .packedSingle(.subtract), vector_subps) },
                memory: { unsafe floatMemory16($0, $1, .packedSingle(.subtract), vector_subps) })
        case .subpd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .packedDouble(.subtract), vector_subpd) },
                memory: { unsafe floatMemory16($0, $1, .packedDouble(.subtract), vector_subpd) })
        case .subss:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .scalarSingle(.subtract), vector_subss) },
                memory: { unsafe floatMemory($0, $1, 4, .scalarSingle(.subtract), vector_subss) })
        case .subsd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .scalarDouble(.subtract), vector_subsd) },
                memory: { unsafe floatMemory($0, $1, 8, .scalarDouble(.subtract), vector_subsd) })
        case .mulps:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .packedSingle(.multiply), vector_mulps) },
                memory: { unsafe floatMemory16($0, $1, .packedSingle(.multiply), vector_mulps) })
        case .mulpd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .packedDouble(.multiply), vector_mulpd) },
                memory: { unsafe floatMemory16($0, $1, .packedDouble(.multiply), vector_mulpd) })
        case .mulss:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .scalarSingle(.multiply), vector_mulss) },
                memory: { unsafe floatMemory($0, $1, 4, .scalarSingle(.multiply), vector_mulss) })
        case .mulsd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .scalarDouble(.multiply), vector_mulsd) },
                memory: { unsafe floatMemory($0, $1, 8, .scalarDouble(.multiply), vector_mulsd) })
        case .divps:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .packedSingle(.divide), vector_divps) },
                memory: { unsafe floatMemory16($0, $1, .packedSingle(.divide), vector_divps) })
        case .divpd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .packedDouble(.divide), vector_divpd) },
                memory: { unsafe floatMemory16($0, $1, .packedDouble(.divide), vector_divpd) })
        case .divss:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .scalarSingle(.divide), vector_divss) },
                memory: { unsafe floatMemory($0, $1, 4, .scalarSingle(.divide), vector_divss) })
        case .divsd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .scalarDouble(.divide), vector_divsd) },
                memory: { unsafe floatMemory($0, $1, 8, .scalarDouble(.divide), vector_divsd) })
        case .minps:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_minps) },
                memory: { unsafe floatMemory16($0, $1, .other, vector_minps) })
        case .minpd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_minpd) },
                memory: { unsafe floatMemory16($0, $1, .other, vector_minpd) })
        case .minss:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_minss) },
                memory: { unsafe floatMemory($0, $1, 4, .other, vector_minss) })
        case .minsd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_minsd) },
                memory: { unsafe floatMemory($0, $1, 8, .other, vector_minsd) })
        case .maxps:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_maxps) },
                memory: { unsafe floatMemory16($0, $1, .other, vector_maxps) })
        case .maxpd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_maxpd) },
                memory: { unsafe floatMemory16($0, $1, .other, vector_maxpd) })
        case .maxss:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_maxss) },
                memory: { unsafe floatMemory($0, $1, 4, .other, vector_maxss) })
        case .maxsd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_maxsd) },
                memory: { unsafe floatMemory($0, $1, 8, .other, vector_maxsd) })
        case .sqrtps:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_sqrtps) },
                memory: { unsafe floatMemory16($0, $1, .other, vector_sqrtps) })
        case .sqrtpd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_sqrtpd) },
                memory: { unsafe floatMemory16($0, $1, .other, vector_sqrtpd) })
        case .sqrtss:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_sqrtss) },
                memory: { unsafe floatMemory($0, $1, 4, .other, vector_sqrtss) })
        case .sqrtsd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_sqrtsd) },
                memory: { unsafe floatMemory($0, $1, 8, .other, vector_sqrtsd) })
        case .addsubps:
            return unsafe VectorRow(
                register: {
                    unsafe floatRegister($0, $1, .packedSingle(.addSubtract), vector_addsubps)
                },
                memory: {
                    unsafe floatMemory16($0, $1, .packedSingle(.addSubtract), vector_addsubps)
                })
        case .addsubpd:
            return unsafe VectorRow(
                register: {
                    unsafe floatRegister($0, $1, .packedDouble(.addSubtract), vector_addsubpd)
                },
                memory: {
                    unsafe floatMemory16($0, $1, .packedDouble(.addSubtract), vector_addsubpd)
                })
        case .haddps:
            return unsafe VectorRow(
                register: {
                    unsafe floatRegister($0, $1, .packedSingle(.horizontalAdd), vector_haddps)
                },
                memory: {
                    unsafe floatMemory16($0, $1, .packedSingle(.horizontalAdd), vector_haddps)
                })
        case .haddpd:
            return unsafe VectorRow(
                register: {
                    unsafe floatRegister($0, $1, .packedDouble(.horizontalAdd), vector_haddpd)
                },
                memory: {
                    unsafe floatMemory16($0, $1, .packedDouble(.horizontalAdd), vector_haddpd)
                })
        case .hsubps:
            return unsafe VectorRow(
                register: {
                    unsafe floatRegister($0, $1, .packedSingle(.horizontalSubtract), vector_hsubps)
                },
                memory: {
                    unsafe floatMemory16($0, $1, .packedSingle(.horizontalSubtract), vector_hsubps)
                })
        case .hsubpd:
            return unsafe VectorRow(
                register: {
                    unsafe floatRegister($0, $1, .packedDouble(.horizontalSubtract), vector_hsubpd)
                },
                memory: {
                    unsafe floatMemory16($0, $1, .packedDouble(.horizontalSubtract), vector_hsubpd)
                })
        case .cvtdq2ps:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_cvtdq2ps) },
                memory: { unsafe floatMemory16($0, $1, .other, vector_cvtdq2ps) })
        case .cvtps2dq:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_cvtps2dq) },
                memory: { unsafe floatMemory16($0, $1, .other, vector_cvtps2dq) })
        case .cvttps2dq:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_cvttps2dq) },
                memory: { unsafe floatMemory16($0, $1, .other, vector_cvttps2dq) })
        case .cvtpd2dq:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_cvtpd2dq) },
                memory: { unsafe floatMemory16($0, $1, .other, vector_cvtpd2dq) })
        case .cvttpd2dq:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_cvttpd2dq) },
                memory: { unsafe floatMemory16($0, $1, .other, vector_cvttpd2dq) })
        case .cvtpd2ps:
            return unsafe VectorRow(
                register: {
                    unsafe floatRegister($0, $1, .packedSingle(.convert), vector_cvtpd2ps)
                },
                memory: { unsafe floatMemory16($0, $1, .packedSingle(.convert), vector_cvtpd2ps) })
        case .cvtdq2pd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_cvtdq2pd) },
                memory: { unsafe floatMemory($0, $1, 8, .other, vector_cvtdq2pd) })
        case .cvtps2pd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_cvtps2pd) },
                memory: { unsafe floatMemory($0, $1, 8, .other, vector_cvtps2pd) })
        case .cvtsd2ss:
            return unsafe VectorRow(
                register: {
                    unsafe floatRegister($0, $1, .scalarSingle(.convert), vector_cvtsd2ss)
                },
                memory: { unsafe floatMemory($0, $1, 8, .scalarSingle(.convert), vector_cvtsd2ss) })
        case .cvtss2sd:
            return unsafe VectorRow(
                register: { unsafe floatRegister($0, $1, .other, vector_cvtss2sd) },
                memory: { unsafe floatMemory($0, $1, 4, .other, vector_cvtss2sd) })
        default:
            return nil
        }
    }

    /// xmm <- xmm op xmm/m, imm8.
    static func floatImmediate(_ mnemonic: Mnemonic) -> VectorRow? {
        switch mnemonic {
        case .cmpps:
            return unsafe VectorRow(
                register: { unsafe floatImmediateRegister($0, $1, .other, vector_cmpps) },
                memory: { unsafe floatImmediateMemory16($0, $1, .other, vector_cmpps) })
        case .cmppd:
            return unsafe VectorRow(
                register: { unsafe floatImmediateRegister($0, $1, .other, vector_cmppd) },
                memory: { unsafe floatImmediateMemory16($0, $1, .other, vector_cmppd) })
        case .roundps:
            return unsafe VectorRow(
                register: { unsafe floatImmediateRegister($0, $1, .other, vector_roundps) },
                memory: { unsafe floatImmediateMemory16($0, $1, .other, vector_roundps) })
        case .roundpd:
            return unsafe VectorRow(
                register: { unsafe floatImmediateRegister($0, $1, .other, vector_roundpd) },
                memory: { unsafe floatImmediateMemory16($0, $1, .other, vector_roundpd) })
        case .dpps:
            return unsafe VectorRow(
                register: {
                    unsafe floatImmediateRegister($0, $1, .packedSingle(.dotProduct), vector_dpps)
                },
                memory: {
                    unsafe floatImmediateMemory16($0, $1, .packedSingle(.dotProduct), vector_dpps)
                })
        case .dppd:
            return unsafe VectorRow(
                register: {
                    unsafe floatImmediateRegister($0, $1, .packedDouble(.dotProduct), vector_dppd)
                },
                memory: {
                    unsafe floatImmediateMemory16($0, $1, .packedDouble(.dotProduct), vector_dppd)
                })
        case .cmpss:
            return unsafe VectorRow(
                register: { unsafe floatImmediateRegister($0, $1, .other, vector_cmpss) },
                memory: { unsafe floatImmediateMemory($0, $1, 4, .other, vector_cmpss) })
        case .cmpsd:
            return unsafe VectorRow(
                register: { unsafe floatImmediateRegister($0, $1, .other, vector_cmpsd) },
                memory: { unsafe floatImmediateMemory($0, $1, 8, .other, vector_cmpsd) })
        case .roundss:
            return unsafe VectorRow(
                register: { unsafe floatImmediateRegister($0, $1, .other, vector_roundss) },
                memory: { unsafe floatImmediateMemory($0, $1, 4, .other, vector_roundss) })
        case .roundsd:
            return unsafe VectorRow(
                register: { unsafe floatImmediateRegister($0, $1, .other, vector_roundsd) },
                memory: { unsafe floatImmediateMemory($0, $1, 8, .other, vector_roundsd) })
        default:
            return nil
        }
    }

    /// Flags <- xmm op xmm/m.
    static func comparison(_ mnemonic: Mnemonic) -> VectorRow? {
        switch mnemonic {
        case .comiss:
            return unsafe VectorRow(
                register: { unsafe floatCompare($0, $1, vectorSource($0, $1), vector_comiss) },
                memory: { unsafe floatCompareMemory($0, $1, 4, vector_comiss) })
        case .ucomiss:
            return unsafe VectorRow(
                register: { unsafe floatCompare($0, $1, vectorSource($0, $1), vector_ucomiss) },
                memory: { unsafe floatCompareMemory($0, $1, 4, vector_ucomiss) })
        case .comisd:
            return unsafe VectorRow(
                register: { unsafe floatCompare($0, $1, vectorSource($0, $1), vector_comisd) },
                memory: { unsafe floatCompareMemory($0, $1, 8, vector_comisd) })
        case .ucomisd:
            return unsafe VectorRow(
                register: { unsafe floatCompare($0, $1, vectorSource($0, $1), vector_ucomisd) },
                memory: { unsafe floatCompareMemory($0, $1, 8, vector_ucomisd) })
        default:
            return nil
        }
    }
}
