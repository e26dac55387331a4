import Foundation

/// Numbers of bytes as people write and read them. Units are powers of 1024: G, GB and GiB are the same.
enum ByteSize {
    private static let units = ["K", "M", "G", "T", "P", "E"]

    /// Reads `10G`. nil: that is no number, or one with more than 64 bits.
    ///
    /// - Parameter plainShift: what a number without a unit counts, as a power of two.
    static func byteCount(_ text: String, plainShift: UInt64) -> UInt64? {
        var digits = Substring(text.uppercased())
        if digits.hasSuffix("IB") {
            digits.removeLast(2)
        } else if digits.hasSuffix("B") {
            digits.removeLast()
        }
        var shift = plainShift
        if let last = digits.last, !last.isNumber {
            guard let index = units.firstIndex(of: String(last)) else { return nil }
            shift = UInt64(index + 1) * 10
            digits.removeLast()
        }
        guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }),
            let number = UInt64(digits)
        else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        return overflow ? nil : bytes
    }

    /// `10 GiB (10737418240 bytes)`, with one decimal.
    static func text(_ byteCount: UInt64) -> String {
        if byteCount < 1024 { return "\(byteCount) bytes" }
        var value = Double(byteCount) / 1024
        var unit = 0
        // From here on one decimal would be rounded to 1024.
        while value >= 1023.95, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        let number = String(format: "%.1f", value)
        let short = number.hasSuffix(".0") ? String(number.dropLast(2)) : number
        return "\(short) \(units[unit])iB (\(byteCount) bytes)"
    }
}
