import X86

/// Operands as Capstone writes them, against ours: the same registers and numbers, in the same
/// order. Sizes and segments are left out, where the two have different habits.
enum CapstoneOperands {
    static func agree(_ ours: String, _ theirs: String, _ instruction: Instruction) -> Bool {
        let left = tokens(ours)
        let right = tokens(theirs)
        if left.count == right.count, zip(left, right).allSatisfy({ matches($0, $1) }) {
            return true
        }
        switch instruction.mnemonic {
        case .xchg: return Set(left) == Set(right)
        // Capstone gives reserved NOPs a register operand, shows the selector's register wider than
        // what is read of it, and MOVSXD without REX.W as if it had one.
        case .nop, .lar, .lsl, .movsxd: return left.count <= right.count
        case .mov:
            return left.contains { ["es", "cs", "ss", "ds", "fs", "gs"].contains($0) }
        // XMM0, base 10 and the top of the stack are implicit, or shown where the other does not.
        case .pblendvb, .blendvps, .blendvpd, .sha256rnds2, .aam, .aad:
            return left.starts(with: right)
        // Outside 64-bit code the highest bit of a register in an immediate byte is ignored.
        case .vpblendvb, .vblendvps, .vblendvpd: return left.dropLast() == right.dropLast()
        // Capstone 5 leaves out the count of rotations by 1.
        case .rcl: return left == right + ["1"]
        case .fstp, .fcom, .fcomp, .fxch: return left.allSatisfy { right.contains($0) }
        // 66 cuts the target to 16 bits, which Capstone does not; REX.W undoes 66.
        case .jcc, .jmp, .call, .`in`, .out:
            return instruction.prefixes.contains(.operandSize)
        default:
            // Capstone leaves out the top of the x87 stack, and x87 code has no other registers.
            return left.contains("st(0)") && right.allSatisfy { left.contains($0) }
        }
    }

    private static func tokens(_ text: String) -> [String] {
        let sizes: Set<String> = [
            "byte", "word", "dword", "fword", "qword", "tbyte", "xword", "xmmword",
            "ymmword", "ptr",
        ]
        var plain = text
        for segment in ["es:", "cs:", "ss:", "ds:", "fs:", "gs:"] {
            plain = plain.split(separator: segment, omittingEmptySubsequences: false)
                .joined(separator: " ")
        }
        var result: [String] = []
        for token in plain.split(whereSeparator: { " ,[]+:".contains($0) }).map(String.init)
        where !sizes.contains(token) && !isNoIndex(token) {
            if result.last == "-" {
                result[result.count - 1] = "-" + token
            } else {
                result.append(token)
            }
        }
        return result
    }

    /// Capstone 5 writes the index of a SIB byte that has none, scaled.
    private static func isNoIndex(_ token: String) -> Bool {
        token.hasPrefix("riz") || token.hasPrefix("eiz")
    }

    /// The same text, or the same number in 8, 16 or 32 bits, signed or not.
    private static func matches(_ ours: String, _ theirs: String) -> Bool {
        if ours == theirs { return true }
        guard let left = number(ours), let right = number(theirs) else { return false }
        let difference = left &- right
        switch max(min(left, 0 &- left), min(right, 0 &- right)) {
        case ..<0x100: return difference & 0xff == 0
        case ..<0x1_0000: return difference & 0xffff == 0
        default: return difference & 0xffff_ffff == 0
        }
    }

    private static func number(_ text: String) -> UInt64? {
        let isNegative = text.hasPrefix("-")
        let digits = isNegative ? text.dropFirst() : text[...]
        let value = digits.hasPrefix("0x") ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
        return value.map { isNegative ? 0 &- $0 : $0 }
    }
}
