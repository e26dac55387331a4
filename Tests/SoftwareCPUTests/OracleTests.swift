import Glibc
import Testing
import X86

@testable import SoftwareCPU

/// SplitMix64.
struct OracleRandom: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    mutating func below(_ bound: UInt64) -> UInt64 { next() % bound }
    mutating func chance(_ one: UInt64) -> Bool { next() % one == 0 }
}

/// Random instructions of the table on the host's own processor and in the engine, from the same
/// random states. The host's exceptions are signals, so this runs in a process of its own:
///
///     MARTLET_ORACLE_SECONDS=60 swift test --filter OracleTests
///
/// MARTLET_ORACLE_SEED replays a run, MARTLET_ORACLE_FORM one form of it. MARTLET_ORACLE_TRACE
/// names every instruction before it runs.
struct OracleTests {
    private static func setting(_ name: String) -> UInt64? {
        guard let text = unsafe getenv("MARTLET_ORACLE_" + name) else { return nil }
        return unsafe UInt64(String(cString: text))
    }

    /// Why a form is left out; nil: it is not.
    static func omission(_ form: Form) -> String? {
        if form.isSystem || form.isPrivileged { return "the host forbids it, or it ends the test" }
        if form.isInvalidIn64 { return "not in 64-bit code" }
        switch form.mnemonic {
        case .cpuid, .rdtsc, .rdtscp, .rdrand, .rdpmc, .rdpid, .xgetbv:
            return "differs between the host and the processor model"
        case .fxsave, .fxrstor, .xsave, .xsaveopt, .xsavec, .xrstor, .fnsave, .fnstenv, .fldenv,
            .frstor, .stmxcsr, .ldmxcsr:
            return "reserved bytes and instruction pointers; compared by tests of their own"
        case .nop where form.opcode == 0x0d && form.isRegisterOnly:
            return "makers differ: #UD or no operation"
        case .popf, .pushf: return "TF, AC and ID reach the test process"
        case .fyl2x, .fyl2xp1: return nil
        default: return nil
        }
    }

    /// Branches into themselves do not end. Makers differ on 66 before near branches in 64-bit
    /// code: one ignores it, one does not.
    private static func isUnfit(_ instruction: Instruction) -> Bool {
        let length = UInt64(instruction.length)
        // TZCNT and LZCNT where the processor has them.
        if instruction.mnemonic == .bsf || instruction.mnemonic == .bsr {
            return instruction.prefixes.contains(.rep)
        }
        // F2 and F3 are reserved here (SDM volume 2, 2.1.1): one maker's LOOPE with F2 is a LOOPNE.
        if instruction.mnemonic == .loope || instruction.mnemonic == .loopne,
            !instruction.prefixes.isDisjoint(with: [.rep, .repne])
        {
            return true
        }
        if instruction.operand0 == .relative, instruction.immediate &+ length < length {
            return true
        }
        guard instruction.prefixes.contains(.operandSize) else { return false }
        let name = "\(instruction.mnemonic)"
        return name.hasPrefix("j") || name.hasPrefix("loop") || name == "call" || name == "ret"
    }

    /// Random bytes of `form`, at most 15.
    private static func bytes(_ form: Form, _ random: inout OracleRandom) -> [UInt8] {
        var bytes: [UInt8] = []
        if form.mandatoryPrefix == 0, random.chance(4) { bytes.append(0x66) }
        if form.mandatoryPrefix == 0, random.chance(16) {
            bytes.append(random.chance(2) ? 0xf2 : 0xf3)
        }
        if form.isLockable, random.chance(4) { bytes.append(0xf0) }
        if form.mandatoryPrefix >= 2 {
            bytes.append([0x66, 0xf3, 0xf2][Int(form.mandatoryPrefix) - 2])
        }
        if form.needsREXW || random.chance(2) {
            bytes.append(0x40 | UInt8(random.below(16)) | (form.needsREXW ? 8 : 0))
        }
        if form.map > 0 { bytes.append(0x0f) }
        if form.map > 1 { bytes.append(form.map == 2 ? 0x38 : 0x3a) }
        bytes.append(form.opcode | (form.addsRegister ? UInt8(random.below(8)) : 0))
        if form.hasModRM {
            let register = form.digit ?? UInt8(random.below(8))
            let memory = form.isMemoryOnly || (!form.isRegisterOnly && random.chance(2))
            var modRM = register << 3 | (memory ? UInt8(random.below(3)) << 6 : 0xc0)
            modRM |= form.registerOrMemory ?? UInt8(random.below(8))
            bytes.append(modRM)
        }
        while bytes.count < 15 { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        return bytes
    }

    private static func value(_ random: inout OracleRandom) -> UInt64 {
        switch random.below(8) {
        case 0: random.below(256)
        case 1: UInt64(bitPattern: -Int64(random.below(256)))
        case 2: 1 << random.below(64)
        case 3: random.next() & 0xffff_ffff
        case 4: (1 << random.below(64)) &- 1
        default: random.next()
        }
    }

    private static func legacy(_ random: inout OracleRandom) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 512)
        let masks = random.chance(8) ? UInt8(random.below(64)) : 0x3f
        bytes[0] = 0x40 | masks
        bytes[1] = UInt8(random.below(16))
        // Nothing pending: only masked exceptions are flagged.
        bytes[2] = UInt8(random.below(64)) & masks
        bytes[3] = UInt8(random.below(128))
        bytes[4] = random.chance(2) ? 0xff : UInt8(random.below(256))
        bytes[24] = random.chance(4) ? UInt8(random.below(64)) : 0
        let unmasked = random.chance(8) ? random.below(64) << 7 : 0
        let control = 0x1f80 & ~unmasked | random.below(8) << 13 | random.below(2) << 6
        if unmasked != 0 { bytes[24] = 0 }
        bytes[24] |= UInt8(truncatingIfNeeded: control)
        bytes[25] = UInt8(truncatingIfNeeded: control >> 8)
        for index in 0..<24 {
            let slot = 32 + index * 16
            var low = value(&random)
            var high = value(&random)
            if index < 8 {
                switch random.below(6) {
                case 0: (low, high) = (0, random.below(2) << 15)
                case 1: (low, high) = (1 << 63, 0x7fff)
                case 2: low |= 1 << 63; high = 0x3fff &+ random.below(70) &- 4
                case 3: low |= 1 << 63; high &= 0xffff
                case 4: low |= 3 << 62; high = 0x7fff
                default: high &= 0xffff
                }
                high &= 0xffff
            }
            for byte in 0..<8 {
                bytes[slot + byte] = UInt8(truncatingIfNeeded: low >> UInt64(byte * 8))
                bytes[slot + 8 + byte] = UInt8(truncatingIfNeeded: high >> UInt64(byte * 8))
            }
        }
        return bytes
    }

    private static func start(
        _ instruction: Instruction, _ random: inout OracleRandom
    ) -> OracleState? {
        var state = OracleState()
        state.rip = OracleMachine.code + OracleMachine.codeOffset
        state.general = (0..<16).map { _ in value(&random) }
        state.general[4] = OracleMachine.data + 0x800 + random.below(64) * 8
        state.rflags = 0x202 | random.next() & 0x8d5 | (random.chance(4) ? 0x400 : 0)
        state.memory = (0..<512).flatMap { _ in
            let word = value(&random)
            return (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) }
        }
        state.legacy = legacy(&random)
        if instruction.mnemonic == .maskmovq || instruction.mnemonic == .maskmovdqu {
            state.general[7] = OracleMachine.data + 0x800 + random.below(64)
        }
        let isString = instruction.memory.base == 6 || instruction.memory.base == 7
        if isString, !instruction.form.hasModRM {
            state.general[1] = random.below(64)
            state.general[6] = OracleMachine.data + 0x800 + random.below(64)
            state.general[7] = OracleMachine.data + 0x800 + random.below(64)
            return state
        }
        guard instruction.hasMemoryOperand || instruction.mnemonic == .lea else { return state }
        let memory = instruction.memory
        guard memory.base != MemoryOperand.absent, memory.base != MemoryOperand.instructionPointer,
            memory.base != memory.index
        else { return nil }
        var target = OracleMachine.data + 0x400 + random.below(0x800)
        if random.chance(2) { target &= ~15 }
        if random.chance(32) { target = OracleMachine.data + 0x1000 - random.below(16) }
        if memory.index != MemoryOperand.absent {
            if memory.index == 4 { return nil }
            state.general[Int(memory.index)] = random.below(64)
            target &-= state.general[Int(memory.index)] << UInt64(memory.scaleShift)
        }
        state.general[Int(memory.base)] = target &- UInt64(bitPattern: memory.displacement)
        // Bit offsets reach as far as the register says.
        return state
    }

    private static func trace(_ form: Form, _ bytes: [UInt8]) {
        let hex = bytes.map { String($0, radix: 16) }.joined(separator: " ")
        let line = Array("\(form.index) \(form.mnemonic) [\(hex)]\n".utf8)
        _ = unsafe line.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
    }

    private static func differences(
        _ form: Form, _ native: OracleState, _ engine: OracleState
    ) -> [String] {
        var found: [String] = []
        if native.vector != engine.vector {
            return ["vector \(engine.vector), host \(native.vector)"]
        }
        if native.rip != engine.rip {
            found.append(
                "rip \(String(engine.rip, radix: 16)), host \(String(native.rip, radix: 16))")
        }
        for index in 0..<16 where native.general[index] != engine.general[index] {
            found.append(
                "r\(index) \(String(engine.general[index], radix: 16)), host "
                    + String(native.general[index], radix: 16))
        }
        let mask = 0xcd5 & ~form.flagsUndefined.rflags
        if (native.rflags ^ engine.rflags) & mask != 0 {
            found.append(
                "flags \(String(engine.rflags & mask, radix: 16)), host "
                    + String(native.rflags & mask, radix: 16))
        }
        for index in 0..<416 where native.legacy[index] != engine.legacy[index] {
            if (5..<24).contains(index) || (28..<32).contains(index) { continue }
            if (32..<160).contains(index), index & 15 > 9 { continue }
            found.append(
                "image[\(index)] \(String(engine.legacy[index], radix: 16)), host "
                    + String(native.legacy[index], radix: 16))
            if found.count > 6 { break }
        }
        if let index = (0..<4096).first(where: { native.memory[$0] != engine.memory[$0] }) {
            found.append(
                "memory[\(index)] \(String(engine.memory[index], radix: 16)), host "
                    + String(native.memory[index], radix: 16))
        }
        return found
    }

    @Test(.enabled(if: setting("SECONDS") != nil))
    func everyFormAsOnTheHost() throws {
        let seconds = Self.setting("SECONDS") ?? 60
        let seed = Self.setting("SEED") ?? UInt64.random(in: 1...(1 << 48))
        let only = Self.setting("FORM")
        let trace = Self.setting("TRACE") != nil
        print("oracle: MARTLET_ORACLE_SEED=\(seed)")
        guard let machine = try OracleMachine() else {
            Issue.record("the fixed addresses are taken")
            return
        }
        var forms: [Form] = []
        for index in 0..<Form.count {
            let form = Form(index: UInt16(index))
            if Self.omission(form) == nil, only == nil || only == UInt64(index) {
                forms.append(form)
            }
        }
        var executions = [Int](repeating: 0, count: Form.count)
        var failures = [Int](repeating: 0, count: Form.count)
        var first = [String](repeating: "", count: Form.count)
        let end = UInt64(time(nil)) + seconds
        var round: UInt64 = 0
        while UInt64(time(nil)) < end {
            for form in forms {
                var random = OracleRandom(
                    state: seed &+ round &* 0x1_0000_0001 &+ UInt64(form.index) << 40)
                var bytes = Self.bytes(form, &random)
                let decoded = unsafe bytes.withUnsafeBytes {
                    unsafe Decoder.decode($0, mode: .code64)
                }
                guard case .instruction(let instruction) = decoded, instruction.form == form,
                    !Self.isUnfit(instruction), let start = Self.start(instruction, &random)
                else { continue }
                bytes.removeLast(15 - Int(instruction.length))
                if trace { Self.trace(form, bytes) }
                let native = machine.native(bytes, start)
                executions[Int(form.index)] += 1
                let text: String
                if let engine = machine.interpreted(bytes, start) {
                    let found = Self.differences(form, native, engine)
                    if found.isEmpty { continue }
                    text = found.joined(separator: "; ")
                } else {
                    text = "the engine did not come to an end"
                }
                failures[Int(form.index)] += 1
                if first[Int(form.index)].isEmpty {
                    let hex = bytes.map { String($0, radix: 16) }.joined(separator: " ")
                    first[Int(form.index)] = "[\(hex)] round \(round): \(text)"
                }
            }
            round += 1
        }
        let missed = forms.filter { executions[Int($0.index)] == 0 }.map { "\($0.mnemonic)" }
        print(
            "oracle: \(executions.reduce(0, +)) executions of \(forms.count) forms,",
            "\(Form.count - forms.count) left out, never run: \(missed)")
        for form in forms where failures[Int(form.index)] != 0 {
            let index = Int(form.index)
            Issue.record(
                "\(form.mnemonic) form \(index): \(failures[index])/\(executions[index]) \(first[index])"
            )
        }
    }
}
