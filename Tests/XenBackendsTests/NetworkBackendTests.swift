import Networks
import Testing
import Vocabulary

@testable import XenBackends

/// How an interface comes and goes: the store, the rings, and its state.
struct NetworkBackendTests {
    private typealias Frontend = ScriptedNetworkFrontend

    /// A frame goes out by a queue, and one comes in.
    private func expectWorks(_ frontend: Frontend, queue: Int = 0) {
        let frame = ScriptedFrame(seed: UInt8(queue)).bytes
        frontend.send(frame, identifier: 9, queue: queue)
        #expect(frontend.network.takeSent().map(\.bytes) == [frame])
        #expect(frontend.takeResponses(queue: queue) == [[9, 0]])
    }

    private func expectReceives(_ frontend: Frontend) {
        let frame = ScriptedFrame().bytes
        frontend.post([200])
        #expect(frontend.network.deliver(frame))
        #expect(frontend.takeReceived().map(\.bytes) == [frame])
    }

    // MARK: Offers

    @Test func saysWhatItCan() throws {
        let frontend = try Frontend(rate: NetworkRate(byteCount: 10_000, interval: 50_000_000))
        let expected = [
            "state": "2", "feature-rx-copy": "1", "feature-rx-flip": "0", "feature-sg": "1",
            "feature-gso-tcpv4": "1", "feature-gso-tcpv6": "1", "feature-ipv6-csum-offload": "1",
            "feature-split-event-channels": "1", "feature-multicast-control": "1",
            "feature-dynamic-multicast-control": "1", "feature-ctrl-ring": "1",
            "multi-queue-max-queues": "8", "mac": "02:00:00:00:00:01", "handle": "0",
            "mtu": "1400", "rate": "10000,50000",
        ]
        for (name, value) in expected { #expect(frontend.ofBackend(name) == value, "\(name)") }
        for (name, value) in [("mac", "02:00:00:00:00:01"), ("mtu", "1400"), ("handle", "0")] {
            #expect(
                frontend.guest.read("\(frontend.backend.nodes.frontend)/\(name)") == value)
        }
        #expect(try frontend.connect() == "4")
    }

    @Test func eachFeatureCanBeOff() throws {
        let switches: [(names: [String], off: @Sendable (inout NetworkBackend.Features) -> Void)] =
            [
                (
                    ["feature-sg", "feature-gso-tcpv4", "feature-gso-tcpv6"],
                    { $0.scatterGather = false }
                ),
                (["feature-gso-tcpv4"], { $0.segmentationV4 = false }),
                (["feature-gso-tcpv6"], { $0.segmentationV6 = false }),
                (["feature-ipv6-csum-offload"], { $0.checksumV6 = false }),
                (["feature-split-event-channels"], { $0.splitChannels = false }),
                (
                    ["feature-multicast-control", "feature-dynamic-multicast-control"],
                    { $0.multicastControl = false }
                ),
                (["feature-ctrl-ring"], { $0.controlRing = false }),
            ]
        let all = Set(switches.flatMap(\.names))
        for (names, off) in switches {
            var features = NetworkBackend.Features()
            off(&features)
            let frontend = try Frontend(features: features)
            let missing = all.filter { frontend.ofBackend($0) != "1" }
            #expect(missing == Set(names))
            #expect(names.allSatisfy { frontend.ofBackend($0) == "0" })
        }
        var features = NetworkBackend.Features()
        features.queueCount = 1
        let frontend = try Frontend(features: features)
        #expect(frontend.ofBackend("multi-queue-max-queues") == "1")
        var setup = Frontend.Setup()
        setup.queueCount = 2
        #expect(try frontend.connect(setup) == "5")
    }

    // MARK: Connection

    @Test(arguments: [(1, true), (1, false), (3, true), (3, false), (8, true)])
    func connects(queueCount: Int, splits: Bool) throws {
        let frontend = try Frontend()
        var setup = Frontend.Setup()
        (setup.queueCount, setup.splitsChannels) = (queueCount, splits)
        #expect(try frontend.connect(setup) == "4")
        for queue in 0..<queueCount { expectWorks(frontend, queue: queue) }
        if queueCount == 1 { expectReceives(frontend) }
        #expect(frontend.guest.usedReferences == Array(16..<16 + UInt32(queueCount) * 2))
    }

    @Test func requestsFromBeforeTheConnectionAreServed() throws {
        let frontend = try Frontend()
        #expect(try frontend.connect() == "4")
        try frontend.leave()
        #expect(frontend.ofBackend("state") == "2")
        frontend.send(ScriptedFrame().bytes)
        #expect(frontend.network.takeSent().isEmpty)
        // Not `connect`, which makes the rings anew.
        try frontend.write("state", "4")
        #expect(frontend.network.takeSent().count == 1)
        #expect(frontend.takeResponses() == [[0, 0]])
    }

    @Test func frontendsThatDoNotFitAreRefused() throws {
        let cases: [(String, String?, reason: String)] = [
            ("request-rx-copy", nil, "request-rx-copy"),
            ("request-rx-copy", "0", "request-rx-copy"),
            ("feature-rx-notify", nil, "feature-rx-notify"),
            ("multi-queue-num-queues", "9", "9 queues"),
            ("multi-queue-num-queues", "0", "0 queues"),
            ("multi-queue-num-queues", "2", "queue 0"), ("tx-ring-ref", nil, "queue 0"),
            ("tx-ring-ref", "100000", "queue 0"), ("tx-ring-ref", "-1", "queue 0"),
            ("tx-ring-ref", "801", "queue 0"), ("rx-ring-ref", "900", "queue 0"),
            ("rx-ring-ref", "nothing", "queue 0"), ("event-channel-tx", "4000", "queue 0"),
            ("event-channel-rx", "0", "queue 0"), ("event-channel-rx", "99999", "queue 0"),
        ]
        for (name, value, reason) in cases {
            let frontend = try Frontend()
            let setup = Frontend.Setup(nodes: [name: value])
            #expect(try frontend.connect(setup) == "5", "\(name) = \(value ?? "nil")")
            let error = try #require(frontend.ofBackend("error"))
            #expect(error.contains(reason), "\(error)")
            #expect(frontend.guest.usedReferences.isEmpty)
            // It is given another chance.
            try frontend.leave()
            #expect(frontend.ofBackend("state") == "2")
            #expect(try frontend.connect() == "4")
            expectWorks(frontend)
        }
    }

    @Test func grantsThatCannotBeUsedAreRefused() throws {
        let frontend = try Frontend()
        for reference in [UInt32(16), 17, Frontend.controlReference] {
            // For reading only, for another domain, of no RAM, none.
            for (page, flags) in [
                (0x100 + reference, UInt32(1 | 4)), (0x100 + reference, 1 | 5 << 16), (1 << 20, 1),
                (0x100 + reference, 0),
            ] {
                frontend.guest.grant(reference, page: page, flags: flags)
                let setup = Frontend.Setup(hasControlRing: true)
                #expect(try frontend.connect(setup) == "5")
                #expect(frontend.guest.usedReferences.isEmpty)
                try frontend.leave()
            }
            frontend.guest.grant(reference)
        }
        #expect(try frontend.connect(Frontend.Setup(hasControlRing: true)) == "4")
        #expect(frontend.guest.usedReferences == [16, 17, 40])
    }

    @Test func aQueueThatDoesNotFitTakesAllWithIt() throws {
        let frontend = try Frontend()
        var setup = Frontend.Setup(queueCount: 3)
        setup.nodes = ["queue-2/rx-ring-ref": "900"]
        #expect(try frontend.connect(setup) == "5")
        #expect(frontend.guest.usedReferences.isEmpty)
        frontend.send(ScriptedFrame().bytes)
        #expect(frontend.network.takeSent().isEmpty)
        // One event channel for two queues.
        try frontend.leave()
        setup.nodes = ["queue-1/event-channel-tx": String(frontend.queues[0].transmitPort)]
        #expect(try frontend.connect(setup) == "5")
        #expect(frontend.guest.usedReferences.isEmpty)
    }

    @Test func comesBackAfterItsFrontend() throws {
        let frontend = try Frontend()
        for round in 0..<4 {
            var setup = Frontend.Setup(queueCount: round % 2 + 1, splitsChannels: round < 2)
            setup.hasControlRing = round == 3
            #expect(try frontend.connect(setup) == "4")
            expectWorks(frontend, queue: round % 2)
            try frontend.write("state", "5")
            #expect(frontend.ofBackend("state") == "5")
            #expect(frontend.guest.usedReferences.isEmpty)
            frontend.send(ScriptedFrame().bytes)
            #expect(frontend.network.takeSent().isEmpty)
            try frontend.write("state", "6")
            #expect(frontend.ofBackend("state") == "6")
            // Nobody takes what comes, but it does not wait either.
            #expect(frontend.network.deliver(ScriptedFrame().bytes))
            try frontend.write("state", "1")
            #expect(frontend.ofBackend("state") == "2")
        }
        #expect(frontend.backend.metrics["strays"] == 4)
    }

    /// As one whose kernel was started anew by another (kexec) does.
    @Test func aFrontendThatBeginsAnewWithoutClosingIsOfferedAgain() throws {
        let frontend = try Frontend()
        for _ in 0..<3 {
            #expect(try frontend.connect() == "4")
            expectWorks(frontend, queue: 0)
            try frontend.write("state", "1")
            #expect(frontend.ofBackend("state") == "2")
            #expect(frontend.guest.usedReferences.isEmpty)
        }
    }

    /// A guest that crashed and has been started anew writes no state in between.
    @Test func aFrontendThatHasGoneIsDisconnected() throws {
        let frontend = try Frontend()
        #expect(try frontend.connect() == "4")
        try frontend.write("state", "6")
        #expect(frontend.ofBackend("state") == "6")
        #expect(frontend.guest.usedReferences.isEmpty)
    }

    @Test func leavesToTheNetworkWhatTheFrontendDoesNotDo() throws {
        let cases: [([String: String?], PacketOffloads)] = [
            ([:], .all), (["feature-gso-tcpv4": nil], [.checksum, .tcpSegmentationV6]),
            (["feature-gso-tcpv6": "0"], [.checksum, .tcpSegmentationV4]),
            (["feature-sg": nil], .checksum), (["feature-ipv6-csum-offload": nil], []),
            (["feature-no-csum-offload": "1"], []),
        ]
        let frontend = try Frontend()
        for (nodes, offloads) in cases {
            #expect(try frontend.connect(Frontend.Setup(nodes: nodes)) == "4")
            #expect(frontend.network.offloads == offloads, "\(nodes)")
            try frontend.leave()
        }
    }

    @Test func aBrokenRingAtTheStartIsNotConnected() throws {
        let frontend = try Frontend()
        #expect(try frontend.connect() == "4")
        try frontend.leave()
        frontend.queues[0].transmit.setProducer(300)
        try frontend.write("state", "4")
        #expect(frontend.ofBackend("state") == "5")
        #expect(frontend.ofBackend("error") != nil)
        #expect(frontend.guest.usedReferences.isEmpty)
        try frontend.leave()
        #expect(try frontend.connect() == "4")
        expectWorks(frontend)
    }
}
