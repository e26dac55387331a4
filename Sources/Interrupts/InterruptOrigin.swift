public import Vocabulary

/// Where an interrupt comes from, as latencies are told by.
public struct InterruptSource: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Nobody measures it.
    public static let unknown = InterruptSource(rawValue: 0)
    /// The timer of a local APIC.
    public static let timer = InterruptSource(rawValue: 1)
    /// Another vCPU, or the vCPU itself.
    public static let processor = InterruptSource(rawValue: 2)
    /// A message-signalled interrupt.
    public static let message = InterruptSource(rawValue: 3)
    /// The upcall of a Xen guest's event channels.
    public static let event = InterruptSource(rawValue: 4)
    /// A line of the I/O APIC, 0 to 23.
    public static func line(_ line: Int) -> InterruptSource {
        InterruptSource(rawValue: firstLine &+ UInt8(truncatingIfNeeded: line))
    }

    private static let firstLine: UInt8 = 8
    /// All raw values are below this.
    static let count = Int(firstLine) + IOAPIC.lineCount

    /// The line of the I/O APIC, if it is one.
    public var line: Int? {
        rawValue >= Self.firstLine && Int(rawValue) < Self.count
            ? Int(rawValue &- Self.firstLine) : nil
    }
}

/// What made an interrupt, and when.
public struct InterruptOrigin: Sendable, Equatable {
    public var source: InterruptSource
    /// When the host's event happened; nil: now.
    public var time: Instant?

    public init(_ source: InterruptSource, at time: Instant? = nil) {
        self.source = source
        self.time = time
    }

    public static let unknown = InterruptOrigin(.unknown)
}
