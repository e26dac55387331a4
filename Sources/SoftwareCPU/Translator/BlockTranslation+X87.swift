internal import CEngine
internal import X86

// x87 instructions, run by the host's FPU with the guest's state in it.
//
// A block with such instructions brings the state there at its entry; while an exception is not
// masked it is the interpreter's. FIP and its kin are written down late: for the last instruction
// only, before somebody may look.

extension BlockTranslation {
    /// What FIP, FOP, FCS and FDS have to become before somebody looks. FDP is kept at once.
    struct X87Note {
        var place: Place
        /// What FOP becomes.
        var opcode: UInt16
        /// The segment of the last memory operand since the last time.
        var dataSegment: UInt8?
    }

    /// It runs as itself while the guest's state is in the host's FPU and all exceptions are masked.
    static func isX87(_ instruction: Instruction) -> Bool {
        let form = instruction.form
        switch instruction.mnemonic {
        case .fwait: return true
        case .fldcw, .fldenv, .fnstenv, .frstor, .fnsave, .fnclex, .fninit: return false
        default: return form.map == 0 && form.opcode & 0xf8 == 0xd8
        }
    }

    mutating func emitX87(_ instruction: Instruction, _ bytes: GuestBytes, flags: FlagSet) {
        if instruction.mnemonic == .fwait { return }
        if instruction.hasMemoryOperand {
            guard let access = access(instruction) else { return }
            let operand = probe(access, write: Self.storesX87(instruction))
            var opcode = HostOpcode(bytes.opcode)
            opcode.needsREX = false
            assembler.instruction(
                opcode, register: (bytes.modRM &>> 3) & 7, .memory(operand.address))
        } else {
            requireFlags(flags)
            assembler.bytes(bytes.opcode, bytes.modRM)
        }
        switch instruction.mnemonic {
        case .fnstsw, .fnstcw: break
        default: noteX87(instruction, bytes)
        }
    }

    /// The memory operand is written.
    static func storesX87(_ instruction: Instruction) -> Bool {
        switch instruction.mnemonic {
        case .fst, .fstp, .fist, .fistp, .fisttp, .fbstp, .fnstsw, .fnstcw: true
        default: false
        }
    }

    private mutating func noteX87(_ instruction: Instruction, _ bytes: GuestBytes) {
        var note = X87Note(
            place: place(index), opcode: UInt16(bytes.opcode & 7) &<< 8 | UInt16(bytes.modRM),
            dataSegment: x87Note?.dataSegment)
        if var access = access(instruction), instruction.hasMemoryOperand {
            access.segment = nil
            assembler.compute(access, into: .r10)
            assembler.store(HostLayout.field(Int(CPU_OFFSET_X87_DATA_POINTER)), .r10)
            note.dataSegment = instruction.memory.segment
        }
        x87Note = note
    }

    /// Writes the note down; nothing is left to write. Clobbers R10 and no flags.
    mutating func writeX87Note() {
        if let note = x87Note { emit(note) }
        x87Note = nil
    }

    /// As `x87_note` and `x87NoteOperand` do it in 64-bit code.
    mutating func emit(_ note: X87Note) {
        // MOV WORD, opcode.
        var move = HostOpcode(0xc7)
        move.hasOperandSizePrefix = true
        assembler.instruction(
            move, register: 0, .memory(HostLayout.field(Int(CPU_OFFSET_X87_OPCODE))))
        assembler.bytes(
            UInt8(truncatingIfNeeded: note.opcode), UInt8(truncatingIfNeeded: note.opcode &>> 8))
        copySelector(1, to: Int(CPU_OFFSET_X87_INSTRUCTION_SELECTOR))
        if let segment = note.dataSegment {
            copySelector(Int(segment), to: Int(CPU_OFFSET_X87_DATA_SELECTOR))
        }
        assembler.load(.r10, HostLayout.codePage)
        assembler.loadAddress(
            .r10,
            HostAddress(base: .r10, displacement: unsafe Int32(note.place.op.pointee.pageOffset)))
        assembler.store(HostLayout.field(Int(CPU_OFFSET_X87_INSTRUCTION_POINTER)), .r10)
    }

    private mutating func copySelector(_ segment: Int, to field: Int) {
        let selector =
            Int(CPU_OFFSET_SEGMENTS) &+ segment &* MemoryLayout<SegmentRegister>.stride
            &+ (MemoryLayout<SegmentRegister>.offset(of: \.selector) ?? 0)
        // MOVZX R10D, selector; MOV WORD, R10W.
        assembler.instruction(
            HostOpcode(0xb7, map: 1), register: 10, .memory(HostLayout.field(selector)))
        var store = HostOpcode(0x89)
        store.hasOperandSizePrefix = true
        assembler.instruction(store, register: 10, .memory(HostLayout.field(field)))
    }
}
