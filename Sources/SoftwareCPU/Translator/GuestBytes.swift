internal import X86

/// The parts of an instruction as they stand in guest memory, for encoding it anew.
struct GuestBytes {
    private(set) var rex: UInt8 = 0
    private(set) var hasOperandSizePrefix = false
    private(set) var map: UInt8 = 0
    private(set) var opcode: UInt8 = 0
    private(set) var modRM: UInt8 = 0
    /// VEX.vvvv, not inverted, and VEX.L with VEX.pp in the place they have in the prefix.
    private(set) var vexRegister: UInt8 = 0
    private(set) var vexFields: UInt8 = 0
    /// Immediate bytes as they follow, the first in the lowest bits.
    private(set) var immediate: UInt64 = 0
    private(set) var immediateCount = 0

    /// `bytes` begins with `instruction`, which was decoded from it as 64-bit code.
    init(_ bytes: UnsafeRawBufferPointer, _ instruction: Instruction) {
        let length = min(Int(instruction.length), bytes.count)
        var position = 0
        func peek() -> UInt8 { unsafe position < length ? bytes[position] : 0 }
        prefixes: while position < length {
            switch peek() {
            case 0x66: hasOperandSizePrefix = true
            case 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65: break
            case 0x40...0x4f:
                rex = peek()
                position &+= 1
                continue prefixes
            default: break prefixes
            }
            rex = 0
            position &+= 1
        }
        if instruction.form.isVEX {
            // R, X, B and W become those of REX.
            let isLong = peek() == 0xc4
            position &+= 1
            var first = peek()
            map = 1
            if isLong {
                map = first & 31
                position &+= 1
            } else {
                first |= 0x60
            }
            let second = isLong ? peek() : peek() & 0x7f
            position &+= 1
            rex = ~first &>> 5 & 7 | second &>> 4 & 8
            vexRegister = ~second &>> 3 & 15
            vexFields = second & 7
        } else if peek() == 0x0f {
            position &+= 1
            map = 1
            if peek() == 0x38 || peek() == 0x3a {
                map = peek() == 0x38 ? 2 : 3
                position &+= 1
            }
        }
        opcode = peek()
        position &+= 1
        if instruction.form.hasModRM {
            modRM = peek()
            position &+= 1
            position &+= Self.addressByteCount(modRM, sib: peek())
        }
        while position < length {
            immediate |= UInt64(peek()) &<< UInt64(immediateCount &* 8)
            immediateCount &+= 1
            position &+= 1
        }
    }

    /// Bytes of SIB and displacement behind a ModRM byte; `sib` is the byte behind it.
    private static func addressByteCount(_ modRM: UInt8, sib: UInt8) -> Int {
        let mode = modRM &>> 6
        if mode == 3 { return 0 }
        var count = 0
        var isAbsolute = modRM & 7 == 5
        if modRM & 7 == 4 {
            count = 1
            isAbsolute = sib & 7 == 5
        }
        switch mode {
        case 0: return count &+ (isAbsolute ? 4 : 0)
        case 1: return count &+ 1
        default: return count &+ 4
        }
    }

    /// The register that ModRM.reg names.
    var register: UInt8 { (modRM &>> 3) & 7 | (rex & 4) &<< 1 }
    /// The register that ModRM.rm names.
    var registerOrMemory: UInt8 { modRM & 7 | (rex & 1) &<< 3 }
    /// The register that the low opcode bits name.
    var opcodeRegister: UInt8 { opcode & 7 | (rex & 1) &<< 3 }
    var isWide: Bool { rex & 8 != 0 }
}
