internal import X86

/// What an instruction does with the arithmetic flags, as far as a translation has to care.
struct FlagUse {
    typealias FlagSet = Form.FlagSet

    /// It looks at these.
    var reads: FlagSet = []
    /// It may change these, or leave them undefined.
    var touches: FlagSet = []
    /// It replaces these, whatever they were.
    var replaces: FlagSet = []
    /// A memory access that may miss: whoever runs it then sees all flags as they are before it.
    var observes = false
    /// A handler: the flags must be in `CPUState` before it.
    var saves = false

    init(_ instruction: Instruction) {
        let form = instruction.form
        reads = form.flagsTested
        touches = form.flagsTouched
        replaces = touches
        switch instruction.mnemonic {
        case .rol, .ror, .rcl, .rcr, .shl, .shr, .sar, .shld, .shrd:
            // By a count of 0 they change nothing.
            switch instruction.constantCount {
            case nil: replaces = []
            case 0:
                touches = []
                replaces = []
            default: break
            }
        case .bt, .bts, .btr, .btc:
            // ZF stays.
            replaces.remove(.zero)
        case .setcc, .cmovcc: reads = Self.tested(by: instruction.condition)
        // On the way out it shows all of them.
        case .jcc: reads = .all
        default: break
        }
    }

    /// An instruction that its handler runs.
    static let handler: FlagUse = {
        var use = FlagUse()
        use.saves = true
        return use
    }()

    private init() {}

    /// The flags that a condition code looks at.
    private static func tested(by condition: UInt8) -> FlagSet {
        switch condition &>> 1 & 7 {
        case 0: .overflow
        case 1: .carry
        case 2: .zero
        case 3: [.carry, .zero]
        case 4: .sign
        case 5: .parity
        case 6: [.sign, .overflow]
        default: [.zero, .sign, .overflow]
        }
    }
}

extension Instruction {
    /// The count of a shift or rotation, as far as the processor looks at it; nil: it is in CL.
    var constantCount: UInt8? {
        let isConstant = operand1 == .immediate || operand2 == .immediate
        guard isConstant else { return nil }
        return UInt8(truncatingIfNeeded: immediate) & (operandSize == 8 ? 63 : 31)
    }
}

/// Who still wants the flags as they are behind an instruction, flag by flag.
struct FlagDemand {
    typealias FlagSet = Form.FlagSet

    /// Instructions that look at them.
    var readers: FlagSet = []
    /// Memory accesses that may miss: hardly ever does one.
    var observers: FlagSet = []
    /// Handlers, and the end: they will be in `CPUState`.
    var savers: FlagSet = []

    var all: FlagSet { readers.union(observers).union(savers) }

    static let end: FlagDemand = {
        var demand = FlagDemand()
        demand.savers = .all
        return demand
    }()

    /// Before an instruction, if this is what is wanted behind it.
    func before(_ use: FlagUse) -> FlagDemand {
        var result = self
        result.remove(use.replaces)
        result.readers.formUnion(use.reads)
        if use.observes { result.observers = .all }
        if use.saves { result.savers = .all }
        return result
    }

    mutating func remove(_ flags: FlagSet) {
        readers.subtract(flags)
        observers.subtract(flags)
        savers.subtract(flags)
    }

    /// Behind each instruction of a translation, into `result`.
    static func find(behind uses: [FlagUse], _ result: inout [FlagDemand]) {
        result.removeAll(keepingCapacity: true)
        result.append(contentsOf: repeatElement(end, count: uses.count))
        var demand = end
        for index in uses.indices.reversed() {
            result[index] = demand
            demand = demand.before(uses[index])
        }
    }
}
