import X86

/// 1 to 64 random instructions one behind the other, with jumps forward over some of them. Their
/// operands may not be mapped, so many end with a fault.
struct OracleSequence {
    private(set) var bytes: [UInt8] = []
    private(set) var names: [String] = []
    /// An operand may be what stands behind the code.
    private(set) var readsItsEnd = false
    /// Flags that the manuals leave undefined at the end.
    private(set) var undefined = Form.FlagSet()
    /// The same anywhere: an exception shows flags as an instruction in the middle left them.
    private(set) var everUndefined = Form.FlagSet()
    /// Where in it CMPS begin.
    private(set) var comparisons: Set<Int> = []
    private let mode: OracleMode
    /// Every operand is mapped, so that long ones come to their end.
    private let isCalm: Bool
    private var jumps: [Jump] = []

    /// A jump whose target is not yet there.
    private struct Jump {
        /// Where its displacement of one byte is.
        var place: Int
        /// Instructions up to its target.
        var distance: Int
        var undefined: Form.FlagSet
    }

    private static let longest: UInt64 = 64
    private static let straight = Form.all.filter(OracleCoverage.isStraight)

    init(_ mode: OracleMode, _ random: inout OracleRandom) {
        self.mode = mode
        isCalm = random.chance(2)
        let length = Int(random.below(random.chance(2) ? Self.longest : 16)) + 1
        for _ in 0..<(10 * length) where names.count < length {
            let isLast = names.count == length - 1
            if !isLast, random.chance(6) { addJump(&random) } else { addStraight(&random) }
        }
        for jump in jumps { land(jump) }
    }

    /// What comes next is the target of some jumps; if nothing comes, what comes then.
    private mutating func arrive() {
        for index in jumps.indices { jumps[index].distance -= 1 }
        for jump in jumps where jump.distance == 0 { land(jump) }
        jumps.removeAll { $0.distance == 0 }
    }

    private mutating func land(_ jump: Jump) {
        bytes[jump.place] = UInt8(truncatingIfNeeded: bytes.count - jump.place - 1)
        undefined.formUnion(jump.undefined)
    }

    /// Jcc, JMP or JRCXZ over up to seven instructions, which the displacement of one byte reaches.
    private mutating func addJump(_ random: inout OracleRandom) {
        let opcode: UInt8 =
            switch random.below(16) {
            case 0: 0xeb
            case 1: 0xe3
            default: 0x70 | UInt8(random.below(16))
            }
        arrive()
        guard let instruction = OracleInstruction([opcode, 0], mode)?.decoded,
            instruction.form.flagsTested.isDisjoint(with: undefined)
        else { return }
        bytes += [opcode, 0]
        names.append("\(instruction.mnemonic)")
        jumps.append(
            Jump(
                place: bytes.count - 1, distance: Int(random.below(7)) + 2, undefined: undefined))
    }

    private mutating func addStraight(_ random: inout OracleRandom) {
        let form = Self.straight[Int(random.below(UInt64(Self.straight.count)))]
        guard OracleCoverage.runs(form, in: mode),
            var instruction = OracleInstruction(form, mode, &random, standsAlone: true),
            !instruction.hasAddress || instruction.isDirect || instruction.isString
        else { return }
        if instruction.isString, OracleMakers.mayClearCounter(instruction.decoded, mode) { return }
        var target = OracleStates.target(instruction.decoded, mode, &random)
        if isCalm || OracleMakers.mayNotFault(form) || OracleMakers.isLooselyAligned(form) {
            let prefixes = instruction.decoded.prefixes
            if !prefixes.isDisjoint(with: [.addressSize, .segment]) { return }
            target = OracleMachine.data - mode.dataBase + 0x400 + random.below(0x800)
            if isCalm || OracleMakers.isLooselyAligned(form) { target &= ~31 }
        }
        arrive()
        // Undefined flags must not be looked at.
        guard form.flagsTested.isDisjoint(with: undefined),
            form.mnemonic != .pushf || undefined.isEmpty
        else { return }
        if instruction.isDirect {
            instruction.reach(target, from: mode.start &+ UInt64(bytes.count))
        }
        if form.mnemonic == .cmps { comparisons.insert(bytes.count) }
        bytes += instruction.bytes
        readsItsEnd = readsItsEnd || OracleRun.mayReadItsEnd(instruction.decoded)
        names.append("\(form.mnemonic)")
        if !OracleCoverage.mayKeepFlags(form) { undefined.subtract(form.flagsWritten) }
        undefined.formUnion(form.flagsUndefined)
        everUndefined.formUnion(form.flagsUndefined)
        if OracleMakers.isRepeatedComparison(instruction.decoded) { everUndefined = .all }
    }
}
