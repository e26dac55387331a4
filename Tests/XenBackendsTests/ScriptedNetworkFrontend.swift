import GuestMemory
import Interrupts
import Networks
import Testing
import Vocabulary

@testable import XenBackends

/// The frontend of a guest with one interface (xen/include/public/io/netif.h).
final class ScriptedNetworkFrontend {
    /// How the frontend connects.
    struct Setup {
        var queueCount = 1
        var splitsChannels = true
        var hasControlRing = false
        /// Instead of what is written otherwise; nil: the node is not there.
        var nodes: [String: String?] = [:]
    }

    struct Queue {
        var transmit: ScriptedRing
        var receive: ScriptedRing
        var transmitPort: UInt32
        var receivePort: UInt32
        /// References of pages that wait for packets, in order.
        var posted: [UInt32] = []
    }

    /// An entry by which a packet came, or an extra.
    struct Received: Equatable {
        var reference: UInt32
        var identifier: UInt16
        var flags: UInt16
        var status: Int16
        var bytes: [UInt8]
    }

    static let controlReference: UInt32 = 40
    /// The first of the pages for data.
    static let data: UInt32 = 100

    let guest: ScriptedGuest
    let network = RecordingNetwork()
    let backend: NetworkBackend
    var queues: [Queue] = []
    var control: ScriptedRing
    let controlPort: UInt32
    private let ports: [UInt32]
    /// Nodes of the frontend, without `state`.
    private var written: Set<String> = []

    var memory: GuestMemory { guest.memory }

    init(
        features: NetworkBackend.Features = .init(), rate: NetworkRate? = nil,
        timing: NetworkBackend.Timing = .init(now: { 0 }, wake: { _ in })
    ) throws {
        guest = try ScriptedGuest()
        backend = try NetworkBackend(
            face: guest.face, store: guest.store, network: network,
            identity: .init(number: 0, address: MACAddress(rawValue: 0x0200_0000_0001), rate: rate),
            features: features, timing: timing, policy: .inline)
        let allocated = try (0..<17).map { [guest] _ in try guest.allocatePort() }
        (controlPort, ports) = (allocated[16], Array(allocated.prefix(16)))
        control = Self.ring(guest, Self.controlReference, 16, 128)
        try backend.start()
    }

    deinit { backend.stop() }

    private static func ring(
        _ guest: ScriptedGuest, _ reference: UInt32, _ byteCount: Int, _ count: UInt32
    ) -> ScriptedRing {
        ScriptedRing(
            guest.memory, pages: [guest.page(reference)], entryByteCount: byteCount,
            entryCount: count)
    }

    static func transmitReference(_ queue: Int) -> UInt32 { 16 + UInt32(queue) * 2 }
    static func receiveReference(_ queue: Int) -> UInt32 { 17 + UInt32(queue) * 2 }

    // MARK: Handshake

    /// Nil takes the node away.
    func write(_ name: String, _ value: String?) throws {
        let path = "\(backend.nodes.frontend)/\(name)"
        guard let value else { return try guest.remove(path) }
        if name != "state" { written.insert(name) }
        try guest.write(path, value)
    }

    func ofBackend(_ name: String) -> String? { guest.read("\(backend.nodes.backend)/\(name)") }

    /// As netfront does it. The backend's state afterwards.
    @discardableResult
    func connect(_ setup: Setup = Setup()) throws -> String? {
        makeRings(setup)
        for name in written { try write(name, nil) }
        written = []
        for (name, value) in nodes(setup).merging(setup.nodes, uniquingKeysWith: { $1 }) {
            try write(name, value)
        }
        try write("state", "4")
        return ofBackend("state")
    }

    /// Leaves as netfront does, and is about to begin anew.
    func leave() throws {
        for state in ["5", "6", "1"] { try write("state", state) }
    }

    private func makeRings(_ setup: Setup) {
        queues = (0..<setup.queueCount).map { index in
            Queue(
                transmit: Self.ring(guest, Self.transmitReference(index), 12, 256),
                receive: Self.ring(guest, Self.receiveReference(index), 8, 256),
                transmitPort: ports[index * 2],
                receivePort: ports[index * 2 + (setup.splitsChannels ? 1 : 0)])
        }
        control = Self.ring(guest, Self.controlReference, 16, 128)
    }

    private func nodes(_ setup: Setup) -> [String: String?] {
        var result: [String: String?] = [:]
        for name in [
            "request-rx-copy", "feature-rx-notify", "feature-sg", "feature-gso-tcpv4",
            "feature-gso-tcpv6", "feature-ipv6-csum-offload",
        ] { result[name] = "1" }
        if setup.queueCount > 1 { result["multi-queue-num-queues"] = String(setup.queueCount) }
        for (index, queue) in queues.enumerated() {
            let prefix = queues.count == 1 ? "" : "queue-\(index)/"
            result["\(prefix)tx-ring-ref"] = String(Self.transmitReference(index))
            result["\(prefix)rx-ring-ref"] = String(Self.receiveReference(index))
            if setup.splitsChannels {
                result["\(prefix)event-channel-tx"] = String(queue.transmitPort)
                result["\(prefix)event-channel-rx"] = String(queue.receivePort)
            } else {
                result["\(prefix)event-channel"] = String(queue.transmitPort)
            }
        }
        if setup.hasControlRing {
            result["ctrl-ring-ref"] = String(Self.controlReference)
            result["event-channel-ctrl"] = String(controlPort)
        }
        return result
    }

    // MARK: Sending

    /// The entry of a part of a packet.
    static func slot(
        _ reference: UInt32, offset: UInt16 = 0, flags: UInt16 = 0, identifier: UInt16 = 0,
        byteCount: UInt16
    ) -> [UInt8] {
        ScriptedRing.bytes([
            (UInt64(reference), 4), (UInt64(offset), 2), (UInt64(flags), 2),
            (UInt64(identifier), 2), (UInt64(byteCount), 2),
        ])
    }

    static func segmentation(byteCount: UInt16, type: UInt8 = 1, more: Bool = false) -> [UInt8] {
        ScriptedRing.bytes([
            (1, 1), (more ? 1 : 0, 1), (UInt64(byteCount), 2), (UInt64(type), 1), (0, 7),
        ])
    }

    static func multicast(isAdded: Bool, _ address: [UInt8], more: Bool = false) -> [UInt8] {
        [isAdded ? 2 : 3, more ? 1 : 0] + address + [0, 0, 0, 0]
    }

    /// Puts entries on the ring, and notifies.
    func transmit(_ entries: [[UInt8]], queue: Int = 0) {
        for entry in entries { queues[queue].transmit.put(entry) }
        guest.notify(queues[queue].transmitPort)
    }

    /// Sends a frame in parts, each at the start of a page, from `data` on. Entries have identifiers from
    /// `identifier` on.
    func send(
        _ frame: [UInt8], parts: [Int]? = nil, flags: UInt16 = 0, extras: [[UInt8]] = [],
        identifier: UInt16 = 0, queue: Int = 0
    ) {
        let parts = parts ?? [frame.count]
        var entries: [[UInt8]] = []
        var start = 0
        for (index, count) in parts.enumerated() {
            let reference = Self.data + UInt32(index)
            memory.write(guest.page(reference), frame[start..<start + count])
            start += count
            let own: UInt16 = index == 0 ? flags | (extras.isEmpty ? 0 : 8) : 0
            entries.append(
                Self.slot(
                    reference, flags: own | (index < parts.count - 1 ? 4 : 0),
                    identifier: identifier + UInt16(index),
                    byteCount: UInt16(index == 0 ? frame.count : count)))
            if index == 0 { entries += extras }
        }
        transmit(entries, queue: queue)
    }

    /// Identifier and status of each response that has come.
    func takeResponses(queue: Int = 0) -> [[Int]] {
        queues[queue].transmit.takeResponses().map {
            [
                Int(ScriptedRing.integer($0, 0, as: UInt16.self)),
                Int(ScriptedRing.integer($0, 2, as: Int16.self)),
            ]
        }
    }

    // MARK: Receiving

    /// Has pages wait for packets; the identifier of each is its reference plus 1000.
    func post(_ references: [UInt32], queue: Int = 0, notifies: Bool = false) {
        for reference in references {
            queues[queue].receive.put(
                ScriptedRing.bytes([(UInt64(reference) + 1000, 2), (0, 2), (UInt64(reference), 4)]))
        }
        queues[queue].posted += references
        if notifies { guest.notify(queues[queue].receivePort) }
    }

    /// What has come, entry by entry: each in the place of its request.
    func takeReceived(queue: Int = 0) -> [Received] {
        queues[queue].receive.takeResponses().map { entry in
            let reference = queues[queue].posted.isEmpty ? 0 : queues[queue].posted.removeFirst()
            let status = ScriptedRing.integer(entry, 6, as: Int16.self)
            let content = memory.read(guest.page(reference), byteCount: 4096) ?? []
            return Received(
                reference: reference, identifier: ScriptedRing.integer(entry, 0, as: UInt16.self),
                flags: ScriptedRing.integer(entry, 4, as: UInt16.self), status: status,
                bytes: Array(content.prefix(max(0, Int(status)))))
        }
    }

    // MARK: Control

    /// Status and data of a request on the control ring.
    func ask(_ type: UInt16, _ data: UInt32...) -> [UInt32] {
        let identifier = UInt16(truncatingIfNeeded: control.produced) &+ 7
        control.put(
            ScriptedRing.bytes(
                [(UInt64(identifier), 2), (UInt64(type), 2)] + data.map { (UInt64($0), 4) }))
        guest.notify(controlPort)
        return control.takeResponses().flatMap { entry in
            #expect(ScriptedRing.integer(entry, 0, as: UInt16.self) == identifier)
            #expect(ScriptedRing.integer(entry, 2, as: UInt16.self) == type)
            return [
                ScriptedRing.integer(entry, 4, as: UInt32.self),
                ScriptedRing.integer(entry, 8, as: UInt32.self),
            ]
        }
    }
}
