import CHost
import CTestSupport
import Glibc
import HostIO
import Testing
import Vocabulary

@testable import Networks

/// In a network namespace of the test's own; left out where the host allows none.
@Suite(.serialized) struct TAPNetworkTests {
    private static let hostAddress: UInt32 = 0xc000_0201  // 192.0.2.1
    private static let guestAddress: UInt32 = 0xc000_0202

    static let isAllowed: Bool = {
        let device = unsafe open("/dev/net/tun", O_RDWR | O_CLOEXEC)
        guard device >= 0 else { return false }
        close(device)
        return (try? inOwnNamespace(test_enter_network_namespace) {}) ?? false
    }()

    private static func check(_ error: CInt) throws {
        if error != 0 { throw XError(.hostCall, "cannot set up an interface: error \(error)") }
    }

    /// A guest on the other end of a TAP device whose host is `hostAddress`.
    private static func guest(
        _ network: TAPNetwork, _ offloads: PacketOffloads = .all
    ) throws -> ScriptedGuest {
        try check(unsafe test_interface_set_address("tap7", hostAddress, 24))
        let guest = try ScriptedGuest(network, offloads: offloads)
        guest.address = guestAddress
        guest.peer = hostAddress
        guest.segment = UInt16(network.capabilities.mtu - 40)
        guest.sendARP(1, target: hostAddress, to: [0, 0, 0, 0, 0, 0])
        while let answer = guest.sink.next(seconds: 2) {
            if answer.bytes[12] == 8, answer.bytes[13] == 6, answer.bytes[21] == 2 {
                guest.peerMAC = Array(answer.bytes[22..<28])
                return guest
            }
        }
        throw ScriptedGuest.Trouble(description: "the host does not answer ARP")
    }

    private static func exchange(_ guest: ScriptedGuest) throws {
        let listener = try HostSockets.listen(at: hostAddress)
        try guest.connect(HostSockets.port(listener))
        guard !guest.wasReset else { throw ScriptedGuest.Trouble(description: "reset") }
        let connection = try HostSockets.accept(listener)
        var random = SeededGenerator(15)
        let data = random.bytes(1 << 20)
        let number = connection.rawValue
        let writer = try HostThread.spawn(name: "writer") { try? writeAll(number, data) }
        let came = try guest.read(data.count)
        writer.join()
        guard came == data else { throw ScriptedGuest.Trouble(description: "other bytes came") }
        let box = Box()
        let reader = try HostThread.spawn(name: "reader") {
            let connection = Descriptor(owning: dup(number))
            box.bytes.withLock { $0 = (try? HostSockets.read(connection, data.count)) ?? [] }
        }
        try guest.write(data)
        reader.join()
        guard box.bytes.withLock({ $0 }) == data else {
            throw ScriptedGuest.Trouble(description: "other bytes arrived")
        }
        let statistics = guest.network.statistics
        guard statistics.sent.errors == 0, statistics.received.errors == 0 else {
            throw ScriptedGuest.Trouble(description: "\(statistics)")
        }
    }

    private final class Box: Sendable {
        let bytes = RankedLock<[UInt8]>([], owner: "test", rank: .device)
    }

    private static func require(_ condition: Bool, _ what: String) throws {
        if !condition { throw ScriptedGuest.Trouble(description: what) }
    }

    @Test(.enabled(if: isAllowed)) func largePacketsGoBothWays() throws {
        _ = try inOwnNamespace(test_enter_network_namespace) {
            let network = try TAPNetwork(name: "vif1.0", device: "tap7")
            let guest = try Self.guest(network)
            try Self.exchange(guest)
            try Self.require(guest.segmented > 0, "nothing was to be segmented")
            try Self.require(
                guest.largest > 10_000, "the largest packet had \(guest.largest) bytes")
        }
    }

    @Test(.enabled(if: isAllowed)) func guestWithoutOffloadsGetsFramesOfTheWire() throws {
        _ = try inOwnNamespace(test_enter_network_namespace) {
            let network = try TAPNetwork(name: "vif1.0", device: "tap7")
            let guest = try Self.guest(network, [])
            try Self.exchange(guest)
            try Self.require(
                guest.segmented == 0 && guest.largest == 1514, "\(guest.largest) bytes")
        }
    }

    @Test(.enabled(if: isAllowed)) func jumboFramesGoBothWays() throws {
        _ = try inOwnNamespace(test_enter_network_namespace) {
            try Self.check(unsafe test_tap_make("tap7", 9000))
            do {
                let network = try TAPNetwork(name: "vif1.0", device: "tap7")
                try Self.require(network.capabilities.mtu == 9000, "\(network.capabilities)")
                let guest = try Self.guest(network, [])
                try Self.exchange(guest)
                try Self.require(guest.largest == 9014, "\(guest.largest) bytes")
            }
            let again = try TAPNetwork(name: "vif1.0", device: "tap7")
            try Self.exchange(try Self.guest(again))
        }
    }

    @Test(.enabled(if: isAllowed)) func devicesHaveOneUser() throws {
        _ = try inOwnNamespace(test_enter_network_namespace) {
            let first = try TAPNetwork(name: "first", device: "tap7")
            do {
                _ = try TAPNetwork(name: "second", device: "tap7")
                throw ScriptedGuest.Trouble(description: "a device was attached to twice")
            } catch let error as XError {
                try Self.require(error.message.contains("another program"), error.message)
            }
            first.stop()
        }
    }

    @Test(.enabled(if: isAllowed)) func downInterfacesAreTurnedOn() throws {
        _ = try inOwnNamespace(test_enter_network_namespace) {
            let network = try TAPNetwork(name: "vif1.0", device: "tap7")
            try Self.check(unsafe test_interface_set_down("tap7"))
            network.send([UInt8](repeating: 1, count: 60))
            try Self.require(network.statistics.sent.drops == 1, "\(network.statistics)")
            // The host's loopback interface is no TAP device.
            do {
                _ = try TAPNetwork(name: "vif1.0", device: "lo")
                throw ScriptedGuest.Trouble(description: "lo was taken")
            } catch let error as XError {
                try Self.require(error.message.contains("no TAP device"), error.message)
            }
        }
    }

    @Test func refusalsSayWhatToDo() {
        for (number, words) in [
            (ENOENT, "modprobe"), (EPERM, "ip tuntap add dev tap0"), (EBUSY, "another program"),
            (EINVAL, "no TAP device"), (EACCES, "chmod 666 /dev/net/tun"),
        ] {
            let error = TAPNetwork.refusal("tap0", number, "/dev/net/tun")
            #expect(error.message.contains(words) && error.message.contains("'tap0'"))
            #expect(error.hostErrno?.rawValue == number)
        }
    }

    @Test func headersAreTheHosts() {
        var metadata = PacketMetadata()
        metadata.needsChecksum = true
        metadata.checksumStart = 34
        metadata.checksumOffset = 16
        metadata.segmentation = .tcpv6
        metadata.segmentByteCount = 1428
        metadata.headerByteCount = 74
        metadata.hasCongestionWindowReduced = true
        #expect(TAPHeader.metadata(TAPHeader.make(metadata)) == metadata)
        #expect(TAPHeader.metadata(TAPHeader.make(.valid)) == .valid)
        #expect(TAPHeader.make(metadata).gso_type == 0x84)
        var header = TAPHeader.make(metadata)
        header.gso_type = 3
        #expect(TAPHeader.metadata(header) == nil)
    }
}
