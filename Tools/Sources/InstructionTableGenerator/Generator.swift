import Foundation

/// Reads `x86.table`, writes the generated sources of the X86 room and, beside it, the cores of
/// CEngine and SoftwareCPU. Usage: `InstructionTableGenerator TABLE OUTPUT-DIRECTORY [--check]`. With `--check` nothing is written,
/// and it fails if a file would change.
@main
struct Generator {
    static func main() throws {
        let arguments = CommandLine.arguments
        let isCheck = arguments.count == 4 && arguments[3] == "--check"
        guard arguments.count == 3 || isCheck else {
            throw TableError(
                description: "usage: InstructionTableGenerator TABLE DIRECTORY [--check]")
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
            let left = (a.element.slot, -a.element.specificity, a.offset)
            let right = (b.element.slot, -b.element.specificity, b.offset)
            return left < right
        }.map(\.element)
        let mnemonics = Array(Set(sorted.map(\.mnemonic))).sorted()
        let directory = URL(fileURLWithPath: arguments[2])
        let sources = [
            ("Mnemonic.generated.swift", mnemonicSource(mnemonics)),
            ("FormTable.generated.swift", tableSource(sorted, mnemonics, checksum(text))),
            ("../CEngine/Cores.generated.S", coreSource(sorted)),
            ("../SoftwareCPU/CoreTable.generated.swift", coreTableSource(sorted)),
        ]
        for (name, source) in sources {
            if isCheck {
                try check(source, directory, name)
            } else {
                try write(source, directory, name)
            }
        }
    }

    static let header = """
        // DO NOT EDIT: made by Tools/InstructionTableGenerator from Tools/InstructionTable/x86.table.
        // swift-format-ignore-file

        """

    /// FNV-1a of the table's bytes: a test compares it with the table's own.
    static func checksum(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    static func check(_ source: String, _ directory: URL, _ name: String) throws {
        let file = directory.appendingPathComponent(name)
        guard try String(contentsOf: file, encoding: .utf8) == source else {
            throw TableError(description: "\(file.path) is out of date: run the generator")
        }
    }

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

    static func tableSource(
        _ forms: [Form], _ mnemonics: [String], _ checksum: UInt64
    ) -> String {
        var lines = [header]
        lines.append("enum FormTable {")
        lines.append("    /// FNV-1a of the table these rows were made from.")
        lines.append("    static let checksum: UInt64 = 0x\(String(checksum, radix: 16))")
        lines.append("    static let count = \(forms.count)")
        lines.append(
            "    /// First form of each opcode of each map; the last entry ends the last opcode.")
        var starts: [Int] = []
        var position = 0
        for slot in 0..<2048 {
            starts.append(position)
            while position < forms.count, forms[position].slot == slot { position += 1 }
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
        let operands = form.operands.map {
            UInt64(OperandSpecification.all.firstIndex(of: $0) ?? 0)
        }
        for (index, code) in operands.prefix(3).enumerated() {
            first |= code << (10 + 7 * UInt64(index))
        }
        first |= UInt64(form.prefix) << 31
        first |= UInt64(form.digit) << 34
        first |= UInt64(form.mod) << 38
        first |= UInt64(form.rm) << 40
        for (index, name) in attributes.enumerated() where form.attributes.contains(name) {
            first |= 1 << (44 + UInt64(index))
        }
        if form.hasModRM { first |= 1 << 52 }
        if form.addsRegister { first |= 1 << 53 }
        var second = UInt64(form.written) | UInt64(form.undefined) << 6 | UInt64(form.tested) << 12
        second |= UInt64(form.feature) << 18 | UInt64(form.opcode) << 24 | UInt64(form.map) << 32
        if form.isVEX { second |= 1 << 34 }
        if operands.count > 3 { second |= operands[3] << 35 }
        for (index, name) in vectorAttributes.enumerated() where form.attributes.contains(name) {
            second |= 1 << (42 + UInt64(index))
        }
        return (first, second)
    }
}
