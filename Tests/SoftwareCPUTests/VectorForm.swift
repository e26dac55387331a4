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

    /// The host writes its own MXCSR_MASK, and pointers only on some makes.
    func comparesMemory(at offset: Int) -> Bool {
        if text.hasPrefix("fxsave") {
            if (6..<24).contains(offset) || (28..<32).contains(offset) { return false }
            if (32..<160).contains(offset), offset % 16 >= 10 { return false }
        }
        return true
    }

    /// Parsed from the text; nil: a mnemonic that the decoder does not know.
    var instruction: VectorInstruction? {
        let parts = text.split(separator: " ", maxSplits: 1)
        var name = String(parts[0])
        var wide = text.contains("rax") || text.contains("rbx")
        if text.contains(" qword"), text.hasPrefix("cvtsi2") { wide = true }
        if name.hasSuffix(".w") {
            name.removeLast(2)
            wide = true
        }
        if name == "fxsave64" {
            name = "fxsave"
            wide = true
        }
        guard let mnemonic = Mnemonic(rawValue: name) else { return nil }
        var instruction = VectorInstruction(mnemonic: mnemonic)
        let operands =
            parts.count < 2 ? [] : parts[1].split(separator: ",").map { operand(of: String($0)) }
        if operands.count > 0 { instruction.first = operands[0] }
        if operands.count > 1 { instruction.second = operands[1] }
        if operands.count > 2 { instruction.third = operands[2] }
        instruction.wide = wide
        return instruction
    }

    private func operand(of text: String) -> VectorOperand {
        let name = text.split(separator: " ").joined(separator: " ")
        if name.hasPrefix("xmm"), let index = Int(name.dropFirst(3)) { return .vector(index) }
        if name.hasPrefix("mm"), let index = Int(name.dropFirst(2)) { return .mmx(index) }
        if name == "0" { return .immediate(0) }
        switch name {
        case "al", "bl": return .general(name == "al" ? 0 : 3, byteCount: 1)
        case "ax", "bx": return .general(name == "ax" ? 0 : 3, byteCount: 2)
        case "eax", "ebx": return .general(name == "eax" ? 0 : 3, byteCount: 4)
        case "rax", "rbx": return .general(name == "rax" ? 0 : 3, byteCount: 8)
        default: break
        }
        let sizes = ["byte": 1, "word": 2, "dword": 4, "qword": 8, "xmmword": 16]
        let word = name.split(separator: " ").first.map(String.init) ?? ""
        return .memory(byteCount: sizes[word] ?? 0)
    }
}

extension VectorInstruction {
    mutating func setImmediate(_ value: UInt8) {
        if case .immediate = third { third = .immediate(value) }
        if case .immediate = second { second = .immediate(value) }
    }
}
