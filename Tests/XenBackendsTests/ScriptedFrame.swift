/// An Ethernet frame with TCP or UDP, all checksums 0.
struct ScriptedFrame {
    var isV6 = false
    var isTCP = true
    var destination: [UInt8] = [2, 0, 0, 0, 0, 1]
    var addresses: (source: [UInt8], destination: [UInt8])
    var ports: (source: UInt16, destination: UInt16) = (2794, 1766)
    var payload: [UInt8]

    /// A frame with so many bytes of payload, a pattern that begins with `seed`.
    init(v6: Bool = false, tcp: Bool = true, payloadByteCount: Int = 100, seed: UInt8 = 0) {
        (isV6, isTCP) = (v6, tcp)
        addresses =
            v6
            ? ([0xfe, 0x80] + Array(1...14), [0xfd] + Array(101...115))
            : ([66, 9, 149, 187], [161, 142, 100, 80])
        payload = (0..<payloadByteCount).map { UInt8(truncatingIfNeeded: $0 &* 7) &+ seed }
    }

    private static func big(_ value: Int) -> [UInt8] {
        [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)]
    }

    var transportOffset: Int { isV6 ? 54 : 34 }
    /// In the frame.
    var checksumOffset: Int { transportOffset + (isTCP ? 16 : 6) }

    private var transport: [UInt8] {
        let head = Self.big(Int(ports.source)) + Self.big(Int(ports.destination))
        if isTCP {
            return head + [0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0x20, 0, 0, 0, 0, 0] + payload
        }
        return head + Self.big(8 + payload.count) + [0, 0] + payload
    }

    var bytes: [UInt8] {
        let transport = transport
        let next: UInt8 = isTCP ? 6 : 17
        let ethernet = destination + [2, 0, 0, 0, 0, 9]
        if isV6 {
            return ethernet + [0x86, 0xdd, 0x60, 0, 0, 0] + Self.big(transport.count) + [next, 64]
                + addresses.source + addresses.destination + transport
        }
        return ethernet + [8, 0, 0x45, 0] + Self.big(20 + transport.count)
            + [0, 0, 0x40, 0, 64, next, 0, 0] + addresses.source + addresses.destination
            + transport
    }

    /// The sum of the pseudo header, not inverted.
    var pseudoHeader: UInt16 {
        let bytes =
            addresses.source + addresses.destination + Self.big(transport.count)
            + [0, isTCP ? 6 : 17]
        var sum = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += Int(bytes[index]) << 8 | Int(bytes[index + 1])
        }
        while sum > 0xffff { sum = (sum & 0xffff) + sum >> 16 }
        return UInt16(sum)
    }

    /// The frame as the network gets it where the guest has left the checksum to it.
    var withPseudoHeader: [UInt8] {
        var result = bytes
        result.replaceSubrange(
            checksumOffset..<checksumOffset + 2, with: Self.big(Int(pseudoHeader)))
        return result
    }
}
