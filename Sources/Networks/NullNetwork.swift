public import Vocabulary

/// A network with nobody on it: what is sent is lost, nothing is received. It has no thread.
public final class NullNetwork: Network {
    public let name: String
    public let capabilities: NetworkCapabilities
    private let counters = NetworkCounters()

    public init(name: String, mtu: Int = 1500) {
        self.name = name
        capabilities = NetworkCapabilities(mtu: mtu)
    }

    public var statistics: NetworkStatistics { counters.snapshot }
    public func start(sink: any PacketSink, offloads: PacketOffloads) throws(XError) {}
    public func setOffloads(_ offloads: PacketOffloads) {}

    public func send(_ packet: Packet) -> SendOutcome {
        counters.sent.drop()
        return .accepted
    }

    public func resume() {}
    public func stop() {}
}
