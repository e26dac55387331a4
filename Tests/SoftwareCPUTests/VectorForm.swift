import X86

@testable import SoftwareCPU

/// One instruction form: bytes for the host, operands for the engine.
struct VectorForm {
    var bytes: [UInt8]
    var text: String

    static let all: [VectorForm] = text.split(separator: "\n").map { line in
        let parts = line.split(separator: " ", maxSplits: 1)
        let digits = Array(parts[0])
        let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(digits[$0...($0 + 1)]), radix: 16)
        }
        return VectorForm(bytes: bytes, text: String(parts[1]))
    }

    /// Vector floating point that takes part in MXCSR's exceptions. DPPS and DPPD are left out: the
    /// host stops between their multiplications and additions, the engine after both.
    var raisesExceptions: Bool {
        let prefixes = [
            "addp", "adds", "subp", "subs", "mulp", "muls", "divp", "divs", "min", "max", "sqrt",
            "hadd", "hsub", "cmp", "comis", "ucomis", "cvt", "round",
        ]
        return prefixes.contains { text.hasPrefix($0) }
    }

    var hasImmediate: Bool { text.hasSuffix(", 0") }

    var savesState: Bool { text.hasPrefix("fxsave") || text.hasPrefix("xsave") }
    var restoresState: Bool { text.hasPrefix("fxrstor") || text.hasPrefix("xrstor") }

    /// The host writes its own MXCSR_MASK, and pointers only on some makes.
    func comparesMemory(at offset: Int) -> Bool {
        if savesState || restoresState {
            if (6..<24).contains(offset) || (28..<32).contains(offset) { return false }
            if (32..<160).contains(offset), offset % 16 >= 10 { return false }
        }
        return true
    }

    /// Decoded from the bytes.
    var instruction: VectorInstruction? {
        let result = unsafe bytes.withUnsafeBytes { unsafe Decoder.decode($0, mode: .code64) }
        guard case .instruction(let decoded) = result, decoded.length == bytes.count else {
            return nil
        }
        return VectorInstruction(decoded)
    }
}
