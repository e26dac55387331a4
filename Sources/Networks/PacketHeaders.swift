/// Where the headers of an IP packet are in its frame. Offsets are bytes from the start of the frame,
/// and all headers lie in what was read.
public struct PacketHeaders: Sendable, Hashable {
    public enum Version: Sendable, Hashable { case v4, v6 }

    public var version: Version
    /// First byte of the IP header: 14, or 18 and 22 behind VLAN tags.
    public var networkOffset: Int
    /// First byte behind the IP header and its options or extensions.
    public var transportOffset: Int
    /// The byte behind the IP packet, by the IP header: the frame may be longer.
    public var end: Int
    /// IANA's protocol number: TCP 6, UDP 17.
    public var transportProtocol: UInt8
    /// A part of a datagram, whose checksum covers all parts.
    public var isFragment: Bool
    /// Bytes of the TCP header with its options; 0 for other protocols.
    public var tcpHeaderByteCount: Int

    static let tcp: UInt8 = 6
    static let udp: UInt8 = 17

    public var isTCP: Bool { transportProtocol == Self.tcp && !isFragment }
    public var isUDP: Bool { transportProtocol == Self.udp && !isFragment }
    /// First byte of what TCP carries.
    public var payloadOffset: Int { transportOffset + tcpHeaderByteCount }

    /// Where the checksum is in the transport header, TCP 16 and UDP 6; nil: it is of neither.
    public var checksumOffset: Int? { isTCP ? 16 : isUDP ? 6 : nil }

    /// Reads the headers of a frame; nil if it is not IP, is shorter than it says, or its headers are
    /// not whole.
    public init?(_ frame: UnsafeRawBufferPointer) {
        unsafe self.init(frame, frameByteCount: frame.count)
    }

    /// Reads the headers of a frame of which only the first bytes are at hand.
    public init?(_ frame: UnsafeRawBufferPointer, frameByteCount: Int) {
        guard let (type, offset) = unsafe Self.networkLayer(frame) else { return nil }
        networkOffset = offset
        tcpHeaderByteCount = 0
        switch type {
        case 0x0800:
            version = .v4
            let headerByteCount = unsafe Int(frame.byte(offset) & 15) * 4
            end = unsafe offset + Int(frame.big16(offset + 2))
            transportOffset = offset + headerByteCount
            transportProtocol = unsafe frame.byte(offset + 9)
            isFragment = unsafe frame.big16(offset + 6) & 0x3fff != 0
            guard unsafe frame.byte(offset) >> 4 == 4, headerByteCount >= 20 else { return nil }
        case 0x86dd:
            version = .v6
            end = unsafe offset + 40 + Int(frame.big16(offset + 4))
            guard unsafe frame.byte(offset) >> 4 == 6,
                let (next, place, fragment) = unsafe Self.extensions(frame, offset, end)
            else { return nil }
            (transportProtocol, transportOffset, isFragment) = (next, place, fragment)
        default: return nil
        }
        let limit = min(end, frame.count)
        guard end <= frameByteCount, transportOffset <= limit else { return nil }
        if isFragment { return }
        if transportProtocol == Self.tcp {
            tcpHeaderByteCount = unsafe Int(frame.byte(transportOffset + 12) >> 4) * 4
            guard tcpHeaderByteCount >= 20, payloadOffset <= limit else { return nil }
        } else if transportProtocol == Self.udp {
            guard transportOffset + 8 <= limit else { return nil }
        }
    }

    /// The EtherType behind up to two VLAN tags (IEEE 802.1Q, 802.1ad), and what it describes.
    private static func networkLayer(_ frame: UnsafeRawBufferPointer) -> (UInt16, Int)? {
        var offset = 12
        for _ in 0..<3 {
            guard offset + 2 <= frame.count else { return nil }
            let type = unsafe frame.big16(offset)
            if type != 0x8100, type != 0x88a8 { return (type, offset + 2) }
            offset += 4
        }
        return nil
    }

    /// Goes over extension headers (RFC 8200, 4): hop-by-hop, routing, destination options, fragment.
    private static func extensions(
        _ frame: UnsafeRawBufferPointer, _ network: Int, _ end: Int
    ) -> (next: UInt8, offset: Int, isFragment: Bool)? {
        var next = unsafe frame.byte(network + 6)
        var offset = network + 40
        // More than these no honest packet has.
        for _ in 0..<8 {
            switch next {
            case 0, 43, 60:
                guard offset + 8 <= end else { return nil }
                next = unsafe frame.byte(offset)
                offset += unsafe (Int(frame.byte(offset + 1)) + 1) * 8
            case 44:
                guard offset + 8 <= end else { return nil }
                return unsafe (frame.byte(offset), offset + 8, true)
            default: return (next, offset, false)
            }
        }
        return nil
    }
}
