import GuestMemory
import Networks
import Testing
import Vocabulary

@testable import XenBackends

/// The control ring, and what it changes: which queue a packet comes by.
struct NetworkControlTests {
    private typealias Frontend = ScriptedNetworkFrontend

    /// XEN_NETIF_CTRL_TYPE_*.
    private enum Request {
        static let getHashFlags: UInt16 = 1
        static let setHashFlags: UInt16 = 2
        static let setHashKey: UInt16 = 3
        static let getMappingSize: UInt16 = 4
        static let setMappingSize: UInt16 = 5
        static let setMapping: UInt16 = 6
        static let setAlgorithm: UInt16 = 7
    }

    /// Where keys and mappings are.
    private static let reference: UInt32 = 300
    private static let success: [UInt32] = [0, 0]
    private static let notSupported: [UInt32] = [1, 0]
    private static let invalid: [UInt32] = [2, 0]
    private static let overflow: [UInt32] = [3, 0]

    private func connected(queueCount: Int = 4) throws -> Frontend {
        let frontend = try Frontend()
        let setup = Frontend.Setup(queueCount: queueCount, hasControlRing: true)
        #expect(try frontend.connect(setup) == "4")
        return frontend
    }

    private func write(_ frontend: Frontend, _ words: [UInt32]) {
        frontend.memory.write(
            frontend.guest.page(Self.reference),
            ScriptedRing.bytes(words.map { (UInt64($0), 4) }))
    }

    // MARK: Requests

    @Test func algorithms() throws {
        let frontend = try connected()
        #expect(frontend.ask(Request.getHashFlags, 0, 0, 0) == Self.notSupported)
        #expect(frontend.ask(Request.setHashFlags, 1, 0, 0) == Self.notSupported)
        #expect(frontend.ask(Request.setAlgorithm, 2, 0, 0) == Self.invalid)
        #expect(frontend.ask(Request.setAlgorithm, .max, 0, 0) == Self.invalid)
        #expect(frontend.ask(Request.getHashFlags, 0, 0, 0) == Self.notSupported)
        #expect(frontend.ask(Request.setAlgorithm, 1, 0, 0) == Self.success)
        #expect(frontend.ask(Request.getHashFlags, 0, 0, 0) == [0, 15])
        #expect(frontend.ask(Request.setAlgorithm, 0, 0, 0) == Self.success)
        #expect(frontend.ask(Request.getHashFlags, 0, 0, 0) == Self.notSupported)
    }

    @Test func kinds() throws {
        let frontend = try connected()
        #expect(frontend.ask(Request.setAlgorithm, 1, 0, 0) == Self.success)
        for flags in UInt32(0)..<16 {
            #expect(frontend.ask(Request.setHashFlags, flags, 0, 0) == Self.success)
            #expect(frontend.backend.control.captured.1.kinds == flags)
        }
        for flags in [16, 31, 1 << 31, UInt32.max] {
            #expect(frontend.ask(Request.setHashFlags, flags, 0, 0) == Self.invalid)
        }
        #expect(frontend.backend.control.captured.1.kinds == 15)
    }

    @Test func keys() throws {
        let frontend = try connected()
        let control = frontend.backend.control
        frontend.memory.write(frontend.guest.page(Self.reference), PublishedHash.key)
        #expect(frontend.ask(Request.setHashKey, Self.reference, 40, 0) == Self.success)
        #expect(control.captured.1.key == PublishedHash.key)
        #expect(frontend.ask(Request.setHashKey, Self.reference, 41, 0) == Self.overflow)
        #expect(frontend.ask(Request.setHashKey, Self.reference, .max, 0) == Self.overflow)
        frontend.guest.grant(301, flags: 0)
        for reference in [301, 900, UInt32.max] {
            #expect(frontend.ask(Request.setHashKey, reference, 40, 0) == Self.invalid)
        }
        #expect(control.captured.1.key == PublishedHash.key)
        // The grant may be for reading only, and is not in use afterwards.
        frontend.guest.grant(Self.reference, flags: 1 | 4)
        #expect(frontend.ask(Request.setHashKey, Self.reference, 7, 0) == Self.success)
        #expect(control.captured.1.key == Array(PublishedHash.key.prefix(7)))
        #expect(!frontend.guest.isInUse(Self.reference))
        #expect(frontend.ask(Request.setHashKey, .max, 0, 0) == Self.success)
        #expect(control.captured.1.key.isEmpty)
    }

    @Test func mappings() throws {
        let frontend = try connected()
        let control = frontend.backend.control
        #expect(frontend.ask(Request.getMappingSize, 0, 0, 0) == [0, 128])
        // There is no table yet.
        #expect(frontend.ask(Request.setMapping, Self.reference, 1, 0) == Self.invalid)
        #expect(frontend.ask(Request.setMappingSize, 129, 0, 0) == Self.invalid)
        #expect(frontend.ask(Request.setMappingSize, .max, 0, 0) == Self.invalid)
        #expect(frontend.ask(Request.setMappingSize, 6, 0, 0) == Self.success)
        #expect(control.captured.1.mapping == [0, 0, 0, 0, 0, 0])
        write(frontend, [3, 2, 1])
        #expect(frontend.ask(Request.setMapping, Self.reference, 3, 2) == Self.success)
        #expect(control.captured.1.mapping == [0, 0, 3, 2, 1, 0])
        #expect(frontend.ask(Request.setMapping, Self.reference, 2, 4) == Self.success)
        #expect(control.captured.1.mapping == [0, 0, 3, 2, 3, 2])
        #expect(!frontend.guest.isInUse(Self.reference))
        // Beyond the table, larger than a page, of no grant.
        for (reference, count, offset) in [
            (Self.reference, 1, 6), (Self.reference, 3, 4), (Self.reference, 7, 0),
            (Self.reference, 1, UInt32.max), (Self.reference, 1024, 0), (900, 1, 0),
        ] as [(UInt32, UInt32, UInt32)] {
            #expect(frontend.ask(Request.setMapping, reference, count, offset) == Self.invalid)
        }
        #expect(frontend.ask(Request.setMapping, Self.reference, 1025, 0) == Self.overflow)
        #expect(frontend.ask(Request.setMapping, Self.reference, .max, .max) == Self.overflow)
        // A queue that there is not: nothing changes.
        write(frontend, [1, 4])
        #expect(frontend.ask(Request.setMapping, Self.reference, 2, 0) == Self.invalid)
        #expect(control.captured.1.mapping == [0, 0, 3, 2, 3, 2])
        #expect(frontend.ask(Request.setMappingSize, 2, 0, 0) == Self.success)
        #expect(control.captured.1.mapping == [0, 0])
    }

    @Test func unknownRequestsAreNotSupported() throws {
        let frontend = try connected()
        for type in [0, 8, 9, 10, UInt16.max] {
            #expect(frontend.ask(type, 1, 1, 1) == Self.notSupported)
        }
    }

    @Test func goesAroundTheRingAndNotifiesWhenAsked() throws {
        let frontend = try connected()
        frontend.control.setEvent(behind: 1)
        for round in 0..<300 {
            #expect(frontend.ask(Request.getMappingSize, 0, 0, 0) == [0, 128])
            #expect(frontend.guest.takeEvent(frontend.controlPort) == (round == 1))
        }
        frontend.control.setProducer(300 + 129)
        let old = frontend.control.content
        frontend.guest.notify(frontend.controlPort)
        #expect(frontend.control.content == old)
    }

    @Test func theHashEndsWithTheConnection() throws {
        let frontend = try connected()
        #expect(frontend.ask(Request.setAlgorithm, 1, 0, 0) == Self.success)
        #expect(frontend.ask(Request.setHashFlags, 15, 0, 0) == Self.success)
        #expect(frontend.ask(Request.setMappingSize, 5, 0, 0) == Self.success)
        try frontend.leave()
        #expect(!frontend.guest.isInUse(Frontend.controlReference))
        #expect(frontend.ask(Request.getMappingSize, 0, 0, 0).isEmpty)
        #expect(try frontend.connect(Frontend.Setup(hasControlRing: true)) == "4")
        #expect(frontend.backend.control.captured.1 == ToeplitzHash())
    }

    @Test func withoutTheFeatureTheRingIsLeftAlone() throws {
        var features = NetworkBackend.Features()
        features.controlRing = false
        let frontend = try Frontend(features: features)
        #expect(try frontend.connect(Frontend.Setup(hasControlRing: true)) == "4")
        #expect(frontend.ask(Request.getMappingSize, 0, 0, 0).isEmpty)
        #expect(!frontend.guest.isInUse(Frontend.controlReference))
    }

    // MARK: Hash

    private func frame(_ vector: PublishedHash.Vector, tcp: Bool) -> ScriptedFrame {
        var frame = ScriptedFrame(v6: vector.source.count == 16, tcp: tcp)
        frame.addresses = (vector.source, vector.destination)
        frame.ports = vector.ports
        return frame
    }

    private func value(_ hash: ToeplitzHash, _ bytes: [UInt8]) -> ToeplitzHash.Value? {
        unsafe bytes.withUnsafeBytes { unsafe hash.value(of: $0, frameByteCount: $0.count) }
    }

    @Test func publishedHashes() {
        var hash = ToeplitzHash()
        hash.key = PublishedHash.key
        for vector in PublishedHash.vectors {
            let isV6 = vector.source.count == 16
            let withPorts: ToeplitzHash.Kind = isV6 ? .ipv6TCP : .ipv4TCP
            let addresses: ToeplitzHash.Kind = isV6 ? .ipv6 : .ipv4
            let tcp = frame(vector, tcp: true).bytes
            let udp = frame(vector, tcp: false).bytes
            (hash.isSelected, hash.kinds) = (true, 15)
            #expect(value(hash, tcp) == .init(kind: withPorts, value: vector.withPorts))
            #expect(value(hash, udp) == .init(kind: addresses, value: vector.addressesOnly))
            hash.kinds = addresses.bit
            #expect(value(hash, tcp) == .init(kind: addresses, value: vector.addressesOnly))
            hash.kinds = withPorts.bit
            #expect(value(hash, tcp) == .init(kind: withPorts, value: vector.withPorts))
            #expect(value(hash, udp) == nil)
            hash.kinds = 15 & ~addresses.bit & ~withPorts.bit
            #expect(value(hash, tcp) == nil)
            (hash.isSelected, hash.kinds) = (false, 15)
            #expect(value(hash, tcp) == nil)
        }
    }

    @Test func whatIsNoIPHasNoHash() {
        var hash = ToeplitzHash()
        (hash.isSelected, hash.kinds) = (true, 15)
        for bytes in [
            [], [UInt8](repeating: 1, count: 60), Array(ScriptedFrame().bytes.prefix(40)),
        ] { #expect(value(hash, bytes) == nil) }
        // A key that is not there is 0, and so are its hashes.
        #expect(value(hash, ScriptedFrame().bytes)?.value == 0)
    }

    // MARK: Queues

    /// The queues by which a frame comes.
    private func queues(_ frontend: Frontend, _ frame: [UInt8]) -> [Int] {
        for queue in frontend.queues.indices { frontend.post([500, 501], queue: queue) }
        #expect(frontend.network.deliver(frame))
        return frontend.queues.indices.filter { !frontend.takeReceived(queue: $0).isEmpty }
    }

    @Test func queuesByTheHash() throws {
        let frontend = try connected()
        frontend.memory.write(frontend.guest.page(Self.reference), PublishedHash.key)
        #expect(frontend.ask(Request.setAlgorithm, 1, 0, 0) == Self.success)
        #expect(frontend.ask(Request.setHashFlags, 15, 0, 0) == Self.success)
        #expect(frontend.ask(Request.setHashKey, Self.reference, 40, 0) == Self.success)
        // Without a mapping: the hash modulo the queues.
        for vector in PublishedHash.vectors {
            #expect(
                queues(frontend, frame(vector, tcp: true).bytes) == [Int(vector.withPorts % 4)])
        }
        #expect(frontend.ask(Request.setMappingSize, 7, 0, 0) == Self.success)
        let mapping: [UInt32] = [3, 1, 0, 2, 2, 1, 3]
        write(frontend, mapping)
        #expect(frontend.ask(Request.setMapping, Self.reference, 7, 0) == Self.success)
        for vector in PublishedHash.vectors {
            #expect(
                queues(frontend, frame(vector, tcp: true).bytes)
                    == [Int(mapping[Int(vector.withPorts % 7)])])
            #expect(
                queues(frontend, frame(vector, tcp: false).bytes)
                    == [Int(mapping[Int(vector.addressesOnly % 7)])])
        }
    }

    @Test func withoutAHashAConnectionKeepsItsQueue() throws {
        let frontend = try connected()
        var used: Set<Int> = []
        for port in UInt16(0)..<40 {
            var frame = ScriptedFrame(v6: port % 2 == 0)
            frame.ports.source = 1000 + port
            let first = queues(frontend, frame.bytes)
            #expect(first.count == 1)
            frame.payload = [1, 2, 3]
            #expect(queues(frontend, frame.bytes) == first)
            used.formUnion(first)
        }
        #expect(used == [0, 1, 2, 3])
        #expect(queues(frontend, [UInt8](repeating: 1, count: 60)) == [0])
    }

    @Test func aQueueThatIsFullHoldsUpTheFrame() throws {
        let frontend = try connected()
        let frame = ScriptedFrame().bytes
        let queue = try #require(queues(frontend, frame).first)
        for other in 0..<4 where other != queue { frontend.post([502, 503], queue: other) }
        #expect(frontend.network.deliver(frame))
        #expect(!frontend.network.deliver(frame))
        frontend.post([504], queue: (queue + 1) % 4, notifies: true)
        #expect(frontend.network.resumes == 0)
        frontend.post([504], queue: queue, notifies: true)
        #expect(frontend.network.resumes == 1)
    }

    // MARK: Multicast

    @Test func groupsAreFilteredWhenAsked() throws {
        let frontend = try Frontend()
        #expect(try frontend.connect() == "4")
        let group: [UInt8] = [0x33, 0x33, 0, 0, 0, 1]
        func arrives(_ destination: [UInt8]) -> Bool {
            var frame = ScriptedFrame()
            frame.destination = destination
            frontend.post([500])
            #expect(frontend.network.deliver(frame.bytes))
            return !frontend.takeReceived().isEmpty
        }
        func change(isAdded: Bool) {
            frontend.transmit([
                Frontend.slot(0, flags: 8, byteCount: 0),
                Frontend.multicast(isAdded: isAdded, group),
            ])
            #expect(frontend.takeResponses() == [[0, 0], [0, 1]])
        }
        #expect(arrives(group))
        // At any time.
        try frontend.write("request-multicast-control", "1")
        #expect(!arrives(group))
        #expect(arrives([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))
        #expect(arrives([2, 0, 0, 0, 0, 1]))
        change(isAdded: true)
        #expect(arrives(group))
        #expect(!arrives([0x33, 0x33, 0, 0, 0, 2]))
        change(isAdded: false)
        #expect(!arrives(group))
        try frontend.write("request-multicast-control", "0")
        #expect(arrives(group))
        change(isAdded: true)
        // A new frontend begins without groups.
        try frontend.leave()
        #expect(
            try frontend.connect(Frontend.Setup(nodes: ["request-multicast-control": "1"])) == "4")
        #expect(!arrives(group))
    }

    @Test func withoutTheFeatureNothingIsFiltered() throws {
        var features = NetworkBackend.Features()
        features.multicastControl = false
        let frontend = try Frontend(features: features)
        #expect(
            try frontend.connect(Frontend.Setup(nodes: ["request-multicast-control": "1"])) == "4")
        frontend.post([500])
        #expect(frontend.network.deliver([0x33, 0x33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]))
        #expect(frontend.takeReceived().count == 1)
    }
}
