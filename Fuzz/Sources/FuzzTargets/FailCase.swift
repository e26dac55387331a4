/// A case as a file: lines of hexadecimal, `#` before what is said about it.
///
/// Its name begins with its target's: `guest-0123456789abcdef.case`.
public struct FailCase: Sendable, Equatable {
    public var targetName: String
    public var bytes: [UInt8]
    public var remarks: [String]

    public init(targetName: String, bytes: [UInt8], remarks: [String] = []) {
        self.targetName = targetName
        self.bytes = bytes
        self.remarks = remarks
    }

    /// Nil if the text is no such file.
    public init?(fileName: String, text: String) {
        guard fileName.hasSuffix(".case"), let name = fileName.split(separator: "-").first
        else { return nil }
        targetName = String(name)
        bytes = []
        remarks = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("#") {
                remarks.append(String(line.dropFirst(2)))
                continue
            }
            for pair in line.split(separator: " ") {
                guard let byte = UInt8(pair, radix: 16) else { return nil }
                bytes.append(byte)
            }
        }
    }

    /// FNV-1a of the bytes, so that one case is one file.
    public var fileName: String {
        let hash = bytes.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01b3
        }
        let digits = String(hash, radix: 16)
        return "\(targetName)-" + String(repeating: "0", count: 16 - digits.count) + digits
            + ".case"
    }

    public var text: String {
        var lines = remarks.map { "# " + $0 }
        for start in stride(from: 0, to: bytes.count, by: 32) {
            lines.append(hexadecimal(bytes[start..<min(bytes.count, start + 32)]))
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
