/// What TCP peers in the guest said of their largest segment, so that larger ones made for them can be
/// cut to it.
///
/// A bounded table that forgets: for a connection that is not in it, the least that every host takes.
/// Owner: a network's thread.
struct SegmentSizes {
    /// A connection: the guest's side and the other.
    struct Flow: Hashable {
        var guest: (UInt64, UInt64)
        var peer: (UInt64, UInt64)
        var ports: UInt32

        /// - Parameter toGuest: the guest is the destination of the packet.
        init(_ frame: UnsafeRawBufferPointer, _ headers: PacketHeaders, toGuest: Bool) {
            let network = headers.networkOffset
            var source: (UInt64, UInt64)
            var destination: (UInt64, UInt64)
            switch headers.version {
            case .v4:
                source = unsafe (0, UInt64(frame.big32(network + 12)))
                destination = unsafe (0, UInt64(frame.big32(network + 16)))
            case .v6:
                source = unsafe (frame.big64(network + 8), frame.big64(network + 16))
                destination = unsafe (frame.big64(network + 24), frame.big64(network + 32))
            }
            let pair = unsafe frame.big32(headers.transportOffset)
            (guest, peer) = toGuest ? (destination, source) : (source, destination)
            ports = toGuest ? pair << 16 | pair >> 16 : pair
        }

        static func == (a: Self, b: Self) -> Bool {
            a.guest == b.guest && a.peer == b.peer && a.ports == b.ports
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(guest.0)
            hasher.combine(guest.1)
            hasher.combine(peer.0)
            hasher.combine(peer.1)
            hasher.combine(ports)
        }
    }

    private static let slots = 1024
    private var table = [(flow: Flow, byteCount: UInt16)?](repeating: nil, count: slots)

    /// Bytes of a segment that every host takes, headers left out (RFC 9293, 3.7.1).
    static func smallest(_ version: PacketHeaders.Version) -> Int {
        switch version {
        case .v4: 536
        case .v6: 1220
        }
    }

    private static func slot(_ flow: Flow) -> Int {
        Int(UInt(bitPattern: flow.hashValue) % UInt(slots))
    }

    mutating func insert(_ flow: Flow, _ byteCount: UInt16) {
        table[Self.slot(flow)] = (flow, byteCount)
    }

    func find(_ flow: Flow) -> Int? {
        guard let entry = table[Self.slot(flow)], entry.flow == flow else { return nil }
        return Int(entry.byteCount)
    }
}

/// The option "maximum segment size" of TCP (RFC 9293, 3.2).
enum MaximumSegmentSize {
    /// Where the option's value is in the SYN of a frame; nil if there is none.
    static func offset(_ frame: UnsafeRawBufferPointer, _ headers: PacketHeaders) -> Int? {
        guard headers.isTCP, unsafe frame.byte(headers.transportOffset + 13) & 0x02 != 0 else {
            return nil
        }
        var offset = headers.transportOffset + 20
        while offset < headers.payloadOffset {
            let kind = unsafe frame.byte(offset)
            if kind == 0 { return nil }
            if kind == 1 {
                offset += 1
                continue
            }
            let length = unsafe Int(frame.byte(offset + 1))
            guard length >= 2, offset + length <= headers.payloadOffset else { return nil }
            if kind == 2, length == 4 { return offset + 2 }
            offset += length
        }
        return nil
    }

    /// Changes the value, and TCP's checksum with it (RFC 1624) unless that is yet to be made.
    static func set(
        _ frame: UnsafeMutableRawBufferPointer, _ headers: PacketHeaders, at offset: Int,
        _ value: UInt16, needsChecksum: Bool
    ) {
        let old = unsafe frame.readable.big16(offset)
        unsafe frame.setBig16(value, at: offset)
        if needsChecksum { return }
        let place = headers.transportOffset + 16
        // At an odd place the value's bytes count in two words.
        let isOdd = (offset - headers.transportOffset) & 1 != 0
        var sum = PacketChecksum.Sum()
        unsafe sum.add(~frame.readable.big16(place))
        sum.add(isOdd ? (~old).byteSwapped : ~old)
        sum.add(isOdd ? value.byteSwapped : value)
        unsafe frame.setBig16(~sum.folded, at: place)
    }
}
