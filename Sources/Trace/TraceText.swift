/// Events as the Trace Event Format has them: JSON objects that Perfetto and chrome://tracing read.
struct TraceText {
    private(set) var bytes: [UInt8] = []

    /// An event on the row `thread` of `process`. Times count from `origin`.
    init(
        _ event: TraceEvent, process: Int, thread: Int, origin: UInt64, labels: [String]
    ) {
        begin(event.duration == nil ? "i" : "X", process, thread)
        text(",\"name\":")
        quote(event.name)
        text(",\"cat\":\"")
        text(event.category.name)
        text("\",\"ts\":")
        microseconds(event.start > origin ? event.start - origin : 0)
        if let duration = event.duration {
            text(",\"dur\":")
            microseconds(duration)
        } else {
            text(",\"s\":\"t\"")
        }
        if let first = event.first {
            text(",\"args\":{")
            argument(first, labels)
            if let second = event.second {
                text(",")
                argument(second, labels)
            }
            text("}")
        }
        text("}")
    }

    /// What a row or a group of rows is called: `name` is `thread_name` or `process_name`.
    init(metadata name: StaticString, process: Int, thread: Int, value: String) {
        begin("M", process, thread)
        text(",\"name\":\"")
        text(name)
        text("\",\"args\":{\"name\":")
        quote(value)
        text("}}")
    }

    /// The place of a row in its group.
    init(sortIndexOfProcess process: Int, thread: Int) {
        begin("M", process, thread)
        text(",\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":")
        number(UInt64(thread))
        text("}}")
    }

    private mutating func begin(_ phase: StaticString, _ process: Int, _ thread: Int) {
        bytes.reserveCapacity(160)
        text("{\"ph\":\"")
        text(phase)
        text("\",\"pid\":")
        number(UInt64(process))
        text(",\"tid\":")
        number(UInt64(thread))
    }

    private mutating func argument(_ argument: TraceArgument, _ labels: [String]) {
        quote(argument.name)
        text(":")
        if argument.isLabel {
            let index = Int(truncatingIfNeeded: argument.value)
            quote(labels.indices.contains(index) ? labels[index] : "")
        } else {
            number(argument.value)
        }
    }

    private mutating func text(_ text: StaticString) {
        text.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    }

    private mutating func number(_ value: UInt64) {
        bytes.append(contentsOf: String(value).utf8)
    }

    /// Nanoseconds as microseconds with three places.
    private mutating func microseconds(_ nanoseconds: UInt64) {
        number(nanoseconds / 1000)
        let rest = nanoseconds % 1000
        let digits = [rest / 100, rest / 10 % 10, rest % 10]
        bytes.append(UInt8(ascii: "."))
        for digit in digits { bytes.append(UInt8(ascii: "0") + UInt8(digit)) }
    }

    private mutating func quote(_ literal: StaticString) {
        text("\"")
        text(literal)
        text("\"")
    }

    /// A JSON string (RFC 8259, 7).
    private mutating func quote(_ value: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes += [UInt8(ascii: "\\"), byte]
            case 0..<0x20: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}

extension TraceEvent.Category {
    var name: StaticString {
        switch self {
        case .schedule: "schedule"
        case .yield: "yield"
        case .interrupt: "interrupt"
        case .exit: "exit"
        }
    }
}
