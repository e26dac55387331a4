internal import CEngine

// Integer vector instructions on XMM registers: arithmetic.

extension VectorTable {
    /// xmm <- xmm op xmm/m128: sums, products, minima, maxima.
    static func arithmetic(_ mnemonic: Mnemonic) -> VectorRow? {
        switch mnemonic {
        case .paddb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_paddb) },
                memory: { unsafe vectorMemory16($0, $1, vector_paddb) })
        case .paddw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_paddw) },
                memory: { unsafe vectorMemory16($0, $1, vector_paddw) })
        case .paddd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_paddd) },
                memory: { unsafe vectorMemory16($0, $1, vector_paddd) })
        case .paddq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_paddq) },
                memory: { unsafe vectorMemory16($0, $1, vector_paddq) })
        case .paddsb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_paddsb) },
                memory: { unsafe vectorMemory16($0, $1, vector_paddsb) })
        case .paddsw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_paddsw) },
                memory: { unsafe vectorMemory16($0, $1, vector_paddsw) })
        case .paddusb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_paddusb) },
                memory: { unsafe vectorMemory16($0, $1, vector_paddusb) })
        case .paddusw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_paddusw) },
                memory: { unsafe vectorMemory16($0, $1, vector_paddusw) })
        case .psubb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psubb) },
                memory: { unsafe vectorMemory16($0, $1, vector_psubb) })
        case .psubw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psubw) },
                memory: { unsafe vectorMemory16($0, $1, vector_psubw) })
        case .psubd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psubd) },
                memory: { unsafe vectorMemory16($0, $1, vector_psubd) })
        case .psubq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psubq) },
                memory: { unsafe vectorMemory16($0, $1, vector_psubq) })
        case .psubsb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psubsb) },
                memory: { unsafe vectorMemory16($0, $1, vector_psubsb) })
        case .psubsw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psubsw) },
                memory: { unsafe vectorMemory16($0, $1, vector_psubsw) })
        case .psubusb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psubusb) },
                memory: { unsafe vectorMemory16($0, $1, vector_psubusb) })
        case .psubusw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psubusw) },
                memory: { unsafe vectorMemory16($0, $1, vector_psubusw) })
        case .phaddw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_phaddw) },
                memory: { unsafe vectorMemory16($0, $1, vector_phaddw) })
        case .phaddd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_phaddd) },
                memory: { unsafe vectorMemory16($0, $1, vector_phaddd) })
        case .phaddsw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_phaddsw) },
                memory: { unsafe vectorMemory16($0, $1, vector_phaddsw) })
        case .phsubw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_phsubw) },
                memory: { unsafe vectorMemory16($0, $1, vector_phsubw) })
        case .phsubd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_phsubd) },
                memory: { unsafe vectorMemory16($0, $1, vector_phsubd) })
        case .phsubsw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_phsubsw) },
                memory: { unsafe vectorMemory16($0, $1, vector_phsubsw) })
        case .pmullw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmullw) },
                memory: { unsafe vectorMemory16($0, $1, vector_pmullw) })
        case .pmulhw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmulhw) },
                memory: { unsafe vectorMemory16($0, $1, vector_pmulhw) })
        case .pmulhuw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmulhuw) },
                memory: { unsafe vectorMemory16($0, $1, vector_pmulhuw) })
        case .pmulhrsw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmulhrsw) },
                memory: { unsafe vectorMemory16($0, $1, vector_pmulhrsw) })
        case .pmuludq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmuludq) },
                memory: { unsafe vectorMemory16($0, $1, vector_pmuludq) })
        case .pmaddwd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmaddwd) },
                memory: { unsafe vectorMemory16($0, $1, vector_pmaddwd) })
        case .pmaddubsw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmaddubsw) },
                memory: { unsafe vectorMemory16($0, $1, vector_pmaddubsw) })
        case .psadbw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psadbw) },
                memory: { unsafe vectorMemory16($0, $1, vector_psadbw) })
        case .pmuldq:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmuldq) },
                memory: { unsafe vectorMemory16($0, $1, vector_pmuldq) })
        case .pmulld:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmulld) },
                memory: { unsafe vectorMemory16($0, $1, vector_pmulld) })
        case .phminposuw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_phminposuw) },
                memory: { unsafe vectorMemory16($0, $1, vector_phminposuw) })
        case .pavgb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pavgb) },
                memory: { unsafe vectorMemory16($0, $1, vector_pavgb) })
        case .pavgw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pavgw) },
                memory: { unsafe vectorMemory16($0, $1, vector_pavgw) })
        case .pmaxub:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmaxub) },
                memory: { unsafe vectorMemory16($0, $1, vector_pmaxub) })
        case .pmaxsw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmaxsw) },
                memory: { unsafe vectorMemory16($0, $1, vector_pmaxsw) })
        case .pminub:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pminub) },
                memory: { unsafe vectorMemory16($0, $1, vector_pminub) })
        case .pminsw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pminsw) },
                memory: { unsafe vectorMemory16($0, $1, vector_pminsw) })
        case .pmaxsb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmaxsb) },
                memory: { unsafe vectorMemory16($0, $1, vector_pmaxsb) })
        case .pmaxuw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmaxuw) },
                memory: { unsafe vectorMemory16($0, $1, vector_pmaxuw) })
        case .pmaxud:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmaxud) },
                memory: { unsafe vectorMemory16($0, $1, vector_pmaxud) })
        case .pmaxsd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pmaxsd) },
                memory: { unsafe vectorMemory16($0, $1, vector_pmaxsd) })
        case .pminsb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pminsb) },
                memory: { unsafe vectorMemory16($0, $1, vector_pminsb) })
        case .pminuw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pminuw) },
                memory: { unsafe vectorMemory16($0, $1, vector_pminuw) })
        case .pminud:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pminud) },
                memory: { unsafe vectorMemory16($0, $1, vector_pminud) })
        case .pminsd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pminsd) },
                memory: { unsafe vectorMemory16($0, $1, vector_pminsd) })
        case .psignb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psignb) },
                memory: { unsafe vectorMemory16($0, $1, vector_psignb) })
        case .psignw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psignw) },
                memory: { unsafe vectorMemory16($0, $1, vector_psignw) })
        case .psignd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_psignd) },
                memory: { unsafe vectorMemory16($0, $1, vector_psignd) })
        case .pabsb:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pabsb) },
                memory: { unsafe vectorMemory16($0, $1, vector_pabsb) })
        case .pabsw:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pabsw) },
                memory: { unsafe vectorMemory16($0, $1, vector_pabsw) })
        case .pabsd:
            return unsafe VectorRow(
                register: { unsafe vectorRegister($0, $1, vector_pabsd) },
                memory: { unsafe vectorMemory16($0, $1, vector_pabsd) })
        default:
            return nil
        }
    }
}
