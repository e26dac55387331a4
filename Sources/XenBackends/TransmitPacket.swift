internal import Networks

/// A packet of the guest as its entries on the ring say it is. Each entry is read once.
struct TransmitPacket {
    struct Slot: BitwiseCopyable {
        var reference: UInt32
        var offset: UInt16
        var flags: UInt16
        var identifier: UInt16
        /// Bytes in this page.
        var byteCount: UInt16
    }

    struct Multicast: BitwiseCopyable {
        var isAdded: Bool
        /// The address, its first byte highest.
        var address: UInt64
    }

    private(set) var slots: [Slot]
    /// Entries behind the first that are none of data.
    private(set) var extraCount: UInt32 = 0
    private(set) var flags: UInt16 = 0
    /// Of all data.
    private(set) var byteCount = 0
    private(set) var segmentation = SegmentationType.none
    private(set) var segmentByteCount: UInt16 = 0
    /// The entries are no packet, but change what the interface receives.
    private(set) var multicast: Multicast?
    /// It has its form, but cannot be sent.
    private(set) var isMalformed = false

    init() {
        slots = []
        slots.reserveCapacity(NetworkRing.slotLimit)
    }

    var entryCount: UInt32 { UInt32(slots.count) + extraCount }

    /// Reads the next packet of a ring where `waiting` entries wait, at least one.
    mutating func read(
        _ ring: borrowing SharedRing, waiting: UInt32
    ) throws(NetworkMistake) {
        slots.removeAll(keepingCapacity: true)
        (extraCount, segmentation, segmentByteCount) = (0, .none, 0)
        (multicast, isMalformed) = (nil, false)
        var index = ring.requestConsumer
        let end = index &+ waiting
        var slot = Self.slot(ring, index)
        index &+= 1
        flags = slot.flags
        byteCount = Int(slot.byteCount)
        slots.append(slot)
        if slot.flags & TransmitFlags.extraInfo != 0 {
            try readExtras(ring, &index, end)
        }
        var rest = byteCount
        while slot.flags & TransmitFlags.moreData != 0 {
            guard index != end else { throw NetworkMistake("ended a packet's entries early") }
            guard slots.count < NetworkRing.slotLimit else {
                throw NetworkMistake("sent more than \(NetworkRing.slotLimit) entries of a packet")
            }
            slot = Self.slot(ring, index)
            index &+= 1
            try Self.check(slot, slot.byteCount)
            slots.append(slot)
            rest -= Int(slot.byteCount)
        }
        // The first entry says how long the packet is; its own part is what the others leave.
        guard rest >= 0, byteCount >= Self.smallestFrame else {
            isMalformed = true
            return
        }
        try Self.check(slots[0], UInt16(truncatingIfNeeded: rest))
        slots[0].byteCount = UInt16(truncatingIfNeeded: rest)
    }

    /// An Ethernet header.
    private static let smallestFrame = 14

    private static func check(_ slot: Slot, _ byteCount: UInt16) throws(NetworkMistake) {
        guard Int(slot.offset) + Int(byteCount) <= NetworkRing.pageByteCount else {
            throw NetworkMistake("sent data across the end of a page")
        }
    }

    private static func slot(_ ring: borrowing SharedRing, _ index: UInt32) -> Slot {
        let word = ring.read(index, 4, as: UInt32.self)
        let last = ring.read(index, 8, as: UInt32.self)
        return Slot(
            reference: ring.read(index, 0, as: UInt32.self),
            offset: UInt16(truncatingIfNeeded: word),
            flags: UInt16(truncatingIfNeeded: word >> 16),
            identifier: UInt16(truncatingIfNeeded: last),
            byteCount: UInt16(truncatingIfNeeded: last >> 16))
    }

    private mutating func readExtras(
        _ ring: borrowing SharedRing, _ index: inout UInt32, _ end: UInt32
    ) throws(NetworkMistake) {
        while true {
            guard index != end else { throw NetworkMistake("ended a packet's extras early") }
            let word = ring.read(index, 0, as: UInt64.self)
            index &+= 1
            extraCount += 1
            let type = UInt8(truncatingIfNeeded: word)
            switch ExtraType(rawValue: type) {
            case .segmentation:
                let byteCount = UInt16(truncatingIfNeeded: word >> 16)
                guard let kind = SegmentationType(gsoType: UInt8(truncatingIfNeeded: word >> 32)),
                    byteCount > 0
                else { throw NetworkMistake("asked for a segmentation that there is not") }
                (segmentation, segmentByteCount) = (kind, byteCount)
            case .multicastAdd, .multicastDelete:
                multicast = Multicast(
                    isAdded: type == ExtraType.multicastAdd.rawValue,
                    address: word.byteSwapped & 0xffff_ffff_ffff)
            case .hash: break
            case nil: throw NetworkMistake("sent an extra of type \(type)")
            }
            if UInt8(truncatingIfNeeded: word >> 8) & ExtraType.more == 0 { return }
        }
    }
}
