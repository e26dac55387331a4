import HostIO
import Testing

@testable import Networks

struct PacketQueueTests {
    private static func append(_ arena: PacketArena, _ bytes: [UInt8]) -> Bool {
        unsafe bytes.withUnsafeBytes { unsafe Packet.withBytes($0, arena.append) }
    }

    private static func append(_ queue: SendQueue, _ bytes: [UInt8]) -> SendOutcome {
        unsafe bytes.withUnsafeBytes { unsafe Packet.withBytes($0, queue.append) }
    }

    @Test func arenaKeepsPacketsInOrder() throws {
        let arena = PacketArena(capacity: 2 * Packet.maximumByteCount)
        var random = SeededGenerator(11)
        for _ in 0..<20 {
            var kept: [[UInt8]] = []
            while true {
                let bytes = random.bytes(Int.random(in: 0...9000, using: &random))
                guard Self.append(arena, bytes) else { break }
                kept.append(bytes)
            }
            #expect(kept.count >= 14 && arena.packetCount == kept.count)
            for bytes in kept {
                let first = unsafe arena.first.map { unsafe [UInt8]($0.frame) }
                #expect(first == bytes)
                arena.removeFirst()
            }
            #expect(arena.isEmpty)
        }
        #expect(!Self.append(arena, [UInt8](repeating: 0, count: Packet.maximumByteCount + 1)))
        #expect(Self.append(arena, [UInt8](repeating: 0, count: Packet.maximumByteCount)))
    }

    @Test func queueThatIsFullSaysWhenItIsNot() throws {
        let counters = NetworkCounters()
        let queue = try SendQueue(owner: "test", counters: counters)
        let frame = [UInt8](repeating: 7, count: 60_000)
        #expect(queue.prepareToWait())
        var taken = 0
        while Self.append(queue, frame) == .accepted { taken += 1 }
        #expect(taken == 17)
        #expect(queue.wake.take() == 1, "one wake-up for all")
        #expect(!queue.prepareToWait())
        let (filled, producerWaited) = queue.exchange(PacketArena(capacity: SendQueue.capacity))
        #expect(filled.packetCount == 17 && producerWaited)
        #expect(Self.append(queue, frame) == .accepted)
        filled.clear()
        #expect(!queue.exchange(filled).producerWaited)
        #expect(queue.prepareToWait())
        queue.resume()
        #expect(!queue.prepareToWait())
        #expect(queue.takeResumed() && !queue.takeResumed())
        // Neither too short nor too long.
        #expect(Self.append(queue, [1]) == .accepted)
        #expect(Self.append(queue, [UInt8](repeating: 1, count: 70_000)) == .accepted)
        #expect(counters.snapshot.sent.errors == 2 && counters.snapshot.sent.packets == 18)
    }

    private static func delivery(
        _ sink: RecordingReceiver, _ offloads: PacketOffloads, _ counters: NetworkCounters
    ) -> PacketDelivery {
        PacketDelivery(sink: sink, offloads: offloads, mtu: 1500, counters: counters)
    }

    private static func deliver(
        _ delivery: PacketDelivery, _ bytes: [UInt8], _ metadata: PacketMetadata = PacketMetadata()
    ) {
        unsafe bytes.withUnsafeBytes {
            unsafe Packet.withBytes($0, metadata: metadata, delivery.deliver)
        }
    }

    @Test func sinkThatIsFullMissesNothing() {
        let (sink, counters) = (RecordingReceiver(), NetworkCounters())
        let delivery = Self.delivery(sink, .all, counters)
        sink.setRoom(2)
        for index in 0..<5 { Self.deliver(delivery, [UInt8](repeating: UInt8(index), count: 20)) }
        #expect(delivery.isFull && sink.count == 2)
        delivery.endBatch()
        #expect(sink.batches == 1)
        sink.setRoom(1)
        delivery.retry()
        #expect(delivery.isFull && sink.count == 3)
        sink.setRoom(9)
        delivery.retry()
        delivery.endBatch()
        delivery.endBatch()
        #expect(!delivery.isFull && sink.batches == 2)
        #expect(sink.takeAll().map { $0.bytes[0] } == [0, 1, 2, 3, 4])
        #expect(counters.snapshot.received.packets == 5)
        #expect(counters.snapshot.receiveWaits == 1)
        // What does not fit is lost, and counted.
        sink.setRoom(0)
        for _ in 0..<20 { Self.deliver(delivery, [UInt8](repeating: 1, count: 60_000)) }
        #expect(counters.snapshot.received.drops == 3)
    }

    @Test func receiverGetsWhatItTakes() {
        var random = SeededGenerator(12)
        let body = random.bytes(10_000)
        var frame = PacketSegmentationTests.packet(false, flags: 0x18, sequence: 9, body)
        let prepared = unsafe frame.withUnsafeMutableBytes {
            unsafe PacketChecksum.prepare($0, frameByteCount: $0.count)
        }
        guard var metadata = prepared else {
            Issue.record("no TCP packet")
            return
        }
        metadata.segmentation = .tcpv4
        metadata.segmentByteCount = 1448
        for (offloads, count) in [
            (PacketOffloads.all, 1), ([.checksum, .tcpSegmentationV6], 7),
            ([.tcpSegmentationV4], 7),
            ([], 7),
        ] {
            let (sink, counters) = (RecordingReceiver(), NetworkCounters())
            let delivery = Self.delivery(sink, offloads, counters)
            Self.deliver(delivery, frame, metadata)
            let packets = sink.takeAll()
            #expect(packets.count == count)
            if count == 1 {
                #expect(packets[0].bytes == frame && packets[0].metadata == metadata)
            } else {
                #expect(packets.allSatisfy { Frames.isRight($0.bytes) && $0.bytes.count <= 1514 })
                #expect(packets.flatMap { $0.bytes[66...] } == body)
            }
            metadata.segmentation = .none
            Self.deliver(delivery, frame, metadata)
            let whole = sink.takeAll()
            #expect(whole.count == 1)
            #expect(whole[0].metadata.needsChecksum == offloads.contains(.checksum))
            #expect(Frames.isRight(whole[0].bytes) != offloads.contains(.checksum))
            metadata.segmentation = .tcpv4
        }
    }
}
