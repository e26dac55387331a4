public import Disks
public import GuestMemory
internal import HostIO
public import Interrupts
internal import Synchronization
public import Vocabulary
public import Xen
internal import XenStore

/// The backend of one disk of a Xen guest (xen/include/public/io/blkif.h): the handshake by the store,
/// and a queue or several, each with its ring, its event channel and its interrupt context.
///
/// The guest's pages are not mapped: grants are addresses in its memory, and the disk reads and writes
/// there. Owner: the machine. Any thread.
public final class BlockBackend: MachinePart {
    /// Switches for what the frontend is offered, each on its own.
    public struct Features: Sendable, Codable, Equatable {
        public var flush = true
        public var discard = true
        /// The frontend grants pages once and copies; nothing is gained here, but it is what Xen has.
        public var persistentGrants = true
        /// Segments of a request beyond 11; 0: none.
        public var indirectSegments: UInt32 = 256
        /// Pages of a ring, as a power of two.
        public var ringOrder: UInt32 = BlockRing.largestOrder
        public var queueCount = 4

        public init() {}
    }

    public let name: String
    private let disk: Disk
    private let features: Features
    private let handshake: XenbusHandshake
    private let queues: [BlockQueue]

    var nodes: XenbusNodes { handshake.nodes }

    /// Its interrupt contexts, for the machine to start.
    public var contexts: [InterruptContext] { queues.map(\.context) }

    /// - Parameters:
    ///   - number: of the disk, from 0: xvda, xvdb.
    /// - Throws: `XError`, if the store refuses its nodes.
    public init(
        face: XenFace, store: StoreHost, memory: GuestMemory, disk: Disk, number: UInt32,
        features: Features = Features(), policy: InterruptContext.Policy
    ) throws(XError) {
        // Major 202, 16 minors for each (xen/docs/misc/vbd-interface.txt).
        let device = UInt32(202) << 8 | number << 4
        let title = "xvd" + String(UnicodeScalar(UInt8(truncatingIfNeeded: 97 &+ number)))
        name = title
        self.disk = disk
        self.features = features
        queues = (0..<max(1, features.queueCount)).map { index in
            BlockQueue(title, index, face, memory, disk, policy)
        }
        let later = Later<BlockBackend>()
        handshake = XenbusHandshake(
            store: store, kind: "vbd", domain: face.domain, device: device, title: title,
            actions: XenbusHandshake.Actions(
                offer: { later.part?.offer() ?? [] }, connect: { later.part?.connect() },
                disconnect: { later.part?.disconnect() }))
        later.set(self)
        try handshake.begin(
            domain: face.domain, title: "disk \(title)",
            backendNodes: [
                ("dev", title), ("mode", disk.isReadOnly ? "r" : "w"), ("device-type", "disk"),
                ("removable", "0"), ("bootable", "1"), ("type", "martlet"),
            ],
            frontendNodes: [("virtual-device", String(device)), ("device-type", "disk")])
    }

    /// What the frontend may use.
    private func offer() -> [(String, String)] {
        var values: [(String, String)] = [
            ("feature-flush-cache", features.flush && !disk.isReadOnly ? "1" : "0"),
            ("feature-barrier", "0"),
            ("feature-persistent", features.persistentGrants ? "1" : "0"),
            ("max-ring-page-order", String(min(features.ringOrder, BlockRing.largestOrder))),
            ("multi-queue-max-queues", String(queues.count)),
        ]
        if features.indirectSegments > 0 {
            values.append(
                ("feature-max-indirect-segments", String(features.indirectSegments)))
        }
        if features.discard, disk.features.contains(.discard), !disk.isReadOnly {
            values += [
                ("feature-discard", "1"), ("discard-granularity", String(disk.discardGranularity)),
                ("discard-alignment", "0"), ("discard-secure", "0"),
            ]
        }
        return values
    }

    /// Nil, or what is wrong with what the frontend wrote.
    private func connect() -> String? {
        let count = Int(clamping: nodes.frontendNumber("multi-queue-num-queues") ?? 1)
        guard count >= 1, count <= queues.count,
            let layout = BlockProtocol(
                rawValue: nodes.frontend("protocol") ?? BlockProtocol.wide.rawValue)
        else { return "asks for \(count) queues, or an unknown protocol" }
        let isPersistent =
            features.persistentGrants && nodes.frontendNumber("feature-persistent") == 1
        let order = nodes.frontendNumber("ring-page-order") ?? 0
        guard order <= min(features.ringOrder, BlockRing.largestOrder) else {
            return "asks for a ring of 2^\(order) pages"
        }
        for index in 0..<count {
            let prefix = count == 1 ? "" : "queue-\(index)/"
            let references: [UInt32?] =
                nodes.frontend("\(prefix)ring-page-order") == nil && order == 0
                ? [
                    nodes.frontendNumber("\(prefix)ring-ref")
                        ?? nodes.frontendNumber("\(prefix)ring-ref0")
                ]
                : (0..<UInt32(1 << order)).map { nodes.frontendNumber("\(prefix)ring-ref\($0)") }
            guard let port = nodes.frontendNumber("\(prefix)event-channel") else {
                return "names no event channel for queue \(index)"
            }
            let grants = references.compactMap { $0.map { GrantReference($0) } }
            guard grants.count == references.count,
                queues[index].connect(
                    ring: grants, layout: layout, port: EventChannelPort(port),
                    isPersistent: isPersistent, largestIndirect: Int(features.indirectSegments))
            else { return "has no usable ring or event channel for queue \(index)" }
        }
        announceSize()
        for queue in queues.prefix(count) { queue.context.signal() }
        return nil
    }

    private func announceSize() {
        nodes.write([
            ("sectors", String(disk.byteCount / 512)),
            ("info", disk.isReadOnly ? "4" : "0"),
            ("sector-size", String(disk.sectorSize)),
            ("physical-sector-size", String(max(disk.sectorSize, 4096))),
        ])
    }

    /// The disk has another size: the frontend is told, if it is connected.
    public func sizeChanged() {
        announceSize()
        if handshake.state == .connected { handshake.enter(.connected) }
    }

    private func disconnect() {
        for queue in queues { queue.disconnect() }
    }

    // MARK: MachinePart

    public struct State: Codable, Sendable, Equatable {
        var state: String
        var queues: [BlockQueue.State]
    }

    public func captureState() -> State {
        State(
            state: handshake.state.rawValue, queues: queues.map { $0.captureState() })
    }

    public func restore(_ state: State) throws(XError) {
        guard let life = XenbusState(rawValue: state.state), state.queues.count == queues.count
        else {
            throw XError(.invalidFormat, "the state of \(name) is for other queues")
        }
        for (queue, from) in zip(queues, state.queues) { try queue.restore(from) }
        handshake.restore(life)
    }

    /// Of the disk and of all queues.
    public var metrics: [String: UInt64] {
        let disk = disk.metrics
        var result: [String: UInt64] = [
            "reads": disk.reads, "writes": disk.writes, "flushes": disk.flushes,
            "discards": disk.discards, "bytesRead": disk.bytesRead,
            "bytesWritten": disk.bytesWritten, "errors": disk.errors,
            "mostInFlight": disk.mostInFlight,
        ]
        for queue in queues { result.merge(queue.metrics) { $0 &+ $1 } }
        return result
    }
}
