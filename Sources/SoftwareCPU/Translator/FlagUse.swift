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

/// Which flags somebody still wants behind each instruction of a block.
struct FlagLiveness {
    /// Behind instruction i the flags have to be in `CPUState`: somebody may look before they change.
    private(set) var inState: [Bool]
    /// Behind instruction i somebody wants them, there or in the host's flags.
    private(set) var wanted: [Bool]

    /// At the end of a block everybody wants them.
    init(_ uses: [FlagUse]) {
        inState = Array(repeating: true, count: uses.count)
        wanted = inState
        var state = true
        var any = true
        for index in uses.indices.reversed() {
            inState[index] = state
            wanted[index] = any
            let use = uses[index]
            if use.replaces {
                any = false
                state = false
            }
            if use.reads { any = true }
            if use.observes {
                state = true
                any = true
            }
        }
    }
}
