/// Instructions as text, in Intel's syntax with a size before every memory operand.
public enum Disassembler {
    /// `add dword ptr [rax + rcx*4 - 8], 1`; branch targets are absolute.
    ///
    /// - Parameters:
    ///   - instruction: what `Decoder` made of the bytes.
    ///   - address: the linear address of its first byte (in 16-bit code the IP).
    ///   - mode: the mode it was decoded in.
    public static func text(_ instruction: Instruction, address: UInt64, mode: DecodeMode) -> String
    {
        var text = prefix(instruction) + mnemonic(instruction)
        let writer = OperandWriter(instruction: instruction, address: address, mode: mode)
        let operands = writer.operands()
        if !operands.isEmpty { text += " " + operands }
        return text
    }

    /// The mnemonic with what prefixes make of it: `movsq`, `cwde`, `jne`.
    public static func mnemonic(_ instruction: Instruction) -> String {
        let name = "\(instruction.mnemonic)"
        let size = instruction.operandSize
        let isWide = instruction.prefixes.contains(.rexW)
        switch instruction.mnemonic {
        case .jcc, .setcc, .cmovcc:
            return name.dropLast(2) + conditions[Int(instruction.condition & 15)]
        case .movs, .cmps, .stos, .lods, .scas, .ins, .outs: return name + suffix(size)
        case .cbw: return pick(size, "cbw", "cwde", "cdqe")
        case .cwd: return pick(size, "cwd", "cdq", "cqo")
        case .pusha, .popa: return size == 2 ? name : name + "d"
        case .pushf, .popf, .iret: return pick(size, name, name + "d", name + "q")
        case .jrcxz:
            return pick(instruction.addressSize, "jcxz", "jecxz", "jrcxz")
        case .sysret, .retf, .sysexit: return isWide ? name + "q" : name
        case .movd: return isWide ? "movq" : name
        case .vmovd: return isWide ? "vmovq" : name
        case .fxsave, .fxrstor, .xsave, .xrstor, .xsaveopt, .xsavec, .xsaves, .xrstors:
            return isWide ? name + "64" : name
        default: return name
        }
    }

    private static let conditions = [
        "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g",
    ]

    private static func suffix(_ size: UInt8) -> String {
        switch size {
        case 1: "b"
        case 2: "w"
        case 4: "d"
        default: "q"
        }
    }

    private static func pick(_ size: UInt8, _ two: String, _ four: String, _ eight: String)
        -> String
    {
        size == 2 ? two : size == 4 ? four : eight
    }

    private static func prefix(_ instruction: Instruction) -> String {
        if instruction.prefixes.contains(.lock) { return "lock " }
        switch instruction.mnemonic {
        case .movs, .stos, .lods, .ins, .outs:
            if instruction.prefixes.contains(.rep) { return "rep " }
            return instruction.prefixes.contains(.repne) ? "repne " : ""
        case .cmps, .scas:
            if instruction.prefixes.contains(.rep) { return "repe " }
            return instruction.prefixes.contains(.repne) ? "repne " : ""
        default: return ""
        }
    }
}

/// Writes the operands of one instruction.
private struct OperandWriter {
    let instruction: Instruction
    let address: UInt64
    let mode: DecodeMode

    func operands() -> String {
        switch instruction.mnemonic {
        case .movs, .cmps, .stos, .lods, .scas, .ins, .outs: return stringOperands()
        case .xlat: return ""
        default: break
        }
        let operands = [
            instruction.operand0, instruction.operand1, instruction.operand2, instruction.operand3,
        ]
        return operands.enumerated().compactMap { write($1, $0) }.joined(separator: ", ")
    }

    private func write(_ operand: Operand, _ position: Int) -> String? {
        switch operand {
        case .none: return nil
        case .register(let file, let number):
            return Registers.name(file, number, byteCount: registerSize(position))
        case .memory: return memory(instruction.memory)
        case .immediate: return immediate(position)
        case .secondImmediate: return number(instruction.secondImmediate)
        case .relative:
            let target = address &+ UInt64(instruction.length) &+ instruction.immediate
            return number(target & mask(mode == .code64 ? 8 : instruction.operandSize))
        case .farPointer:
            return number(instruction.secondImmediate) + ":" + number(instruction.immediate)
        }
    }

    private func mask(_ byteCount: UInt8) -> UInt64 {
        byteCount >= 8 ? .max : (1 &<< (UInt64(byteCount) &* 8)) &- 1
    }

    /// Small numbers in decimal, others in hexadecimal.
    private func number(_ value: UInt64) -> String {
        value < 10 ? "\(value)" : "0x" + String(value, radix: 16)
    }

    private func immediate(_ position: Int) -> String {
        let specification = instruction.form.specification(position)
        switch specification {
        case .ib, .iw: return number(instruction.immediate)
        default: return number(instruction.immediate & mask(instruction.operandSize))
        }
    }

    private func registerSize(_ position: Int) -> UInt8 {
        let wide: UInt8 = instruction.prefixes.contains(.rexW) ? 8 : 4
        switch instruction.form.specification(position) {
        case .eb, .gb, .zb, .al, .cl, .ob: return 1
        case .ew, .gw, .ax, .dx: return 2
        case .ed, .gd, .rdw, .rdb: return 4
        case .ey, .gy, .ry, .by: return wide
        case .eax: return min(instruction.operandSize, 4)
        case .rd, .gq, .rq: return mode == .code64 ? 8 : 4
        default: return instruction.operandSize
        }
    }

    private func memory(_ operand: MemoryOperand) -> String {
        sizeName(operand.byteCount) + segmentName(operand) + "[" + addressText(operand) + "]"
    }

    private func sizeName(_ byteCount: UInt8) -> String {
        switch byteCount {
        case 1: "byte ptr "
        case 2: "word ptr "
        case 4: "dword ptr "
        case 6: "fword ptr "
        case 8: "qword ptr "
        case 10: "tbyte ptr "
        case 16: "xmmword ptr "
        case 32: "ymmword ptr "
        default: ""
        }
    }

    private func segmentName(_ operand: MemoryOperand) -> String {
        instruction.prefixes.contains(.segment) ? Registers.segment(operand.segment) + ":" : ""
    }

    private func addressText(_ operand: MemoryOperand) -> String {
        let size = instruction.addressSize
        var parts: [String] = []
        if operand.base == MemoryOperand.instructionPointer {
            parts.append(size == 4 ? "eip" : "rip")
        } else if operand.base != MemoryOperand.absent {
            parts.append(Registers.general(operand.base, byteCount: size))
        }
        if operand.index != MemoryOperand.absent {
            let scale = operand.scaleShift == 0 ? "" : "*\(1 << Int(operand.scaleShift & 3))"
            let index =
                switch operand.vectorIndexByteCount {
                case 0: Registers.general(operand.index, byteCount: size)
                case 16: Registers.name(.xmm, operand.index, byteCount: 16)
                default: Registers.name(.ymm, operand.index, byteCount: 32)
                }
            parts.append(index + scale)
        }
        let displacement = operand.displacement
        if parts.isEmpty { return number(UInt64(bitPattern: displacement) & mask(size)) }
        let text = parts.joined(separator: " + ")
        if displacement == 0 { return text }
        return text + (displacement < 0 ? " - " : " + ") + number(displacement.magnitude)
    }

    /// Strings show both ends, and the segment that an override changes.
    private func stringOperands() -> String {
        let address = instruction.addressSize
        let size = instruction.operandSize
        var source = MemoryOperand()
        source.base = 6
        source.byteCount = size
        if instruction.prefixes.contains(.segment) { source.segment = instruction.memory.segment }
        let sourceText = memory(source)
        let target = sizeName(size) + "es:[" + Registers.general(7, byteCount: address) + "]"
        let accumulator = Registers.general(0, byteCount: size)
        switch instruction.mnemonic {
        case .movs: return target + ", " + sourceText
        case .cmps: return sourceText + ", " + target
        case .stos: return target + ", " + accumulator
        case .lods: return accumulator + ", " + sourceText
        case .scas: return accumulator + ", " + target
        case .ins: return target + ", dx"
        default: return "dx, " + sourceText
        }
    }
}
