internal import HostIO
public import Vocabulary

/// Networking with the host's own sockets, without privileges: libslirp.
///
/// The guest is 10.0.2.15 by DHCP, its gateway and the host are 10.0.2.2, the name server is 10.0.2.3;
/// by IPv6 they are in fec0::/64, at ::2 and ::3, as QEMU has them.
///
/// libslirp works on whole frames, one at a time, and a connection of it has 64 KiB under way. So the
/// frames are made large: the guest's go in unsegmented, and the guest's offer of a segment size is
/// raised on its way in, so that libslirp's segments come by tens of kilobytes. They reach the guest as
/// packets to be segmented by the size that it had offered.
public final class UserNetwork: Network {
    public static let network: UInt32 = 0x0a00_0200
    public static let gateway: UInt32 = 0x0a00_0202
    public static let nameServer: UInt32 = 0x0a00_0203
    /// What the first guest gets by DHCP, and published ports lead to.
    public static let guest: UInt32 = 0x0a00_020f

    public let name: String
    public let options: UserNetworkOptions
    public let capabilities: NetworkCapabilities

    private let counters = NetworkCounters()
    private let queue: SendQueue
    private let state: RankedLock<State>

    private struct State: Sendable {
        /// Until the thread takes it over.
        var stack: SlirpStack?
        var thread: HostThread?
        var delivery: PacketDelivery?
    }

    /// - Parameters:
    ///   - name: of the guest's interface.
    ///   - mtu: of the guest's interface: bytes of IP in a frame, 576 to 65521.
    public init(
        name: String, options: UserNetworkOptions = UserNetworkOptions(), mtu: Int = 1500
    ) throws(XError) {
        self.name = name
        self.options = options
        capabilities = NetworkCapabilities(mtu: mtu)
        queue = try SendQueue(owner: name, counters: counters)
        let stack = try SlirpStack(options, mtu: SlirpStack.largestMTU)
        for port in options.publishedPorts { try stack.publish(port) }
        state = RankedLock(State(stack: stack), owner: name, rank: .leaf)
    }

    public var statistics: NetworkStatistics { counters.snapshot }

    public func start(sink: any PacketSink, offloads: PacketOffloads) throws(XError) {
        let stack = state.withLock { state in
            defer { state.stack = nil }
            return state.stack
        }
        guard let stack else {
            throw XError(.busy, "the network \(name) was started before; make another one")
        }
        let delivery = PacketDelivery(
            sink: sink, offloads: offloads, mtu: capabilities.mtu, counters: counters)
        let run = UserNetworkRun(
            stack: stack, queue: queue, delivery: delivery, counters: counters,
            mtu: capabilities.mtu, segmentByteCount: options.segmentByteCount)
        let thread = try HostThread.spawn(name: "net/\(name)") { run.run() }
        state.withLock { state in
            state.thread = thread
            state.delivery = delivery
        }
    }

    public func setOffloads(_ offloads: PacketOffloads) {
        state.withLock { $0.delivery }?.offloads = offloads
    }

    public func send(_ packet: Packet) -> SendOutcome { queue.append(packet) }
    public func resume() { queue.resume() }

    public func stop() {
        queue.close()
        let thread = state.withLock { state in
            defer { (state.thread, state.delivery, state.stack) = (nil, nil, nil) }
            return state.thread
        }
        thread?.join()
    }

    deinit { stop() }
}
