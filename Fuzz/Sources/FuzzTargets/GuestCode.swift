import X86

/// Code that gets somewhere: instructions of the table, bytes of no meaning, and short sequences
/// that change what the processor is.
enum GuestCode {
    static func make(_ forms: [Form], mode: UInt8, _ random: inout FuzzRandom) -> [UInt8] {
        var bytes: [UInt8] = []
        let count = 8 + random.below(random.chance(4) ? 400 : 80)
        while bytes.count < count {
            switch random.below(10) {
            case 0: bytes += random.bytes(1 + random.below(8))
            case 1, 2, 3: bytes += sequence(mode, &random)
            default: bytes += InstructionBytes.make(random.pick(forms), mode: mode, &random)
            }
        }
        // Around again.
        let back = 0 &- UInt64(bytes.count) &- (mode == 0 ? 3 : 5)
        return bytes + [0xe9] + littleEndian(back, mode == 0 ? 2 : 4)
    }

    private static let registers: [UInt64] = [
        0x10, 0x1b, 0x3a, 0x3b, 0xfe, 0x174, 0x175, 0x176, 0x179, 0x1a0, 0x1d9, 0x200, 0x20f, 0x250,
        0x26f, 0x277, 0x2ff, 0x6e0, 0x808, 0xc00, 0xda0, 0x4b56_4d00, 0xc000_0080, 0xc000_0081,
        0xc000_0082, 0xc000_0083, 0xc000_0084, 0xc000_0100, 0xc000_0101, 0xc000_0102, 0xc000_0103,
    ]

    /// MOV r32, imm32 (r16 in 16-bit code, with 66).
    private static func move(_ register: UInt8, _ value: UInt64, _ mode: UInt8) -> [UInt8] {
        (mode == 0 ? [0x66] : []) + [0xb8 | register] + littleEndian(value, 4)
    }

    private static func sequence(_ mode: UInt8, _ random: inout FuzzRandom) -> [UInt8] {
        switch random.below(14) {
        case 0:
            let which = random.chance(8) ? random.interesting() : random.pick(registers)
            return move(1, which, mode) + move(0, value(&random), mode)
                + move(2, random.chance(2) ? 0 : random.interesting(), mode)
                + [0x0f, random.chance(2) ? 0x30 : 0x32]
        case 1, 2:
            let control = random.pick([0, 0, 2, 3, 4, 4, 8] as [UInt8])
            return move(0, controlValue(control, &random), mode) + [
                0x0f, 0x22, 0xc0 | control << 3,
            ]
        case 3:
            // A descriptor into a segment register, LDTR or TR.
            let load: [[UInt8]] = [
                [0x8e, 0xd8], [0x8e, 0xc0], [0x8e, 0xd0], [0x8e, 0xe0], [0x8e, 0xe8],
                [0x0f, 0x00, 0xd8], [0x0f, 0x00, 0xd0], [0x0f, 0x02, 0xc0], [0x0f, 0x03, 0xc0],
            ]
            return move(0, selector(&random), mode) + random.pick(load)
        case 4:
            // RETF or IRET to another segment.
            let push: (UInt64) -> [UInt8] = { [0x68] + littleEndian($0, mode == 0 ? 2 : 4) }
            var bytes: [UInt8] = []
            let isInterrupt = random.chance(2)
            if random.chance(2) { bytes += push(selector(&random)) + push(GuestCase.stack) }
            if isInterrupt { bytes += push(random.chance(2) ? 0x202 : random.interesting()) }
            bytes += push(selector(&random)) + push(GuestCase.code + random.below(64))
            return bytes + (mode == 2 ? [0x48] : []) + [isInterrupt ? 0xcf : 0xcb]
        case 5:
            // Far jump or call: direct, or through a pointer in the tables.
            if mode < 2 {
                return [random.chance(2) ? 0xea : 0x9a]
                    + littleEndian(GuestCase.code + random.below(64), mode == 0 ? 2 : 4)
                    + littleEndian(selector(&random), 2)
            }
            return move(3, GuestCase.tables + random.below(0x1000), mode)
                + [0xff, random.chance(2) ? 0x1b : 0x2b]
        case 6:
            // Into the code itself.
            return move(3, GuestCase.code + random.below(96), mode)
                + (mode == 0 ? [0x67] : []) + [0xc6, 0x03, random.byte()]
        case 7:
            // Repeated strings from anywhere to anywhere.
            let count = random.chance(4) ? random.interesting() : random.below(5000)
            return move(1, count, mode) + move(6, GuestCase.address(&random), mode)
                + move(7, GuestCase.address(&random), mode) + [0xf3]
                + (mode == 2 && random.chance(2) ? [0x48] : [])
                + [random.pick([0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xae, 0x6c, 0x6e])]
        case 8:
            // A short loop.
            return move(1, 1 + random.below(50), mode) + [0x90, 0xe2, 0xfd]
        case 9:
            return move(UInt8(random.below(8)), GuestCase.address(&random), mode)
        case 10:
            // Processor state in and out of memory.
            let state: [[UInt8]] = [
                [0x0f, 0xae, 0x03], [0x0f, 0xae, 0x0b], [0x0f, 0xae, 0x13], [0x0f, 0xae, 0x1b],
                [0x0f, 0xae, 0x23], [0x0f, 0xae, 0x2b], [0x0f, 0xae, 0x33], [0x0f, 0xc7, 0x23],
                [0xdd, 0x23], [0xdd, 0x33], [0xd9, 0x23], [0xd9, 0x33], [0xd9, 0x2b],
            ]
            return move(3, GuestCase.address(&random) & ~63, mode) + move(0, random.below(8), mode)
                + move(2, 0, mode) + random.pick(state)
        case 11:
            // Descriptor tables, task switches and other privileged state.
            let load: [[UInt8]] = [
                [0x0f, 0x01, 0x13], [0x0f, 0x01, 0x1b], [0x0f, 0x01, 0x3b], [0x0f, 0x01, 0x33],
                [0x0f, 0x01, 0xd1], [0x0f, 0x06], [0x0f, 0x01, 0xf8], [0x0f, 0x09],
                [0x66, 0x0f, 0x38, 0x82, 0x03], [0x0f, 0x23, 0xf8], [0x0f, 0x23, 0xc0],
            ]
            return move(3, GuestCase.address(&random), mode) + random.pick(load)
        case 12: return [random.pick([0xfb, 0xfa, 0x9d, 0x9c, 0xf4, 0xcc, 0xf1, 0xce, 0xcf])]
        default:
            return random.chance(2)
                ? [0xcd, random.byte()] : [0x0f, random.pick([5, 7, 0x34, 0x35])]
        }
    }

    private static func selector(_ random: inout FuzzRandom) -> UInt64 {
        random.chance(8) ? random.next() & 0xffff : random.below(20) << 3 | random.pick([0, 0, 3])
    }

    private static func value(_ random: inout FuzzRandom) -> UInt64 {
        random.chance(2) ? GuestCase.address(&random) : random.interesting()
    }

    private static func controlValue(_ control: UInt8, _ random: inout FuzzRandom) -> UInt64 {
        switch control {
        case 0:
            return random.pick([0x11, 0x8000_0011, 0x8005_0033, 0x10, 0x13, 0x1d])
                ^ (random.chance(3) ? 1 << random.below(32) : 0)
        case 3: return GuestCase.pageTables + random.below(6) * 0x1000
        case 4:
            return random.pick([0, 0x20, 0x620, 0x6f0, 0x2_0620, 0x30_0620])
                ^ (random.chance(2) ? 1 << random.below(24) : 0)
        default: return random.interesting()
        }
    }
}
