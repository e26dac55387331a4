import GuestMemory
import Networks
import Testing
import Vocabulary

@testable import XenBackends

/// What comes for the guest.
struct NetworkReceiveTests {
    private typealias Frontend = ScriptedNetworkFrontend

    private func connected(_ setup: Frontend.Setup = Frontend.Setup()) throws -> Frontend {
        let frontend = try Frontend()
        #expect(try frontend.connect(setup) == "4")
        return frontend
    }

    // MARK: Pages

    @Test(arguments: [1, 14, 1514, 4095, 4096])
    func onePage(byteCount: Int) throws {
        let frontend = try connected()
        let frame = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 13) }
        frontend.memory.fill(frontend.guest.page(200), byteCount: 4096, with: 0xee)
        frontend.post([200, 201])
        #expect(frontend.network.deliver(frame, bufferByteCount: 1000))
        #expect(
            frontend.takeReceived() == [
                .init(
                    reference: 200, identifier: 1200, flags: 0, status: Int16(byteCount),
                    bytes: frame)
            ])
        let rest = frontend.memory.read(
            frontend.guest.page(200).advanced(by: UInt64(byteCount)), byteCount: 4096 - byteCount)
        #expect(rest?.allSatisfy { $0 == 0xee } == true)
        #expect(frontend.guest.usedReferences == [16, 17])
    }

    @Test func aroundTheRing() throws {
        let frontend = try connected()
        for number in 0..<UInt32(700) {
            let frame = ScriptedFrame(seed: UInt8(truncatingIfNeeded: number)).bytes
            frontend.post([200 + number % 100])
            #expect(frontend.network.deliver(frame))
            #expect(frontend.takeReceived().map(\.bytes) == [frame])
        }
        #expect(frontend.backend.metrics["packetsReceived"] == 700)
    }

    @Test(arguments: [4097, 8192, 9000, 65535 + 14, 18 * 4096])
    func severalPages(byteCount: Int) throws {
        let frontend = try connected()
        let frame = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 13 + $0 >> 8) }
        let references = (0..<UInt32(20)).map { 200 + $0 }
        frontend.post(references)
        #expect(frontend.network.deliver(frame, bufferByteCount: 1460))
        let received = frontend.takeReceived()
        let pages = (byteCount + 4095) / 4096
        #expect(received.map(\.reference) == Array(references.prefix(pages)))
        #expect(received.map(\.identifier) == references.prefix(pages).map { UInt16($0 + 1000) })
        #expect(received.map(\.flags) == Array(repeating: 4, count: pages - 1) + [0])
        #expect(received.flatMap(\.bytes) == frame)
    }

    @Test func whatIsTooLargeIsLost() throws {
        let frontend = try connected(Frontend.Setup(nodes: ["feature-sg": nil]))
        frontend.post([200, 201, 202])
        #expect(frontend.network.deliver([UInt8](repeating: 1, count: 4097)))
        #expect(frontend.takeReceived().isEmpty)
        #expect(frontend.backend.metrics["packetsLost"] == 1)
        #expect(frontend.network.deliver([UInt8](repeating: 1, count: 4096)))
        #expect(frontend.takeReceived().count == 1)
        try frontend.leave()
        #expect(try frontend.connect() == "4")
        frontend.post((0..<UInt32(30)).map { 200 + $0 })
        #expect(frontend.network.deliver([UInt8](repeating: 1, count: 18 * 4096 + 1)))
        #expect(frontend.network.deliver([]))
        #expect(frontend.takeReceived().isEmpty)
        #expect(frontend.backend.metrics["packetsLost"] == 2)
        #expect(frontend.backend.metrics["strays"] == 1)
    }

    // MARK: Flags and extras

    @Test func checksumFlags() throws {
        let frontend = try connected()
        var blank = PacketMetadata()
        blank.needsChecksum = true
        for (metadata, flags) in [(PacketMetadata(), UInt16(0)), (.valid, 1), (blank, 1 | 2)] {
            frontend.post([200, 201])
            #expect(frontend.network.deliver([UInt8](repeating: 1, count: 5000), metadata))
            #expect(frontend.takeReceived().map(\.flags) == [flags | 4, 0])
        }
    }

    private func segmented(_ type: SegmentationType) -> PacketMetadata {
        var result = PacketMetadata()
        (result.needsChecksum, result.segmentation) = (true, type)
        result.segmentByteCount = 1448
        return result
    }

    @Test(arguments: [SegmentationType.tcpv4, .tcpv6])
    func segmentationUsesUpAnEntry(type: SegmentationType) throws {
        let frontend = try connected()
        let frame = ScriptedFrame(v6: type == .tcpv6, payloadByteCount: 9000).bytes
        frontend.post([200, 201, 202, 203, 204])
        frontend.memory.fill(frontend.guest.page(201), byteCount: 4096, with: 0xee)
        #expect(frontend.network.deliver(frame, segmented(type)))
        let received = frontend.takeReceived()
        #expect(received.map(\.reference) == [200, 201, 202, 203])
        #expect(received[0].flags == 1 | 2 | 4 | 8)
        #expect(
            received[1]
                == extra([1, 0, 0xa8, 5, type == .tcpv4 ? 1 : 2, 0, 0, 0], reference: 201))
        #expect([received[2].flags, received[3].flags] == [4, 0])
        #expect([0, 2, 3].flatMap { received[$0].bytes } == frame)
        // The page of the extra's entry is not used.
        #expect(frontend.memory.read(frontend.guest.page(201), as: UInt8.self) == 0xee)
    }

    /// What `takeReceived` makes of the bytes of an extra, the last two of which are 0.
    private func extra(_ bytes: [UInt8], reference: UInt32) -> Frontend.Received {
        Frontend.Received(
            reference: reference, identifier: ScriptedRing.integer(bytes, 0, as: UInt16.self),
            flags: ScriptedRing.integer(bytes, 4, as: UInt16.self), status: 0, bytes: [])
    }

    @Test func theHashComesBehindTheSegments() throws {
        let frontend = try connected(Frontend.Setup(hasControlRing: true))
        frontend.memory.write(frontend.guest.page(300), PublishedHash.key)
        #expect(frontend.ask(7, 1, 0, 0) == [0, 0])
        #expect(frontend.ask(2, 2, 0, 0) == [0, 0])
        #expect(frontend.ask(3, 300, 40, 0) == [0, 0])
        func expectHash(_ entry: Frontend.Received) {
            // Type and flags of the extra, the value 0x51ccc178.
            #expect(entry.identifier == 4 && entry.flags == 0xc178 && entry.status == 0x51cc)
        }
        let large = ScriptedFrame(payloadByteCount: 5000).bytes
        frontend.post([200, 201, 202, 203])
        #expect(frontend.network.deliver(large, segmented(.tcpv4)))
        var received = frontend.takeReceived()
        #expect(received.count == 4 && received[0].flags == 1 | 2 | 4 | 8)
        #expect(received[1] == extra([1, 1, 0xa8, 5, 1, 0, 0, 0], reference: 201))
        expectHash(received[2])
        #expect(received[0].bytes + received[3].bytes == large)
        // Without segments, and of one page.
        let small = ScriptedFrame().bytes
        frontend.post([210, 211])
        #expect(frontend.network.deliver(small))
        received = frontend.takeReceived()
        #expect(received.count == 2 && received[0].flags == 8 && received[0].bytes == small)
        expectHash(received[1])
        // No hash of this kind is wanted, so there is no extra.
        let other = ScriptedFrame(tcp: false).bytes
        frontend.post([212])
        #expect(frontend.network.deliver(other))
        #expect(frontend.takeReceived().map(\.bytes) == [other])
        // An entry too few is no room.
        frontend.post([213])
        #expect(!frontend.network.deliver(small))
    }

    // MARK: Room

    @Test func waitsForRoomAndIsToldOfIt() throws {
        let frontend = try connected()
        let frame = ScriptedFrame().bytes
        #expect(!frontend.network.deliver(frame))
        #expect(frontend.network.resumes == 0)
        // It asks to be notified of the first.
        #expect(frontend.queues[0].receive.requestEvent == 1)
        frontend.post([200], notifies: true)
        #expect(frontend.network.resumes == 1)
        #expect(frontend.network.deliver(frame))
        #expect(frontend.takeReceived().map(\.bytes) == [frame])
        // Nobody waits: a notification is nothing.
        frontend.post([201], notifies: true)
        #expect(frontend.network.resumes == 1)
        // A packet that takes three, one of which is there.
        let large = [UInt8](repeating: 3, count: 9000)
        #expect(!frontend.network.deliver(large))
        #expect(frontend.queues[0].receive.requestEvent == 4)
        frontend.post([202, 203], notifies: true)
        #expect(frontend.network.resumes == 2)
        #expect(frontend.network.deliver(large))
        #expect(frontend.takeReceived().map(\.reference) == [201, 202, 203])
    }

    @Test func aFrontendThatLeavesKeepsNobodyWaiting() throws {
        let frontend = try connected()
        #expect(!frontend.network.deliver(ScriptedFrame().bytes))
        try frontend.write("state", "5")
        #expect(frontend.network.resumes == 1)
        #expect(frontend.network.deliver(ScriptedFrame().bytes))
    }

    @Test func oneChannelForBothDirections() throws {
        let frontend = try connected(Frontend.Setup(splitsChannels: false))
        let frame = ScriptedFrame().bytes
        #expect(!frontend.network.deliver(frame))
        frontend.post([200])
        frontend.send(frame)
        #expect(frontend.network.resumes == 1)
        #expect(frontend.network.takeSent().count == 1)
    }

    @Test func notifiesWhenTheBatchEnds() throws {
        let frontend = try connected()
        let port = frontend.queues[0].receivePort
        frontend.post([200, 201, 202, 203])
        frontend.queues[0].receive.setEvent(behind: 1)
        for expected in [false, true, false] {
            #expect(frontend.network.deliver([1, 2, 3]))
            #expect(!frontend.guest.takeEvent(port))
            frontend.network.endBatch()
            #expect(frontend.guest.takeEvent(port) == expected)
        }
        #expect(!frontend.guest.takeEvent(frontend.queues[0].transmitPort))
    }

    // MARK: Grants

    @Test func aGrantThatCannotBeUsedIsAnError() throws {
        let frontend = try connected()
        let guest = frontend.guest
        // None, for another domain, for reading only, of no RAM.
        guest.grant(300, flags: 0)
        guest.grant(301, flags: 1 | 5 << 16)
        guest.grant(302, flags: 1 | 4)
        guest.grant(303, page: 1 << 20)
        let pages = [200, 201, 300, 301, 302] as [UInt32]
        for bad in [300, 301, 302, 303, 900, 1 << 31] as [UInt32] {
            for page in pages { frontend.memory.fill(guest.page(page), byteCount: 4096, with: 7) }
            frontend.post([200, bad, 201])
            #expect(frontend.network.deliver([UInt8](repeating: 1, count: 9000)))
            let received = frontend.takeReceived()
            #expect(received.map(\.status) == [-1, -1, -1])
            #expect(
                received.map(\.identifier)
                    == [1200, UInt16(truncatingIfNeeded: bad &+ 1000), 1201])
            for page in pages {
                let content = frontend.memory.read(guest.page(page), byteCount: 4096)
                #expect(content?.allSatisfy { $0 == 7 } == true)
            }
            #expect(guest.usedReferences == [16, 17])
        }
        #expect(frontend.backend.metrics["packetsLost"] == 6)
        frontend.post([200])
        #expect(frontend.network.deliver([1, 2, 3]))
        #expect(frontend.takeReceived().map(\.bytes) == [[1, 2, 3]])
    }

    /// Whoever sees the response may take the page back.
    @Test func grantsAreEndedBeforeTheResponseIsSeen() throws {
        let frontend = try connected()
        let memory = frontend.memory
        let ring = frontend.guest.page(Frontend.receiveReference(0))
        frontend.post([200, 201])
        let seen = Recorded<[UInt32]>()
        _ = memory.observeCode { _, _ in
            // rsp_prod.
            guard memory.atomicLoad(ring.advanced(by: 8), as: UInt32.self) == 2 else { return }
            seen.append(ScriptedGuest.usedReferences(memory))
        }
        // Pages with code: whoever writes to them tells.
        for page in [ring, frontend.guest.page(200), frontend.guest.page(201)] {
            _ = memory.markCode(page.rawValue)
        }
        _ = memory.markCode(0x2_0000)
        #expect(frontend.network.deliver([UInt8](repeating: 1, count: 5000)))
        #expect(!seen.values.isEmpty)
        #expect(seen.values.allSatisfy { $0 == [16, 17] })
    }

    /// More than there are entries.
    @Test func aBrokenRingLosesPackets() throws {
        let frontend = try connected()
        for producer in [257, 1 << 31, UInt32.max] {
            frontend.queues[0].receive.setProducer(producer)
            let old = frontend.queues[0].receive.content
            #expect(frontend.network.deliver([1, 2, 3]))
            #expect(frontend.queues[0].receive.content == old)
        }
    }
}
