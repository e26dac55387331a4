import GuestMemory
import Networks
import Testing
import Vocabulary

@testable import XenBackends

/// What the guest sends.
struct NetworkTransmitTests {
    private typealias Frontend = ScriptedNetworkFrontend

    private func connected() throws -> Frontend {
        let frontend = try Frontend()
        #expect(try frontend.connect() == "4")
        return frontend
    }

    private static let plain = PacketMetadata()

    // MARK: Packets

    @Test func oneEntry() throws {
        let frontend = try connected()
        let frame = ScriptedFrame().bytes
        frontend.send(frame, identifier: 77)
        #expect(frontend.network.takeSent() == [.init(bytes: frame, metadata: Self.plain)])
        #expect(frontend.takeResponses() == [[77, 0]])
        // As many as go around the ring twice.
        for number in 0..<UInt16(600) {
            let frame = ScriptedFrame(seed: UInt8(truncatingIfNeeded: number)).bytes
            frontend.send(frame, identifier: number)
            #expect(frontend.network.takeSent().map(\.bytes) == [frame])
            #expect(frontend.takeResponses() == [[Int(number), 0]])
        }
        #expect(frontend.guest.usedReferences == [16, 17])
        #expect(frontend.backend.metrics["packetsSent"] == 601)
    }

    @Test func manyAtOnce() throws {
        let frontend = try connected()
        let frames = (0..<200).map { ScriptedFrame(payloadByteCount: 6 + $0).bytes }
        for (index, frame) in frames.enumerated() {
            let reference = Frontend.data + UInt32(index)
            frontend.memory.write(frontend.guest.page(reference).advanced(by: 512), frame)
            frontend.queues[0].transmit.put(
                Frontend.slot(
                    reference, offset: 512, identifier: UInt16(index),
                    byteCount: UInt16(frame.count)))
        }
        frontend.transmit([])
        #expect(frontend.network.takeSent().map(\.bytes) == frames)
        #expect(frontend.takeResponses() == (0..<200).map { [$0, 0] })
    }

    @Test(arguments: [
        [60, 94], [154, 0], [0, 154], [1, 1, 152], [14, 0, 140],
        Array(repeating: 8, count: 17) + [18],
    ])
    func severalEntries(parts: [Int]) throws {
        let frontend = try connected()
        let frame = ScriptedFrame().bytes
        frontend.send(frame, parts: parts, identifier: 5)
        #expect(frontend.network.takeSent().map(\.bytes) == [frame])
        #expect(frontend.takeResponses() == parts.indices.map { [5 + $0, 0] })
        #expect(frontend.guest.usedReferences == [16, 17])
    }

    @Test func theLargestPacket() throws {
        let frontend = try connected()
        let frame = ScriptedFrame(payloadByteCount: 65535 - 54).bytes
        #expect(frame.count == 65535)
        frontend.send(frame, parts: Array(repeating: 4096, count: 15) + [4095])
        #expect(frontend.network.takeSent().map(\.bytes) == [frame])
        #expect(frontend.takeResponses() == (0..<16).map { [$0, 0] })
    }

    @Test func pagesAreInUseWhileThePacketIsSent() throws {
        let frontend = try connected()
        let memory = frontend.memory
        let used = Recorded<[UInt32]>()
        frontend.network.whileSending { used.append(ScriptedGuest.usedReferences(memory)) }
        frontend.send(ScriptedFrame().bytes, parts: [100, 54])
        #expect(used.values == [[16, 17, Frontend.data, Frontend.data + 1]])
        #expect(frontend.guest.usedReferences == [16, 17])
    }

    // MARK: Checksums and segments

    @Test(arguments: [(false, true), (false, false), (true, true), (true, false)])
    func aBlankChecksumIsLeftToTheNetwork(v6: Bool, tcp: Bool) throws {
        let frontend = try connected()
        let frame = ScriptedFrame(v6: v6, tcp: tcp)
        for parts in [[frame.bytes.count], [20, frame.bytes.count - 20]] {
            frontend.send(frame.bytes, parts: parts, flags: 1 | 2)
            let sent = try #require(frontend.network.takeSent().first)
            #expect(sent.bytes == frame.withPseudoHeader)
            #expect(sent.metadata.needsChecksum && !sent.metadata.checksumValid)
            #expect(Int(sent.metadata.checksumStart) == frame.transportOffset)
            #expect(sent.metadata.checksumOffset == (tcp ? 16 : 6))
            #expect(sent.metadata.segmentation == .none)
            #expect(
                Int(sent.metadata.headerByteCount) == frame.transportOffset + (tcp ? 20 : 8))
            #expect(frontend.takeResponses().allSatisfy { $0[1] == 0 })
        }
        // The guest's own memory stays as it is.
        let at = frontend.guest.page(Frontend.data)
        #expect(frontend.memory.read(at, byteCount: 20) == Array(frame.bytes.prefix(20)))
    }

    @Test func aCheckedFrameIsSaidToBe() throws {
        let frontend = try connected()
        frontend.send(ScriptedFrame().bytes, flags: 2)
        #expect(frontend.network.takeSent().map(\.metadata) == [.valid])
    }

    @Test(arguments: [false, true])
    func segments(v6: Bool) throws {
        let frontend = try connected()
        let frame = ScriptedFrame(v6: v6, payloadByteCount: 20_000)
        let parts = [200, 4096, 4096, 4096, 4096]
        frontend.send(
            frame.bytes, parts: parts + [frame.bytes.count - parts.reduce(0, +)], flags: 1 | 2,
            extras: [Frontend.segmentation(byteCount: 1448, type: v6 ? 2 : 1)], identifier: 30)
        let sent = try #require(frontend.network.takeSent().first)
        #expect(sent.bytes == frame.withPseudoHeader)
        #expect(sent.metadata.segmentation == (v6 ? .tcpv6 : .tcpv4))
        #expect(sent.metadata.segmentByteCount == 1448)
        #expect(Int(sent.metadata.headerByteCount) == frame.transportOffset + 20)
        #expect(sent.metadata.needsChecksum && !sent.metadata.hasCongestionWindowReduced)
        // The extra is answered where it was.
        #expect(
            frontend.takeResponses() == [
                [30, 0], [0, 1], [31, 0], [32, 0], [33, 0], [34, 0], [35, 0],
            ])
    }

    @Test func segmentsNeedNoChecksumFlagAndTellOfCongestion() throws {
        let frontend = try connected()
        var frame = ScriptedFrame().bytes
        frame[34 + 13] |= 0x80
        frontend.send(frame, extras: [Frontend.segmentation(byteCount: 50)])
        let sent = try #require(frontend.network.takeSent().first)
        #expect(sent.metadata.needsChecksum && sent.metadata.hasCongestionWindowReduced)
    }

    @Test func severalExtras() throws {
        let frontend = try connected()
        let hash: [UInt8] = [4, 1, 1, 1, 1, 2, 3, 4, 0, 0, 0, 0]
        frontend.send(
            ScriptedFrame().bytes, parts: [100, 54], flags: 1,
            extras: [hash, Frontend.segmentation(byteCount: 50)], identifier: 8)
        #expect(frontend.network.takeSent().map(\.metadata.segmentByteCount) == [50])
        #expect(frontend.takeResponses() == [[8, 0], [0, 1], [0, 1], [9, 0]])
    }

    // MARK: Multicast

    @Test func groupsAreAddedAndTakenAway() throws {
        let frontend = try connected()
        let group: [UInt8] = [1, 0, 0x5e, 1, 2, 3]
        let slot = Frontend.slot(0, flags: 8, identifier: 4, byteCount: 0)
        frontend.transmit([slot, Frontend.multicast(isAdded: true, group)])
        #expect(frontend.takeResponses() == [[4, 0], [0, 1]])
        #expect(frontend.backend.filter.captured.groups == [0x0100_5e01_0203])
        frontend.transmit([slot, Frontend.multicast(isAdded: false, group)])
        #expect(frontend.takeResponses() == [[4, 0], [0, 1]])
        #expect(frontend.backend.filter.captured.groups.isEmpty)
        // There is room for 64.
        for index in 0..<UInt8(65) {
            frontend.transmit([slot, Frontend.multicast(isAdded: true, [1, 0, 0x5e, 0, 0, index])])
            #expect(frontend.takeResponses() == [[4, index < 64 ? 0 : -1], [0, 1]])
        }
        #expect(frontend.backend.filter.captured.groups.count == 64)
        #expect(frontend.network.takeSent().isEmpty)
        #expect(frontend.ofBackend("state") == "4")
    }

    // MARK: Notification

    @Test func notifiesOnlyWhenAsked() throws {
        let frontend = try connected()
        let port = frontend.queues[0].transmitPort
        let frame = ScriptedFrame().bytes
        frontend.queues[0].transmit.setEvent(behind: 2)
        for round in 0..<4 {
            frontend.send(frame)
            #expect(frontend.guest.takeEvent(port) == (round == 2))
        }
        frontend.queues[0].transmit.setEvent(behind: 0)
        frontend.send(frame)
        #expect(frontend.guest.takeEvent(port))
        #expect(!frontend.guest.takeEvent(frontend.queues[0].receivePort))
        // The backend asks for the next one.
        #expect(frontend.queues[0].transmit.requestEvent == 6)
    }
}
