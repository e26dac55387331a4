internal import CEngine
internal import X86

// Integer vector instructions on XMM registers: arithmetic.

extension VectorTable {
    /// xmm <- xmm op xmm/m128: sums, products, minima, maxima.
    static func arithmetic(_ mnemonic: Mnemonic) -> VectorRow? {
        switch mnemonic {
        case .paddb:
            return unsafe VectorRow(
                register: vector_paddb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_paddb) })
        case .paddw:
            return unsafe VectorRow(
                register: vector_paddw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_paddw) })
        case .paddd:
            return unsafe VectorRow(
                register: vector_paddd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_paddd) })
        case .paddq:
            return unsafe VectorRow(
                register: vector_paddq_register,
                memory: { unsafe vectorMemory16($0, $1, vector_paddq) })
        case .paddsb:
            return unsafe VectorRow(
                register: vector_paddsb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_paddsb) })
        case .paddsw:
            return unsafe VectorRow(
                register: vector_paddsw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_paddsw) })
        case .paddusb:
            return unsafe VectorRow(
                register: vector_paddusb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_paddusb) })
        case .paddusw:
            return unsafe VectorRow(
                register: vector_paddusw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_paddusw) })
        case .psubb:
            return unsafe VectorRow(
                register: vector_psubb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psubb) })
        case .psubw:
            return unsafe VectorRow(
                register: vector_psubw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psubw) })
        case .psubd:
            return unsafe VectorRow(
                register: vector_psubd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psubd) })
        case .psubq:
            return unsafe VectorRow(
                register: vector_psubq_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psubq) })
        case .psubsb:
            return unsafe VectorRow(
                register: vector_psubsb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psubsb) })
        case .psubsw:
            return unsafe VectorRow(
                register: vector_psubsw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psubsw) })
        case .psubusb:
            return unsafe VectorRow(
                register: vector_psubusb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psubusb) })
        case .psubusw:
            return unsafe VectorRow(
                register: vector_psubusw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psubusw) })
        case .phaddw:
            return unsafe VectorRow(
                register: vector_phaddw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_phaddw) })
        case .phaddd:
            return unsafe VectorRow(
                register: vector_phaddd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_phaddd) })
        case .phaddsw:
            return unsafe VectorRow(
                register: vector_phaddsw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_phaddsw) })
        case .phsubw:
            return unsafe VectorRow(
                register: vector_phsubw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_phsubw) })
        case .phsubd:
            return unsafe VectorRow(
                register: vector_phsubd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_phsubd) })
        case .phsubsw:
            return unsafe VectorRow(
                register: vector_phsubsw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_phsubsw) })
        case .pmullw:
            return unsafe VectorRow(
                register: vector_pmullw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pmullw) })
        case .pmulhw:
            return unsafe VectorRow(
                register: vector_pmulhw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pmulhw) })
        case .pmulhuw:
            return unsafe VectorRow(
                register: vector_pmulhuw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pmulhuw) })
        case .pmulhrsw:
            return unsafe VectorRow(
                register: vector_pmulhrsw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pmulhrsw) })
        case .pmuludq:
            return unsafe VectorRow(
                register: vector_pmuludq_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pmuludq) })
        case .pmaddwd:
            return unsafe VectorRow(
                register: vector_pmaddwd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pmaddwd) })
        case .pmaddubsw:
            return unsafe VectorRow(
                register: vector_pmaddubsw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pmaddubsw) })
        case .psadbw:
            return unsafe VectorRow(
                register: vector_psadbw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psadbw) })
        case .pmuldq:
            return unsafe VectorRow(
                register: vector_pmuldq_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pmuldq) })
        case .pmulld:
            return unsafe VectorRow(
                register: vector_pmulld_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pmulld) })
        case .phminposuw:
            return unsafe VectorRow(
                register: vector_phminposuw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_phminposuw) })
        case .pavgb:
            return unsafe VectorRow(
                register: vector_pavgb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pavgb) })
        case .pavgw:
            return unsafe VectorRow(
                register: vector_pavgw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pavgw) })
        case .pmaxub:
            return unsafe VectorRow(
                register: vector_pmaxub_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pmaxub) })
        case .pmaxsw:
            return unsafe VectorRow(
                register: vector_pmaxsw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pmaxsw) })
        case .pminub:
            return unsafe VectorRow(
                register: vector_pminub_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pminub) })
        case .pminsw:
            return unsafe VectorRow(
                register: vector_pminsw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pminsw) })
        case .pmaxsb:
            return unsafe VectorRow(
                register: vector_pmaxsb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pmaxsb) })
        case .pmaxuw:
            return unsafe VectorRow(
                register: vector_pmaxuw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pmaxuw) })
        case .pmaxud:
            return unsafe VectorRow(
                register: vector_pmaxud_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pmaxud) })
        case .pmaxsd:
            return unsafe VectorRow(
                register: vector_pmaxsd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pmaxsd) })
        case .pminsb:
            return unsafe VectorRow(
                register: vector_pminsb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pminsb) })
        case .pminuw:
            return unsafe VectorRow(
                register: vector_pminuw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pminuw) })
        case .pminud:
            return unsafe VectorRow(
                register: vector_pminud_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pminud) })
        case .pminsd:
            return unsafe VectorRow(
                register: vector_pminsd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pminsd) })
        case .psignb:
            return unsafe VectorRow(
                register: vector_psignb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psignb) })
        case .psignw:
            return unsafe VectorRow(
                register: vector_psignw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psignw) })
        case .psignd:
            return unsafe VectorRow(
                register: vector_psignd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_psignd) })
        case .pabsb:
            return unsafe VectorRow(
                register: vector_pabsb_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pabsb) })
        case .pabsw:
            return unsafe VectorRow(
                register: vector_pabsw_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pabsw) })
        case .pabsd:
            return unsafe VectorRow(
                register: vector_pabsd_register,
                memory: { unsafe vectorMemory16($0, $1, vector_pabsd) })
        default:
            return nil
        }
    }
}
