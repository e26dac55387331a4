import Foundation
import Networks
import Testing
import Vocabulary

@testable import XenBackends

/// An interface hands its state over and goes on.
struct NetworkStateTests {
    private typealias Frontend = ScriptedNetworkFrontend

    private func copy(_ state: NetworkBackend.State) throws -> NetworkBackend.State {
        try JSONDecoder().decode(NetworkBackend.State.self, from: JSONEncoder().encode(state))
    }

    /// Captured and restored, in the same guest.
    private func handOver(_ frontend: Frontend) throws {
        let state = try copy(frontend.backend.captureState())
        try frontend.backend.restore(state)
        #expect(frontend.backend.captureState() == state)
    }

    @Test func goesOnInTheMiddle() throws {
        let frontend = try Frontend()
        let setup = Frontend.Setup(queueCount: 2, splitsChannels: false, hasControlRing: true)
        #expect(try frontend.connect(setup) == "4")
        frontend.send(ScriptedFrame(seed: 1).bytes, identifier: 1)
        frontend.post([200, 201, 202])
        frontend.network.setRoom(0)
        frontend.send(ScriptedFrame(seed: 2).bytes, identifier: 2)
        #expect(frontend.network.takeSent().count == 1)
        frontend.network.setRoom(nil)
        frontend.network.setOffloads([])
        try handOver(frontend)
        // What the network had not taken, it is given now.
        #expect(frontend.network.takeSent().map(\.bytes) == [ScriptedFrame(seed: 2).bytes])
        #expect(frontend.takeResponses() == [[1, 0], [2, 0]])
        #expect(frontend.network.offloads == .all)
        #expect(frontend.guest.usedReferences == [16, 17, 18, 19, 40])
        var frame = ScriptedFrame()
        // Of no connection, so to the first queue.
        frame.destination = [1, 0, 0x5e, 0, 0, 1]
        let bytes = Array(frame.bytes.prefix(14)) + [0]
        #expect(frontend.network.deliver(bytes))
        #expect(frontend.takeReceived().map(\.bytes) == [bytes])
        frontend.send(frame.bytes, identifier: 3, queue: 1)
        #expect(frontend.takeResponses(queue: 1) == [[3, 0]])
    }

    @Test func keepsTheFilterAndTheHash() throws {
        let frontend = try Frontend()
        var setup = Frontend.Setup(queueCount: 2, hasControlRing: true)
        setup.nodes = ["request-multicast-control": "1"]
        #expect(try frontend.connect(setup) == "4")
        let group: [UInt8] = [1, 0, 0x5e, 1, 2, 3]
        frontend.transmit([
            Frontend.slot(100, flags: 8, byteCount: 0), Frontend.multicast(isAdded: true, group),
        ])
        #expect(frontend.ask(7, 1, 0, 0) == [0, 0])
        #expect(frontend.ask(2, 15, 0, 0) == [0, 0])
        #expect(frontend.ask(5, 3, 0, 0) == [0, 0])
        let state = frontend.backend.captureState()
        #expect(state.filter.isActive && state.filter.groups == [0x0100_5e01_0203])
        #expect(state.hash.kinds == 15 && state.hash.mapping.count == 3)
        try handOver(frontend)
        // All hashes are 0 without a key, which is queue 0 here.
        frontend.post([200, 201, 202, 203])
        var frame = ScriptedFrame()
        frame.destination = group
        #expect(frontend.network.deliver(frame.bytes))
        frame.destination[5] = 4
        #expect(frontend.network.deliver(frame.bytes))
        let received = frontend.takeReceived()
        #expect(received.count == 2 && received.first?.status == Int16(frame.bytes.count))
        #expect(frontend.ask(1, 0, 0, 0) == [0, 15])
    }

    @Test func aStateBeforeAndBehindAConnectionComesBack() throws {
        let frontend = try Frontend()
        try handOver(frontend)
        #expect(try frontend.connect() == "4")
        try frontend.write("state", "5")
        try frontend.write("state", "6")
        try handOver(frontend)
        #expect(frontend.network.deliver([1, 2, 3]))
        try frontend.write("state", "1")
        #expect(frontend.ofBackend("state") == "2")
        #expect(try frontend.connect() == "4")
    }

    @Test func aStateThatDoesNotFitIsRefused() throws {
        let frontend = try Frontend()
        #expect(try frontend.connect(Frontend.Setup(queueCount: 2, hasControlRing: true)) == "4")
        let state = frontend.backend.captureState()
        let changes: [(inout NetworkBackend.State) -> Void] = [
            { $0.state = "nothing" },
            { $0.queues = Array(repeating: $0.queues[0], count: 9) },
            { $0.queues[1].transmit.reference = 900 },
            { $0.queues[1].receive.port = 4000 },
            { $0.control?.reference = 900 },
        ]
        for change in changes {
            var bad = state
            change(&bad)
            #expect(throws: XError.self) { try frontend.backend.restore(bad) }
            #expect(frontend.guest.usedReferences.isEmpty)
        }
        try frontend.backend.restore(state)
        #expect(frontend.backend.captureState() == state)
    }

    /// The guest sleeps until it is told of what lies on its rings.
    @Test func tellsOfWhatWasNotAnnounced() throws {
        let frontend = try Frontend()
        #expect(try frontend.connect() == "4")
        frontend.post([200])
        frontend.queues[0].receive.setEvent(behind: 0)
        #expect(frontend.network.deliver(ScriptedFrame().bytes))
        #expect(!frontend.guest.takeEvent(frontend.queues[0].receivePort))
        try handOver(frontend)
        frontend.network.endBatch()
        #expect(frontend.guest.takeEvent(frontend.queues[0].receivePort))
    }
}
