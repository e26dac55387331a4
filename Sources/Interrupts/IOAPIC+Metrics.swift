internal import HostIO

extension IOAPIC {
    struct Counters: Sendable {
        var messages: UInt64 = 0
        var ends: UInt64 = 0
        var maskedEdges: UInt64 = 0
    }

    /// Messages sent, ends of interrupt that a line waited for, and edges lost behind a mask; each
    /// a count.
    public var metrics: [String: UInt64] {
        var sum = Counters()
        for line in lines {
            let counters = line.entry.withLock { $0.counters }
            sum.messages &+= counters.messages
            sum.ends &+= counters.ends
            sum.maskedEdges &+= counters.maskedEdges
        }
        return [
            "messages": sum.messages, "endsOfInterrupt": sum.ends, "maskedEdges": sum.maskedEdges,
        ]
    }
}
