extension Form {
    /// The register file that ModRM.reg chooses from; nil when it extends the opcode or is not there.
    public var registerField: RegisterFile? {
        guard hasModRM else { return nil }
        for position in 0..<3 {
            switch specification(position) {
            case .gb, .gw, .gd, .gq, .gv, .gy: return .general
            case .sw: return .segment
            case .cd: return .control
            case .dd: return .debug
            case .p: return .mmx
            case .v: return .xmm
            default: break
            }
        }
        return nil
    }

    /// The register file that ModRM.rm chooses from with mod 3; nil when it is not there.
    public var registerOrMemoryField: RegisterFile? {
        guard hasModRM else { return nil }
        for position in 0..<3 {
            switch specification(position) {
            case .eb, .ew, .ed, .ev, .ey, .rd, .rv, .ry, .rq, .rdw, .rdb: return .general
            case .q, .qd, .n: return .mmx
            case .w, .wq, .wd, .ww, .u: return .xmm
            default: break
            }
        }
        return nil
    }

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
