import HostIO
import Testing
import Vocabulary

@testable import Networks

/// A guest's bytes are anything, and so is what it says of them. Nothing here may end the program.
@Suite(.serialized) struct HostileFrameTests {
    /// Random bytes, most of them with a beginning that is looked at.
    private static func frame(_ random: inout SeededGenerator) -> [UInt8] {
        var bytes = random.bytes(Int.random(in: 0...200, using: &random))
        if Int.random(in: 0..<8, using: &random) == 0 {
            bytes += [UInt8](repeating: 0, count: Int.random(in: 0...66_000, using: &random))
        }
        func put(_ offset: Int, _ values: [UInt8]) {
            guard bytes.count >= offset + values.count else { return }
            bytes.replaceSubrange(offset..<offset + values.count, with: values)
        }
        let length = UInt16(truncatingIfNeeded: max(bytes.count - 14, 0))
        switch Int.random(in: 0..<8, using: &random) {
        case 0: put(12, [8, 6])
        case 1: put(12, [0x81, 0, 0, 1, 8, 0, 0x45])
        case 2: put(12, [0x86, 0xdd, 0x60])
        case 3:
            put(12, [0x86, 0xdd, 0x60])
            put(18, big(length &- 40))
            put(20, [[0, 6, 17, 43, 44, 58, 60].randomElement(using: &random) ?? 6])
        case 4...6:
            put(12, [8, 0, 0x45])
            put(16, big(length))
            put(20, [[0, 0], [0x20, 0], [0x1f, 0xff]].randomElement(using: &random) ?? [0, 0])
            put(23, [[1, 6, 17].randomElement(using: &random) ?? 6])
            put(26, [10, 0, 2, 15, 10, 0, 2, 2])
            put(46, [0x50])
            if bytes.count >= 34 {
                put(24, [0, 0])
                put(24, big(~naiveSum(Array(bytes[14..<34]))))
            }
        default: break
        }
        return bytes
    }

    private static func metadata(_ random: inout SeededGenerator) -> PacketMetadata {
        var result = PacketMetadata()
        result.needsChecksum = Bool.random(using: &random)
        result.checksumValid = Bool.random(using: &random)
        result.checksumStart = [0, 14, 34, 65535].randomElement(using: &random) ?? 0
        result.checksumOffset = [0, 6, 16, 65535].randomElement(using: &random) ?? 0
        result.segmentation = [.none, .tcpv4, .tcpv6].randomElement(using: &random) ?? .none
        result.segmentByteCount = [0, 1, 8, 536, 1460, 65535].randomElement(using: &random) ?? 0
        result.headerByteCount = UInt16.random(in: 0...UInt16.max, using: &random)
        return result
    }

    @Test func everyReaderTakesAnything() {
        var random = SeededGenerator(20)
        let segmentation = PacketSegmentation()
        for _ in 0..<30_000 {
            var frame = Self.frame(&random)
            let size = Int.random(in: 0...2000, using: &random)
            unsafe frame.withUnsafeMutableBytes { frame in
                let found = unsafe PacketHeaders(frame.readable)
                if let found {
                    let count = frame.count
                    #expect(found.payloadOffset <= found.end && found.end <= count)
                    _ = unsafe MaximumSegmentSize.offset(frame.readable, found)
                }
                _ = unsafe PacketChecksum.isRight(frame.readable)
                _ = unsafe segmentation.segment(frame.readable, segmentByteCount: size) { _ in }
                _ = unsafe segmentation.fragment(frame.readable, mtu: size) { _ in }
                _ = unsafe PacketChecksum.prepare(frame, frameByteCount: frame.count)
                unsafe PacketChecksum.complete(frame)
            }
        }
    }

    @Test func networksTakeAnything() throws {
        let path = "/tmp/martlet-hostile-\(UInt32.random(in: 0...UInt32.max)).sock"
        // Nothing leaves the host: neither forwarded nor to its services.
        var options = UserNetworkOptions()
        options.isRestricted = true
        let networks: [any Network] = [
            try UserNetwork(name: "user0", options: options),
            try SocketNetwork(name: "a", path: path), try SocketNetwork(name: "b", path: path),
        ]
        for network in networks {
            try network.start(sink: RecordingReceiver(), offloads: [.checksum])
        }
        var random = SeededGenerator(21)
        for index in 0..<20_000 {
            let frame = Self.frame(&random)
            let metadata = Self.metadata(&random)
            for network in networks {
                #expect(eventually { network.send(frame, metadata) == .accepted })
            }
            if index % 1000 == 0 { networks[0].setOffloads(index % 2000 == 0 ? .all : []) }
        }
        for network in networks { network.stop() }
        #expect(networks[0].statistics.sent.packets > 10_000)
        #expect(networks[0].statistics.sent.errors > 0)
    }
}
