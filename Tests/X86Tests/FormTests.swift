import Foundation
import Testing
import X86

/// The generated table against its text, and against itself.
struct FormTests {
    @Test func generatedRowsAreOfTheTableAsItIs() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let table = root.appendingPathComponent("Tools/InstructionTable/x86.table")
        let bytes = try Data(contentsOf: table)
        let checksum = bytes.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01b3
        }
        #expect(
            Form.tableChecksum == checksum,
            "run: swift run --package-path Tools InstructionTableGenerator Tools/InstructionTable/x86.table Sources/X86"
        )
    }

    /// A form that no bytes select would be dead weight, or hidden by one before it.
    @Test func everyFormCanBeReached() {
        var unreached: [String] = []
        for form in Form.all where !isReached(form) {
            unreached.append("\(form.mnemonic) \(form.map):\(String(form.opcode, radix: 16))")
        }
        #expect(unreached.isEmpty, "\(unreached)")
    }

    private func isReached(_ form: Form) -> Bool {
        let prefixes: [[UInt8]] = [[], [0x66], [0xf3], [0xf2]]
        let escape: [[UInt8]] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]]
        if form.isVEX { return isReachedByVEX(form) }
        for mode in [DecodeMode.code64, .code32] {
            for prefix in prefixes {
                for rex in mode == .code64 ? [[], [0x48], [0x41]] as [[UInt8]] : [[]] {
                    for modRM in [0xc0, 0x05] as [UInt8] {
                        let reg = form.digit ?? 0
                        let bytes =
                            prefix + rex + escape[Int(form.map)]
                            + [form.opcode, modRM | reg << 3 | (form.registerOrMemory ?? 0)]
                            + [UInt8](repeating: 0, count: 10)
                        let result = unsafe bytes.withUnsafeBytes {
                            unsafe Decoder.decode($0, mode: mode)
                        }
                        if case .instruction(let found) = result, found.form == form { return true }
                    }
                }
            }
        }
        return false
    }

    private func isReachedByVEX(_ form: Form) -> Bool {
        for w in [0, 0x80] as [UInt8] {
            for long in [0, 4] as [UInt8] {
                // A register, and an address with a SIB byte.
                for modRM in [0xc1, 0x0c] as [UInt8] {
                    let digit = form.digit.map { $0 << 3 } ?? modRM & 0x38
                    let second = w | long | (form.mandatoryPrefix - 1)
                    // VEX.vvvv is 2 where it is a register.
                    let register: UInt8 = form.vectorField == nil ? 0x78 : 0x68
                    let bytes: [UInt8] = [
                        0xc4, 0xe0 | form.map, second | register, form.opcode,
                        modRM & 0xc7 | digit, 0x20, 0, 0, 0, 0, 0,
                    ]
                    let result = unsafe bytes.withUnsafeBytes {
                        unsafe Decoder.decode($0, mode: .code64)
                    }
                    if case .instruction(let found) = result, found.form == form { return true }
                }
            }
        }
        return false
    }

    @Test func flagMasksAreThoseOfTheManual() throws {
        let bytes: [UInt8] = [0x01, 0xc0]
        let result = unsafe bytes.withUnsafeBytes { unsafe Decoder.decode($0, mode: .code64) }
        guard case .instruction(let add) = result else {
            Issue.record("ADD does not decode")
            return
        }
        #expect(add.form.flagsWritten.rflags == 0x8d5)
        #expect(add.form.flagsUndefined.isEmpty)
        #expect(add.form.isLockable)
    }

    /// Undefined flags are among those written.
    @Test func undefinedFlagsAreWritten() {
        for form in Form.all {
            #expect(
                form.flagsUndefined.isSubset(of: form.flagsWritten),
                "\(form.mnemonic) \(form.opcode)")
        }
    }
}
