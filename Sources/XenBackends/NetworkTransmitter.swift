internal import Glibc
internal import GuestMemory
internal import HostIO
internal import Interrupts
internal import Networks
internal import Synchronization
internal import Vocabulary
internal import Xen

/// The half of a network queue that takes the guest's packets.
///
/// Owner: `NetworkBackend`. The ring is touched with the lock held, in the queue's context. Packets are
/// given to the network where they lie, but for their headers, which are copied first: the guest may
/// change its memory at any time.
final class NetworkTransmitter: Sendable {
    /// What the backend does for its queues.
    struct Surroundings: Sendable {
        var network: any Network
        /// Bytes that may be sent now, of an interface with a rate.
        var credit: TransmitCredit?
        /// The guest wants, or wants no more, a group's frames. False: no room.
        var multicast: @Sendable (TransmitPacket.Multicast) -> Bool
        /// The frontend has broken the protocol. Without a lock of a device.
        var fail: @Sendable (NetworkMistake) -> Void
    }

    private struct Registers: Sendable {
        var link: RingLink?
        /// Nothing is read any more.
        var isBroken = false
        let scratch = TransmitScratch()
    }

    /// Packets that are sent before the guest hears of it.
    private static let batch = 64

    private let grantTable: GrantTable
    private let channels: EventChannels
    private let memory: GuestMemory
    private let around: Surroundings
    private let registers: RankedLock<Registers>
    let context: InterruptContext
    private let packets = Atomic<UInt64>(0)
    private let refusals = Atomic<UInt64>(0)
    private let notifications = Atomic<UInt64>(0)

    init(
        _ title: String, _ index: Int, _ face: XenFace, _ policy: InterruptContext.Policy,
        _ around: Surroundings
    ) {
        grantTable = face.grantTable
        channels = face.eventChannels
        memory = face.memory
        self.around = around
        let queue = "\(title)-q\(index)-tx"
        registers = RankedLock(Registers(), owner: queue, rank: .device)
        let work = Later<NetworkTransmitter>()
        context = InterruptContext(
            policy, device: title, queue: queue, finding: { work.part?.run() ?? false })
        work.set(self)
    }

    // MARK: Connection

    func connect(_ link: RingLink) {
        registers.withLock { registers in
            registers.link = link
            registers.isBroken = false
        }
    }

    /// The link, which is not used here any more.
    func disconnect() -> RingLink? {
        registers.withLock { registers in
            defer { registers.link = nil }
            return registers.link
        }
    }

    // MARK: Packets

    private enum Progress {
        case going
        /// Nothing waits, or the network is full: there will be a signal.
        case waiting
        case failed(NetworkMistake)
    }

    /// Packets that were taken so far.
    private var taken: UInt64 {
        packets.load(ordering: .relaxed) &+ refusals.load(ordering: .relaxed)
    }

    /// In the queue's context. False: there was nothing to take.
    private func run() -> Bool {
        let before = taken
        while true {
            let (progress, port) = registers.withLock { registers in
                let progress = takeBatch(&registers)
                let notifies = registers.link?.ring.takeNotification() ?? false
                return (progress, notifies ? registers.link?.port : nil)
            }
            if let port {
                notifications.wrappingAdd(1, ordering: .relaxed)
                channels.raise(port)
            }
            switch progress {
            case .going: continue
            case .waiting:
                // What waits for room on the network is something, too.
                return taken != before
                    || registers.withLock { ($0.link?.ring.waiting ?? 0) > 0 }
            case .failed(let mistake):
                around.fail(mistake)
                return false
            }
        }
    }

    private func takeBatch(_ registers: inout Registers) -> Progress {
        guard registers.link != nil, !registers.isBroken else { return .waiting }
        let scratch = registers.scratch
        for _ in 0..<Self.batch {
            guard let waiting = registers.link?.ring.waiting else {
                registers.isBroken = true
                return .failed(NetworkMistake("put more on a ring than it has entries"))
            }
            if waiting == 0 {
                if registers.link?.ring.wantsMore() == true { continue }
                return .waiting
            }
            do throws(NetworkMistake) {
                if let ring = registers.link?.ring {
                    try scratch.packet.read(ring, waiting: waiting)
                }
            } catch {
                registers.isBroken = true
                return .failed(error)
            }
            guard let response = perform(scratch) else { return .waiting }
            answer(&registers, scratch.packet, response)
        }
        return .going
    }

    private func answer(
        _ registers: inout Registers, _ packet: TransmitPacket, _ response: NetworkResponse
    ) {
        registers.link?.ring.take(packet.entryCount)
        var ahead: UInt32 = 0
        for slot in packet.slots {
            registers.link?.ring.write(
                ahead, 0,
                UInt32(slot.identifier)
                    | UInt32(UInt16(bitPattern: response.rawValue)) << 16)
            ahead += 1
            // Extras come behind the first.
            while ahead <= packet.extraCount {
                registers.link?.ring.write(
                    ahead, 0, UInt32(UInt16(bitPattern: NetworkResponse.null.rawValue)) << 16)
                ahead += 1
            }
        }
        registers.link?.ring.publish(ahead)
    }

    /// Nil: not now; there will be a signal when there is room or credit.
    private func perform(_ scratch: TransmitScratch) -> NetworkResponse? {
        if let multicast = scratch.packet.multicast {
            return around.multicast(multicast) ? .okay : .error
        }
        guard !scratch.packet.isMalformed else { return refuse() }
        if let credit = around.credit, !credit.take(scratch.packet.byteCount) { return nil }
        defer {
            for grant in scratch.grants { grantTable.end(grant) }
            scratch.grants.removeAll(keepingCapacity: true)
        }
        guard gather(scratch), let metadata = scratch.metadata() else { return refuse() }
        let outcome = unsafe around.network.send(
            Packet(buffers: scratch.buffers, metadata: metadata))
        guard outcome == .accepted else {
            around.credit?.giveBack(scratch.packet.byteCount)
            return nil
        }
        packets.wrappingAdd(1, ordering: .relaxed)
        return .okay
    }

    private func refuse() -> NetworkResponse {
        refusals.wrappingAdd(1, ordering: .relaxed)
        return .error
    }

    /// Finds the packet's data. False: a grant cannot be used.
    private func gather(_ scratch: TransmitScratch) -> Bool {
        scratch.begin()
        for slot in scratch.packet.slots where slot.byteCount > 0 {
            guard let grant = grantTable.begin(GrantReference(slot.reference), write: false)
            else { return false }
            scratch.grants.append(grant)
            let start = grant.address.advanced(by: UInt64(slot.offset))
            guard UInt32(slot.offset) + UInt32(slot.byteCount) <= grant.byteCount,
                let pointer = unsafe memory.hostPointer(start, byteCount: Int(slot.byteCount))
            else { return false }
            unsafe scratch.append(
                UnsafeMutableRawBufferPointer(start: pointer, count: Int(slot.byteCount)))
        }
        return true
    }

    var metrics: [String: UInt64] {
        [
            "packetsSent": packets.load(ordering: .relaxed),
            "refusals": refusals.load(ordering: .relaxed),
            "notifications": notifications.load(ordering: .relaxed),
        ]
    }

    /// Where the ring is; nil: not connected.
    var captured: RingLink.State? { registers.withLock { $0.link?.state } }
}
