import X86

/// Bytes that are likely an instruction: made from a line of the table, with random operands.
enum InstructionBytes {
    /// - Parameter mode: 0 16-bit, 1 32-bit, 2 64-bit code.
    static func make(_ form: Form, mode: UInt8, _ random: inout FuzzRandom) -> [UInt8] {
        var bytes = prefixes(form, mode, &random)
        if form.map > 0 { bytes.append(0x0f) }
        if form.map > 1 { bytes.append(form.map == 2 ? 0x38 : 0x3a) }
        bytes.append(form.opcode | (form.addsRegister ? UInt8(random.below(8)) : 0))
        if form.hasModRM { bytes += modRM(form, &random) }
        bytes += trailer(form, mode, &random)
        return bytes
    }

    private static func prefixes(_ form: Form, _ mode: UInt8, _ random: inout FuzzRandom) -> [UInt8]
    {
        var bytes: [UInt8] = []
        if random.chance(6) { bytes.append(0x66) }
        if random.chance(8) { bytes.append(0x67) }
        if random.chance(8) { bytes.append(random.pick([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65])) }
        if random.chance(8) { bytes.append(random.pick([0xf2, 0xf3])) }
        if form.isLockable ? random.chance(4) : random.chance(64) { bytes.append(0xf0) }
        switch form.mandatoryPrefix {
        case 2: bytes.append(0x66)
        case 3: bytes.append(0xf3)
        case 4: bytes.append(0xf2)
        default: break
        }
        if mode == 2, form.needsREXW || random.chance(2) {
            bytes.append(0x40 | UInt8(random.below(16)) | (form.needsREXW ? 8 : 0))
        }
        return bytes
    }

    private static func modRM(_ form: Form, _ random: inout FuzzRandom) -> [UInt8] {
        let register = form.digit ?? UInt8(random.below(8))
        let memory = form.isMemoryOnly || (!form.isRegisterOnly && random.chance(2))
        let mod: UInt8 = memory ? UInt8(random.below(3)) << 6 : 0xc0
        let rm = form.registerOrMemory ?? UInt8(random.below(8))
        var bytes = [mod | register << 3 | rm]
        if memory, rm == 4 { bytes.append(random.byte()) }
        return bytes
    }

    /// Displacement and immediate, as many bytes as the decoder asks for, often small numbers.
    private static func trailer(_ form: Form, _ mode: UInt8, _ random: inout FuzzRandom) -> [UInt8]
    {
        let value = random.interesting()
        switch random.below(4) {
        case 0: return []
        case 1: return littleEndian(value, 1)
        case 2: return littleEndian(value, 4)
        default: return littleEndian(value, 1 + random.below(8))
        }
    }
}
