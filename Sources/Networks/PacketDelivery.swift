internal import Synchronization

/// Gives frames to the sink in order, cut and with checksums where the receiver does not do it, and
/// keeps them while the sink is full.
///
/// Owner: one network; all but `offloads` belongs to its thread.
final class PacketDelivery: @unchecked Sendable {
    /// Bytes of frames that wait for a sink that is full.
    private static let capacity = 1 << 20

    private let counters: NetworkCounters
    private let mtu: Int
    private let rawOffloads = Atomic<UInt8>(0)
    private let sink: any PacketSink
    private let segmentation = PacketSegmentation()
    private let waiting = PacketArena(capacity: PacketDelivery.capacity)
    /// A frame that is copied to be changed.
    private var scratch: [UInt8] = []
    private var delivered = false

    init(sink: any PacketSink, offloads: PacketOffloads, mtu: Int, counters: NetworkCounters) {
        self.sink = sink
        self.mtu = mtu
        self.counters = counters
        rawOffloads.store(offloads.rawValue, ordering: .relaxed)
    }

    /// What the receiver does by itself. Any thread.
    var offloads: PacketOffloads {
        get { PacketOffloads(rawValue: rawOffloads.load(ordering: .relaxed)) }
        set { rawOffloads.store(newValue.rawValue, ordering: .relaxed) }
    }

    /// The sink is full: do not read more.
    var isFull: Bool { !waiting.isEmpty }

    /// Gives one packet, or keeps it.
    func deliver(_ packet: Packet) {
        if offloads.allow(packet.metadata) { return offer(packet) }
        scratch = packet.bytes
        let metadata = packet.metadata
        unsafe scratch.withUnsafeMutableBytes { frame in
            if metadata.segmentation != .none {
                if unsafe !segmentation.segment(
                    frame.readable, segmentByteCount: Int(metadata.segmentByteCount), offer)
                {
                    counters.received.error()
                }
                return
            }
            guard
                unsafe PacketChecksum.complete(
                    frame, start: Int(metadata.checksumStart), offset: Int(metadata.checksumOffset))
            else { return counters.received.error() }
            unsafe Packet.withBytes(frame.readable, metadata: .valid, offer)
        }
    }

    /// Gives an IP packet that is larger than the wire takes and not TCP.
    func deliverFragments(_ frame: UnsafeRawBufferPointer) {
        if unsafe !segmentation.fragment(frame, mtu: mtu, offer) { counters.received.error() }
    }

    private func offer(_ packet: Packet) {
        if waiting.isEmpty {
            if sink.receive(packet) {
                counters.received.count(packet.byteCount)
                delivered = true
                return
            }
            counters.receiveWaits.wrappingAdd(1, ordering: .relaxed)
        }
        if !waiting.append(packet) { counters.received.drop() }
    }

    /// Offers what waits, after the sink has said that it has room.
    func retry() {
        while let (frame, metadata) = unsafe waiting.first {
            let taken = unsafe Packet.withBytes(frame.readable, metadata: metadata) {
                sink.receive($0)
            }
            guard taken else { return }
            counters.received.count(frame.count)
            delivered = true
            waiting.removeFirst()
        }
    }

    /// Tells the sink that there is no more for now, if there was something.
    func endBatch() {
        guard delivered else { return }
        delivered = false
        sink.receivedBatch()
    }

    /// Tells the sink that the network takes packets again.
    func acceptAgain() { sink.networkAcceptsAgain() }
}
