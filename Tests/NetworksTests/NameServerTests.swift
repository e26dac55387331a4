import CTestSupport
import Glibc
import HostIO
import Testing
import Vocabulary

@testable import Networks

/// Where the host's name server is this test, in a network namespace of its own.
@Suite(.serialized) struct NameServerTests {
    /// The first name server of the host that has an IPv4 address.
    static let nameServer: UInt32? = {
        guard let file = try? Descriptor(path: "/etc/resolv.conf", flags: O_RDONLY),
            let bytes = try? HostSockets.read(file, 65536)
        else { return nil }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            if words.count > 1, words[0] == "nameserver",
                let address = PublishedPort.address(words[1])
            {
                return address
            }
        }
        return nil
    }()

    @Test(.enabled(if: TAPNetworkTests.isAllowed && nameServer != nil))
    func queriesGoToTheHostsNameServer() throws {
        let server = try #require(Self.nameServer)
        _ = try inOwnNamespace(test_enter_network_namespace) {
            if server >> 24 != 127 {
                let error = unsafe test_interface_set_address("lo", server, 32)
                if error != 0 { throw XError(.hostCall, "cannot set an address: \(error)") }
            }
            let socket = try HostSockets.listen(SOCK_DGRAM, at: server, port: 53)
            let guest = try ScriptedGuest(UserNetwork(name: "test0"))
            guest.sendARP(1, target: UserNetwork.nameServer, to: [0, 0, 0, 0, 0, 0])
            guard let answer = guest.sink.next() else {
                throw ScriptedGuest.Trouble(description: "no ARP")
            }
            guest.peerMAC = Array(answer.bytes[22..<28])
            let query: [UInt8] = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0x61, 0, 0, 1, 0, 1]
            let udp = Frames.summed(
                Frames.udp(5000, 53, query), at: 6, kind: 17, from: big(guest.address),
                to: big(UserNetwork.nameServer))
            try guest.sendIP(
                Frames.ipv4(17, from: guest.address, to: UserNetwork.nameServer, udp))
            var buffer = [UInt8](repeating: 0, count: 512)
            var from = sockaddr()
            var length = socklen_t(MemoryLayout<sockaddr>.size)
            let count = unsafe recvfrom(socket.rawValue, &buffer, 512, 0, &from, &length)
            guard count == query.count, Array(buffer[0..<count]) == query else {
                throw ScriptedGuest.Trouble(description: "a query of \(count) bytes")
            }
            let reply = query + [9, 9, 9]
            _ = unsafe sendto(socket.rawValue, reply, reply.count, 0, &from, length)
            let frame = try guest.next().bytes
            guard Frames.isRight(frame), Array(frame[26..<30]) == big(UserNetwork.nameServer),
                Array(frame[34..<38]) == big(53 as UInt16) + big(5000 as UInt16),
                Array(frame[42...]) == reply
            else { throw ScriptedGuest.Trouble(description: "another answer") }
        }
    }
}
