import Foundation

/// Reads `x86.table`, writes the generated sources of the X86 room. Usage:
/// `InstructionTableGenerator TABLE OUTPUT-DIRECTORY`.
@main
struct Generator {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3 else {
            throw TableError(description: "usage: InstructionTableGenerator TABLE DIRECTORY")
        }
        let text = try String(contentsOfFile: arguments[1], encoding: .utf8)
        var forms: [Form] = []
        for line in text.split(separator: "\n") {
            let content = line.split(separator: "#", omittingEmptySubsequences: false)[0]
                .trimmingCharacters(in: .whitespaces)
            if content.isEmpty { continue }
            for expanded in expandDirectives(content) { forms += try parse(expanded) }
        }
        let sorted = forms.enumerated().sorted { a, b in
            let left = (a.element.map, a.element.opcode, -a.element.specificity, a.offset)
            let right = (b.element.map, b.element.opcode, -b.element.specificity, b.offset)
            return left < right
        }.map(\.element)
        let mnemonics = Array(Set(sorted.map(\.mnemonic))).sorted()
        let directory = URL(fileURLWithPath: arguments[2])
        try write(mnemonicSource(mnemonics), directory, "Mnemonic.generated.swift")
        try write(tableSource(sorted, mnemonics), directory, "FormTable.generated.swift")
    }

    static let header = """
        // DO NOT EDIT: made by Tools/InstructionTableGenerator from Tools/InstructionTable/x86.table.
        // swift-format-ignore-file

        """

    static func write(_ source: String, _ directory: URL, _ name: String) throws {
        try source.write(
            to: directory.appendingPathComponent(name), atomically: true, encoding: .utf8)
    }

    static func mnemonicSource(_ mnemonics: [String]) -> String {
        var lines = [header]
        lines.append("/// The instructions of the table, by the names of the manuals.")
        lines.append("public enum Mnemonic: UInt16, CaseIterable, Sendable {")
        for name in mnemonics { lines.append("    case \(name == "in" ? "`in`" : name)") }
        lines.append("}\n")
        return lines.joined(separator: "\n")
    }

    static func tableSource(_ forms: [Form], _ mnemonics: [String]) -> String {
        var lines = [header]
        lines.append("enum FormTable {")
        lines.append("    static let count = \(forms.count)")
        lines.append("    /// First form of each opcode of each map; the last entry ends the last opcode.")
        var starts: [Int] = []
        var position = 0
        for slot in 0..<1024 {
            starts.append(position)
            while position < forms.count, forms[position].map * 256 + forms[position].opcode == slot {
                position += 1
            }
        }
        starts.append(position)
        lines.append("    static let starts: [UInt16] = [")
        for chunk in stride(from: 0, to: starts.count, by: 16) {
            let part = starts[chunk..<min(chunk + 16, starts.count)].map(String.init)
            lines.append("        " + part.joined(separator: ", ") + ",")
        }
        lines.append("    ]")
        lines.append("    /// Two words a form; the layout is in Form.swift.")
        lines.append("    static let rows: [UInt64] = [")
        for form in forms {
            let (first, second) = pack(form, mnemonics)
            lines.append(
                "        0x\(String(first, radix: 16)), 0x\(String(second, radix: 16)),")
        }
        lines.append("    ]")
        lines.append("}\n")
        return lines.joined(separator: "\n")
    }

    static func pack(_ form: Form, _ mnemonics: [String]) -> (UInt64, UInt64) {
        var first = UInt64(mnemonics.firstIndex(of: form.mnemonic) ?? 0)
        for (index, operand) in form.operands.enumerated() {
            let code = UInt64(OperandSpecification.all.firstIndex(of: operand) ?? 0)
            first |= code << (10 + 7 * UInt64(index))
        }
        first |= UInt64(form.prefix) << 31
        first |= UInt64(form.digit) << 34
        first |= UInt64(form.mod) << 38
        first |= UInt64(form.rm) << 40
        let bits = ["i64", "o64", "d64", "f64", "lock", "priv", "system", "w1"]
        for (index, name) in bits.enumerated() where form.attributes.contains(name) {
            first |= 1 << (44 + UInt64(index))
        }
        if form.hasModRM { first |= 1 << 52 }
        if form.addsRegister { first |= 1 << 53 }
        var second = UInt64(form.written) | UInt64(form.undefined) << 6 | UInt64(form.tested) << 12
        second |= UInt64(form.feature) << 18 | UInt64(form.opcode) << 24 | UInt64(form.map) << 32
        return (first, second)
    }
}
