internal import CEngine
internal import X86

// From decoded vector instructions to handlers. The tables in VectorTable*.swift have those of
// regular shape, the functions in VectorSelection*.swift the others.

/// The handlers of an instruction with a register and with a memory source.
@safe
struct VectorRow {
    var register: InstructionHandler
    var memory: InstructionHandler
}

/// Instructions of regular shape, by mnemonic.
enum VectorTable {
    /// xmm <- xmm op xmm/m, without or with an immediate byte.
    static func vector(_ mnemonic: Mnemonic) -> VectorRow? {
        if let row = logic(mnemonic) { return row }
        if let row = arithmetic(mnemonic) { return row }
        if let row = float(mnemonic) { return row }
        if let row = comparison(mnemonic) { return row }
        if let row = widening(mnemonic) { return row }
        if let row = immediate(mnemonic) { return row }
        return floatImmediate(mnemonic)
    }
}

/// An operand as the selection looks at it. Registers by number.
enum VectorOperand {
    case none
    case vector(Int)
    case mmx(Int)
    case general(Int, byteCount: Int)
    /// AH, CH, DH, BH: 0 to 3.
    case highByte(Int)
    case memory(byteCount: Int)
    case immediate(UInt8)

    init(_ operand: Operand, _ decoded: Instruction) {
        switch operand {
        case .register(.xmm, let index): self = .vector(Int(index))
        case .register(.mmx, let index): self = .mmx(Int(index))
        case .register(.general, let index):
            let byteCount =
                decoded.mnemonic == .crc32 && decoded.form.opcode == 0xf0
                ? 1 : Int(decoded.operandSize)
            self = .general(Int(index), byteCount: byteCount)
        case .register(.highByte, let index): self = .highByte(Int(index))
        case .memory: self = .memory(byteCount: Int(decoded.memory.byteCount))
        case .immediate: self = .immediate(UInt8(truncatingIfNeeded: decoded.immediate))
        default: self = .none
        }
    }

    /// The register's offset in `CPUState`; 0 for what is not a register.
    var offset: UInt16 {
        switch self {
        case .vector(let index): Layout.xmm(index)
        case .mmx(let index): Layout.st &+ UInt16(truncatingIfNeeded: index & 7) &* 16
        case .general(let index, _): Layout.gpr(index)
        case .highByte(let index): Layout.gpr(index) &+ 1
        case .none, .memory, .immediate: 0
        }
    }

    var isVector: Bool { if case .vector = self { true } else { false } }
    var isMMX: Bool { if case .mmx = self { true } else { false } }
    var isMemory: Bool { if case .memory = self { true } else { false } }
}

/// The instruction as the selection looks at it.
struct VectorInstruction {
    var mnemonic: Mnemonic
    var first = VectorOperand.none
    var second = VectorOperand.none
    var third = VectorOperand.none
    /// REX.W.
    var wide = false

    init(
        mnemonic: Mnemonic, first: VectorOperand = .none, second: VectorOperand = .none,
        third: VectorOperand = .none, wide: Bool = false
    ) {
        self.mnemonic = mnemonic
        self.first = first
        self.second = second
        self.third = third
        self.wide = wide
    }

    init(_ decoded: Instruction) {
        mnemonic = decoded.mnemonic
        wide = decoded.prefixes.contains(.rexW)
        first = VectorOperand(decoded.operand0, decoded)
        second = VectorOperand(decoded.operand1, decoded)
        third = VectorOperand(decoded.operand2, decoded)
    }

    /// The immediate byte, wherever it stands; 0 without one.
    var immediate: UInt8 {
        if case .immediate(let value) = third { return value }
        if case .immediate(let value) = second { return value }
        return 0
    }
    var touchesVector: Bool { first.isVector || second.isVector }
    var touchesMMX: Bool { first.isMMX || second.isMMX }
    var hasMemory: Bool { first.isMemory || second.isMemory }
}

/// Which of the control bits that forbid vector instructions are set. They belong to the mode a
/// block is made for.
struct VectorAvailability: OptionSet, Sendable {
    let rawValue: UInt8

    /// CR0.TS: #NM.
    static let taskSwitched = VectorAvailability(rawValue: 1 << 0)
    /// CR0.EM: #UD.
    static let emulation = VectorAvailability(rawValue: 1 << 1)
    /// CR4.OSFXSR is clear: #UD for what touches XMM registers or MXCSR.
    static let withoutVectors = VectorAvailability(rawValue: 1 << 2)
    static let available: VectorAvailability = []

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// From the bits of `CPUState.blockMode`.
    init(blockMode: UInt32) {
        self = []
        if blockMode & BlockMode.taskSwitched != 0 { insert(.taskSwitched) }
        if blockMode & BlockMode.emulation != 0 { insert(.emulation) }
        if blockMode & BlockMode.vectors == 0 { insert(.withoutVectors) }
    }
}

/// The control bits an instruction depends on.
private enum VectorClass {
    /// None, or the handler checks them itself.
    case always
    case legacySave, mmx, vector

    init(_ instruction: VectorInstruction) {
        switch instruction.mnemonic {
        case .crc32, .popcnt, .movnti, .lfence, .sfence, .mfence, .clflush,
            .prefetch, .prefetchnta, .prefetcht0, .prefetcht1, .prefetcht2, .prefetchw, .xsave,
            .xsaveopt,
            .xsavec, .xsaves, .xrstor, .xrstors, .xgetbv, .xsetbv:
            self = .always
        case .fxsave, .fxrstor:
            self = .legacySave
        case .emms:
            self = .mmx
        default:
            self = instruction.touchesMMX && !instruction.touchesVector ? .mmx : .vector
        }
    }

    /// The exception to raise instead of running; nil: run.
    func refusal(_ availability: VectorAvailability) -> InstructionHandler? {
        if self == .always || availability == .available { return nil }
        if self == .legacySave {
            return availability.isDisjoint(with: [.emulation, .taskSwitched])
                ? nil : unsafe raiseDeviceNotAvailable
        }
        if availability.contains(.emulation) { return unsafe raiseInvalidOpcode }
        if self == .vector, availability.contains(.withoutVectors) {
            return unsafe raiseInvalidOpcode
        }
        return availability.contains(.taskSwitched) ? unsafe raiseDeviceNotAvailable : nil
    }
}

func raiseDeviceNotAvailable(_ cpu: CPU, _ op: Op) -> Next {
    unsafe raise(cpu, op, vector: Vector.deviceNotAvailable)
}

func raiseInvalidOpcode(_ cpu: CPU, _ op: Op) -> Next {
    unsafe raise(cpu, op, vector: Vector.invalidOpcode)
}

/// The entry point of the vector half of lowering.
enum VectorLowering {
    /// Sets the handler, the register offsets and the immediate of `op`. The memory operand is the
    /// caller's, but for the base register that MASKMOVQ and MASKMOVDQU imply. False: the
    /// instruction is not one of ours, `op` is as it was.
    static func lower(
        _ instruction: Instruction, into op: inout DecodedInstruction,
        availability: VectorAvailability
    ) -> Bool {
        let known = unsafe lower(
            VectorInstruction(instruction), into: &op, availability: availability)
        guard known else { return false }
        if instruction.mnemonic == .maskmovq || instruction.mnemonic == .maskmovdqu {
            unsafe op.base = Slot.gpr(GPR.rdi)
        }
        return true
    }

    /// The same for operands already taken apart.
    static func lower(
        _ instruction: VectorInstruction, into op: inout DecodedInstruction,
        availability: VectorAvailability
    ) -> Bool {
        var lowered = unsafe op
        unsafe lowered.destination = instruction.first.offset
        unsafe lowered.source = instruction.second.offset
        unsafe lowered.auxiliary = instruction.immediate
        guard let handler = unsafe select(instruction, &lowered) else { return false }
        unsafe lowered.handler = handler
        if let refusal = unsafe VectorClass(instruction).refusal(availability) {
            unsafe lowered.handler = refusal
        }
        unsafe op = lowered
        return true
    }

    private static func select(
        _ instruction: VectorInstruction, _ op: inout DecodedInstruction
    ) -> InstructionHandler? {
        if case .immediate = instruction.second {
            return unsafe shift(instruction)
        }
        if instruction.first.isVector, let row = VectorTable.vector(instruction.mnemonic),
            instruction.second.isVector || instruction.second.isMemory
        {
            return instruction.second.isMemory ? unsafe row.memory : unsafe row.register
        }
        if instruction.first.isMMX, instruction.second.isMMX || instruction.second.isMemory {
            var row = VectorTable.mmx(instruction.mnemonic)
            if row == nil { row = VectorTable.mmxImmediate(instruction.mnemonic) }
            if let row {
                return instruction.second.isMemory ? unsafe row.memory : unsafe row.register
            }
        }
        if let handler = unsafe move(instruction, &op) { return unsafe handler }
        if let handler = unsafe element(instruction, &op) { return unsafe handler }
        if let handler = unsafe conversion(instruction) { return unsafe handler }
        if let handler = unsafe scalar(instruction) { return unsafe handler }
        return unsafe control(instruction, &op)
    }
}
