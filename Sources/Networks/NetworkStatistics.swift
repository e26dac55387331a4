internal import Synchronization

/// What a network counted since it was made.
public struct NetworkStatistics: Codable, Sendable, Hashable {
    public struct Direction: Codable, Sendable, Hashable {
        /// Packets that were passed on, each before it is segmented.
        public var packets: UInt64 = 0
        /// Bytes of these packets, Ethernet headers included.
        public var bytes: UInt64 = 0
        /// Packets lost because there was no room, or nobody to take them.
        public var drops: UInt64 = 0
        /// Packets refused because they were malformed, or the host failed.
        public var errors: UInt64 = 0

        public init() {}
    }

    /// From the guest to the network.
    public var sent = Direction()
    /// From the network to the guest.
    public var received = Direction()
    /// How often the guest had to wait with sending.
    public var sendWaits: UInt64 = 0
    /// How often the network had to wait because the guest did not receive.
    public var receiveWaits: UInt64 = 0

    public init() {}
}

/// The counters behind `NetworkStatistics`. Any thread raises them.
final class NetworkCounters: Sendable {
    struct Direction: ~Copyable {
        let packets = Atomic<UInt64>(0)
        let bytes = Atomic<UInt64>(0)
        let drops = Atomic<UInt64>(0)
        let errors = Atomic<UInt64>(0)

        borrowing func count(_ byteCount: Int) {
            packets.wrappingAdd(1, ordering: .relaxed)
            bytes.wrappingAdd(UInt64(clamping: byteCount), ordering: .relaxed)
        }

        borrowing func drop() { drops.wrappingAdd(1, ordering: .relaxed) }
        borrowing func error() { errors.wrappingAdd(1, ordering: .relaxed) }

        var snapshot: NetworkStatistics.Direction {
            var result = NetworkStatistics.Direction()
            result.packets = packets.load(ordering: .relaxed)
            result.bytes = bytes.load(ordering: .relaxed)
            result.drops = drops.load(ordering: .relaxed)
            result.errors = errors.load(ordering: .relaxed)
            return result
        }
    }

    let sent = Direction()
    let received = Direction()
    let sendWaits = Atomic<UInt64>(0)
    let receiveWaits = Atomic<UInt64>(0)

    var snapshot: NetworkStatistics {
        var result = NetworkStatistics()
        result.sent = sent.snapshot
        result.received = received.snapshot
        result.sendWaits = sendWaits.load(ordering: .relaxed)
        result.receiveWaits = receiveWaits.load(ordering: .relaxed)
        return result
    }
}
