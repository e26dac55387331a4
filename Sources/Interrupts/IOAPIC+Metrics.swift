internal import HostIO

extension IOAPIC {
    struct Counters: Sendable {
        var messages: UInt64 = 0
        var ends: UInt64 = 0
        var maskedEdges: UInt64 = 0
    }

    /// Messages sent, ends of interrupt heard of, and edges lost behind a mask; each a count.
    public var metrics: [String: UInt64] {
        let counters = registers.withLock { $0.counters }
        return [
            "messages": counters.messages, "endsOfInterrupt": counters.ends,
            "maskedEdges": counters.maskedEdges,
        ]
    }
}
