/// Nodes of a XenStore as `xenstore-ls` and `xenstore-read` print them.
enum StoreText {
    /// Of ` = "..."`, what is kept free for a value that is cut.
    private static let tagWidth = 8

    /// A line of `xenstore-ls -f`: the whole path, the whole value. Nil: the node went.
    static func line(_ path: String, _ value: [UInt8]?) -> String {
        path + (value.map { " = \"\(visible($0))\"" } ?? ":")
    }

    /// A line of `xenstore-ls`: a space for each level, the name, the value as far as it has room.
    static func line(_ name: String, _ value: [UInt8]?, depth: Int, width: Int) -> String {
        let start = String(repeating: " ", count: depth) + cut(name, width - tagWidth - depth)
        guard let value else { return start + ":" }
        let room = width - tagWidth - start.utf8.count
        return value.count > room
            ? "\(start) = \"\(cut(visible(value), room))\\...\""
            : "\(start) = \"\(visible(value))\""
    }

    /// As C's printf does: no limit below 0.
    private static func cut(_ text: String, _ width: Int) -> String {
        width < 0 ? text : String(text.prefix(width))
    }

    /// ASCII that shows as itself, all else with a backslash: nothing that a guest writes can do
    /// something to a terminal.
    static func visible(_ value: [UInt8]) -> String {
        var text = ""
        for byte in value {
            switch byte {
            case UInt8(ascii: "\t"): text += "\\t"
            case UInt8(ascii: "\n"): text += "\\n"
            case UInt8(ascii: "\r"): text += "\\r"
            case UInt8(ascii: "\\"): text += "\\\\"
            case 0x20...0x7e: text.unicodeScalars.append(UnicodeScalar(byte))
            case 0..<8: text += "\\00\(byte)"
            default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return text
    }
}
