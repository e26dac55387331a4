/// A line of the instruction table (`Tools/InstructionTable/x86.table`).
public struct Form: Sendable, Hashable {
    /// 0 to `count` - 1.
    public var index: UInt16

    public init(index: UInt16) { self.index = index }

    /// Number of forms in the table.
    public static var count: Int { FormTable.count }

    /// FNV-1a of the bytes of `x86.table` that the forms were made from.
    public static var tableChecksum: UInt64 { FormTable.checksum }

    /// Every form, in the order of the opcodes.
    public static var all: some Sequence<Form> & Sendable {
        (0..<UInt16(truncatingIfNeeded: count)).lazy.map { Form(index: $0) }
    }

    /// Arithmetic flags, as the masks below use them.
    public struct FlagSet: OptionSet, Sendable {
        public var rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        public static let carry = FlagSet(rawValue: 1 << 0)
        public static let parity = FlagSet(rawValue: 1 << 1)
        public static let adjust = FlagSet(rawValue: 1 << 2)
        public static let zero = FlagSet(rawValue: 1 << 3)
        public static let sign = FlagSet(rawValue: 1 << 4)
        public static let overflow = FlagSet(rawValue: 1 << 5)

        /// The bits of RFLAGS.
        public var rflags: UInt64 {
            let bits = UInt64(rawValue)
            return bits & 1 | (bits & 2) &<< 1 | (bits & 4) &<< 2 | (bits & 8) &<< 3
                | (bits & 16) &<< 3 | (bits & 32) &<< 6
        }
    }

    var first: UInt64 { word(0) }
    var second: UInt64 { word(1) }

    private func word(_ offset: Int) -> UInt64 {
        let position = Int(index) &* 2 &+ offset
        return position < FormTable.rows.count ? FormTable.rows[position] : 0
    }

    /// What the instruction is called.
    public var mnemonic: Mnemonic {
        Mnemonic(rawValue: UInt16(truncatingIfNeeded: first & 0x3ff)) ?? .nop
    }
    /// Encoded by VEX.
    public var isVEX: Bool { second & (1 << 34) != 0 }
    /// The CPUID feature it belongs to; empty: every model has it.
    public var feature: InstructionFeatures {
        let number = (second &>> 18) & 63
        return InstructionFeatures(rawValue: number == 0 ? 0 : 1 &<< number)
    }
    /// Raises vector floating-point exceptions; said of forms encoded by VEX only.
    public var raisesVectorExceptions: Bool { second & (1 << 46) != 0 }
    /// The values of VEX.L that are instructions: bit 0 for 128 bits, bit 1 for 256. One bit where L
    /// is ignored.
    public var vectorLengths: UInt8 {
        if second & (1 << 43 | 1 << 45) != 0 { return 1 }
        return second & (1 << 44) != 0 ? 2 : 3
    }
    /// VEX.L chooses nothing.
    public var ignoresVectorLength: Bool { second & (1 << 45) != 0 }
    /// VEX.W has to be 0.
    public var needsClearW: Bool { second & (1 << 42) != 0 }
    /// Opcode map: 0 one byte, 1 0F, 2 0F38, 3 0F3A.
    public var map: UInt8 { UInt8(truncatingIfNeeded: second &>> 32) & 3 }
    public var opcode: UInt8 { UInt8(truncatingIfNeeded: second &>> 24) }
    /// 0 any, 1 none, 2 66, 3 F3, 4 F2.
    public var mandatoryPrefix: UInt8 { UInt8(truncatingIfNeeded: first &>> 31) & 7 }
    /// ModRM.reg that selects the form, or nil.
    public var digit: UInt8? {
        let value = UInt8(truncatingIfNeeded: first &>> 34) & 15
        return value < 8 ? value : nil
    }
    /// ModRM.rm that selects the form, or nil.
    public var registerOrMemory: UInt8? {
        let value = UInt8(truncatingIfNeeded: first &>> 40) & 15
        return value < 8 ? value : nil
    }
    public var isMemoryOnly: Bool { (first &>> 38) & 3 == 1 }
    public var isRegisterOnly: Bool { (first &>> 38) & 3 == 2 }
    public var isInvalidIn64: Bool { first & (1 << 44) != 0 }
    public var isOnlyIn64: Bool { first & (1 << 45) != 0 }
    public var isLockable: Bool { first & (1 << 48) != 0 }
    public var isPrivileged: Bool { first & (1 << 49) != 0 }
    /// Not for tests in user mode.
    public var isSystem: Bool { first & (1 << 50) != 0 }
    public var needsREXW: Bool { first & (1 << 51) != 0 }
    public var hasModRM: Bool { first & (1 << 52) != 0 }
    /// The low three opcode bits name a register.
    public var addsRegister: Bool { first & (1 << 53) != 0 }
    public var flagsWritten: FlagSet { FlagSet(rawValue: UInt8(truncatingIfNeeded: second) & 63) }
    public var flagsUndefined: FlagSet {
        FlagSet(rawValue: UInt8(truncatingIfNeeded: second &>> 6) & 63)
    }
    public var flagsTested: FlagSet {
        FlagSet(rawValue: UInt8(truncatingIfNeeded: second &>> 12) & 63)
    }

    func specification(_ position: Int) -> Specification {
        let bits = position == 3 ? second &>> 35 : first &>> UInt64(10 &+ 7 &* position)
        return Specification(rawValue: UInt8(truncatingIfNeeded: bits & 0x7f)) ?? .none
    }
}

/// Operand letters of the table; the order is the generator's.
enum Specification: UInt8 {
    case none
    case eb, ew, ed, ev, ey
    case gb, gw, gd, gq, gv, gy
    case m, mw, md, mq, mo, mt, mp, ma, my
    case ib, iw, iz, iv, `is`
    case jb, jz, ap, ob, ov
    case zb, zv
    case al, ax, rax, eax, dx, cl
    case sw, cd, dd, rd, rv, ry, rq, rdw, rdb
    case p, q, qd, n
    case v, w, wq, wd, ww, u, xmm0
    case st0, sti
    case xb, xv, xz, yb, yv, yz
    case es, cs, ss, ds, fs, gs
    case by, h, hx, vx, wx, wh, wf, we, wb, ux, l, mv, mgx, mgv
}
