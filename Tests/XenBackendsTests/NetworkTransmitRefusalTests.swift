import GuestMemory
import Networks
import Synchronization
import Testing
import Vocabulary

@testable import XenBackends

/// What the guest may not send, and what it may not send yet.
struct NetworkTransmitRefusalTests {
    private typealias Frontend = ScriptedNetworkFrontend

    private func connected() throws -> Frontend {
        let frontend = try Frontend()
        #expect(try frontend.connect() == "4")
        return frontend
    }

    // MARK: Waiting

    @Test func aFullNetworkIsWaitedFor() throws {
        let frontend = try connected()
        frontend.network.setRoom(1)
        let frames = (0..<3).map { ScriptedFrame(seed: UInt8($0)).bytes }
        for (index, frame) in frames.enumerated() {
            let reference = Frontend.data + UInt32(index)
            frontend.memory.write(frontend.guest.page(reference), frame)
            frontend.transmit([
                Frontend.slot(
                    reference, identifier: UInt16(index), byteCount: UInt16(frame.count))
            ])
        }
        #expect(frontend.network.takeSent().map(\.bytes) == [frames[0]])
        #expect(frontend.takeResponses() == [[0, 0]])
        #expect(frontend.network.refusals == 2)
        // Nothing is kept in use for what waits.
        #expect(frontend.guest.usedReferences == [16, 17])
        frontend.network.acceptAgain()
        #expect(frontend.network.takeSent().map(\.bytes) == [frames[1], frames[2]])
        #expect(frontend.takeResponses() == [[1, 0], [2, 0]])
    }

    /// A clock that the test moves.
    private final class Clock: Sendable {
        let time = Atomic<UInt64>(1_000)
        let wakes = Recorded<UInt64>()

        var timing: NetworkBackend.Timing {
            NetworkBackend.Timing(
                now: { self.time.load(ordering: .relaxed) }, wake: { self.wakes.append($0) })
        }

        func advance(to time: UInt64) { self.time.store(time, ordering: .relaxed) }
    }

    @Test func aRateIsKept() throws {
        let clock = Clock()
        let frontend = try Frontend(
            rate: NetworkRate(byteCount: 400, interval: 10_000), timing: clock.timing)
        #expect(try frontend.connect(Frontend.Setup(queueCount: 2)) == "4")
        let frame = ScriptedFrame().bytes
        #expect(frame.count == 154)
        frontend.send(frame)
        frontend.send(frame, queue: 1)
        #expect(frontend.network.takeSent().count == 2 && clock.wakes.values.isEmpty)
        frontend.send(frame, identifier: 3)
        #expect(frontend.network.takeSent().isEmpty)
        #expect(clock.wakes.values == [11_000])
        // Too early.
        clock.advance(to: 10_999)
        frontend.backend.creditIsDue()
        #expect(frontend.network.takeSent().isEmpty)
        clock.advance(to: 11_000)
        frontend.backend.creditIsDue()
        #expect(frontend.network.takeSent().count == 1)
        #expect(frontend.takeResponses() == [[0, 0], [3, 0]])
        // A packet larger than the rate goes by itself, in an interval of its own.
        let large = ScriptedFrame(payloadByteCount: 1000).bytes
        frontend.send(large)
        #expect(frontend.network.takeSent().isEmpty)
        clock.advance(to: 21_000)
        frontend.backend.creditIsDue()
        #expect(frontend.network.takeSent().map(\.bytes) == [large])
        frontend.send(frame)
        #expect(frontend.network.takeSent().isEmpty)
    }

    @Test func creditIsNotUsedUpByAFullNetwork() throws {
        let clock = Clock()
        let frontend = try Frontend(
            rate: NetworkRate(byteCount: 200, interval: 10_000), timing: clock.timing)
        #expect(try frontend.connect() == "4")
        frontend.network.setRoom(0)
        let frame = ScriptedFrame().bytes
        frontend.send(frame)
        #expect(frontend.network.refusals == 1)
        frontend.network.acceptAgain()
        #expect(frontend.network.takeSent().map(\.bytes) == [frame])
        #expect(clock.wakes.values.isEmpty)
    }

    // MARK: Refused packets

    private static let frame = ScriptedFrame().bytes

    /// The interface goes on; the packet is answered with errors, its extras with none.
    @Test func packetsThatCannotBeSentAreErrors() throws {
        let frontend = try connected()
        let guest = frontend.guest
        guest.grant(300, flags: 0)
        guest.grant(301, flags: 1 | 5 << 16)
        guest.grant(302, page: 1 << 20)
        func slot(
            _ reference: UInt32, _ identifier: UInt16, _ byteCount: UInt16, flags: UInt16 = 0
        ) -> [UInt8] {
            Frontend.slot(reference, flags: flags, identifier: identifier, byteCount: byteCount)
        }
        let cases: [(entries: [[UInt8]], responses: [[Int]])] = [
            // Fragments have more than the packet; too short a packet; none at all.
            ([slot(100, 1, 50, flags: 4), slot(101, 2, 51)], [[1, -1], [2, -1]]),
            ([slot(100, 1, 13)], [[1, -1]]), ([slot(100, 1, 0)], [[1, -1]]),
            // Grants that are revoked, foreign, of no RAM, beyond the table, the second of two.
            ([slot(300, 1, 100)], [[1, -1]]), ([slot(301, 1, 100)], [[1, -1]]),
            ([slot(302, 1, 100)], [[1, -1]]), ([slot(1 << 31, 1, 100)], [[1, -1]]),
            ([slot(100, 1, 100, flags: 4), slot(300, 2, 50)], [[1, -1], [2, -1]]),
            // A checksum or segments of what is neither TCP nor UDP, segments of the other version.
            ([slot(110, 1, 100, flags: 1)], [[1, -1]]),
            (
                [slot(110, 1, 100, flags: 8), Frontend.segmentation(byteCount: 50)],
                [[1, -1], [0, 1]]
            ),
            (
                [slot(111, 1, 154, flags: 8), Frontend.segmentation(byteCount: 50, type: 2)],
                [[1, -1], [0, 1]]
            ),
            (
                [slot(112, 1, 154, flags: 8), Frontend.segmentation(byteCount: 50)],
                [[1, -1], [0, 1]]
            ),
        ]
        frontend.memory.fill(guest.page(110), byteCount: 4096, with: 1)
        frontend.memory.write(guest.page(111), Self.frame)
        frontend.memory.write(guest.page(112), ScriptedFrame(tcp: false).bytes)
        for (number, (entries, responses)) in cases.enumerated() {
            frontend.transmit(entries)
            #expect(frontend.takeResponses() == responses, "case \(number)")
            #expect(frontend.network.takeSent().isEmpty, "case \(number)")
            #expect(guest.usedReferences == [16, 17], "case \(number)")
        }
        #expect(frontend.backend.metrics["refusals"] == UInt64(cases.count))
        frontend.send(Self.frame)
        #expect(frontend.network.takeSent().count == 1)
        #expect(frontend.ofBackend("state") == "4")
    }

    /// A grant for reading only is enough for what the guest sends.
    @Test func readOnlyGrantsDo() throws {
        let frontend = try connected()
        frontend.guest.grant(Frontend.data, flags: 1 | 4)
        frontend.send(Self.frame)
        #expect(frontend.network.takeSent().map(\.bytes) == [Self.frame])
    }

    // MARK: Broken rings

    /// The interface closes, says why, and leaves the rings alone.
    private func expectClosed(
        _ frontend: Frontend, _ reason: String, _ comment: Comment,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(frontend.ofBackend("state") == "5", comment, sourceLocation: sourceLocation)
        #expect(
            frontend.ofBackend("error")?.contains(reason) == true, comment,
            sourceLocation: sourceLocation)
        #expect(frontend.guest.usedReferences.isEmpty, comment, sourceLocation: sourceLocation)
        #expect(frontend.network.takeSent().isEmpty, comment, sourceLocation: sourceLocation)
        let old = frontend.queues.map { $0.transmit.content + $0.receive.content }
        for queue in frontend.queues {
            frontend.guest.notify(queue.transmitPort)
            frontend.guest.notify(queue.receivePort)
        }
        frontend.network.acceptAgain()
        #expect(frontend.network.deliver(Self.frame), comment, sourceLocation: sourceLocation)
        frontend.network.endBatch()
        let new = frontend.queues.map { $0.transmit.content + $0.receive.content }
        #expect(old == new, comment, sourceLocation: sourceLocation)
    }

    private func slot(
        flags: UInt16 = 0, offset: UInt16 = 0, byteCount: UInt16 = 100
    ) -> [UInt8] {
        Frontend.slot(
            Frontend.data, offset: offset, flags: flags, identifier: 1, byteCount: byteCount)
    }

    @Test func packetsThatAreNoneCloseTheInterface() throws {
        let many = Array(repeating: slot(flags: 4, byteCount: 10), count: 18)
        let extra = Frontend.segmentation(byteCount: 50, more: true)
        let cases: [(entries: [[UInt8]], reason: String)] = [
            // Data across the end of a page: at once, in a later entry, by what is left to the first.
            ([slot(offset: 4000)], "end of a page"), ([slot(offset: 4096)], "end of a page"),
            ([slot(offset: 0xffff, byteCount: 0xffff)], "end of a page"),
            ([slot(byteCount: 4097)], "end of a page"),
            ([slot(flags: 4, byteCount: 500), slot(offset: 4000)], "end of a page"),
            (
                [slot(flags: 4, offset: 4000, byteCount: 300), slot(byteCount: 200)],
                "end of a page"
            ),
            // The packet goes on, or its extras do, and the ring does not.
            ([slot(flags: 4)], "early"), ([slot(flags: 8)], "early"),
            ([slot(flags: 8), extra], "early"), ([slot(flags: 8), extra, extra], "early"),
            (many + [slot(byteCount: 10)], "18 entries"),
            // Extras: types 0 and 5, segments of 0 bytes and of kinds 0 and 3.
            ([slot(flags: 8), [UInt8](repeating: 0, count: 12)], "type 0"),
            ([slot(flags: 8), [5] + [UInt8](repeating: 0, count: 11)], "type 5"),
            ([slot(flags: 8), Frontend.segmentation(byteCount: 0)], "segmentation"),
            ([slot(flags: 8), Frontend.segmentation(byteCount: 9, type: 0)], "segmentation"),
            ([slot(flags: 8), Frontend.segmentation(byteCount: 9, type: 3)], "segmentation"),
        ]
        let frontend = try Frontend()
        for (number, (entries, reason)) in cases.enumerated() {
            let setup = Frontend.Setup(queueCount: 2, splitsChannels: number % 2 == 0)
            #expect(try frontend.connect(setup) == "4")
            frontend.post([200], queue: 0)
            frontend.transmit(entries, queue: 1)
            expectClosed(frontend, reason, "case \(number)")
            #expect(frontend.takeResponses(queue: 1).isEmpty)
            try frontend.leave()
        }
        #expect(try frontend.connect() == "4")
        frontend.send(Self.frame)
        #expect(frontend.network.takeSent().count == 1)
    }

    @Test(arguments: [257, 1 << 31, UInt32.max])
    func aProducerThatHasRunWildClosesTheInterface(producer: UInt32) throws {
        let frontend = try connected()
        frontend.queues[0].transmit.setProducer(producer)
        frontend.transmit([])
        expectClosed(frontend, "more on a ring", "producer \(producer)")
        #expect(frontend.queues[0].transmit.responseProducer == 0)
    }

    @Test func whatWasSentBeforeIsAnswered() throws {
        let frontend = try connected()
        frontend.memory.write(frontend.guest.page(Frontend.data), Self.frame)
        frontend.queues[0].transmit.setEvent(behind: 0)
        frontend.transmit([slot(byteCount: UInt16(Self.frame.count)), slot(flags: 4)])
        #expect(frontend.network.takeSent().map(\.bytes) == [Self.frame])
        #expect(frontend.takeResponses() == [[1, 0]])
        #expect(frontend.guest.takeEvent(frontend.queues[0].transmitPort))
        expectClosed(frontend, "early", "behind a packet")
    }
}
