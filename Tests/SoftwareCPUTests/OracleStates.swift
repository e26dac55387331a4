import X86

@testable import SoftwareCPU

/// Random register states and memory for instructions.
@safe
struct OracleStates {
    /// Data pages, made from the seed once.
    private let pages: UnsafeMutableRawPointer
    static let pageCount: UInt64 = 64

    init(seed: UInt64) {
        var random = OracleRandom(state: seed)
        let byteCount = Int(Self.pageCount) * OracleMachine.pageByteCount
        unsafe pages = .allocate(byteCount: byteCount, alignment: 4096)
        for offset in stride(from: 0, to: byteCount, by: 8) {
            unsafe pages.storeBytes(of: Self.value(&random), toByteOffset: offset, as: UInt64.self)
        }
    }

    func free() { unsafe pages.deallocate() }

    func page(_ random: inout OracleRandom) -> UnsafeRawPointer {
        unsafe UnsafeRawPointer(
            pages + Int(random.below(Self.pageCount)) * OracleMachine.pageByteCount)
    }

    // MARK: Values

    static func value(_ random: inout OracleRandom) -> UInt64 {
        let kind = random.below(12)
        let bits = random.next()
        switch kind {
        case 0: return bits & 0xff
        case 1: return UInt64(bitPattern: -Int64(bits & 0xff))
        case 2: return 1 << (bits & 63)
        case 3: return bits & 0xffff_ffff
        case 4: return (1 << (bits & 63)) &- 1
        case 5:
            // Doubles at the ends of the exponent's range, and around one.
            let exponents: [UInt64] = [0, 1, 2, 0x3fe, 0x3ff, 0x400, 0x7fd, 0x7fe, 0x7ff]
            let exponent = exponents[Int(random.below(9))]
            return bits & 0x800f_ffff_ffff_ffff & (bits >> 63 == 0 ? .max : ~0xffff_ffff)
                | exponent << 52
        case 6:
            // The same in singles.
            let exponents: [UInt64] = [0, 1, 2, 0x7e, 0x7f, 0x80, 0xfd, 0xfe, 0xff]
            let high = exponents[Int(random.below(9))] << 55
            let low = exponents[Int(random.below(9))] << 23
            return bits & 0x807f_ffff_807f_ffff | high | low
        default: return bits
        }
    }

    /// An FXSAVE image.
    static func fillLegacy(_ area: UnsafeMutableRawPointer, _ random: inout OracleRandom) {
        let masks = random.chance(8) ? UInt8(random.below(64)) : 0x3f
        unsafe area.storeBytes(of: 0x40 | masks, as: UInt8.self)
        unsafe area.storeBytes(of: UInt8(random.below(16)), toByteOffset: 1, as: UInt8.self)
        // Nothing pending: only masked exceptions are flagged.
        unsafe area.storeBytes(
            of: UInt8(random.below(64)) & masks, toByteOffset: 2, as: UInt8.self)
        unsafe area.storeBytes(of: UInt8(random.below(128)), toByteOffset: 3, as: UInt8.self)
        let tags = random.chance(2) ? 0xff : UInt8(random.below(256))
        unsafe area.storeBytes(of: UInt64(tags), toByteOffset: 4, as: UInt64.self)
        unsafe area.storeBytes(of: 0, toByteOffset: 12, as: UInt64.self)
        unsafe area.storeBytes(of: 0, toByteOffset: 16, as: UInt64.self)
        var mxcsr = random.chance(4) ? UInt32(random.below(64)) : 0
        let unmasked = random.chance(8) ? UInt32(random.below(64)) << 7 : 0
        if unmasked != 0 { mxcsr = 0 }
        mxcsr |= 0x1f80 & ~unmasked | UInt32(random.below(8)) << 13 | UInt32(random.below(2)) << 6
        unsafe area.storeBytes(of: UInt64(mxcsr), toByteOffset: 24, as: UInt64.self)
        for index in 0..<8 {
            var low = value(&random)
            var high = value(&random)
            switch random.below(7) {
            case 0: (low, high) = (0, random.below(2) << 15)
            case 1: (low, high) = (1 << 63, 0x7fff)
            case 2:
                low |= 1 << 63
                high = 0x3fff &+ random.below(70) &- 4
            case 3: low |= 1 << 63
            case 4:
                low |= 3 << 62
                high = 0x7fff
            case 5:
                // At the ends of the ranges of doubles and singles.
                low |= 1 << 63
                let biases: [UInt64] = [0x3c00, 0x43fe, 0x3f80, 0x407e]
                high = high & 0x8000 | (biases[Int(random.below(4))] &+ random.below(5) &- 2)
            default: break
            }
            unsafe area.storeBytes(of: low, toByteOffset: 32 + index * 16, as: UInt64.self)
            unsafe area.storeBytes(
                of: high & 0xffff, toByteOffset: 40 + index * 16, as: UInt64.self)
        }
        for offset in stride(from: 160, to: 416, by: 8) {
            unsafe area.storeBytes(of: value(&random), toByteOffset: offset, as: UInt64.self)
        }
    }

    // MARK: States

    /// Registers that no operand cares about; the stack is in the data page.
    static func fill(_ state: OracleState, _ mode: OracleMode, _ random: inout OracleRandom) {
        state.setSegments(mode)
        for index in 0..<16 { state[index] = value(&random) }
        // The upper half of ESP stays what the frame of IRETQ leaves there.
        state[4] = OracleMachine.data + 0x800 + random.below(64) * 8
        // Frames of LEAVE, ENTER and addresses through RBP.
        if random.chance(4) { state[5] = OracleMachine.data + 0x800 + random.below(1024) }
        if mode != .code64 {
            for index in 0..<8 { state[index] &= 0xffff_ffff }
            for index in 8..<16 { state[index] = 0 }
        }
        state.rflags =
            OracleMachine.flags | random.next() & 0x8d5 | (random.chance(4) ? 0x400 : 0)
        unsafe fillLegacy(state.legacy, &random)
        for offset in stride(from: 0, to: OracleState.upperByteCount, by: 8) {
            unsafe state.upper.storeBytes(
                of: value(&random) | 1, toByteOffset: offset, as: UInt64.self)
        }
    }

    /// An address for an operand, as an offset in the segment.
    static func target(
        _ instruction: Instruction, _ mode: OracleMode, _ random: inout OracleRandom
    ) -> UInt64 {
        let data = OracleMachine.data - mode.dataBase
        var target = data + 0x400 + random.below(0x800)
        if random.chance(2) { target &= random.chance(4) ? ~15 : ~31 }
        switch instruction.mnemonic {
        case .fxsave, .fxrstor: if !random.chance(8) { target &= ~15 }
        case .xsave, .xsavec, .xrstor: if !random.chance(8) { target &= ~63 }
        default: break
        }
        // Where two exceptions compete, makers differ in how they split a long operand.
        let isLong = instruction.memory.byteCount == 10 || OracleCoverage.hasImage(instruction)
        switch isLong && mode == .code16 ? 63 : random.below(64) {
        case 0, 1: target = data + 0x1000 - random.below(16)
        case 2: target = data &- random.below(16)
        case 3 where mode == .code16 && !isLong: target = 0x2000 - random.below(16)
        case 4 where mode == .code16: target = 0x1_0000 - random.below(16)
        case 3 where mode == .code64 && instruction.addressSize == 8 && !isLong:
            target = 0x8000_0000_0000 - random.below(24)
        default: break
        }
        // Locked operands across two cache lines are rare: hosts that detect split locks make a
        // program sleep for each of them.
        let isLocked = instruction.prefixes.contains(.lock) || instruction.mnemonic == .xchg
        if isLocked, !random.chance(256) { target &= ~7 }
        if instruction.prefixes.contains(.segment), instruction.memory.segment == 5 {
            target &-= OracleMachine.gsBase
        }
        return target
    }

    /// The byte of the data page at `target`.
    static func place(
        of target: UInt64, _ instruction: Instruction, _ mode: OracleMode
    ) -> Int {
        let isGS = instruction.prefixes.contains(.segment) && instruction.memory.segment == 5
        let base = isGS ? OracleMachine.gsBase : mode.dataBase
        return Int(truncatingIfNeeded: target &+ base &- OracleMachine.data)
    }

    /// Sets the registers of the address so that it is `target`; bits that the address size leaves
    /// out are random.
    static func place(
        _ state: OracleState, _ instruction: Instruction, _ mode: OracleMode, _ target: UInt64,
        _ random: inout OracleRandom
    ) {
        let memory = instruction.memory
        var rest = target &- UInt64(bitPattern: memory.displacement)
        let base = Int(memory.base)
        let index = Int(memory.index)
        if base < 16, base == index {
            set(state, base, rest / (1 + 1 << UInt64(memory.scaleShift)), instruction, &random)
            return
        }
        if memory.vectorIndexByteCount != 0 {
            placeIndices(state, instruction, &random)
        } else if index < 16 {
            let mask: UInt64 = base < 16 ? 63 : .max
            let value = base < 16 ? random.next() & mask : rest >> UInt64(memory.scaleShift)
            set(state, index, value, instruction, &random)
            rest &-= value << UInt64(memory.scaleShift)
        }
        if base < 16 { set(state, base, rest, instruction, &random) }
    }

    /// Indices of a gather: small ones around its address, now and then one that is far away.
    private static func placeIndices(
        _ state: OracleState, _ instruction: Instruction, _ random: inout OracleRandom
    ) {
        let register = Int(instruction.memory.index)
        let byteCount = instruction.form.opcode & 1 != 0 ? 8 : 4
        let isFar = random.chance(4)
        for index in 0..<32 / byteCount {
            let value =
                isFar && random.chance(4)
                ? random.next() >> random.below(33) : random.below(128) &- 64
            let target = unsafe state.element(register, index, byteCount)
            if byteCount == 8 {
                unsafe target.storeBytes(of: value, as: UInt64.self)
            } else {
                unsafe target.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
            }
        }
    }

    private static func set(
        _ state: OracleState, _ register: Int, _ value: UInt64, _ instruction: Instruction,
        _ random: inout OracleRandom
    ) {
        var upper: UInt64 =
            switch instruction.addressSize {
            case 2: ~0xffff
            case 4: ~0xffff_ffff
            default: 0
            }
        if register == 4 { upper = 0 }
        var result = value & ~upper | random.next() & upper
        // IRETQ to a 16-bit stack leaves the upper half of its frame's address.
        if register == 4, state.is16 { result = result & 0xffff | OracleMachine.data }
        if state.is32 { result &= 0xffff_ffff }
        state[register] = result
    }

    /// Registers that instructions use without naming them in the ModRM byte, and memory that they
    /// would refuse as random bytes.
    static func prepare(
        _ state: OracleState, _ instruction: OracleInstruction, _ mode: OracleMode,
        _ target: UInt64, _ random: inout OracleRandom
    ) -> OraclePatch {
        let data = OracleMachine.data - mode.dataBase
        let offset = place(of: target, instruction.decoded, mode)
        var patch = OraclePatch()
        if instruction.isString {
            state[1] = random.below(64)
            state[6] = data + 0x800 + random.below(64)
            state[7] = data + 0x800 + random.below(64)
            return patch
        }
        let decoded = instruction.decoded
        switch decoded.mnemonic {
        case .maskmovq, .maskmovdqu, .vmaskmovdqu: state[7] = data + 0x800 + random.below(64)
        case .xlat: state[3] = target &- state[0] & 0xff
        case .bt, .btc, .btr, .bts:
            if case .register(.general, let number) = decoded.operand1, instruction.hasAddress,
                number != 4, Int(number) != Int(decoded.memory.base),
                Int(number) != Int(decoded.memory.index),
                !random.chance(4)
            {
                state[Int(number)] = random.below(2048) &- 1024
                if state.is32 { state[Int(number)] &= 0xffff_ffff }
            }
        case .popf:
            // The handler of the host's signals would be checked for alignment: AC stays clear.
            let flags = random.next() & 0x20_4dd5
            let start = Int(state[4] &+ mode.dataBase &- OracleMachine.data) & 0xfff
            patch.offset = mode == .code16 ? Int(state[4] & 0xffff) : start
            patch.bytes = (0..<8).map { UInt8(truncatingIfNeeded: flags >> ($0 * 8)) }
        case .ldmxcsr, .vldmxcsr:
            let value = random.next() & (random.chance(8) ? 0xffff_ffff : 0xffff)
            patch.bytes = (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
            patch.offset = offset
        case .fxrstor, .xrstor:
            patch.offset = offset
            patch.bytes = image(&random)
        default: break
        }
        if [.xsave, .xsavec, .xrstor].contains(decoded.mnemonic) {
            state[0] = random.below(extendedStates)
            state[2] = 0
        }
        let end = patch.offset + patch.bytes.count
        if patch.offset < 0 || end > OracleMachine.pageByteCount { patch.bytes = [] }
        return patch
    }

    /// Values of XCR0's bits that the engine has.
    private static let extendedStates: UInt64 =
        HostProcessor.features.contains(.avx) ? 8 : 4

    /// A legacy area and XSAVE header that are mostly valid, and the upper halves of YMM registers.
    private static func image(_ random: inout OracleRandom) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 576)
        bytes += (0..<256).map { _ in random.byte() }
        unsafe bytes.withUnsafeMutableBytes { buffer in
            guard let start = buffer.baseAddress else { return }
            unsafe fillLegacy(start, &random)
            if random.chance(16) {
                unsafe start.storeBytes(
                    of: UInt32(truncatingIfNeeded: random.next()), toByteOffset: 24, as: UInt32.self
                )
            }
            unsafe start.storeBytes(
                of: random.below(extendedStates), toByteOffset: 512, as: UInt64.self)
            if random.chance(2) {
                unsafe start.storeBytes(
                    of: 1 << 63 | random.below(extendedStates), toByteOffset: 520,
                    as: UInt64.self)
            }
        }
        return bytes
    }
}
