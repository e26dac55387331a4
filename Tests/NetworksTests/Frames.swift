@testable import Networks

/// Numbers that are the same every time: SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }
}

/// The Internet checksum as RFC 1071 describes it, a word at a time.
func naiveSum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt32 = 0
    var index = 0
    while index < bytes.count {
        let low = index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0
        sum += UInt32(bytes[index]) << 8 | low
        sum = (sum & 0xffff) + (sum >> 16)
        index += 2
    }
    return UInt16(sum)
}

func big(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }
func big(_ value: UInt32) -> [UInt8] {
    big(UInt16(value >> 16)) + big(UInt16(truncatingIfNeeded: value))
}

/// Frames of the wire, made without the code under test.
enum Frames {
    static let guestMAC: [UInt8] = [0x02, 0, 0, 0x12, 0x34, 0x56]
    static let gatewayMAC: [UInt8] = [0x52, 0x55, 10, 0, 2, 2]

    static func ethernet(
        _ type: UInt16, to: [UInt8] = gatewayMAC, from: [UInt8] = guestMAC, _ body: [UInt8]
    ) -> [UInt8] { to + from + big(type) + body }

    static func ipv4(
        _ kind: UInt8, from: UInt32, to: UInt32, identification: UInt16 = 0x1234,
        flags: UInt16 = 0x4000, options: [UInt8] = [], _ body: [UInt8]
    ) -> [UInt8] {
        let header = UInt8(5 + options.count / 4)
        var result: [UInt8] = [0x40 | header, 0]
        result += big(UInt16(truncatingIfNeeded: Int(header) * 4 + body.count))
        result += big(identification) + big(flags) + [64, kind, 0, 0] + big(from) + big(to)
        result += options
        let sum = ~naiveSum(result)
        result.replaceSubrange(10..<12, with: big(sum))
        return result + body
    }

    static func ipv6(
        _ kind: UInt8, from: [UInt8], to: [UInt8], extensions: [UInt8] = [], _ body: [UInt8]
    ) -> [UInt8] {
        [0x60, 0, 0, 0] + big(UInt16(truncatingIfNeeded: extensions.count + body.count))
            + [kind, 64] + from + to + extensions + body
    }

    static func pseudo(from: [UInt8], to: [UInt8], kind: UInt8, count: Int) -> [UInt8] {
        from + to + big(UInt32(count)) + [0, 0, 0, kind]
    }

    static func tcp(
        _ source: UInt16, _ destination: UInt16, sequence: UInt32, acknowledgment: UInt32 = 0,
        flags: UInt8, window: UInt16 = 65535, options: [UInt8] = [], _ body: [UInt8] = []
    ) -> [UInt8] {
        big(source) + big(destination) + big(sequence) + big(acknowledgment)
            + [UInt8(5 + options.count / 4) << 4, flags] + big(window) + [0, 0, 0, 0] + options
            + body
    }

    static func udp(_ source: UInt16, _ destination: UInt16, _ body: [UInt8]) -> [UInt8] {
        big(source) + big(destination) + big(UInt16(8 + body.count)) + [0, 0] + body
    }

    /// With its checksum at `place`, over a pseudo header of these addresses.
    static func summed(
        _ transport: [UInt8], at place: Int, kind: UInt8, from: [UInt8], to: [UInt8]
    ) -> [UInt8] {
        var result = transport
        let all = pseudo(from: from, to: to, kind: kind, count: transport.count) + transport
        let sum = ~naiveSum(all)
        result.replaceSubrange(place..<place + 2, with: big(sum))
        return result
    }

    /// Whether the checksums of an IPv4 or IPv6 frame, TCP or UDP or ICMP, are right.
    static func isRight(_ frame: [UInt8]) -> Bool {
        let type = UInt16(frame[12]) << 8 | UInt16(frame[13])
        let packet = Array(frame.dropFirst(14))
        if type == 0x0800 {
            let header = Int(packet[0] & 15) * 4
            let end = Int(packet[2]) << 8 | Int(packet[3])
            guard naiveSum(Array(packet[0..<header])) == 0xffff else { return false }
            let body = Array(packet[header..<end])
            if packet[9] == 1 { return naiveSum(body) == 0xffff }
            return naiveSum(
                pseudo(
                    from: Array(packet[12..<16]), to: Array(packet[16..<20]), kind: packet[9],
                    count: body.count) + body) == 0xffff
        }
        let end = 40 + (Int(packet[4]) << 8 | Int(packet[5]))
        var (next, offset) = (packet[6], 40)
        while next == 0 || next == 60 {
            (next, offset) = (packet[offset], offset + (Int(packet[offset + 1]) + 1) * 8)
        }
        let body = Array(packet[offset..<end])
        return naiveSum(
            pseudo(
                from: Array(packet[8..<24]), to: Array(packet[24..<40]), kind: next,
                count: body.count) + body) == 0xffff
    }
}

func isRight(_ frame: [UInt8]) -> Bool? {
    unsafe frame.withUnsafeBytes { unsafe PacketChecksum.isRight($0) }
}

func headers(_ frame: [UInt8]) -> PacketHeaders? {
    unsafe frame.withUnsafeBytes { unsafe PacketHeaders($0) }
}
