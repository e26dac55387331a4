public import Interrupts
public import Networks
internal import Synchronization
public import Vocabulary
public import Xen

/// The backend of one network interface of a Xen guest (xen/include/public/io/netif.h): the handshake by
/// the store, and a queue or several, each with two rings.
///
/// Owner: the machine. Any thread.
public final class NetworkBackend: MachinePart {
    /// Switches for what the frontend is offered, each on its own.
    public struct Features: Sendable, Codable, Equatable {
        /// Packets in several pages.
        public var scatterGather = true
        /// Packets of TCP that are larger than the wire takes.
        public var segmentationV4 = true
        public var segmentationV6 = true
        /// TCP and UDP over IPv6 without a checksum; over IPv4 frontends take that as given.
        public var checksumV6 = true
        /// An event channel for each ring.
        public var splitChannels = true
        public var multicastControl = true
        /// The ring by which the frontend has its queues chosen.
        public var controlRing = true
        public var queueCount = 8

        public init() {}
    }

    public let name: String
    private let face: XenFace
    let network: any Network
    private let features: Features
    private let handshake: XenbusHandshake
    let queues: [NetworkQueue]
    let control: NetworkControl
    let filter = MulticastFilter()
    let connectedQueueCount = Atomic<Int>(0)
    /// Packets from the network for which there was nobody.
    let strays = Atomic<UInt64>(0)

    var nodes: XenbusNodes { handshake.nodes }

    /// Its interrupt contexts, for the machine to start.
    public var contexts: [InterruptContext] { queues.map(\.transmitter.context) }

    /// What an interface is made of beside its network.
    public struct Identity: Sendable {
        /// From 0, of the guest's interfaces.
        public var number: UInt32
        public var address: MACAddress
        public var rate: NetworkRate?

        public init(number: UInt32, address: MACAddress, rate: NetworkRate? = nil) {
            self.number = number
            self.address = address
            self.rate = rate
        }
    }

    /// The machine's clock and a timer, for an interface with a rate.
    public struct Timing: Sendable {
        /// Nanoseconds.
        public var now: @Sendable () -> UInt64
        /// Has `creditIsDue` called at this time.
        public var wake: @Sendable (UInt64) -> Void

        public init(
            now: @escaping @Sendable () -> UInt64, wake: @escaping @Sendable (UInt64) -> Void
        ) {
            self.now = now
            self.wake = wake
        }
    }

    /// - Throws: `XError`, if the store refuses its nodes.
    public init(
        face: XenFace, store: StoreHost, network: any Network, identity: Identity,
        features: Features = Features(), timing: Timing, policy: InterruptContext.Policy
    ) throws(XError) {
        let title = "vif\(identity.number)"
        name = title
        self.face = face
        self.network = network
        self.features = features
        control = NetworkControl(title, face)
        let later = Later<NetworkBackend>()
        let around = NetworkTransmitter.Surroundings(
            network: network,
            credit: identity.rate.map {
                TransmitCredit($0, now: timing.now, wake: timing.wake)
            }, multicast: { [filter] in filter.change($0) },
            fail: { later.part?.fail($0) })
        queues = (0..<max(1, features.queueCount)).map { index in
            NetworkQueue(title, index, face, policy, around)
        }
        handshake = XenbusHandshake(
            store: store, kind: "vif", domain: face.domain, device: identity.number, title: title,
            actions: XenbusHandshake.Actions(
                offer: { later.part?.offer() ?? [] }, connect: { later.part?.connect() },
                disconnect: { later.part?.disconnect() },
                changed: { _ in later.part?.multicastControlChanged() }))
        later.set(self)
        let handle = ("handle", String(identity.number))
        let address = ("mac", identity.address.description)
        try handshake.begin(
            domain: face.domain, title: "interface \(title)",
            backendNodes: [
                handle, address, ("mtu", String(network.capabilities.mtu)), ("type", "martlet"),
            ] + (identity.rate.map { [("rate", Self.text($0))] } ?? []),
            frontendNodes: [handle, address, ("mtu", String(network.capabilities.mtu))],
            watched: [Self.multicastNode])
    }

    /// Bytes and microseconds, as toolstacks write it.
    private static func text(_ rate: NetworkRate) -> String {
        "\(rate.byteCount),\(rate.interval / 1000)"
    }

    /// Starts the network's thread. Once.
    public func start() throws(XError) { try network.start(sink: self, offloads: []) }

    /// Ends the network; no packet comes or goes once this returns.
    public func stop() { network.stop() }

    /// The interface may send again.
    public func creditIsDue() { for queue in queues { queue.transmitter.context.signal() } }

    // MARK: Handshake

    private static let multicastNode = "request-multicast-control"

    /// What the frontend may use.
    private func offer() -> [(String, String)] {
        func flag(_ name: String, _ value: Bool) -> (String, String) {
            (name, value ? "1" : "0")
        }
        return [
            flag("feature-rx-copy", true), flag("feature-rx-flip", false),
            flag("feature-sg", features.scatterGather),
            flag("feature-gso-tcpv4", features.scatterGather && features.segmentationV4),
            flag("feature-gso-tcpv6", features.scatterGather && features.segmentationV6),
            flag("feature-ipv6-csum-offload", features.checksumV6),
            flag("feature-split-event-channels", features.splitChannels),
            flag("feature-multicast-control", features.multicastControl),
            flag("feature-dynamic-multicast-control", features.multicastControl),
            flag("feature-ctrl-ring", features.controlRing),
            ("multi-queue-max-queues", String(queues.count)), ("hotplug-status", "connected"),
        ]
    }

    private func asks(_ name: String) -> Bool { nodes.frontendNumber(name) == 1 }

    /// Nil, or what is wrong with what the frontend wrote.
    private func connect() -> String? {
        guard asks("request-rx-copy") else { return "does not take copies (request-rx-copy)" }
        guard asks("feature-rx-notify") else {
            return "does not say when it has room (feature-rx-notify)"
        }
        let count = Int(clamping: nodes.frontendNumber("multi-queue-num-queues") ?? 1)
        guard count >= 1, count <= queues.count else { return "asks for \(count) queues" }
        let abilities = NetworkReceiver.Abilities(scatters: asks("feature-sg"))
        for index in 0..<count {
            guard let link = link(count == 1 ? "" : "queue-\(index)/", abilities),
                queues[index].connect(link)
            else { return "has no usable rings or event channels for queue \(index)" }
        }
        guard control.connect(face, controlLink, queueCount: count) else {
            return "has no usable control ring"
        }
        filter.reset()
        multicastControlChanged()
        network.setOffloads(offloads(abilities))
        connectedQueueCount.store(count, ordering: .releasing)
        for queue in queues.prefix(count) { queue.transmitter.context.signal() }
        return nil
    }

    private func link(
        _ prefix: String, _ abilities: NetworkReceiver.Abilities
    ) -> NetworkQueue.Link? {
        func port(_ half: String) -> UInt32? {
            nodes.frontendNumber("\(prefix)event-channel-\(half)")
                ?? nodes.frontendNumber("\(prefix)event-channel")
        }
        guard let transmit = nodes.frontendNumber("\(prefix)tx-ring-ref"),
            let receive = nodes.frontendNumber("\(prefix)rx-ring-ref"),
            let (transmitPort, receivePort) = both(port("tx"), port("rx"))
        else { return nil }
        return NetworkQueue.Link(
            transmit: RingLink.State(reference: transmit, port: transmitPort),
            receive: RingLink.State(reference: receive, port: receivePort), abilities: abilities)
    }

    private func both<A, B>(_ a: A?, _ b: B?) -> (A, B)? {
        guard let a, let b else { return nil }
        return (a, b)
    }

    private var controlLink: RingLink.State? {
        guard features.controlRing, let reference = nodes.frontendNumber("ctrl-ring-ref"),
            let port = nodes.frontendNumber("event-channel-ctrl")
        else { return nil }
        return RingLink.State(reference: reference, port: port)
    }

    /// What the frontend does by itself. One that computes checksums of one family only has all done.
    private func offloads(_ abilities: NetworkReceiver.Abilities) -> PacketOffloads {
        guard !asks("feature-no-csum-offload"), asks("feature-ipv6-csum-offload") else {
            return []
        }
        var result = PacketOffloads.checksum
        if abilities.scatters {
            if asks("feature-gso-tcpv4") { result.insert(.tcpSegmentationV4) }
            if asks("feature-gso-tcpv6") { result.insert(.tcpSegmentationV6) }
        }
        return result
    }

    private func multicastControlChanged() {
        filter.setActive(features.multicastControl && asks(Self.multicastNode))
    }

    private func disconnect() {
        connectedQueueCount.store(0, ordering: .releasing)
        for queue in queues { queue.disconnect() }
        control.disconnect()
    }

    /// The frontend has broken the protocol: it is heard no more.
    private func fail(_ mistake: NetworkMistake) {
        handshake.fail("the frontend \(mistake.reason)")
    }

    // MARK: MachinePart

    public struct State: Codable, Sendable, Equatable {
        var state: String
        /// Connected ones.
        var queues: [NetworkQueue.Link]
        var offloads: UInt8
        var filter: MulticastFilter.State
        var control: RingLink.State?
        var hash: ToeplitzHash
    }

    public func captureState() -> State {
        let (link, hash) = control.captured
        let links = queues.compactMap(\.captured)
        return State(
            state: handshake.state.rawValue, queues: links,
            offloads: offloads(links.first?.abilities ?? .init()).rawValue,
            filter: filter.captured, control: link, hash: hash)
    }

    public func restore(_ state: State) throws(XError) {
        disconnect()
        do throws(XError) {
            try connect(state)
        } catch {
            disconnect()
            throw error
        }
        // What lies on the rings was perhaps not announced. An event too many harms nobody.
        for link in state.queues {
            for ring in [link.transmit, link.receive] {
                face.eventChannels.raise(EventChannelPort(ring.port))
            }
        }
        for queue in queues.prefix(state.queues.count) { queue.transmitter.context.signal() }
    }

    private func connect(_ state: State) throws(XError) {
        guard let life = XenbusState(rawValue: state.state), state.queues.count <= queues.count
        else { throw XError(.invalidFormat, "the state of \(name) is for other queues") }
        for (queue, link) in zip(queues, state.queues) {
            guard queue.connect(link) else {
                throw XError(
                    .invalidFormat, "the rings of \(name) are not where its state says")
            }
        }
        guard
            control.connect(
                face, state.control, queueCount: max(1, state.queues.count), hash: state.hash)
        else {
            throw XError(
                .invalidFormat, "the control ring of \(name) is not where its state says")
        }
        filter.restore(state.filter)
        network.setOffloads(PacketOffloads(rawValue: state.offloads))
        connectedQueueCount.store(state.queues.count, ordering: .releasing)
        handshake.restore(life)
    }

    /// Of the network and of all queues.
    public var metrics: [String: UInt64] {
        let network = network.statistics
        var result: [String: UInt64] = [
            "sentPackets": network.sent.packets, "sentBytes": network.sent.bytes,
            "sentDrops": network.sent.drops, "sentErrors": network.sent.errors,
            "receivedPackets": network.received.packets, "receivedBytes": network.received.bytes,
            "receivedDrops": network.received.drops, "receivedErrors": network.received.errors,
            "sendWaits": network.sendWaits, "receiveWaits": network.receiveWaits,
            "strays": strays.load(ordering: .relaxed),
        ]
        for queue in queues { result.merge(queue.metrics) { $0 &+ $1 } }
        return result
    }
}
