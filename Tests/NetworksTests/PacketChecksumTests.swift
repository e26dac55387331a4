import Testing

@testable import Networks

struct PacketChecksumTests {
    @Test func sumIsThatOfTheDefinition() {
        var random = SeededGenerator(1)
        for count in Array(0..<100) + [1459, 1460, 1461, 65535] {
            var bytes = random.bytes(count + 3)
            if count % 3 == 0 { bytes = bytes.map { _ in 0xff } }
            // Also at addresses that are not aligned.
            for start in 0..<3 {
                let part = Array(bytes[start..<start + count])
                let sum = unsafe bytes.withUnsafeBytes {
                    unsafe PacketChecksum.checksum(.init(rebasing: $0[start..<start + count]))
                }
                #expect(sum == ~naiveSum(part), "\(count) bytes from \(start)")
            }
        }
    }

    @Test func sumOfPartsIsThatOfTheWhole() {
        var random = SeededGenerator(2)
        for _ in 0..<500 {
            let bytes = random.bytes(Int.random(in: 1...300, using: &random))
            var sum = PacketChecksum.Sum()
            var from = 0
            while from < bytes.count {
                let to = min(from + Int.random(in: 0...40, using: &random), bytes.count)
                unsafe bytes.withUnsafeBytes { unsafe sum.add(.init(rebasing: $0[from..<to])) }
                from = to
            }
            #expect(sum.folded == naiveSum(bytes))
        }
    }

    private static func tcpFrame(_ body: [UInt8], _ sum: [UInt8] = [0xde, 0xad]) -> [UInt8] {
        var tcp = Frames.tcp(1000, 80, sequence: 5, flags: 0x18, body)
        tcp.replaceSubrange(16..<18, with: sum)
        return Frames.ethernet(
            0x0800, Frames.ipv4(6, from: 0x0a00_020f, to: 0x0a00_0202, tcp))
    }

    @Test func checksumsAreCompleted() {
        var random = SeededGenerator(3)
        for count in [0, 1, 2, 3, 99, 1460, 40000] {
            var frame = Self.tcpFrame(random.bytes(count))
            #expect(isRight(frame) == false)
            // The header's too.
            frame[14 + 10] ^= 0x55
            let done = unsafe frame.withUnsafeMutableBytes { unsafe PacketChecksum.complete($0) }
            #expect(done)
            #expect(Frames.isRight(frame))
            #expect(isRight(frame) == true)
            frame[frame.count - 1] ^= 1
            #expect(!Frames.isRight(frame))
            #expect(isRight(frame) == false)
        }
    }

    @Test func partialChecksumsArePreparedFromTheHeaders() {
        var random = SeededGenerator(4)
        for body in [random.bytes(7), random.bytes(4000)] {
            let whole = Self.tcpFrame(body)
            var head = Array(whole[0..<54])
            let metadata = unsafe head.withUnsafeMutableBytes {
                unsafe PacketChecksum.prepare($0, frameByteCount: whole.count)
            }
            #expect(metadata?.checksumStart == 34)
            #expect(metadata?.checksumOffset == 16)
            #expect(metadata?.headerByteCount == 54)
            #expect(metadata?.needsChecksum == true)
            var frame = head + whole[54...]
            let done = unsafe frame.withUnsafeMutableBytes {
                unsafe PacketChecksum.complete($0, start: 34, offset: 16)
            }
            #expect(done && Frames.isRight(frame))
        }
    }

    @Test func datagramWhoseSumIsZeroHasOnes() {
        // RFC 768: 0 would mean that there is no checksum.
        let addresses = (from: big(0x0a00_020f as UInt32), to: big(0x0a00_0202 as UInt32))
        var udp = Frames.udp(1, 2, [0, 0])
        let pseudo = Frames.pseudo(
            from: addresses.from, to: addresses.to, kind: 17, count: udp.count)
        let rest = ~naiveSum(pseudo + udp)
        udp.replaceSubrange(8..<10, with: big(rest))
        var frame = Frames.ethernet(
            0x0800, Frames.ipv4(17, from: 0x0a00_020f, to: 0x0a00_0202, udp))
        let done = unsafe frame.withUnsafeMutableBytes { unsafe PacketChecksum.complete($0) }
        #expect(done)
        #expect(Array(frame[40..<42]) == [0xff, 0xff])
        #expect(Frames.isRight(frame))
        frame.replaceSubrange(40..<42, with: [0, 0])
        #expect(isRight(frame) == true, "no checksum is a right one")
    }

    @Test func fieldsOutsideTheFrameAreRefused() {
        var frame = [UInt8](repeating: 0xab, count: 60)
        let before = frame
        for (start, offset) in [(59, 0), (60, 0), (0, 59), (65535, 65535), (-1, 0), (30, -31)] {
            let done = unsafe frame.withUnsafeMutableBytes {
                unsafe PacketChecksum.complete($0, start: start, offset: offset)
            }
            #expect(!done)
        }
        #expect(frame == before)
    }

    @Test func headersAreFoundBehindTagsAndExtensions() {
        let tcp = Frames.tcp(1, 2, sequence: 3, flags: 2, options: [2, 4, 5, 0xb4], [9])
        let tagged = Frames.ethernet(
            0x88a8,
            big(7 as UInt16) + big(0x8100 as UInt16) + big(8 as UInt16) + big(0x0800 as UInt16)
                + Frames.ipv4(6, from: 1, to: 2, options: [1, 1, 1, 0], tcp))
        let found = headers(tagged)
        #expect(found?.networkOffset == 22)
        #expect(found?.transportOffset == 46)
        #expect(found?.payloadOffset == 70)
        #expect(found?.end == tagged.count)
        let address = [UInt8](repeating: 1, count: 16)
        let options: [UInt8] =
            [60, 0, 1, 4, 0, 0, 0, 0] + [6, 1] + [UInt8](repeating: 0, count: 14)
        let extended = Frames.ethernet(
            0x86dd, Frames.ipv6(0, from: address, to: address, extensions: options, tcp))
        #expect(headers(extended)?.transportOffset == 14 + 40 + 24)
        #expect(headers(extended)?.isTCP == true)
        let fragment = Frames.ethernet(
            0x86dd,
            Frames.ipv6(
                44, from: address, to: address, extensions: [6, 0, 0, 1, 0, 0, 0, 9], tcp))
        #expect(headers(fragment)?.isFragment == true)
        #expect(headers(fragment)?.isTCP == false)
        // Shorter than it says.
        #expect(headers(Array(tagged.dropLast())) == nil)
    }
}
