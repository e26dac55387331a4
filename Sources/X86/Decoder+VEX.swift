/// The fields of a VEX prefix but for R, X, B and W, which are those of REX (SDM volume 2, 2.3.5).
struct VEXPrefix {
    /// VEX.vvvv, not inverted.
    var register: UInt8
    /// VEX.L.
    var isLong: Bool
    /// VEX.pp as the table numbers mandatory prefixes: 1 none, 2 66, 3 F3, 4 F2.
    var mandatoryPrefix: UInt8

    var byteCount: UInt8 { isLong ? 32 : 16 }
}

extension Cursor {
    /// Reads the rest of a VEX prefix that begins with `byte`, and the opcode.
    mutating func readVEX(_ byte: UInt8) {
        let forbidden: Prefixes = [.lock, .operandSize, .rep, .repne]
        if rex != 0 || !result.prefixes.isDisjoint(with: forbidden) {
            fault = .invalidOpcode
            return
        }
        var first = next()
        var second = first
        if byte == 0xc4 {
            second = next()
            map = Int(first & 31)
        } else {
            // C5: R is there, X, B and W are clear, the map is 0F.
            first |= 0x60
            second &= 0x7f
            map = 1
        }
        if map < 1 || map > 3 { fault = fault ?? .invalidOpcode }
        map &= 3
        if mode == .code64 {
            rex = ~first &>> 5 & 7
            if second & 0x80 != 0 { result.prefixes.insert(.rexW) }
        }
        rex |= second &>> 4 & 8
        vex = VEXPrefix(
            register: ~second &>> 3 & (mode == .code64 ? 15 : 7), isLong: second & 4 != 0,
            mandatoryPrefix: second & 3 &+ 1)
        opcode = next()
    }

    /// The fields that choose among the forms of an opcode.
    func fits(_ form: Form, _ vex: VEXPrefix) -> Bool {
        if form.isMemoryOnly, modRM >= 0xc0 { return false }
        if form.isRegisterOnly, modRM < 0xc0 { return false }
        if let digit = form.digit, (modRM &>> 3) & 7 != digit { return false }
        if form.mandatoryPrefix != vex.mandatoryPrefix { return false }
        if form.needsREXW, rex & 8 == 0 { return false }
        if form.needsClearW, rex & 8 != 0 { return false }
        if !form.ignoresVectorLength, form.vectorLengths & (vex.isLong ? 2 : 1) == 0 {
            return false
        }
        return form.vectorField != nil || vex.register == 0
    }

    /// The fourth operand, and what gathers forbid.
    mutating func finishVEX(_ form: Form) {
        guard let vex else { return }
        result.vectorByteCount = form.ignoresVectorLength ? 16 : vex.byteCount
        if form.specification(3) != .none { result.operand3 = operand(form.specification(3)) }
        guard form.hasVectorIndex else { return }
        // No SIB byte, or a register that is two things.
        let index = result.memory.index
        let isTwice = reg == vex.register || reg == index || index == vex.register
        if modRM & 7 != 4 || result.addressSize == 2 || isTwice {
            fault = fault ?? .invalidOpcode
        }
    }

    private func vector(_ number: UInt8, _ byteCount: UInt8) -> Operand {
        .register(byteCount == 32 ? .ymm : .xmm, number)
    }

    private mutating func vectorOrMemory(_ byteCount: UInt8) -> Operand {
        registerOrMemory(byteCount == 32 ? .ymm : .xmm, byteCount)
    }

    /// Operands of forms encoded by VEX: their width is that of VEX.L unless the letters say another.
    mutating func operandOfVEX(_ specification: Specification, _ vex: VEXPrefix) -> Operand {
        let size = vex.byteCount
        switch specification {
        case .v: return vector(reg, size)
        case .vx: return vector(reg, 16)
        case .h: return vector(vex.register, size)
        case .hx: return vector(vex.register, 16)
        case .by: return .register(.general, vex.register)
        case .w: return vectorOrMemory(size)
        case .wx: return vectorOrMemory(16)
        case .wh: return vectorOrMemory(size / 2)
        case .wf: return vectorOrMemory(size / 4)
        case .we: return vectorOrMemory(size / 8)
        case .wb: return vectorOrMemory(1)
        case .u: return vector(rm, size)
        case .ux: return vector(rm, 16)
        case .mv: return registerOrMemory(.xmm, size)
        case .l:
            let byte = next()
            return vector(byte &>> 4 & (mode == .code64 ? 15 : 7), size)
        case .mgx, .mgv:
            result.memory.vectorIndexByteCount = specification == .mgx ? 16 : size
            return registerOrMemory(.xmm, rex & 8 != 0 ? 8 : 4)
        default: return .none
        }
    }
}
