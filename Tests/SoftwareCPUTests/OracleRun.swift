import CTestSupport
import Glibc
import X86

/// Runs instructions on both machines and keeps count.
struct OracleRun {
    /// States for the same bytes.
    static let statesEach = 4

    private let machine: OracleMachine
    private let states: OracleStates
    private let seed: UInt64
    private let traces: Bool
    private let start = OracleState()
    private let native = OracleState()
    private let engine = OracleState()
    private(set) var executions = [Int](repeating: 0, count: Form.count)
    private(set) var sequences = 0
    private(set) var total: UInt64 = 0
    /// By what ran: how often, and the first.
    private(set) var failures: [String: (count: Int, first: String)] = [:]

    init(_ machine: OracleMachine, _ states: OracleStates, seed: UInt64, traces: Bool) {
        self.machine = machine
        self.states = states
        self.seed = seed
        self.traces = traces
    }

    private func trace(_ name: String, _ bytes: [UInt8]) {
        let line = Array("\(name) [\(Self.hexadecimal(bytes))]\n".utf8)
        _ = unsafe line.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { String($0, radix: 16) }.joined(separator: " ")
    }

    private static func mode(_ random: inout OracleRandom) -> OracleMode {
        switch random.below(4) {
        case 0: .code32
        case 1: .code16
        default: .code64
        }
    }

    // MARK: One instruction

    mutating func single(_ form: Form, _ round: UInt64) {
        var random = OracleRandom(
            state: seed &+ round &* 0x1_0000_0001 &+ UInt64(form.index) << 40)
        var mode = Self.mode(&random)
        if !OracleCoverage.runs(form, in: mode) { mode = mode == .code64 ? .code32 : .code64 }
        var made: OracleInstruction?
        for _ in 0..<8 where made == nil { made = OracleInstruction(form, mode, &random) }
        guard var instruction = made else { return }
        let target = OracleStates.target(instruction.decoded, mode, &random)
        if instruction.isDirect { instruction.reach(target, from: mode.start) }
        let name = "form \(form.index) \(form.mnemonic), \(mode)"
        run(instruction, mode, target, Self.statesEach, name, round, &random)
    }

    /// Bytes that once were run differently.
    mutating func finding(_ name: String, _ mode: OracleMode, _ bytes: [UInt8]) {
        var random = OracleRandom(state: seed)
        guard let instruction = OracleInstruction(bytes, mode) else {
            fail(name, "not an instruction")
            return
        }
        let target = OracleStates.target(instruction.decoded, mode, &random)
        run(instruction, mode, target, 256, name, 0, &random)
    }

    /// Indices of gathers lead anywhere, once in millions of executions to what stands behind the
    /// code, where the host's side may have a jump and the others a breakpoint.
    static func mayReadItsEnd(_ instruction: Instruction) -> Bool {
        instruction.form.hasVectorIndex
    }

    /// Both operands of a CMPS fault, and the makers differ in which one is told (`mayTellOtherAddress`): where
    /// the registers of a sequence lead nowhere.
    private func isOtherOperand(_ sequence: OracleSequence, _ mode: OracleMode) -> Bool {
        engine.rip == native.rip
            && sequence.comparisons.contains(Int(truncatingIfNeeded: native.rip &- mode.start))
            && OracleMakers.areMemoryFaults(engine, native)
    }

    private mutating func run(
        _ instruction: OracleInstruction, _ mode: OracleMode, _ fixed: UInt64, _ count: Int,
        _ name: String, _ round: UInt64, _ random: inout OracleRandom
    ) {
        let decoded = instruction.decoded
        if traces { trace(name, instruction.bytes) }
        let stays = !OracleCoverage.isBranch(decoded) && decoded.mnemonic != .popf
        machine.setCode(
            instruction.bytes, leaves: mode.isLong && stays && !Self.mayReadItsEnd(decoded))
        for _ in 0..<count {
            OracleStates.fill(start, mode, &random)
            var target = fixed
            if instruction.hasAddress, !instruction.isDirect, !instruction.isString {
                target = OracleStates.target(decoded, mode, &random)
                OracleStates.place(start, decoded, mode, target, &random)
            }
            let patch = OracleStates.prepare(start, instruction, mode, target, &random)
            let mask = OracleCoverage.flagMask(decoded.form.flagsUndefined, decoded.mnemonic)
            let place = OracleStates.place(of: target, decoded, mode)
            let found = run(mode, patch, mask, decoded, place, &random)
            executions[Int(decoded.form.index)] += 1
            if let found {
                fail(name, "[\(Self.hexadecimal(instruction.bytes))] round \(round): \(found)")
            }
        }
    }

    // MARK: Sequences

    mutating func sequence(_ number: UInt64, _ round: UInt64) {
        var random = OracleRandom(
            state: seed &+ round &* 0x1_0000_0001 &+ (number &+ 0x10000) << 40)
        let mode = Self.mode(&random)
        let sequence = OracleSequence(mode, &random)
        if traces { trace("sequence \(number), \(mode)", sequence.bytes) }
        machine.setCode(sequence.bytes, leaves: mode.isLong && !sequence.readsItsEnd)
        let end = mode.start &+ UInt64(sequence.bytes.count) &+ 1
        for _ in 0..<Self.statesEach {
            OracleStates.fill(start, mode, &random)
            let data = OracleMachine.data - mode.dataBase
            start[1] = random.below(64)
            start[6] = data + 0x800 + random.below(64)
            start[7] = data + 0x800 + random.below(64)
            let mask = OracleCoverage.flagMask(sequence.undefined, .nop)
            let early = OracleCoverage.flagMask(sequence.everUndefined, .nop)
            sequences += 1
            if let found = run(
                mode, OraclePatch(), mask, nil, nil, &random, early: (end, early)),
                !isOtherOperand(sequence, mode)
            {
                let list = sequence.names.joined(separator: " ")
                let code = Self.hexadecimal(sequence.bytes)
                fail(
                    "sequence, \(mode)",
                    "[\(code)] \(list) number \(number) round \(round): \(found)")
            }
        }
    }

    // MARK: Comparison

    private mutating func fail(_ name: String, _ text: String) {
        let old = failures[name] ?? (0, text)
        failures[name] = (old.count + 1, old.first)
    }

    /// What differs, or nil.
    private mutating func run(
        _ mode: OracleMode, _ patch: OraclePatch, _ flags: UInt64, _ instruction: Instruction?,
        _ place: Int?, _ random: inout OracleRandom, early: (end: UInt64, flags: UInt64)? = nil
    ) -> String? {
        total += 1
        let page = unsafe states.page(&random)
        native.copy(from: start)
        unsafe machine.native(native, mode, page, patch)
        var flags = flags
        if let early, native.rip != early.end { flags = early.flags }
        if let instruction, native.vector == 14, OracleMakers.isRepeatedComparison(instruction) {
            flags = OracleCoverage.flagMask(.all, .nop)
        }
        for side in OracleMachine.Side.allCases where mode.isLong || side == .interpreter {
            let found = unsafe compare(side, mode, patch, page, flags, instruction, place)
            if let found { return "\(side): \(found)" }
        }
        return nil
    }

    /// What differs between the host and one engine, or nil.
    private func compare(
        _ side: OracleMachine.Side, _ mode: OracleMode, _ patch: OraclePatch,
        _ page: UnsafeRawPointer, _ flags: UInt64, _ instruction: Instruction?, _ place: Int?
    ) -> String? {
        engine.copy(from: native)
        guard unsafe machine.run(on: side, start, engine, mode, page, patch) else {
            if native.vector == UInt64(NATIVE_ENDLESS) { return nil }
            return "the engine did not come to an end"
        }
        // The host's kernel emulates what jumps to its vsyscall page.
        if engine.address & ~0xfff == 0xffff_ffff_ff60_0000 { return nil }
        let comparison = OracleComparison(
            native: native, engine: engine, mode: mode, flags: flags, instruction: instruction,
            place: place)
        if comparison.isEqual(machine) { return nil }
        let found = comparison.differences(machine)
        if traces, !found.isEmpty {
            let image = (0..<OracleState.legacyByteCount).map {
                unsafe start.legacy.load(fromByteOffset: $0, as: UInt8.self)
            }
            trace("differs from image", image)
        }
        return found.isEmpty ? nil : found.joined(separator: "; ")
    }
}
