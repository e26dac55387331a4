internal import HostIO
internal import Synchronization
public import Vocabulary

/// A stream between two machines: a UNIX socket, on which each frame follows its length, 4 bytes, the
/// highest first (as QEMU's `-netdev stream`).
///
/// Whoever finds nobody at the path makes the socket, for its own user only, and waits for the other
/// there. Either side may leave and come back. Frames have the wire's size and all checksums.
public final class SocketNetwork: Network {
    public let name: String
    public let path: String
    public let capabilities: NetworkCapabilities

    private let counters = NetworkCounters()
    private let queue: SendQueue
    private let state: RankedLock<State>

    private struct State: Sendable {
        var link: SocketLink?
        var thread: HostThread?
        var delivery: PacketDelivery?
        var isConnected: @Sendable () -> Bool = { false }
    }

    /// - Parameters:
    ///   - name: of the guest's interface.
    ///   - path: of the socket, 1 to 107 bytes.
    ///   - mtu: bytes of IP in a frame, 576 to 65521; the same on both sides.
    public init(name: String, path: String, mtu: Int = 1500) throws(XError) {
        self.name = name
        self.path = path
        capabilities = NetworkCapabilities(mtu: mtu)
        queue = try SendQueue(owner: name, counters: counters)
        let link = try SocketLink(path: path)
        state = RankedLock(State(link: link), owner: name, rank: .leaf)
    }

    public var statistics: NetworkStatistics { counters.snapshot }

    /// The other side is there.
    public var isConnected: Bool { state.withLock { $0.isConnected }() }

    public func start(sink: any PacketSink, offloads: PacketOffloads) throws(XError) {
        let link = state.withLock { state in
            defer { state.link = nil }
            return state.link
        }
        guard let link else {
            throw XError(.busy, "the network \(name) was started before; make another one")
        }
        let delivery = PacketDelivery(
            sink: sink, offloads: offloads, mtu: capabilities.mtu, counters: counters)
        let run = SocketNetworkRun(
            link: link, queue: queue, delivery: delivery, counters: counters)
        let thread = try HostThread.spawn(name: "net/\(name)") { run.run() }
        state.withLock { state in
            state.thread = thread
            state.delivery = delivery
            state.isConnected = { run.isConnected.load(ordering: .acquiring) }
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
            defer { state = State() }
            return state.thread
        }
        thread?.join()
    }

    deinit { stop() }
}
