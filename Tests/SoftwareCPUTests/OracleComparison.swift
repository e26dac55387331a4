import Glibc
import X86

/// Two states after the same code.
struct OracleComparison {
    let native: OracleState
    let engine: OracleState
    let mode: OracleMode
    /// Bits of RFLAGS to compare.
    let flags: UInt64
    let instruction: Instruction?
    /// Where its operand is in the data page.
    let place: Int?

    /// MXCSR_MASK of a saved image is the host's own.
    private func isMXCSRMask(_ offset: Int) -> Bool {
        guard let mnemonic = instruction?.mnemonic, let place else { return false }
        return [.fxsave, .xsave, .xsavec].contains(mnemonic) && (28..<32).contains(offset - place)
    }

    /// The quick look; differences in what does not count are left to `differences`.
    func isEqual(_ machine: OracleMachine) -> Bool {
        unsafe memcmp(native.bytes, engine.bytes, 136) == 0 && native.vector == engine.vector
            && native.vector == 3
            && (native.rflags ^ engine.rflags) & flags == 0
            && memcmp(native.legacy, engine.legacy, OracleState.legacyByteCount) == 0
            && memcmp(native.upper, engine.upper, OracleState.upperByteCount) == 0
            && memcmp(machine.nativeData, machine.guestData, OracleMachine.pageByteCount) == 0
    }

    private static func text(_ name: String, _ engine: UInt64, _ native: UInt64) -> String {
        "\(name) \(String(engine, radix: 16)), host \(String(native, radix: 16))"
    }

    private static func bytes(
        _ name: String, _ engine: UnsafeMutableRawPointer, _ native: UnsafeMutableRawPointer,
        _ count: Int, _ found: inout [String], but isLeftOut: (Int) -> Bool = { _ in false }
    ) {
        if unsafe memcmp(engine, native, count) == 0 { return }
        for index in 0..<count where found.count < 7 {
            let first = unsafe engine.load(fromByteOffset: index, as: UInt8.self)
            let second = unsafe native.load(fromByteOffset: index, as: UInt8.self)
            if first != second, !isLeftOut(index) {
                found.append(text("\(name)[\(index)]", UInt64(first), UInt64(second)))
            }
        }
    }

    func differences(_ machine: OracleMachine) -> [String] {
        if native.vector != engine.vector {
            if OracleMakers.allowsEither(engine, native, mode, instruction) { return [] }
            return [
                Self.text("vector", engine.vector, native.vector)
                    + Self.text(" at", engine.address, native.address)
            ]
        }
        var found: [String] = []
        func compare(_ name: @autoclosure () -> String, _ engine: UInt64, _ native: UInt64) {
            if engine != native { found.append(Self.text(name(), engine, native)) }
        }
        // Compatibility mode leaves the upper halves, and R8 to R15, undefined.
        let registers = mode.isLong ? 16 : 8
        let mask: UInt64 = mode.isLong ? .max : 0xffff_ffff
        for index in 0..<registers {
            compare("r\(index)", engine[index] & mask, native[index] & mask)
        }
        compare("rip", engine.rip, native.rip)
        compare("flags", engine.rflags & flags, native.rflags & flags)
        if [10, 11, 12, 13, 14, 17].contains(native.vector) {
            // The host's kernel says P for all of its own half of the addresses.
            let hidden: UInt64 = native.vector == 14 && native.address >> 46 != 0 ? 1 : 0
            compare("error code", engine.errorCode | hidden, native.errorCode | hidden)
        }
        if native.vector == 14 {
            // Makers differ in which end of a long operand they touch first.
            let isLong = instruction.map(OracleMakers.touchesInAnyOrder) ?? true
            let mask: UInt64 = isLong ? ~0xfff : .max
            if !(instruction.map(OracleMakers.mayTellOtherAddress) ?? false) {
                compare("cr2", engine.address & mask, native.address & mask)
            }
        }
        if !OracleMakers.hidesImage(native, instruction) {
            if OracleMakers.hasLoosePrecision(native, instruction) {
                let loose: UInt8 = native.vector == 19 ? 0x20 : 0x3f
                for state in [native, engine] {
                    let flags = unsafe state.legacy.load(fromByteOffset: 24, as: UInt8.self) | loose
                    unsafe state.legacy.storeBytes(of: flags, toByteOffset: 24, as: UInt8.self)
                }
            }
            let hidden = OracleMakers.hiddenVectors(native, instruction).map { $0 * 16 }
            func isHidden(_ offset: Int) -> Bool {
                hidden.contains { ($0..<$0 + 16).contains(offset) }
            }
            unsafe Self.bytes(
                "image", engine.legacy, native.legacy, OracleState.legacyByteCount, &found,
                but: { isHidden($0 - 160) })
            unsafe Self.bytes(
                "upper", engine.upper, native.upper, OracleState.upperByteCount, &found,
                but: isHidden)
        }
        let hidden = OracleMakers.hiddenBytes(native, mode, instruction, place: place)
        unsafe Self.bytes(
            "memory", machine.guestData, machine.nativeData, OracleMachine.pageByteCount, &found,
            but: { hidden.contains($0) || isMXCSRMask($0) })
        return found
    }
}
