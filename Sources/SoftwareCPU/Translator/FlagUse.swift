internal import X86

/// What an instruction does with the arithmetic flags, as far as a translation has to care.
struct FlagUse {
    /// It looks at some of them.
    var reads = false
    /// It changes some of them.
    var changes = false
    /// It replaces all of them, whatever they were.
    var replaces = false
    /// It can leave translated code: a memory access that misses, or a handler. The flags must be in
    /// `CPUState` before it.
    var observes = false

    init(_ instruction: Instruction) {
        let form = instruction.form
        reads = !form.flagsTested.isEmpty
        let touched = form.flagsTouched
        changes = !touched.isEmpty
        replaces = touched == .all
        switch instruction.mnemonic {
        case .rol, .ror, .rcl, .rcr, .shl, .shr, .sar, .shld, .shrd:
            let mask: UInt64 = instruction.operandSize == 8 ? 63 : 31
            let isConstant =
                instruction.operand1 == .immediate || instruction.operand2 == .immediate
            // By a count of 0 they change nothing.
            if !isConstant {
                replaces = false
            } else if instruction.immediate & mask == 0 {
                changes = false
                replaces = false
            }
        case .bt, .bts, .btr, .btc:
            // ZF stays.
            replaces = false
        default: break
        }
    }

    /// An instruction that its handler runs.
    static let handler: FlagUse = {
        var use = FlagUse()
        use.observes = true
        return use
    }()

    private init() {}
}

/// Behind which instructions somebody still wants the flags as they are then: a reader, or an observer,
/// before all of them have changed.
struct FlagLiveness {
    private(set) var isWanted: [Bool]

    /// At the end everybody wants them.
    init(_ uses: [FlagUse]) {
        isWanted = Array(repeating: true, count: uses.count)
        var wanted = true
        for index in uses.indices.reversed() {
            isWanted[index] = wanted
            let use = uses[index]
            if use.replaces { wanted = false }
            if use.reads || use.observes { wanted = true }
        }
    }
}
