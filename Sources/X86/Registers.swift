/// Names of registers, as assemblers write them.
public enum Registers {
    private static let bytes = ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"]
    private static let words = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"]
    private static let highBytes = ["ah", "ch", "dh", "bh"]
    private static let segments = ["es", "cs", "ss", "ds", "fs", "gs"]

    /// A general-purpose register of 1, 2, 4 or 8 bytes; number 0 to 15.
    public static func general(_ number: UInt8, byteCount: UInt8) -> String {
        let position = Int(number & 15)
        if position >= 8 {
            switch byteCount {
            case 1: return "r\(position)b"
            case 2: return "r\(position)w"
            case 4: return "r\(position)d"
            default: return "r\(position)"
            }
        }
        switch byteCount {
        case 1: return bytes[position]
        case 2: return words[position]
        case 4: return "e" + words[position]
        default: return "r" + words[position]
        }
    }

    /// A segment register; `?` beyond GS.
    public static func segment(_ number: UInt8) -> String {
        Int(number) < segments.count ? segments[Int(number)] : "?"
    }

    /// Any register operand. `byteCount` matters for general-purpose registers only.
    public static func name(_ file: RegisterFile, _ number: UInt8, byteCount: UInt8) -> String {
        switch file {
        case .general: general(number, byteCount: byteCount)
        case .highByte: highBytes[Int(number & 3)]
        case .segment: segment(number)
        case .control: "cr\(number)"
        case .debug: "dr\(number)"
        case .mmx: "mm\(number)"
        case .xmm: "xmm\(number)"
        case .ymm: "ymm\(number)"
        case .st: "st(\(number))"
        }
    }
}
