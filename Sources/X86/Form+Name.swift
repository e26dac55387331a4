extension Form {
    /// The form as its line of the instruction table names it: `0f01/7:m invlpg M`.
    public var name: String {
        let maps = ["", "0f", "0f38", "0f3a"]
        var text = isVEX ? "vex:" : ""
        let prefixes = ["", "np:", "66:", "f3:", "f2:"]
        text += prefixes[min(Int(mandatoryPrefix), prefixes.count - 1)]
        text += maps[Int(map)] + Self.hexadecimal(opcode)
        if addsRegister { text += "+r" }
        if let digit { text += "/\(digit)" }
        if isMemoryOnly { text += ":m" }
        if isRegisterOnly { text += ":r" + (registerOrMemory.map { "\($0)" } ?? "") }
        text += " \(mnemonic)"
        let operands = (0..<4).map { specification($0) }.filter { $0 != .none }
        if !operands.isEmpty {
            text += " " + operands.map { Self.operand($0) }.joined(separator: ",")
        }
        return text
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return byte < 16 ? "0" + digits : digits
    }

    /// Letters as in the opcode maps: where the operand is, and its size; registers by their names.
    private static func operand(_ operand: Specification) -> String {
        let name = "\(operand)"
        switch operand {
        case .al, .ax, .rax, .eax, .dx, .cl, .es, .cs, .ss, .ds, .fs, .gs, .xmm0, .st0:
            return name.uppercased()
        case .sti: return "STi"
        default: return name.prefix(1).uppercased() + name.dropFirst()
        }
    }
}
