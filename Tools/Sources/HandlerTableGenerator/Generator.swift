import Foundation

/// Writes `IntegerTables.generated.swift`: C function pointers cannot be made in generic code, so each
/// handler is a closure that calls a generic body with one operation and one width. Usage:
/// `HandlerTableGenerator OUTPUT-DIRECTORY`.
@main
struct Generator {
    static let types = [("8", "UInt8"), ("16", "UInt16"), ("32", "UInt32"), ("64", "UInt64")]

    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 2 else {
            print("usage: HandlerTableGenerator DIRECTORY")
            exit(64)
        }
        var lines = [
            "// DO NOT EDIT: made by Tools/HandlerTableGenerator.",
            "// swift-format-ignore-file",
            "",
            "internal import CEngine",
            "",
            "/// Handlers of each width: 8, 16, 32, 64 bits.",
            "enum IntegerTable {",
        ]
        for name in ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp", "test"] {
            let writes = name != "cmp" && name != "test"
            for shape in [
                "registerRegister", "registerImmediate", "registerMemory", "memoryRegister",
                "memoryImmediate",
            ] {
                table("\(name)_\(shape)", &lines) { bits, _ in
                    "unsafe \(shape)($0, $1, writes: \(writes), integer_\(name)\(bits))"
                }
            }
            if writes {
                table("\(name)_locked", &lines) { bits, _ in
                    "unsafe lockedOperation($0, $1, integer_compare_exchange\(bits), "
                        + "integer_\(name)\(bits))"
                }
            }
        }
        for name in ["inc", "dec", "neg", "not"] {
            for shape in ["unaryRegister", "unaryMemory"] {
                table("\(name)_\(shape)", &lines) { bits, _ in
                    "unsafe \(shape)($0, $1, integer_\(name)\(bits))"
                }
            }
            table("\(name)_locked", &lines) { bits, _ in
                "unsafe lockedOperation($0, $1, integer_compare_exchange\(bits), "
                    + "{ a, _, f in unsafe integer_\(name)\(bits)(a, f) })"
            }
        }
        for name in ["rol", "ror", "rcl", "rcr", "shl", "shr", "sar"] {
            for shape in ["shiftRegister", "shiftMemory"] {
                table("\(name)_\(shape)", &lines) { bits, _ in
                    "unsafe \(shape)($0, $1, integer_\(name)\(bits))"
                }
            }
        }
        for shape in [
            "moveRegister", "moveImmediate", "moveLoad", "moveStore", "moveStoreImmediate",
        ] {
            table("\(shape)Rows", &lines) { _, type in "unsafe \(shape)($0, $1, as: \(type).self)" }
        }
        for (name, from) in [
            ("zero8", "UInt8"), ("zero16", "UInt16"), ("sign8", "Int8"), ("sign16", "Int16"),
            ("sign32", "Int32"),
        ] {
            for shape in ["extendRegister", "extendLoad"] {
                table("\(name)_\(shape)", &lines) { _, type in
                    "unsafe \(shape)($0, $1, \(from).self, \(type).self)"
                }
            }
        }
        for (bits, type) in types.dropFirst() {
            lines.append("    static let cmov\(bits): [InstructionHandler] = unsafe [")
            for code in 0..<16 {
                lines.append(
                    "        { unsafe conditionalMove($0, $1, as: \(type).self, "
                        + "condition\(code)(flags: $0.pointee.statusFlags)) },")
            }
            lines.append("    ]")
        }
        lines.append("}")
        lines.append("")
        let url = URL(fileURLWithPath: arguments[1])
            .appendingPathComponent("IntegerTables.generated.swift")
        try lines.joined(separator: "\n").write(to: url, atomically: true, encoding: .utf8)
    }

    static func table(
        _ name: String, _ lines: inout [String], _ body: (String, String) -> String
    ) {
        lines.append("    static let \(name): [InstructionHandler] = unsafe [")
        for (bits, type) in types { lines.append("        { \(body(bits, type)) },") }
        lines.append("    ]")
    }
}
