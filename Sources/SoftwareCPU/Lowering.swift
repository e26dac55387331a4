internal import CEngine
internal import X86

/// From a decoded instruction to one the run loop can call.
enum Lowering {
    enum Outcome {
        /// The block goes on.
        case continues
        /// The same, and a conditional branch behind the instruction may become one with it.
        case compares
        /// The block ends here: a transfer of control, or a change of what decoding depends on.
        case ends
        /// The same, and the instruction never returns the one behind it: the block has no end.
        case transfers
        /// The same of a conditional branch.
        case branches
        /// The block ends after the next instruction: interrupts are off until then.
        case endsAfterNext
        /// The instruction reaches beyond the bytes at hand.
        case needsMoreBytes
    }

    /// Decodes and lowers the first instruction of `bytes` into `slot`, whose `pageOffset` is set.
    static func lower(
        _ bytes: UnsafeRawBufferPointer, mode: UInt32, features: InstructionFeatures,
        into slot: UnsafeMutablePointer<DecodedInstruction>
    ) -> Outcome {
        let instruction: Instruction
        switch unsafe Decoder.decode(bytes, mode: decodeMode(mode), features: features) {
        case .instruction(let decoded): instruction = decoded
        case .fault(.needMoreBytes): return .needsMoreBytes
        case .fault(.invalidOpcode):
            unsafe slot.pointee.handler = SystemInstruction.invalidOpcode
            unsafe slot.pointee.length = 1
            return .ends
        case .fault(.tooLong):
            unsafe slot.pointee.handler = SystemInstruction.tooLong
            unsafe slot.pointee.length = 1
            return .ends
        }
        unsafe slot.pointee.length = instruction.length
        unsafe lowerMemoryOperand(instruction, mode: mode, into: &slot.pointee)
        if accessesMemory(instruction) {
            unsafe slot.pointee.flags |= UInt8(INSTRUCTION_ACCESSES_MEMORY)
        }
        if let outcome = unsafe CoreLowering.lower(instruction, into: &slot.pointee, mode: mode) {
            return outcome
        }
        if let outcome = unsafe ControlLowering.lower(instruction, into: &slot.pointee, mode: mode)
        {
            return outcome
        }
        if let outcome = unsafe SystemLowering.lower(instruction, into: &slot.pointee, mode: mode) {
            return outcome
        }
        if unsafe IntegerLowering.lower(
            instruction, into: &slot.pointee, mode: decodeMode(mode))
        {
            return unsafe IntegerOperation.isComparison(slot.pointee, instruction)
                ? .compares : .continues
        }
        if unsafe VectorLowering.lower(
            instruction, into: &slot.pointee, availability: VectorAvailability(blockMode: mode))
        {
            guard instruction.mnemonic == .xsetbv else { return .continues }
            unsafe slot.pointee.handler = setExtendedControl
            return .ends
        }
        if unsafe X87Lowering.lower(
            instruction, into: &slot.pointee, availability: X87Availability(blockMode: mode))
        {
            return .continues
        }
        unsafe slot.pointee.handler = SystemInstruction.invalidOpcode
        return .ends
    }

    private static func accessesMemory(_ instruction: Instruction) -> Bool {
        switch instruction.mnemonic {
        case .push, .pop, .pushf, .popf, .pusha, .popa, .call, .ret, .enter, .leave: true
        case .lea, .nop: false
        default: instruction.hasMemoryOperand
        }
    }

    static func decodeMode(_ mode: UInt32) -> DecodeMode {
        switch mode & BlockMode.sizeMask {
        case BlockMode.code64: .code64
        case BlockMode.code32: .code32
        default: .code16
        }
    }

    /// Base, index, displacement and segment of the memory operand, if there is one.
    private static func lowerMemoryOperand(
        _ instruction: Instruction, mode: UInt32, into op: inout DecodedInstruction
    ) {
        let memory = instruction.memory
        let isLong = mode & BlockMode.sizeMask == BlockMode.code64
        var displacement = memory.displacement
        if memory.base == MemoryOperand.instructionPointer {
            unsafe op.base = Slot.codePage
            displacement &+= Int64(unsafe op.offsetBehind)
        } else if memory.base != MemoryOperand.absent {
            unsafe op.base = Slot.gpr(Int(memory.base))
        }
        if memory.index != MemoryOperand.absent {
            unsafe op.index = Slot.gpr(Int(memory.index))
        }
        unsafe op.scaleShift = memory.scaleShift
        var flags = memory.segment &<< UInt8(INSTRUCTION_SEGMENT_SHIFT)
        if instruction.addressSize == 4 { flags |= UInt8(INSTRUCTION_ADDRESS32) }
        if instruction.addressSize == 2 { flags |= UInt8(INSTRUCTION_ADDRESS16) }
        if instruction.prefixes.contains(.lock) { flags |= UInt8(INSTRUCTION_LOCKED) }
        if instruction.addressSize == 8,
            Int64(Int32(truncatingIfNeeded: displacement)) != displacement
        {
            // Beyond 2 GiB from the start of the page, or MOV of an absolute address.
            flags |= UInt8(INSTRUCTION_SLOW_ADDRESS)
            displacement = memory.displacement
        }
        unsafe op.displacement = Int32(truncatingIfNeeded: displacement)
        if !isLong {
            unsafe op.segmentBase = Slot.legacyBase(Int(memory.segment))
        } else if memory.segment >= 4 {
            unsafe op.segmentBase = Slot.segmentBase(Int(memory.segment))
        }
        unsafe op.flags = flags
    }

    /// The offset in `CPUState` of a general-purpose register operand; zero's for what is none.
    static func offset(_ operand: Operand) -> UInt16 {
        switch operand {
        case .register(.general, let number): Layout.gpr(Int(number))
        case .register(.highByte, let number): Layout.gpr(Int(number)) &+ 1
        default: Layout.zero
        }
    }
}
