import X86

/// SplitMix64.
struct OracleRandom: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    mutating func below(_ bound: UInt64) -> UInt64 { next() % bound }
    mutating func chance(_ one: UInt64) -> Bool { next() % one == 0 }
    mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }
}

/// Random bytes of one form.
struct OracleInstruction {
    var bytes: [UInt8] = []
    /// Where the displacement is, and how long.
    var displacement = 0..<0
    var decoded = Instruction()

    /// Nil: the bytes are another form's, or not fit to run. `standsAlone`: no base register, so
    /// that earlier instructions cannot spoil the address.
    init?(
        _ form: Form, _ mode: OracleMode, _ random: inout OracleRandom, standsAlone: Bool = false
    ) {
        let narrowed = prefixes(form, mode, &random)
        if form.isVEX {
            vex(form, mode, &random)
        } else {
            if form.map > 0 { bytes.append(0x0f) }
            if form.map > 1 { bytes.append(form.map == 2 ? 0x38 : 0x3a) }
        }
        bytes.append(form.opcode | (form.addsRegister ? UInt8(random.below(8)) : 0))
        if form.hasModRM {
            let size: UInt8 =
                switch mode {
                case .code64: narrowed ? 4 : 8
                case .code32: narrowed ? 2 : 4
                case .code16: narrowed ? 4 : 2
                }
            modRM(form, size, &random, standsAlone)
        } else if form.map == 0, form.opcode & 0xfc == 0xa0 {
            let byteCount = Int(mode == .code64 ? 8 : mode == .code32 ? 4 : 2)
            let size = narrowed ? (byteCount == 4 ? 2 : 4) : byteCount
            displacement = bytes.count..<(bytes.count + size)
        }
        while bytes.count < 15 { bytes.append(random.byte()) }
        guard let instruction = Self.decode(bytes, mode), instruction.form == form,
            !OracleCoverage.isUnfit(instruction, mode)
        else { return nil }
        decoded = instruction
        bytes.removeLast(15 - Int(instruction.length))
    }

    /// An instruction by its bytes, with its displacement as it is.
    init?(_ bytes: [UInt8], _ mode: OracleMode) {
        self.bytes = bytes
        guard let instruction = Self.decode(bytes, mode) else { return nil }
        decoded = instruction
    }

    private static func decode(_ bytes: [UInt8], _ mode: OracleMode) -> Instruction? {
        let decodeMode: DecodeMode = [.code64, .code32, .code16][mode.rawValue]
        let result = unsafe bytes.withUnsafeBytes { unsafe Decoder.decode($0, mode: decodeMode) }
        guard case .instruction(let instruction) = result else { return nil }
        return instruction
    }

    /// True: with a 67 prefix.
    private mutating func prefixes(
        _ form: Form, _ mode: OracleMode, _ random: inout OracleRandom
    ) -> Bool {
        if form.mandatoryPrefix == 0, random.chance(4) { bytes.append(0x66) }
        let narrowed = random.chance(mode == .code32 ? 24 : 8)
        if narrowed { bytes.append(0x67) }
        if random.chance(8) {
            // 64-bit code ignores the first four. FS is the host's thread pointer.
            let all: [UInt8] = [0x26, 0x2e, 0x36, 0x3e, 0x65]
            bytes.append(all[Int(random.below(5))])
        }
        if form.isVEX { return narrowed }
        if form.mandatoryPrefix == 0, random.chance(16) {
            bytes.append(random.chance(2) ? 0xf2 : 0xf3)
        }
        if form.isLockable, random.chance(4) { bytes.append(0xf0) }
        if form.mandatoryPrefix >= 2 {
            bytes.append([0x66, 0xf3, 0xf2][Int(form.mandatoryPrefix) - 2])
        }
        if mode == .code64, form.needsREXW || random.chance(2) {
            bytes.append(0x40 | UInt8(random.below(16)) | (form.needsREXW ? 8 : 0))
        }
        return narrowed
    }

    /// A VEX prefix of two or three bytes.
    private mutating func vex(_ form: Form, _ mode: OracleMode, _ random: inout OracleRandom) {
        let isLong = mode == .code64
        let w: UInt8 = form.needsREXW || !form.needsClearW && random.chance(2) ? 0x80 : 0
        var length = form.vectorLengths
        if length == 3 || form.ignoresVectorLength { length = UInt8(random.below(2)) + 1 }
        // Outside 64-bit code the inverted bits say register 0 to 7, or it would be LES or LDS.
        let register = form.vectorField == nil ? 0 : random.byte() & (isLong ? 15 : 7)
        let fields = (~register & 15) << 3 | (length == 2 ? 4 : 0) | (form.mandatoryPrefix - 1)
        let extensions = isLong ? random.byte() & 0xe0 : 0xc0 | random.byte() & 0x20
        if form.map == 1, !form.needsREXW, random.chance(2) {
            bytes += [0xc5, fields | (isLong ? random.byte() & 0x80 : 0x80)]
        } else {
            bytes += [0xc4, extensions | form.map, w | fields]
        }
    }

    private mutating func modRM(
        _ form: Form, _ addressSize: UInt8, _ random: inout OracleRandom, _ standsAlone: Bool
    ) {
        let register = form.digit ?? UInt8(random.below(8))
        let isMemory = form.isMemoryOnly || (!form.isRegisterOnly && random.chance(2))
        guard isMemory else {
            bytes.append(0xc0 | register << 3 | (form.registerOrMemory ?? UInt8(random.below(8))))
            return
        }
        let direct: UInt8 = addressSize == 2 ? 6 : 5
        let alone = standsAlone || random.chance(8)
        let mod = alone ? 0 : UInt8(random.below(3))
        var rm = form.registerOrMemory ?? (alone ? direct : UInt8(random.below(8)))
        if form.hasVectorIndex { rm = 4 }
        bytes.append(mod << 6 | register << 3 | rm)
        var byteCount = mod == 1 ? 1 : mod == 2 ? (addressSize == 2 ? 2 : 4) : 0
        if mod == 0, rm == direct { byteCount = addressSize == 2 ? 2 : 4 }
        if addressSize != 2, rm == 4 {
            let sib = random.byte()
            bytes.append(sib)
            if mod == 0, sib & 7 == 5 { byteCount = 4 }
        }
        displacement = bytes.count..<(bytes.count + byteCount)
        for _ in 0..<byteCount { bytes.append(random.byte()) }
    }

    /// Makes the displacement reach `target`, an offset in the segment, from the instruction at
    /// `rip`. For operands without base register.
    mutating func reach(_ target: UInt64, from rip: UInt64) {
        var value = target
        if decoded.memory.base == MemoryOperand.instructionPointer {
            value = target &- rip &- UInt64(decoded.length)
        }
        for index in displacement {
            bytes[index] = UInt8(truncatingIfNeeded: value)
            value >>= 8
        }
    }

    /// The operand is in memory, or LEA would compute its address.
    var hasAddress: Bool { decoded.hasMemoryOperand || decoded.mnemonic == .lea }

    /// Its address is only a displacement, or relative to RIP.
    var isDirect: Bool {
        let memory = decoded.memory
        return hasAddress && memory.index == MemoryOperand.absent && displacement.count > 1
            && (memory.base == MemoryOperand.absent
                || memory.base == MemoryOperand.instructionPointer)
    }

    var isString: Bool {
        !decoded.form.hasModRM && (decoded.memory.base == 6 || decoded.memory.base == 7)
    }
}
