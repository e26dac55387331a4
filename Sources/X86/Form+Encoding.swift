extension Form {
    /// The register file that ModRM.reg chooses from; nil when it extends the opcode or is not there.
    public var registerField: RegisterFile? {
        guard hasModRM else { return nil }
        for position in 0..<4 {
            switch specification(position) {
            case .gb, .gw, .gd, .gq, .gv, .gy: return .general
            case .sw: return .segment
            case .cd: return .control
            case .dd: return .debug
            case .p: return .mmx
            case .v, .vx: return .xmm
            default: break
            }
        }
        return nil
    }

    /// The register file that ModRM.rm chooses from with mod 3; nil when it is not there.
    public var registerOrMemoryField: RegisterFile? {
        guard hasModRM else { return nil }
        for position in 0..<4 {
            switch specification(position) {
            case .eb, .ew, .ed, .ev, .ey, .rd, .rv, .ry, .rq, .rdw, .rdb: return .general
            case .q, .qd, .n: return .mmx
            case .w, .wq, .wd, .ww, .u, .wx, .wh, .wf, .we, .wb, .ux: return .xmm
            default: break
            }
        }
        return nil
    }

    /// Where an operand stands in the encoding.
    public enum Field: Sendable {
        /// ModRM.reg.
        case register
        /// ModRM.rm.
        case registerOrMemory
        /// VEX.vvvv.
        case vector
        /// A register in the upper half of an immediate byte.
        case immediateRegister
        /// Not there, implied, or an immediate.
        case other
    }

    /// Where operand `position`, 0 to 3, stands. Of forms with a feature of their own only.
    public func field(_ position: Int) -> Field {
        switch specification(position) {
        case .gd, .gv, .gy, .v, .vx: .register
        case .ed, .ev, .ey, .rdw, .rdb, .w, .wx, .wh, .wf, .we, .wb, .wq, .wd, .ww, .u, .ux, .md,
            .mq, .mo, .mv, .mgx, .mgv:
            .registerOrMemory
        case .by, .h, .hx: .vector
        case .l: .immediateRegister
        default: .other
        }
    }

    /// The register file that VEX.vvvv chooses from; nil: it has to be 1111.
    public var vectorField: RegisterFile? {
        for position in 0..<4 {
            switch specification(position) {
            case .by: return .general
            case .h, .hx: return .xmm
            default: break
            }
        }
        return nil
    }

    /// The memory operand has a vector of indices.
    public var hasVectorIndex: Bool {
        [.mgx, .mgv].contains(specification(1))
    }

    /// An immediate byte says what is done.
    public var hasImmediateByte: Bool { (0..<4).contains { specification($0) == .ib } }

    /// VEX.W or REX.W alone chooses the size of a general-purpose operand.
    public var hasSizeByW: Bool {
        if mnemonic == .vpcmpestri || mnemonic == .vpcmpestrm { return true }
        return !needsREXW && !needsClearW
            && (0..<4).contains { [.ey, .gy, .by].contains(specification($0)) }
    }

    /// The size of a general-purpose operand is 2, 4 or 8 bytes.
    public var hasSizeByPrefix: Bool { (0..<4).contains { specification($0) == .gv } }

    /// ModRM.reg names a byte register.
    public var hasByteRegisterField: Bool {
        (0..<3).contains { specification($0) == .gb }
    }

    /// ModRM.rm names a byte register with mod 3.
    public var hasByteRegisterOrMemoryField: Bool {
        (0..<3).contains { specification($0) == .eb }
    }

    /// Of the arithmetic flags, all that the instruction writes or leaves undefined.
    public var flagsTouched: FlagSet { flagsWritten.union(flagsUndefined) }
}

extension Form.FlagSet {
    /// OF, SF, ZF, AF, PF and CF.
    public static let all: Form.FlagSet = [.carry, .parity, .adjust, .zero, .sign, .overflow]
}
