internal import CEngine
internal import X86

// Instructions encoded by VEX: the same on the host, registers and memory operand replaced.

/// How much of the guest's vector registers is in the host's: `CPUState.vectorsResident`.
enum VectorResidency: UInt8, Comparable {
    case none = 0
    /// Bits 0 to 127. Bits 128 to 255 of the host's registers are clear.
    case narrow = 1
    /// All 256 bits.
    case wide = 2

    static func < (one: VectorResidency, other: VectorResidency) -> Bool {
        one.rawValue < other.rawValue
    }
}

extension TranslationKind {
    /// What a block with such an instruction needs.
    var residency: VectorResidency {
        switch self {
        case .vector: .narrow
        case .wideVector: .wide
        default: .none
        }
    }

    static func chooseVEX(_ instruction: Instruction, _ isWide: Bool) -> TranslationKind {
        let form = instruction.form
        let general: InstructionFeatures = [.bmi1, .bmi2]
        if general.isSuperset(of: form.feature) { return .vex }
        switch instruction.mnemonic {
        // Element by element, or MXCSR.
        case .vmaskmovps, .vmaskmovpd, .vpmaskmovd, .vpmaskmovq, .vmaskmovdqu, .vldmxcsr, .vstmxcsr:
            return .handler
        default: return isWide && !form.hasVectorIndex ? .wideVector : .handler
        }
    }
}

extension BlockTranslation {
    /// There are scratch registers for all guest registers that the host's do not hold.
    func hasScratch(for instruction: Instruction) -> Bool {
        let named =
            instruction.operand0.generalRegister | instruction.operand1.generalRegister
            | instruction.operand2.generalRegister | instruction.operand3.generalRegister
        let absent = (named & ~HostLayout.residentRegisters).nonzeroBitCount
        // See `emitMULX`.
        let isInMemory = instruction.hasMemoryOperand && instruction.mnemonic != .mulx
        return absent <= (isInMemory ? 1 : 2)
    }

    /// A memory operand that has to be aligned, or 0.
    static func alignment(_ instruction: Instruction) -> UInt8 {
        switch instruction.mnemonic {
        case .vmovaps, .vmovapd, .vmovdqa, .vmovntps, .vmovntpd, .vmovntdq, .vmovntdqa:
            instruction.memory.byteCount
        default: 0
        }
    }

    mutating func emitVEX(_ instruction: Instruction, _ bytes: GuestBytes) {
        let form = instruction.form
        if !form.hasModRM {
            // VZEROUPPER, VZEROALL.
            assembler.bytes(0xc5, 0xf8 | bytes.vexFields, bytes.opcode)
            return
        }
        if instruction.mnemonic == .mulx { return emitMULX(instruction, bytes) }
        var scratch = ScratchRegisters(.r10, .r11)
        var place = HostPlace.register(bytes.registerOrMemory)
        if instruction.hasMemoryOperand {
            guard let access = access(instruction) else { return }
            let alignment = Self.alignment(instruction)
            let isLookedAt = looksAtAddress(alignment)
            let operand = probe(
                access, write: instruction.operand0 == .memory, inFirst: isLookedAt)
            if isLookedAt { requireAlignment(.r10, alignment) }
            place = .memory(operand.address)
            scratch = ScratchRegisters(operand.free)
        } else if form.registerOrMemoryField == .general {
            place = .register(scratch.number(bytes.registerOrMemory))
        }
        let register =
            form.digit
            ?? (form.registerField == .general ? scratch.number(bytes.register) : bytes.register)
        let vector =
            form.vectorField == .general ? scratch.number(bytes.vexRegister) : bytes.vexRegister
        scratch.load(0xffff, &assembler)
        assembler.vex(bytes, register: register, vector: vector, place)
        assembler.immediate(of: bytes)
        scratch.store(instruction.operand0.generalRegister, &assembler)
    }

    /// MULX writes two registers, and reads its operand before: one in memory goes through R10, which may
    /// be where a result goes then.
    private mutating func emitMULX(_ instruction: Instruction, _ bytes: GuestBytes) {
        var scratch = ScratchRegisters(.r10, .r11)
        var source = HostRegister.r10.number
        if instruction.hasMemoryOperand {
            guard let access = access(instruction) else { return }
            let operand = probe(access, write: false, inFirst: looksAtAddress(0))
            assembler.instruction(
                HostOpcode(0x8b, wide: bytes.isWide), register: source, .memory(operand.address))
        } else {
            source = scratch.number(bytes.registerOrMemory)
        }
        let high = scratch.number(bytes.register)
        let low = scratch.number(bytes.vexRegister)
        if !instruction.hasMemoryOperand { scratch.load(0xffff, &assembler) }
        assembler.vex(bytes, register: high, vector: low, .register(source))
        scratch.store(
            instruction.operand0.generalRegister | instruction.operand1.generalRegister, &assembler)
    }
}

extension Assembler {
    /// A guest's instruction with other operands; an immediate follows separately.
    fileprivate mutating func vex(
        _ guest: GuestBytes, register: UInt8, vector: UInt8, _ place: HostPlace
    ) {
        vex(
            map: guest.map, fields: guest.vexFields | (guest.isWide ? 0x80 : 0), guest.opcode,
            register: register, vector: vector, place)
    }

    /// An instruction with a VEX prefix of three bytes; an immediate follows separately.
    ///
    /// - Parameters:
    ///   - fields: VEX.W, L and pp in their places.
    ///   - vector: VEX.vvvv, not inverted.
    mutating func vex(
        map: UInt8, fields: UInt8, _ opcode: UInt8, register: UInt8, vector: UInt8,
        _ place: HostPlace
    ) {
        var extensions = (register & 8) &>> 1
        switch place {
        case .register(let number): extensions |= (number & 8) &>> 3
        case .memory(let address):
            if let base = address.base { extensions |= (base.number & 8) &>> 3 }
            if let index = address.index { extensions |= (index.number & 8) &>> 2 }
        }
        bytes(0xc4, (~extensions & 7) &<< 5 | map)
        bytes(fields | (~vector & 15) &<< 3, opcode)
        let field = (register & 7) &<< 3
        switch place {
        case .register(let number): byte(0xc0 | field | number & 7)
        case .memory(let address): memoryOperand(address, field)
        }
    }

    private func upper(_ number: UInt8) -> HostPlace {
        .memory(HostLayout.field(Int(CPU_OFFSET_UPPER) &+ Int(number) &* 16))
    }

    /// VINSERTF128 of a register's upper half from `CPUState`.
    mutating func insertUpper(_ number: UInt8) {
        vex(map: 3, fields: 5, 0x18, register: number, vector: number, upper(number))
        byte(1)
    }

    /// VEXTRACTF128 of a register's upper half into `CPUState`.
    mutating func extractUpper(_ number: UInt8) {
        vex(map: 3, fields: 5, 0x19, register: number, vector: 0, upper(number))
        byte(1)
    }

    /// VZEROUPPER.
    mutating func zeroUpper() { bytes(0xc5, 0xf8, 0x77) }
}
