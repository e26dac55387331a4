/// One line of the table, parsed.
struct Form {
    var map = 0
    var opcode = 0
    var prefix = 0
    var digit = 8
    var mod = 0
    var rm = 8
    var addsRegister = false
    var mnemonic = ""
    var operands: [String] = []
    var attributes: Set<String> = []
    var written = 0
    var undefined = 0
    var tested = 0
    var feature = 0
    /// Encoded by VEX.
    var isVEX = false

    /// The opcode map as the rows number it: 4 added for VEX.
    var slot: Int { (map + (isVEX ? 4 : 0)) * 256 + opcode }

    /// More conditions first: the decoder takes the first form that fits.
    var specificity: Int {
        (rm != 8 ? 8 : 0) + (digit != 8 ? 4 : 0) + (mod != 0 ? 2 : 0) + (prefix > 1 ? 2 : 0)
            + (prefix == 1 ? 1 : 0) + (attributes.contains("w1") ? 1 : 0)
    }

    var hasModRM: Bool {
        digit != 8 || mod != 0
            || operands.contains { OperandSpecification.modRM.contains($0) }
    }
}

/// The operand letters of the table, in the order of their numbers in the packed rows.
enum OperandSpecification {
    static let all = [
        "-", "Eb", "Ew", "Ed", "Ev", "Ey", "Gb", "Gw", "Gd", "Gq", "Gv", "Gy", "M", "Mw", "Md",
        "Mq", "Mo", "Mt", "Mp", "Ma", "My", "Ib", "Iw", "Iz", "Iv", "Is", "Jb", "Jz", "Ap", "Ob",
        "Ov", "Zb", "Zv", "AL", "AX", "rAX", "eAX", "DX", "CL", "Sw", "Cd", "Dd", "Rd", "Rv", "Ry",
        "Rq", "Rdw", "Rdb", "P", "Q", "Qd", "N", "V", "W", "Wq", "Wd", "Ww", "U", "XMM0", "ST0",
        "STi", "Xb", "Xv", "Xz", "Yb", "Yv", "Yz", "ES", "CS", "SS", "DS", "FS", "GS",
        "By", "H", "Hx", "Vx", "Wx", "Wh", "Wf", "We", "Wb", "Ux", "L", "Mv", "Mgx", "Mgv",
    ]

    /// Those that stand in the ModRM byte.
    static let modRM: Set<String> = [
        "Eb", "Ew", "Ed", "Ev", "Ey", "Gb", "Gw", "Gd", "Gq", "Gv", "Gy", "M", "Mw", "Md", "Mq",
        "Mo", "Mt", "Mp", "Ma", "My", "Sw", "Cd", "Dd", "Rd", "Rv", "Ry", "Rq", "Rdw", "Rdb", "P",
        "Q", "Qd", "N", "V", "W", "Wq", "Wd", "Ww", "U", "STi", "Vx", "Wx", "Wh", "Wf", "We", "Wb",
        "Ux", "Mv", "Mgx", "Mgv",
    ]
}

/// CPUID features that forms may name, in the order of their numbers.
let features = [
    "", "xsave", "rdtscp", "fsgsbase", "rdrand", "rdpid", "aes", "pclmulqdq",
    "lzcnt", "bmi1", "bmi2", "movbe", "adx", "sha", "avx", "fma", "f16c", "vaes", "vpclmulqdq",
]

/// What a form may be besides its encoding, in the order of their bits.
let attributes = ["i64", "o64", "d64", "f64", "lock", "priv", "system", "w1"]
/// The same for forms encoded by VEX.
let vectorAttributes = ["w0", "l0", "l1", "lig", "fp"]

struct TableError: Error, CustomStringConvertible {
    var description: String
}

func flagMask(_ letters: Substring) throws -> Int {
    var mask = 0
    for letter in letters {
        guard let index = Array("cpazso").firstIndex(of: letter) else {
            throw TableError(description: "unknown flag \(letter)")
        }
        mask |= 1 << index
    }
    return mask
}

/// The lines that stand for a group.
func expandDirectives(_ line: String) -> [String] {
    let fields = line.split(separator: " ").map(String.init)
    let all = "oszapc"
    switch fields[0] {
    case "@alu":
        let names = ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"]
        return names.enumerated().flatMap { index, name in
            let base = index * 8
            let lock = name == "cmp" ? "" : " lock"
            let tested = name == "adc" || name == "sbb" ? " t=c" : ""
            let undefined = ["or", "and", "xor"].contains(name) ? " u=a" : ""
            let tail = " w=\(all)\(undefined)\(tested)"
            let hex = { (value: Int) in (value < 16 ? "0" : "") + String(value, radix: 16) }
            return [
                "\(hex(base)) \(name) Eb,Gb\(lock)\(tail)",
                "\(hex(base + 1)) \(name) Ev,Gv\(lock)\(tail)",
                "\(hex(base + 2)) \(name) Gb,Eb\(tail)",
                "\(hex(base + 3)) \(name) Gv,Ev\(tail)",
                "\(hex(base + 4)) \(name) AL,Ib\(tail)",
                "\(hex(base + 5)) \(name) rAX,Iz\(tail)",
                "80/\(index) \(name) Eb,Ib\(lock)\(tail)",
                "81/\(index) \(name) Ev,Iz\(lock)\(tail)",
                "82/\(index) \(name) Eb,Ib i64\(lock)\(tail)",
                "83/\(index) \(name) Ev,Is\(lock)\(tail)",
            ]
        }
    case "@shift":
        let names = ["rol", "ror", "rcl", "rcr", "shl", "shr", "shl", "sar"]
        return names.enumerated().flatMap { index, name in
            let rotates = index < 4
            let tail =
                rotates
                ? " w=oc u=o" + (index >= 2 ? " t=c" : "") : " w=\(all) u=oa"
            return [
                "c0/\(index) \(name) Eb,Ib\(tail)", "c1/\(index) \(name) Ev,Ib\(tail)",
                "d0/\(index) \(name) Eb\(tail)", "d1/\(index) \(name) Ev\(tail)",
                "d2/\(index) \(name) Eb,CL\(tail)", "d3/\(index) \(name) Ev,CL\(tail)",
            ]
        }
    case "@ps":
        return [
            "np:0f\(fields[1]) \(fields[2])ps V,W", "66:0f\(fields[1]) \(fields[2])pd V,W",
            "f3:0f\(fields[1]) \(fields[2])ss V,Wd", "f2:0f\(fields[1]) \(fields[2])sd V,Wq",
        ]
    case "@mmx":
        let narrow = fields.count > 3 ? fields[3] : "Q"
        return [
            "np:0f\(fields[1]) \(fields[2]) P,\(narrow)", "66:0f\(fields[1]) \(fields[2]) V,W",
        ]
    default:
        return expandVectorDirectives(line, fields)
    }
}

/// Groups of forms encoded by VEX.
private func expandVectorDirectives(_ line: String, _ fields: [String]) -> [String] {
    switch fields[0] {
    case "@v":
        return ["vex:66:0f\(fields[1]) \(fields[2]) V,H,W feature=avx"]
    case "@vps", "@vpu":
        let packed = fields[0] == "@vps" ? "V,H,W" : "V,W"
        let tail = "fp feature=avx"
        return [
            "vex:np:0f\(fields[1]) \(fields[2])ps \(packed) \(tail)",
            "vex:66:0f\(fields[1]) \(fields[2])pd \(packed) \(tail)",
            "vex:f3:0f\(fields[1]) \(fields[2])ss Vx,Hx,Wd lig \(tail)",
            "vex:f2:0f\(fields[1]) \(fields[2])sd Vx,Hx,Wq lig \(tail)",
        ]
    case "@fma":
        // Six pairs of packed and scalar forms behind two that are only packed, in three orders.
        let operations = ["madd", "msub", "nmadd", "nmsub"]
        return [(0x90, "132"), (0xa0, "213"), (0xb0, "231")].flatMap { base, order in
            func line(_ opcode: Int, _ name: String, _ operands: String, _ wide: Bool) -> String {
                "vex:66:0f38\(String(base + opcode, radix: 16)) vf\(name) \(operands) "
                    + "\(wide ? "w1" : "w0") fp feature=fma"
            }
            var lines: [String] = []
            for (opcode, name) in [(6, "maddsub"), (7, "msubadd")] {
                lines.append(line(opcode, name + order + "ps", "V,H,W", false))
                lines.append(line(opcode, name + order + "pd", "V,H,W", true))
            }
            for (index, name) in operations.enumerated() {
                let opcode = 8 + 2 * index
                lines.append(line(opcode, name + order + "ps", "V,H,W", false))
                lines.append(line(opcode, name + order + "pd", "V,H,W", true))
                lines.append(line(opcode + 1, name + order + "ss", "Vx,Hx,Wd lig", false))
                lines.append(line(opcode + 1, name + order + "sd", "Vx,Hx,Wq lig", true))
            }
            return lines
        }
    default:
        return [line]
    }
}

func parse(_ line: String) throws -> [Form] {
    let fields = line.split(separator: " ").map(String.init)
    guard fields.count >= 2 else { throw TableError(description: "too few columns: \(line)") }
    var form = Form()
    var key = Substring(fields[0])
    if key.hasPrefix("vex:") {
        form.isVEX = true
        key = key.dropFirst(4)
    }
    for (number, name) in ["np", "66", "f3", "f2"].enumerated() where key.hasPrefix(name + ":") {
        form.prefix = number + 1
        key = key.dropFirst(3)
        break
    }
    if let colon = key.firstIndex(of: ":") {
        let restriction = key[key.index(after: colon)...]
        form.mod = restriction.first == "m" ? 1 : 2
        if restriction.count == 2, let value = Int(String(restriction.dropFirst())) {
            form.rm = value
        }
        key = key[..<colon]
    }
    if let slash = key.firstIndex(of: "/") {
        form.digit = Int(String(key[key.index(after: slash)...])) ?? 8
        key = key[..<slash]
    }
    var repeats = 1
    if key.hasSuffix("+cc") {
        key = key.dropLast(3)
        repeats = 16
    } else if key.hasSuffix("+r") {
        key = key.dropLast(2)
        repeats = 8
        form.addsRegister = true
    }
    for (map, escape) in [(3, "0f3a"), (2, "0f38"), (1, "0f")]
    where key.hasPrefix(escape) && key.count > escape.count {
        form.map = map
        key = key.dropFirst(escape.count)
        break
    }
    guard let opcode = Int(String(key), radix: 16), opcode < 256 else {
        throw TableError(description: "bad opcode in: \(line)")
    }
    form.mnemonic = fields[1]
    var rest = fields.dropFirst(2)
    if let operands = rest.first,
        operands == "-"
            || operands.split(separator: ",").allSatisfy({
                OperandSpecification.all.contains(String($0))
            })
    {
        if operands != "-" { form.operands = operands.split(separator: ",").map(String.init) }
        rest = rest.dropFirst()
    }
    // A memory operand by its letter leaves out registers.
    if form.mod == 0, form.operands.contains(where: { $0.first == "M" }) { form.mod = 1 }
    for attribute in rest {
        if attribute.hasPrefix("w=") {
            form.written = try flagMask(attribute.dropFirst(2))
        } else if attribute.hasPrefix("u=") {
            form.undefined = try flagMask(attribute.dropFirst(2))
        } else if attribute.hasPrefix("t=") {
            form.tested = try flagMask(attribute.dropFirst(2))
        } else if attribute.hasPrefix("feature=") {
            guard let index = features.firstIndex(of: String(attribute.dropFirst(8))) else {
                throw TableError(description: "unknown feature in: \(line)")
            }
            form.feature = index
        } else if (attributes + vectorAttributes).contains(attribute) {
            form.attributes.insert(attribute)
        } else {
            throw TableError(description: "unknown attribute \(attribute) in: \(line)")
        }
    }
    return (0..<repeats).map { step in
        var copy = form
        copy.opcode = opcode + step
        return copy
    }
}
