internal import CEngine
internal import X86

/// Lowering of what later processors added: forms encoded by VEX, and LZCNT, TZCNT, MOVBE, ADCX, ADOX
/// and SHA beside them.
enum CoreLowering {
    private static let general: InstructionFeatures = [.lzcnt, .bmi1, .bmi2, .adx]

    /// Nil: the instruction is not one of ours.
    static func lower(
        _ instruction: Instruction, into op: inout DecodedInstruction, mode: UInt32
    ) -> Lowering.Outcome? {
        let form = instruction.form
        if !form.isVEX, InstructionFeatures.base.isSuperset(of: form.feature) { return nil }
        if form.isVEX, mode & BlockMode.protected == 0 {
            unsafe op.handler = raiseInvalidOpcode
            return .ends
        }
        if form.feature == .movbe {
            unsafe lowerByteSwap(instruction, into: &op)
            return .continues
        }
        let operation = CoreOperation(instruction)
        unsafe op.immediate = operation.rawValue
        unsafe op.source = instruction.mnemonic.rawValue
        unsafe op.auxiliary = UInt8(truncatingIfNeeded: instruction.immediate)
        if general.isSuperset(of: form.feature) {
            unsafe op.handler = generalCore
            return .continues
        }
        if let refusal = unsafe refusal(form, mode) {
            unsafe op.handler = refusal
            return .continues
        }
        unsafe op.handler = vectorCore
        unsafe lowerSpecial(instruction, operation, into: &op)
        return .continues
    }

    /// The exception to raise instead of running; nil: run (SDM volume 2, 2.4 and 2.6).
    private static func refusal(_ form: Form, _ mode: UInt32) -> InstructionHandler? {
        if form.isVEX {
            if mode & BlockMode.wideVectors == 0 { return unsafe raiseInvalidOpcode }
        } else if mode & BlockMode.emulation != 0 || mode & BlockMode.vectors == 0 {
            return unsafe raiseInvalidOpcode
        }
        return mode & BlockMode.taskSwitched != 0 ? unsafe raiseDeviceNotAvailable : nil
    }

    private static func lowerByteSwap(
        _ instruction: Instruction, into op: inout DecodedInstruction
    ) {
        unsafe op.destination = Lowering.offset(instruction.operand0)
        unsafe op.source = Lowering.offset(instruction.operand1)
        let stores = instruction.operand0 == .memory
        switch instruction.operandSize {
        case 2: unsafe op.handler = unsafe stores ? swapStore16 : swapLoad16
        case 4: unsafe op.handler = unsafe stores ? swapStore32 : swapLoad32
        default: unsafe op.handler = unsafe stores ? swapStore64 : swapLoad64
        }
    }

    /// Instructions that no core carries out.
    private static func lowerSpecial(
        _ instruction: Instruction, _ operation: CoreOperation, into op: inout DecodedInstruction
    ) {
        switch instruction.mnemonic {
        case .vzeroupper: unsafe op.handler = zeroUpper
        case .vzeroall: unsafe op.handler = zeroAll
        case .vldmxcsr: unsafe op.handler = loadMXCSR
        case .vstmxcsr: unsafe op.handler = storeMXCSR
        case .vmaskmovdqu:
            // The same as the older one, which writes no register.
            let older = VectorInstruction(
                mnemonic: .maskmovdqu, first: .vector(operation.register),
                second: .vector(operation.registerOrMemory))
            _ = unsafe VectorLowering.lower(older, into: &op, availability: .available)
            unsafe op.base = Slot.gpr(GPR.rdi)
        case .vmaskmovps, .vmaskmovpd, .vpmaskmovd, .vpmaskmovq:
            let isDouble = [.vmaskmovpd, .vpmaskmovq].contains(instruction.mnemonic)
            unsafe op.auxiliary = isDouble ? 8 : 4
            unsafe op.handler = unsafe operation.stores ? maskedStore : maskedLoad
        case .vpgatherdd, .vpgatherdq, .vpgatherqd, .vpgatherqq, .vgatherdps, .vgatherdpd,
            .vgatherqps, .vgatherqpd:
            var operation = operation
            operation.registerOrMemory = Int(instruction.memory.index)
            operation.hasWideIndex = instruction.form.opcode & 1 != 0
            unsafe op.immediate = operation.rawValue
            unsafe op.auxiliary = instruction.memory.byteCount
            unsafe op.index = Slot.zero
            unsafe op.handler = gather
        default: break
        }
    }
}
