internal import X86

extension VectorOperand {
    /// An operand of `instruction` as the vector half looks at it.
    fileprivate init(_ operand: Operand, of instruction: Instruction, generalByteCount: Int) {
        switch operand {
        case .register(.xmm, let number): self = .vector(Int(number))
        case .register(.mmx, let number): self = .mmx(Int(number))
        case .register(.general, let number):
            self = .general(Int(number), byteCount: generalByteCount)
        case .register(.highByte, let number):
            self = .general(Int(number), byteCount: -1)
        case .memory: self = .memory(byteCount: Int(instruction.memory.byteCount))
        case .immediate: self = .immediate(UInt8(truncatingIfNeeded: instruction.immediate))
        default: self = .none
        }
    }
}

extension VectorInstruction {
    init(_ instruction: Instruction) {
        let wide = instruction.prefixes.contains(.rexW)
        mnemonic = instruction.mnemonic
        self.wide = wide
        let general: Int
        switch instruction.mnemonic {
        case .crc32: general = instruction.form.opcode == 0xf0 ? 1 : Int(instruction.operandSize)
        case .popcnt: general = Int(instruction.operandSize)
        default: general = wide ? 8 : 4
        }
        first = VectorOperand(
            instruction.operand0, of: instruction, generalByteCount: wide ? 8 : 4)
        if instruction.mnemonic == .popcnt {
            first = VectorOperand(instruction.operand0, of: instruction, generalByteCount: general)
        }
        second = VectorOperand(instruction.operand1, of: instruction, generalByteCount: general)
        third = VectorOperand(instruction.operand2, of: instruction, generalByteCount: general)
    }
}
