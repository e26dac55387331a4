internal import GuestMemory
internal import HostIO
internal import Networks
internal import Synchronization
internal import Vocabulary
internal import Xen

/// The half of a network queue that gives packets to the guest: copies them into pages that it grants.
///
/// Owner: `NetworkBackend`. Packets come on the network's thread; the ring is touched with the lock
/// held.
final class NetworkReceiver: Sendable {
    /// What the frontend takes.
    struct Abilities: Codable, Sendable, Equatable {
        /// Packets in several pages.
        var scatters = false
    }

    /// What became of a packet.
    enum Outcome {
        case delivered
        /// `roomAvailable` will be called.
        case full
        /// Nobody takes it, or it does not fit.
        case lost
    }

    private struct Registers: Sendable {
        var link: RingLink?
        var abilities = Abilities()
        /// A packet waits for entries.
        var isFull = false
        var grants: [GrantTable.Grant] = []
    }

    private let grantTable: GrantTable
    private let channels: EventChannels
    private let memory: GuestMemory
    private let registers: RankedLock<Registers>
    private let packets = Atomic<UInt64>(0)
    private let losses = Atomic<UInt64>(0)

    init(_ title: String, _ index: Int, _ face: XenFace) {
        grantTable = face.grantTable
        channels = face.eventChannels
        memory = face.memory
        var first = Registers()
        first.grants.reserveCapacity(NetworkRing.slotLimit)
        registers = RankedLock(first, owner: "\(title)-q\(index)-rx", rank: .device)
    }

    func connect(_ link: RingLink, _ abilities: Abilities) {
        registers.withLock { registers in
            registers.link = link
            registers.abilities = abilities
        }
    }

    /// The link, which is not used here any more.
    func disconnect() -> RingLink? {
        registers.withLock { registers in
            defer { registers.link = nil }
            return registers.link
        }
    }

    /// The frontend has notified. True: a packet had been waiting for it.
    func takeFull() -> Bool {
        registers.withLock { registers in
            defer { registers.isFull = false }
            return registers.isFull
        }
    }

    // MARK: Packets

    /// Copies a packet to the guest, which hears of it by `notify`.
    func receive(_ packet: Packet, hash: ToeplitzHash.Value?) -> Outcome {
        let outcome = registers.withLock { registers in
            let outcome = put(packet, hash, &registers)
            // What the guest granted for it.
            registers.grants.removeAll(keepingCapacity: true)
            return outcome
        }
        switch outcome {
        case .delivered: packets.wrappingAdd(1, ordering: .relaxed)
        case .full: break
        case .lost: losses.wrappingAdd(1, ordering: .relaxed)
        }
        return outcome
    }

    /// Notifies the guest of what it has received since the last time, if it wants to know.
    func notify() {
        let port = registers.withLock { registers in
            registers.link?.ring.takeNotification() == true ? registers.link?.port : nil
        }
        if let port { channels.raise(port) }
    }

    private func put(
        _ packet: Packet, _ hash: ToeplitzHash.Value?, _ registers: inout Registers
    ) -> Outcome {
        guard let link = registers.link else { return .lost }
        let pages =
            (packet.byteCount + NetworkRing.pageByteCount - 1) / NetworkRing.pageByteCount
        guard pages >= 1, pages <= (registers.abilities.scatters ? NetworkRing.slotLimit : 1)
        else { return .lost }
        let isSegmented = packet.metadata.segmentation != .none
        let extras = (isSegmented ? 1 : 0) + (hash == nil ? 0 : 1)
        let entries = UInt32(pages + extras)
        guard let waiting = link.ring.waiting else { return .lost }
        if waiting < entries, !link.ring.wantsMore(entries) {
            registers.isFull = true
            return .full
        }
        let first = link.ring.requestConsumer
        for page in 0..<UInt32(pages) {
            // The extras come behind the first page, and use up entries of the guest's.
            let index = first &+ page &+ (page == 0 ? 0 : UInt32(extras))
            let reference = link.ring.read(index, 4, as: UInt32.self)
            guard let grant = grantTable.begin(GrantReference(reference), write: true) else {
                break
            }
            registers.grants.append(grant)
        }
        registers.link?.ring.take(entries)
        let isUsable =
            registers.grants.count == pages
            && registers.grants.allSatisfy { $0.byteCount == UInt32(NetworkRing.pageByteCount) }
        if isUsable {
            copy(packet, registers, first, pages, extras)
            putExtras(registers, packet.metadata, hash)
        } else {
            fail(registers, first, entries)
        }
        // The guest takes its pages back as soon as it sees the responses.
        for grant in registers.grants { grantTable.end(grant) }
        registers.link?.ring.publish(entries)
        return isUsable ? .delivered : .lost
    }

    private func copy(
        _ packet: Packet, _ registers: borrowing Registers, _ first: UInt32, _ pages: Int,
        _ extras: Int
    ) {
        guard let ring = registers.link?.ring else { return }
        var reader = PacketReader(packet)
        var rest = packet.byteCount
        for page in 0..<pages {
            let address = registers.grants[page].address
            let count = min(rest, NetworkRing.pageByteCount)
            if let pointer = unsafe memory.hostPointer(address, byteCount: count) {
                _ = unsafe reader.read(
                    into: UnsafeMutableRawBufferPointer(start: pointer, count: count))
                memory.wrote(address.rawValue, count)
            }
            rest -= count
            var flags = rest > 0 ? ReceiveFlags.moreData : 0
            if page == 0 {
                flags |= Self.flags(packet.metadata)
                if extras > 0 { flags |= ReceiveFlags.extraInfo }
            }
            let ahead = UInt32(page) &+ (page == 0 ? 0 : UInt32(extras))
            let identifier = ring.read(first &+ ahead, 0, as: UInt16.self)
            respond(ring, ahead, identifier, flags, Int16(truncatingIfNeeded: count))
        }
    }

    private static func flags(_ metadata: PacketMetadata) -> UInt16 {
        if metadata.needsChecksum {
            return ReceiveFlags.checksumBlank | ReceiveFlags.dataValidated
        }
        return metadata.checksumValid ? ReceiveFlags.dataValidated : 0
    }

    private func putExtras(
        _ registers: borrowing Registers, _ metadata: PacketMetadata, _ hash: ToeplitzHash.Value?
    ) {
        guard let ring = registers.link?.ring else { return }
        var ahead: UInt32 = 1
        if metadata.segmentation != .none {
            let more = hash == nil ? 0 : UInt64(ExtraType.more)
            ring.write(
                ahead, 0,
                UInt64(ExtraType.segmentation.rawValue) | more << 8
                    | UInt64(metadata.segmentByteCount) << 16
                    | UInt64(metadata.segmentation.rawValue) << 32)
            ahead += 1
        }
        if let hash {
            ring.write(
                ahead, 0,
                UInt64(ExtraType.hash.rawValue) | UInt64(hash.kind.rawValue) << 16
                    | UInt64(ToeplitzHash.algorithm) << 24 | UInt64(hash.value) << 32)
        }
    }

    /// Puts in that the entries cannot be used.
    private func fail(_ registers: borrowing Registers, _ first: UInt32, _ count: UInt32) {
        guard let ring = registers.link?.ring else { return }
        for ahead in 0..<count {
            respond(
                ring, ahead, ring.read(first &+ ahead, 0, as: UInt16.self), 0,
                NetworkResponse.error.rawValue)
        }
    }

    private func respond(
        _ ring: borrowing SharedRing, _ ahead: UInt32, _ identifier: UInt16, _ flags: UInt16,
        _ status: Int16
    ) {
        // Identifier, offset, flags, status.
        ring.write(
            ahead, 0,
            UInt64(identifier) | UInt64(flags) << 32 | UInt64(UInt16(bitPattern: status)) << 48)
    }

    var metrics: [String: UInt64] {
        [
            "packetsReceived": packets.load(ordering: .relaxed),
            "packetsLost": losses.load(ordering: .relaxed),
        ]
    }

    /// Where the ring is and what the frontend takes; nil: not connected.
    var captured: (RingLink.State, Abilities)? {
        registers.withLock { registers in
            registers.link.map { ($0.state, registers.abilities) }
        }
    }
}
