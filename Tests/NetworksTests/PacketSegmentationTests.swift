import Testing

@testable import Networks

struct PacketSegmentationTests {
    private static func segments(_ frame: [UInt8], _ size: Int) -> [[UInt8]]? {
        var result: [[UInt8]] = []
        let done = unsafe frame.withUnsafeBytes {
            unsafe PacketSegmentation().segment($0, segmentByteCount: size) {
                result.append($0.bytes)
                #expect($0.metadata == .valid)
            }
        }
        return done ? result : nil
    }

    private static func fragments(_ frame: [UInt8], _ mtu: Int) -> [[UInt8]]? {
        var result: [[UInt8]] = []
        let done = unsafe frame.withUnsafeBytes {
            unsafe PacketSegmentation().fragment($0, mtu: mtu) { result.append($0.bytes) }
        }
        return done ? result : nil
    }

    static let v6: (from: [UInt8], to: [UInt8]) = (
        [0xfe, 0xc0] + [UInt8](repeating: 0, count: 13) + [0x15],
        [0xfe, 0xc0] + [UInt8](repeating: 0, count: 13) + [2]
    )

    static func packet(_ isV6: Bool, flags: UInt8, sequence: UInt32, _ body: [UInt8]) -> [UInt8] {
        let tcp = Frames.tcp(
            4000, 80, sequence: sequence, acknowledgment: 77, flags: flags,
            options: [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8], body)
        return isV6
            ? Frames.ethernet(0x86dd, Frames.ipv6(6, from: v6.from, to: v6.to, tcp))
            : Frames.ethernet(
                0x0800,
                Frames.ipv4(6, from: 0x0a00_020f, to: 0x0a00_0202, identification: 0xfffe, tcp))
    }

    @Test(arguments: [false, true])
    func segmentsMakeThePacketAgain(isV6: Bool) throws {
        var random = SeededGenerator(5)
        for (count, size) in [
            (1, 1460), (1460, 1460), (1461, 1460), (4001, 1001), (60000, 1448), (65000, 8000),
            (0, 536),
        ] {
            let body = random.bytes(count)
            // FIN, PSH, ACK, ECE, CWR; the sequence number wraps.
            let frame = Self.packet(isV6, flags: 0xd9, sequence: 0xffff_f000, body)
            let segments = try #require(Self.segments(frame, size))
            #expect(segments.count == max(1, (count + size - 1) / size))
            var joined: [UInt8] = []
            for (index, segment) in segments.enumerated() {
                #expect(Frames.isRight(segment), "segment \(index) of \(count) by \(size)")
                let own = try #require(headers(segment))
                #expect(own.end == segment.count)
                let payload = Array(segment[own.payloadOffset...])
                #expect(index == segments.count - 1 || payload.count == size)
                let tcp = Array(segment[own.transportOffset...])
                #expect(
                    Array(tcp[4..<8])
                        == big(0xffff_f000 as UInt32 &+ UInt32(truncatingIfNeeded: joined.count)))
                let isLast = index == segments.count - 1
                let flags: UInt8 = 0x50 | (isLast ? 0x09 : 0) | (index == 0 ? 0x80 : 0)
                #expect(tcp[13] == flags, "flags of segment \(index)")
                #expect(Array(tcp[20..<32]) == [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8])
                if !isV6 {
                    #expect(
                        Array(segment[18..<20])
                            == big(0xfffe as UInt16 &+ UInt16(truncatingIfNeeded: index)))
                }
                joined += payload
            }
            #expect(joined == body)
        }
    }

    @Test func whatIsNotToBeCutIsRefused() {
        let frame = Self.packet(false, flags: 0x18, sequence: 1, [UInt8](repeating: 1, count: 3000))
        #expect(Self.segments(frame, 0) == nil)
        #expect(Self.segments(frame, 7) == nil)
        #expect(Self.segments(frame, 8)?.count == 375)
        #expect(Self.segments(Array(frame.dropLast()), 1460) == nil)
        let udp = Frames.ethernet(
            0x0800,
            Frames.ipv4(17, from: 1, to: 2, Frames.udp(1, 2, [UInt8](repeating: 0, count: 3000))))
        #expect(Self.segments(udp, 1460) == nil)
        let syn = Self.packet(false, flags: 0x02, sequence: 1, [UInt8](repeating: 1, count: 3000))
        #expect(Self.segments(syn, 1460) == nil)
    }

    @Test func bytesBehindThePacketAreNoPayload() {
        let frame = Self.packet(false, flags: 0x18, sequence: 1, [1, 2, 3])
        let segments = Self.segments(frame + [0, 0, 0, 0], 1460)
        #expect(segments?.first?.count == frame.count)
    }

    @Test func fragmentsMakeTheDatagramAgain() throws {
        var random = SeededGenerator(6)
        for count in [1473, 4000, 65000] {
            let body = Frames.udp(53, 54, random.bytes(count))
            let v4 = Frames.ethernet(
                0x0800, Frames.ipv4(17, from: 3, to: 4, flags: 0, body))
            var joined: [UInt8] = []
            let parts = try #require(Self.fragments(v4, 1500))
            for (index, part) in parts.enumerated() {
                #expect(part.count <= 1514)
                #expect(naiveSum(Array(part[14..<34])) == 0xffff)
                let word = UInt16(part[20]) << 8 | UInt16(part[21])
                #expect(Int(word & 0x1fff) * 8 == joined.count)
                #expect((word & 0x2000 != 0) == (index < parts.count - 1))
                #expect(Int(part[16]) << 8 | Int(part[17]) == part.count - 14)
                joined += part[34...]
            }
            #expect(joined == body)

            let six = Frames.ethernet(
                0x86dd, Frames.ipv6(17, from: Self.v6.from, to: Self.v6.to, body))
            joined = []
            let pieces = try #require(Self.fragments(six, 1500))
            for (index, piece) in pieces.enumerated() {
                #expect(piece.count <= 1514)
                #expect(piece[20] == 44 && piece[54] == 17)
                let word = UInt16(piece[56]) << 8 | UInt16(piece[57])
                #expect(Int(word & 0xfff8) == joined.count)
                #expect((word & 1 != 0) == (index < pieces.count - 1))
                #expect(Int(piece[18]) << 8 | Int(piece[19]) == piece.count - 54)
                joined += piece[62...]
            }
            #expect(joined == body)
        }
    }

    @Test func offerOfASegmentSizeIsChangedWithItsChecksum() throws {
        for padding in [[], [1], [1, 1], [1, 1, 1]] as [[UInt8]] {
            let options =
                padding + [2, 4, 0x05, 0xb4] + [UInt8](repeating: 0, count: (4 - padding.count) % 4)
            let tcp = Frames.summed(
                Frames.tcp(1, 2, sequence: 3, flags: 2, options: options), at: 16, kind: 6,
                from: big(1 as UInt32), to: big(2 as UInt32))
            var frame = Frames.ethernet(0x0800, Frames.ipv4(6, from: 1, to: 2, tcp))
            #expect(Frames.isRight(frame))
            let found = try #require(headers(frame))
            let offset = unsafe frame.withUnsafeBytes {
                unsafe MaximumSegmentSize.offset($0, found)
            }
            #expect(offset == 54 + padding.count + 2)
            unsafe frame.withUnsafeMutableBytes {
                unsafe MaximumSegmentSize.set(
                    $0, found, at: offset ?? 0, 32120, needsChecksum: false)
            }
            #expect(
                Array(frame[54 + padding.count + 2..<54 + padding.count + 4])
                    == big(32120 as UInt16))
            #expect(Frames.isRight(frame), "\(padding.count) bytes before the option")
        }
    }
}
