internal import Vocabulary

/// Options that are taken out of a text with commas between them; what is left is somebody else's to
/// read. `,,` stands for a comma and parts nothing.
struct TakenOptions {
    /// The text without what was taken.
    private(set) var rest = ""
    private var values: [String: String] = [:]

    /// - Parameter keys: names of options that are `NAME=VALUE`.
    init(_ text: String, taking keys: Set<String>) throws(XError) {
        var kept: [String] = []
        for part in Self.parts(text) {
            let pieces = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let key = String(pieces[0])
            // What comes first is a path or a kind.
            guard !kept.isEmpty, pieces.count == 2, keys.contains(key) else {
                kept.append(part)
                continue
            }
            guard values.updateValue(String(pieces[1]), forKey: key) == nil else {
                throw XError(.invalidArgument, "'\(text)' says '\(key)' twice: say it once")
            }
        }
        rest = kept.joined(separator: ",")
    }

    private static func parts(_ text: String) -> [String] {
        var parts = [""]
        var left = text[...]
        while let character = left.popFirst() {
            if character != "," {
                parts[parts.count - 1].append(character)
            } else if left.first == "," {
                left.removeFirst()
                parts[parts.count - 1] += ",,"
            } else {
                parts.append("")
            }
        }
        return parts
    }

    func text(_ key: String) -> String? { values[key] }

    /// `on` or `off`, else the default.
    func flag(_ key: String, _ value: inout Bool) throws(XError) {
        switch values[key] {
        case nil: break
        case "on": value = true
        case "off": value = false
        case let other?:
            throw XError(.invalidArgument, "\(key)=\(other): write \(key)=on or \(key)=off")
        }
    }

    func number(_ key: String, in range: ClosedRange<Int>) throws(XError) -> Int? {
        guard let text = values[key] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw XError(
                .invalidArgument,
                "\(key)=\(text): give a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A number of percent as a probability.
    func probability(_ key: String) throws(XError) -> Double? {
        guard let text = values[key] else { return nil }
        guard let number = Double(text), (0...100).contains(number) else {
            throw XError(.invalidArgument, "\(key)=\(text): give percent, 0 to 100")
        }
        return number / 100
    }
}
