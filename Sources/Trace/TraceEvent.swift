/// A number that says more about an event. The name is a literal.
public struct TraceArgument: Sendable {
    var name: StaticString
    var value: UInt64
    /// The value is the number of a `TraceLabel`.
    var isLabel: Bool

    public init(_ name: StaticString, _ value: UInt64) {
        self.name = name
        self.value = value
        isLabel = false
    }

    public init(_ name: StaticString, _ label: TraceLabel) {
        self.name = name
        value = UInt64(label.number)
        isLabel = true
    }
}

/// A text that is known only when the machine is put together, e.g. the name of a device.
public struct TraceLabel: Sendable, Hashable {
    let number: UInt32

    /// What tracing that is off gives.
    public static let none = TraceLabel(number: 0)
}

/// One event, by value: recording it takes no lock and allocates nothing.
public struct TraceEvent: Sendable {
    /// What kind of thing happened; Perfetto filters by it.
    public enum Category: UInt8, Sendable {
        case schedule, yield, interrupt, exit
    }

    var name: StaticString
    var category: Category
    /// Nanoseconds of CLOCK_MONOTONIC.
    var start: UInt64
    /// In nanoseconds; nil for what happens at one moment.
    var duration: UInt64?
    var first: TraceArgument?
    var second: TraceArgument?

    /// Something that takes time, from `start` to `end` in nanoseconds of CLOCK_MONOTONIC.
    public static func slice(
        _ name: StaticString, _ category: Category, from start: UInt64, to end: UInt64,
        _ first: TraceArgument? = nil, _ second: TraceArgument? = nil
    ) -> TraceEvent {
        TraceEvent(
            name: name, category: category, start: start, duration: end > start ? end - start : 0,
            first: first, second: second)
    }

    /// Something that happens at one moment, in nanoseconds of CLOCK_MONOTONIC.
    public static func instant(
        _ name: StaticString, _ category: Category, at time: UInt64,
        _ first: TraceArgument? = nil, _ second: TraceArgument? = nil
    ) -> TraceEvent {
        TraceEvent(
            name: name, category: category, start: time, duration: nil, first: first,
            second: second)
    }
}
