import Foundation

/// What one run of a side showed: collected line by line from its console.
public struct Observation: Sendable, Equatable {
    /// A number that a program printed.
    public struct Value: Sendable, Equatable {
        public var number: Double
        public var unit: String
    }

    /// The same stretch of time by the guest's CLOCK_MONOTONIC and by the host's.
    public struct Stretch: Sendable, Equatable {
        public var guestSeconds: Double
        public var hostSeconds: Double
    }

    /// Seconds of the host from the start of the process to the guest's first user command.
    public private(set) var secondsToFirstCommand: Double?
    public private(set) var values: [String: Value] = [:]
    public private(set) var stretches: [String: Stretch] = [:]
    /// Rows whose programs ended badly, with the last line they printed.
    public private(set) var failures: [String: String] = [:]
    /// True once the guest said that there is no more.
    public private(set) var isComplete = false

    private var began: (row: String, guest: Double, host: Double)?
    private var lastLine = ""

    /// The row that has begun and not ended.
    public var rowInProgress: String? { began?.row }

    public init() {}

    public static func == (left: Observation, right: Observation) -> Bool {
        left.secondsToFirstCommand == right.secondsToFirstCommand && left.values == right.values
            && left.stretches == right.stretches && left.failures == right.failures
            && left.isComplete == right.isComplete
    }

    /// Takes a line of the console.
    ///
    /// - Parameters:
    ///   - line: without its end.
    ///   - seconds: the host's clock when it came, from the start of the process.
    public mutating func take(_ line: some StringProtocol, at seconds: Double) {
        // The kernel's console may have put words before ours.
        let words: [Substring]
        if let mark = line.range(of: Self.mark) {
            words = Substring(line[mark.upperBound...]).split(whereSeparator: \.isWhitespace)
        } else {
            takeResult(line)
            return
        }
        switch words.first {
        case "up": if secondsToFirstCommand == nil { secondsToFirstCommand = seconds }
        case "begin":
            guard words.count == 3, let time = UInt64(words[2]) else { return }
            began = (String(words[1]), Double(time) / 1e9, seconds)
        case "end":
            guard words.count == 4, let time = UInt64(words[2]), let began,
                began.row == words[1]
            else { return }
            stretches[began.row] = Stretch(
                guestSeconds: Double(time) / 1e9 - began.guest, hostSeconds: seconds - began.host)
            if words[3] != "0" || values[began.row] == nil {
                values[began.row] = nil
                failures[began.row] = "status \(words[3]), '\(lastLine)'"
            }
            self.began = nil
        case "done": isComplete = true
        default: break
        }
    }

    private mutating func takeResult(_ line: some StringProtocol) {
        guard let began else { return }
        lastLine = String(line)
        let words = Substring(line).split(whereSeparator: \.isWhitespace)
        guard words.count == 3, words[0] == began.row, let number = Double(words[1]), number > 0
        else { return }
        values[began.row] = Value(number: number, unit: String(words[2]))
    }

    /// What the guest's scripts put before their own words.
    public static let mark = "bench: "
}
