/// Host instructions with fixed registers that carry out forms of the table: "cores".
///
/// ModRM.reg is vector register 1 or RAX, VEX.vvvv vector register 2 or RCX, ModRM.rm vector register
/// 3, RSI, or memory at RSI where a form has no register; a register in an immediate byte is 0. Each
/// is eight bytes with its return, and forms with an immediate byte have one for each value of it.
struct Core {
    /// The instruction but for its immediate byte.
    var bytes: [UInt8]
    var hasImmediate: Bool

    var count: Int { hasImmediate ? 256 : 1 }

    /// The assembler's line.
    var line: String {
        let hexadecimal = bytes.map { "0x" + String($0, radix: 16) }.joined(separator: ", ")
        return "    \(hasImmediate ? "immediates" : "core") \(hexadecimal)"
    }
}

extension Form {
    private func has(_ letters: [String]) -> Bool { operands.contains { letters.contains($0) } }

    private static let vectorReg = ["V", "Vx"]
    private static let generalRM = ["Ey", "Ev", "Ed", "Rdw", "Rdb"]

    /// Carried out by a core. Masked moves, gathers and what changes control state are not.
    private var hasCore: Bool {
        if isVEX {
            let isMasked = mnemonic.contains("maskmov") || mnemonic.contains("gather")
            return !isMasked && !operands.isEmpty && !mnemonic.hasSuffix("mxcsr")
        }
        return ["lzcnt", "bmi1", "adx", "sha"].contains(features[feature])
    }

    private var modRM: UInt8 {
        let reg = digit < 8 ? digit : has(Self.vectorReg) ? 1 : 0
        let isMemory = operands.contains { $0.first == "M" }
        let rm = isMemory ? 6 : 0xc0 | (has(Self.generalRM) ? 6 : 3)
        return UInt8(rm | reg << 3)
    }

    private func vex(length: Int, wide: Bool) -> [UInt8] {
        let register = has(["H", "Hx"]) ? 2 : has(["By"]) ? 1 : 0
        let second = (wide ? 0x80 : 0) | (~register & 15) << 3 | length << 2 | (prefix - 1)
        let registerByte: [UInt8] = has(["L"]) ? [0] : []
        return [0xc4, UInt8(0xe0 | map), UInt8(second), UInt8(opcode), modRM] + registerByte
    }

    private func legacy(_ size: Int) -> [UInt8] {
        var bytes: [UInt8] = size == 2 ? [0x66] : []
        bytes += [[], [], [0x66], [0xf3], [0xf2]][prefix]
        if size == 8 { bytes.append(0x48) }
        return bytes + [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][map] + [UInt8(opcode), modRM]
    }

    /// Its cores, 128 bits before 256 bits, 32-bit operands before 64- and 16-bit ones.
    var cores: [Core] {
        guard hasCore else { return [] }
        let hasImmediate = has(["Ib"])
        guard isVEX else {
            let sizes = has(["Gv"]) ? [4, 8, 2] : has(["Gy"]) ? [4, 8] : [4]
            return sizes.map { Core(bytes: legacy($0), hasImmediate: hasImmediate) }
        }
        let isFixed = attributes.contains("w0") || attributes.contains("w1")
        // The lengths of VPCMPESTRI and VPCMPESTRM are as wide as VEX.W says.
        let bySize =
            !isFixed && has(["Ey", "Gy", "By"]) || mnemonic.hasPrefix("vpcmpestr")
        let widths = bySize ? [false, true] : [attributes.contains("w1")]
        let isShort = attributes.contains("l0") || attributes.contains("lig")
        let lengths = isShort ? [0] : attributes.contains("l1") ? [1] : [0, 1]
        return lengths.flatMap { length in
            widths.map {
                Core(bytes: vex(length: length, wide: $0), hasImmediate: hasImmediate)
            }
        }
    }
}

extension Generator {
    /// The cores, one after another.
    static func coreSource(_ forms: [Form]) -> String {
        var lines = [
            """
            // DO NOT EDIT: made by Tools/InstructionTableGenerator from Tools/InstructionTable/x86.table.
            // Host instructions with fixed registers, eight bytes each: see Cores.h.
            .macro core bytes:vararg
                .byte \\bytes, 0xc3
                .balign 8, 0x90
            .endm
            .macro immediates bytes:vararg
                .set immediate, 0
                .rept 256
                .byte \\bytes, immediate, 0xc3
                .balign 8, 0x90
                .set immediate, immediate + 1
                .endr
            .endm
                .text
                .balign 64
                .globl engine_cores
                .hidden engine_cores
                .type engine_cores, @object
            engine_cores:
            """
        ]
        for form in forms {
            let cores = form.cores
            if cores.isEmpty { continue }
            lines.append("// \(form.mnemonic) \(form.operands.joined(separator: ","))")
            lines += cores.map(\.line)
        }
        lines.append("    .section .note.GNU-stack, \"\", @progbits\n")
        return lines.joined(separator: "\n")
    }

    /// Where each form's cores begin.
    static func coreTableSource(_ forms: [Form]) -> String {
        var lines = [
            header, "enum CoreTable {",
            "    /// Number of the first core of each form; those of the last entry end there.",
            "    static let starts: [UInt32] = [",
        ]
        var position = 0
        var starts: [Int] = []
        for form in forms {
            starts.append(position)
            position += form.cores.reduce(0) { $0 + $1.count }
        }
        starts.append(position)
        for chunk in stride(from: 0, to: starts.count, by: 16) {
            let part = starts[chunk..<min(chunk + 16, starts.count)].map(String.init)
            lines.append("        " + part.joined(separator: ", ") + ",")
        }
        lines.append("    ]")
        lines.append("}\n")
        return lines.joined(separator: "\n")
    }
}
