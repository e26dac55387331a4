internal import CEngine
internal import X86

/// Whether the control bits let x87 instructions run. They belong to the mode of a block.
struct X87Availability: Sendable {
    /// CR0.EM or CR0.TS: #NM.
    var deviceNotAvailable: Bool
    /// CR0.TS and CR0.MP: #NM from WAIT.
    var waitNotAvailable: Bool

    static let available = X87Availability(deviceNotAvailable: false, waitNotAvailable: false)

    init(deviceNotAvailable: Bool, waitNotAvailable: Bool) {
        self.deviceNotAvailable = deviceNotAvailable
        self.waitNotAvailable = waitNotAvailable
    }

    /// From the bits of `CPUState.blockMode`.
    init(blockMode: UInt32) {
        deviceNotAvailable = blockMode & (BlockMode.emulation | BlockMode.taskSwitched) != 0
        let both = BlockMode.monitorCoprocessor | BlockMode.taskSwitched
        waitNotAvailable = blockMode & both == both
    }
}

/// The entry point of the x87 half of lowering.
enum X87Lowering {
    /// Sets the handler and the immediate of `op`: the bytes that FOP keeps (low three bits of the
    /// opcode, ModRM) in bits 10 to 0. The memory operand is the caller's. False: the instruction is
    /// not one of ours, `op` is as it was.
    static func lower(
        _ instruction: Instruction, into op: inout DecodedInstruction, availability: X87Availability
    ) -> Bool {
        if instruction.mnemonic == .fwait {
            unsafe op.handler =
                availability.waitNotAvailable ? x87NotAvailable : x87Wait
            return true
        }
        let form = instruction.form
        guard form.map == 0, form.opcode & 0xf8 == 0xd8 else { return false }
        let row = UInt64(form.opcode & 7)
        let digit = UInt64(instruction.modRM &>> 3) & 7
        unsafe op.immediate = row &<< 8 | UInt64(instruction.modRM)
        unsafe op.auxiliary = 0
        if availability.deviceNotAvailable {
            unsafe op.handler = x87NotAvailable
        } else if instruction.hasMemoryOperand {
            unsafe op.auxiliary = environmentForm(instruction)
            unsafe op.handler = X87Memory.handler(row: row, digit: digit)
        } else {
            unsafe op.handler = registerHandler(row: row, op.immediate, instruction)
        }
        return true
    }

    /// Bit 0: the 16-bit form of FNSTENV and its kind.
    private static func environmentForm(_ instruction: Instruction) -> UInt8 {
        instruction.operandSize == 2 ? 1 : 0
    }

    private static func registerHandler(
        row: UInt64, _ code: UInt64, _ instruction: Instruction
    ) -> InstructionHandler {
        switch instruction.mnemonic {
        case .fnclex: unsafe x87ClearExceptions
        case .fninit: unsafe x87Initialize
        case .fnstsw: unsafe x87StoreStatusAX
        // FNENI, FNDISI and FNSETPM do nothing, and do not wait.
        case .fnop where row == 3: { unsafe $1 + 1 }
        default: unsafe x87_register_handler(UInt32(truncatingIfNeeded: code))
        }
    }
}
