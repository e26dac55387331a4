internal import CEngine
internal import X86

// Guest registers that stay in `CPUState`, as memory operands of the host's instruction where its
// encoding has one: most uses of them need neither a load nor a store of their own then.

extension BlockTranslation {
    /// ModRM of an instruction with one register operand in `CPUState` and the others in the host's.
    struct StateOperand {
        var opcode: UInt8
        var register: UInt8
        /// Guest register.
        var guest: UInt8
    }

    mutating func emit(_ operand: StateOperand, _ opcode: HostOpcode, _ bytes: GuestBytes) {
        var opcode = opcode
        opcode.opcode = operand.opcode
        // A REX prefix stood there for the guest's register: byte registers 4 to 7 are SPL to DIL.
        opcode.needsREX = true
        assembler.instruction(
            opcode, register: operand.register,
            .memory(HostLayout.generalRegister(Int(operand.guest))))
        assembler.immediate(of: bytes)
    }

    /// Nil: the register has to be brought into one of the host's.
    static func stateOperand(
        _ instruction: Instruction, _ bytes: GuestBytes
    ) -> StateOperand? {
        let form = instruction.form
        guard !instruction.hasMemoryOperand, form.hasModRM, !form.addsRegister,
            form.registerOrMemoryField == .general
        else { return nil }
        switch instruction.mnemonic {
        case .xchg, .xadd, .cmpxchg, .bt, .bts, .btr, .btc: return nil
        default: break
        }
        guard let rm = HostLayout.host(bytes.registerOrMemory) else {
            return inRegisterOrMemory(instruction, bytes)
        }
        guard form.registerField == .general, HostLayout.host(bytes.register) == nil else {
            return nil
        }
        return inRegister(instruction, bytes, rm)
    }

    /// The operand that ModRM.rm names is in `CPUState`.
    private static func inRegisterOrMemory(
        _ instruction: Instruction, _ bytes: GuestBytes
    ) -> StateOperand? {
        let guest = bytes.registerOrMemory
        var register = bytes.modRM &>> 3 & 7
        switch instruction.form.registerField {
        case .general:
            guard let host = HostLayout.host(bytes.register) else { return nil }
            register = host.number
        case .some: register = bytes.register
        case nil: break
        }
        if writes(instruction, guest), !isReadAndWritten(instruction) { return nil }
        return StateOperand(opcode: bytes.opcode, register: register, guest: guest)
    }

    /// The operand that ModRM.reg names is in `CPUState`, and the other in a host register: where the
    /// direction is a bit of the opcode, they change places.
    private static func inRegister(
        _ instruction: Instruction, _ bytes: GuestBytes, _ other: HostRegister
    ) -> StateOperand? {
        guard bytes.map == 0 else { return nil }
        let opcode = bytes.opcode
        let isDirected = opcode < 0x40 && opcode & 7 <= 3 || opcode & 0xfc == 0x88
        let isTest = opcode & 0xfe == 0x84
        guard isDirected || isTest else { return nil }
        if writes(instruction, bytes.register), !isReadAndWritten(instruction) { return nil }
        return StateOperand(
            opcode: isTest ? opcode : opcode ^ 2, register: other.number, guest: bytes.register)
    }

    private static func writes(_ instruction: Instruction, _ guest: UInt8) -> Bool {
        switch instruction.mnemonic {
        case .cmp, .test, .mul, .div, .idiv: return false
        case .imul where instruction.operand1 == .none: return false
        default: return instruction.operand0 == .register(.general, guest)
        }
    }

    /// It may change a word of memory in place. Those of 32 bits do not clear the other half there.
    private static func isReadAndWritten(_ instruction: Instruction) -> Bool {
        guard instruction.operandSize == 8 else { return false }
        switch instruction.mnemonic {
        case .add, .or, .adc, .sbb, .and, .sub, .xor, .inc, .dec, .neg, .not, .mov, .shl, .shr,
            .sar,
            .rol, .ror:
            return true
        default: return false
        }
    }

    /// The register is replaced as a whole, whatever was there.
    static func replaces(_ instruction: Instruction, _ guest: UInt8) -> Bool {
        let own = Operand.register(.general, guest)
        guard instruction.operandSize >= 4, instruction.operand0 == own,
            instruction.operand1 != own
        else { return false }
        switch instruction.mnemonic {
        case .mov, .movzx, .movsx, .movsxd: return true
        case .imul: return instruction.operand2 == .immediate
        default: return false
        }
    }
}
