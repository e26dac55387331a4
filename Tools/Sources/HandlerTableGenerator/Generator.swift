import Foundation

/// Writes `IntegerTables.generated.swift`: C function pointers cannot be made in generic code, so each
/// handler is a function that has a generic body with one operation and one width inlined. It has a
/// name because Swift inlines functions that say so, and no closures, into the C function that a
/// pointer points to. There it inlines no C functions, though: what operates with one is a function
/// that the C function jumps to. Usage: `HandlerTableGenerator OUTPUT-DIRECTORY`.
@main
struct Generator {
    static let types = [("8", "UInt8"), ("16", "UInt16"), ("32", "UInt32"), ("64", "UInt64")]

    /// Members of `IntegerTable`.
    private var tables: [String] = []
    private var functions: [String] = []

    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 2 else {
            print("usage: HandlerTableGenerator DIRECTORY")
            exit(64)
        }
        var generator = Generator()
        generator.arithmetic()
        generator.moves()
        let header = [
            "// DO NOT EDIT: made by Tools/HandlerTableGenerator.",
            "// swift-format-ignore-file",
            "",
            "internal import CEngine",
            "",
            "/// Handlers of each width: 8, 16, 32, 64 bits; of memory operands for each `Addressing`.",
            "enum IntegerTable {",
        ]
        let lines = header + generator.tables + ["}", ""] + generator.functions
        let url = URL(fileURLWithPath: arguments[1])
            .appendingPathComponent("IntegerTables.generated.swift")
        try lines.joined(separator: "\n").write(to: url, atomically: true, encoding: .utf8)
    }

    private mutating func arithmetic() {
        for name in ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp", "test"] {
            let writes = name != "cmp" && name != "test"
            // The others are in C as long as the TLB answers.
            let takesCarry = name == "adc" || name == "sbb"
            for shape in ["registerRegister", "registerImmediate"] where takesCarry {
                table("\(name)_\(shape)") { bits, _ in
                    "\(shape)(cpu, op, writes: \(writes), integer_\(name)\(bits))"
                }
            }
            for shape in ["registerMemory", "memoryRegister", "memoryImmediate"] {
                memoryTable("\(name)_\(shape)", shape, isSlow: !takesCarry) { bits, _ in
                    "writes: \(writes), integer_\(name)\(bits)"
                }
            }
            if writes {
                table("\(name)_locked") { bits, _ in
                    "lockedOperation(cpu, op, integer_compare_exchange\(bits), "
                        + "integer_\(name)\(bits))"
                }
            }
        }
        for name in ["inc", "dec", "neg", "not"] {
            table("\(name)_unaryRegister") { bits, _ in
                "unaryRegister(cpu, op, integer_\(name)\(bits))"
            }
            memoryTable("\(name)_unaryMemory", "unaryMemory") { bits, _ in
                "integer_\(name)\(bits)"
            }
            table("\(name)_locked") { bits, _ in
                "lockedOperation(cpu, op, integer_compare_exchange\(bits), "
                    + "{ a, _, f in unsafe integer_\(name)\(bits)(a, f) })"
            }
        }
        for name in ["rol", "ror", "rcl", "rcr", "shl", "shr", "sar"] {
            for shape in ["shiftRegister", "shiftMemory"] {
                table("\(name)_\(shape)") { bits, _ in
                    "\(shape)(cpu, op, integer_\(name)\(bits))"
                }
            }
        }
    }

    private mutating func moves() {
        for shape in ["moveRegister", "moveImmediate"] {
            table("\(shape)Rows") { _, type in "\(shape)(cpu, op, as: \(type).self)" }
        }
        for shape in ["moveLoad", "moveStore", "moveStoreImmediate"] {
            memoryTable("\(shape)Rows", shape) { _, type in "as: \(type).self" }
        }
        for (name, from) in [
            ("zero8", "UInt8"), ("zero16", "UInt16"), ("sign8", "Int8"), ("sign16", "Int16"),
            ("sign32", "Int32"),
        ] {
            table("\(name)_extendRegister") { _, type in
                "extendRegister(cpu, op, \(from).self, \(type).self)"
            }
            memoryTable("\(name)_extendLoad", "extendLoad") { _, type in
                "\(from).self, \(type).self"
            }
        }
        for (bits, type) in Self.types.dropFirst() {
            let name = "cmov\(bits)"
            begin(name)
            for code in 0..<16 {
                handler(
                    "\(name)_\(code)",
                    "conditionalMove(cpu, op, as: \(type).self, "
                        + "condition\(code)(flags: cpu.pointee.statusFlags))")
            }
            end()
        }
    }

    /// One handler for each width.
    private mutating func table(_ name: String, _ body: (String, String) -> String) {
        begin(name)
        for (bits, type) in Self.types { handler("\(name)_\(bits)", body(bits, type)) }
        end()
    }

    /// The rows of `Addressing`, one handler for each width; `isSlow`: the last row alone.
    private mutating func memoryTable(
        _ name: String, _ shape: String, isSlow: Bool = false,
        _ arguments: (String, String) -> String
    ) {
        begin(name)
        for addressing in isSlow ? [] : ["simple", "plain"] {
            for (bits, type) in Self.types {
                handler(
                    "\(name)_\(bits)_\(addressing)",
                    "\(shape)(cpu, op, \(addressing)Address(cpu, op), \(arguments(bits, type)), "
                        + "slow: \(name)_\(bits)_slow)")
            }
        }
        for (bits, type) in Self.types {
            handler(
                "\(name)_\(bits)_slow", "\(shape)Slowly(cpu, op, \(arguments(bits, type)))",
                isSlow: true)
        }
        end()
    }

    private mutating func begin(_ name: String) {
        tables.append("    static let \(name): [InstructionHandler] = unsafe [")
    }

    private mutating func end() { tables.append("    ]") }

    /// An element of the table that has been begun.
    private mutating func handler(_ name: String, _ body: String, isSlow: Bool = false) {
        tables.append("        \(name),")
        let inline = isSlow || body.contains("integer_") ? "never" : "__always"
        functions.append(
            "@inline(\(inline)) private func \(name)(_ cpu: CPU, _ op: Op) -> Next { unsafe \(body) }"
        )
    }
}
