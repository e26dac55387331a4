import Glibc
import HostIO
import Testing
import Vocabulary

@testable import Networks

@Suite(.serialized) struct UserNetworkTests {
    private static func guest(
        _ options: UserNetworkOptions = UserNetworkOptions(), _ offloads: PacketOffloads = .all
    ) throws -> ScriptedGuest {
        let guest = try ScriptedGuest(
            UserNetwork(name: "test0", options: options), offloads: offloads)
        // The neighbour table of libslirp learns us from any ARP packet.
        guest.sendARP(1, target: UserNetwork.gateway, to: [0, 0, 0, 0, 0, 0])
        guard let answer = guest.sink.next() else {
            throw ScriptedGuest.Trouble(description: "no ARP")
        }
        guest.peerMAC = Array(answer.bytes[22..<28])
        return guest
    }

    @Test func gatewayAnswersARP() throws {
        let guest = try ScriptedGuest(UserNetwork(name: "test0"))
        for target in [UserNetwork.gateway, UserNetwork.nameServer] {
            guest.sendARP(1, target: target, to: [0, 0, 0, 0, 0, 0])
            let answer = try #require(guest.sink.next()).bytes
            #expect(Array(answer[0..<6]) == Frames.guestMAC)
            #expect(Array(answer[12..<14]) == [8, 6] && Array(answer[20..<22]) == [0, 2])
            #expect(Array(answer[28..<32]) == big(target))
        }
    }

    @Test func guestIsConfiguredByDHCP() throws {
        let guest = try ScriptedGuest(UserNetwork(name: "test0"))
        func request(_ kind: UInt8, _ options: [UInt8]) -> [UInt8] {
            var body: [UInt8] = [1, 1, 6, 0, 0xca, 0xfe, 0, 1] + [UInt8](repeating: 0, count: 20)
            body += Frames.guestMAC + [UInt8](repeating: 0, count: 10 + 192)
            body += [0x63, 0x82, 0x53, 0x63, 53, 1, kind] + options + [255]
            body += [UInt8](repeating: 0, count: 60)
            return Frames.ethernet(
                0x0800, to: [UInt8](repeating: 0xff, count: 6),
                Frames.ipv4(
                    17, from: 0, to: 0xffff_ffff,
                    Frames.summed(
                        Frames.udp(68, 67, body), at: 6, kind: 17, from: [0, 0, 0, 0],
                        to: [255, 255, 255, 255])))
        }
        func answer() throws -> (address: [UInt8], options: [UInt8: [UInt8]]) {
            let bytes = try #require(guest.sink.next()).bytes
            #expect(Frames.isRight(bytes))
            let body = Array(bytes[42...])
            var options: [UInt8: [UInt8]] = [:]
            var offset = 240
            while offset + 1 < body.count, body[offset] != 255 {
                let count = Int(body[offset + 1])
                options[body[offset]] = Array(body[offset + 2..<offset + 2 + count])
                offset += 2 + count
            }
            return (Array(body[16..<20]), options)
        }
        guest.network.send(request(1, []))
        let offer = try answer()
        #expect(offer.address == [10, 0, 2, 15])
        #expect(offer.options[53] == [2])
        guest.network.send(request(3, [50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 2]))
        let lease = try answer()
        #expect(lease.address == [10, 0, 2, 15])
        #expect(lease.options[53] == [5])
        #expect(lease.options[1] == [255, 255, 255, 0])
        #expect(lease.options[3] == [10, 0, 2, 2])
        #expect(lease.options[6] == [10, 0, 2, 3])
    }

    @Test func gatewayAnswersPings() throws {
        let guest = try Self.guest()
        var random = SeededGenerator(7)
        // The large one comes back in fragments of the wire's size.
        for count in [56, 1472, 4000] {
            let data = random.bytes(count)
            var ping: [UInt8] = [8, 0, 0, 0, 0x12, 0x34, 0, 1] + data
            ping.replaceSubrange(2..<4, with: big(~naiveSum(ping)))
            if count <= 1472 {
                try guest.sendIP(Frames.ipv4(1, from: guest.address, to: guest.peer, ping))
            } else {
                for from in stride(from: 0, to: ping.count, by: 1480) {
                    let to = min(from + 1480, ping.count)
                    try guest.sendIP(
                        Frames.ipv4(
                            1, from: guest.address, to: guest.peer,
                            flags: UInt16(from / 8) | (to < ping.count ? 0x2000 : 0),
                            Array(ping[from..<to])))
                }
            }
            var reply: [UInt8] = []
            while reply.count < ping.count {
                let bytes = try guest.next().bytes
                #expect(bytes.count <= 1514)
                #expect(bytes[23] == 1)
                reply += bytes[34...]
            }
            #expect(naiveSum(reply) == 0xffff)
            #expect(reply[0] == 0 && Array(reply[8...]) == data)
        }
    }

    /// Everything that is sent comes back.
    private static func echo(_ guest: ScriptedGuest, _ count: Int) throws {
        let listener = try HostSockets.listen()
        let port = HostSockets.port(listener)
        let number = listener.rawValue
        let server = try HostThread.spawn(name: "echo") {
            let connection = Descriptor(owning: Glibc.accept(number, nil, nil))
            var buffer = [UInt8](repeating: 0, count: 65536)
            while case let got = unsafe Glibc.read(connection.rawValue, &buffer, 65536), got > 0 {
                try? writeAll(connection.rawValue, Array(buffer[0..<got]))
            }
        }
        try guest.connect(port)
        var random = SeededGenerator(8)
        let data = random.bytes(count)
        var back: [UInt8] = []
        for from in stride(from: 0, to: count, by: 50_000) {
            let part = Array(data[from..<min(from + 50_000, count)])
            try guest.write(part)
            back += try guest.read(part.count)
        }
        #expect(back == data)
        try guest.sendTCP(0x11)
        while !guest.peerFinished { try guest.takeTCP() }
        server.join()
        _ = listener.rawValue
    }

    @Test func connectionCarriesLargePacketsBothWays() throws {
        let guest = try Self.guest()
        try Self.echo(guest, 1 << 20)
        #expect(guest.segmented > 0)
        #expect(guest.largest > 20_000)
        let statistics = guest.network.statistics
        #expect(statistics.sent.bytes > 1 << 20 && statistics.received.bytes > 1 << 20)
        #expect(statistics.sent.errors == 0 && statistics.received.errors == 0)
        #expect(statistics.received.drops == 0)
        // Far fewer than the 1437 frames that the wire would take in all.
        #expect(statistics.sent.packets < 700)
    }

    @Test func guestWithoutOffloadsGetsFramesOfTheWire() throws {
        let guest = try Self.guest(UserNetworkOptions(), [])
        try Self.echo(guest, 300_000)
        #expect(guest.segmented == 0)
        #expect(guest.largest == 1514)
    }

    @Test func segmentSizeOfTheGuestIsKept() throws {
        let guest = try Self.guest()
        guest.segment = 900
        // The client checks that what is to be segmented is so by 900.
        try Self.echo(guest, 200_000)
        #expect(guest.segmented > 0)
    }

    @Test func largestPacketOfAGuestIsTaken() throws {
        let guest = try Self.guest()
        guest.burst = 65_495
        try Self.echo(guest, 262_144)
    }

    @Test func publishedPortsLeadToTheGuest() throws {
        let (tcpPort, udpPort) = (try HostSockets.freePort(), try HostSockets.freePort())
        var options = UserNetworkOptions()
        options.publishedPorts = [
            PublishedPort(hostPort: tcpPort, guestPort: 80),
            PublishedPort(.udp, hostPort: udpPort, guestPort: 53),
        ]
        // Published ports work where the guest itself reaches nothing.
        options.isRestricted = true
        let guest = try Self.guest(options)
        var random = SeededGenerator(9)
        let data = random.bytes(500_000)
        let client = try HostSockets.connect(port: tcpPort)
        try guest.accept(80)
        let number = client.rawValue
        let writer = try HostThread.spawn(name: "client") { try? writeAll(number, data) }
        #expect(try guest.read(data.count) == data)
        writer.join()
        #expect(guest.segmented > 0)
        try guest.write([1, 2, 3])
        #expect(try HostSockets.read(client, 3) == [1, 2, 3])

        let datagrams = try HostSockets.connect(SOCK_DGRAM, port: udpPort)
        let large = random.bytes(3000)
        try writeAll(datagrams.rawValue, large)
        var came: [UInt8] = []
        while came.count < large.count + 8 {
            let frame = try guest.next().bytes
            #expect(frame.count <= 1514)
            if frame[23] == 17 { came += frame[34...] }
        }
        #expect(Array(came[8...]) == large)
        #expect(Array(came[2..<4]) == [0, 53])
    }

    @Test func portsThatAreTakenAreRefused() throws {
        let listener = try HostSockets.listen()
        let port = HostSockets.port(listener)
        var options = UserNetworkOptions()
        options.publishedPorts = [PublishedPort(hostPort: port, guestPort: 80)]
        do {
            _ = try UserNetwork(name: "test0", options: options)
            Issue.record("a port was published twice")
        } catch {
            #expect(error.message.contains("\(port)") && error.message.contains("another program"))
        }
        _ = listener.rawValue
    }

    @Test func closedPortsAndRestrictionsAreSaid() throws {
        let open = try Self.guest()
        try open.connect(try HostSockets.freePort())
        #expect(open.wasReset)

        let listener = try HostSockets.listen()
        let port = HostSockets.port(listener)
        var options = UserNetworkOptions()
        options.isRestricted = true
        let restricted = try Self.guest(options)
        try restricted.connect(port)
        #expect(restricted.wasReset)
        options = UserNetworkOptions()
        options.reachesHost = false
        let away = try Self.guest(options)
        try away.connect(port)
        #expect(away.isUnreachable)
        _ = listener.rawValue
    }

    @Test func fullGuestHoldsTheHostUp() throws {
        let port = try HostSockets.freePort()
        var options = UserNetworkOptions()
        options.publishedPorts = [PublishedPort(hostPort: port, guestPort: 80)]
        let guest = try Self.guest(options)
        let client = try HostSockets.connect(port: port)
        try guest.accept(80)
        guest.sink.setRoom(0)
        var random = SeededGenerator(10)
        let data = random.bytes(2_000_000)
        let number = client.rawValue
        let writer = try HostThread.spawn(name: "client") { try? writeAll(number, data) }
        #expect(eventually { guest.network.statistics.receiveWaits > 0 })
        HostThread.sleep(nanoseconds: 100_000_000)
        #expect(guest.sink.count == 0)
        guest.sink.setRoom(.max)
        guest.network.resume()
        #expect(try guest.read(data.count) == data)
        writer.join()
    }

    /// A peer on the host that is gone while the guest writes is the guest's trouble. (libslirp's write
    /// raised SIGPIPE, which ended the process.)
    @Test func peerThatHangsUpEndsNoProcess() throws {
        let before = signal(SIGPIPE, SIG_DFL)
        defer { signal(SIGPIPE, before) }
        let listener = try HostSockets.listen()
        let guest = try Self.guest()
        try guest.connect(HostSockets.port(listener))
        do {
            let connection = try HostSockets.accept(listener)
            var option = Glibc.linger(l_onoff: 1, l_linger: 0)
            _ = unsafe setsockopt(
                connection.rawValue, SOL_SOCKET, SO_LINGER, &option,
                socklen_t(MemoryLayout<Glibc.linger>.size))
        }
        for _ in 0..<50 where !guest.wasReset { try guest.sendTCP(0x18, [1, 2, 3]) }
        while !guest.wasReset { try guest.takeTCP() }
    }

    @Test func stopEndsEverything() throws {
        for _ in 0..<20 {
            let network = try UserNetwork(name: "test0")
            try network.start(sink: RecordingReceiver(), offloads: .all)
            network.send([UInt8](repeating: 0xff, count: 60))
            network.stop()
            #expect(throws: XError.self) {
                try network.start(sink: RecordingReceiver(), offloads: .all)
            }
        }
        // One that never starts.
        _ = try UserNetwork(name: "test0")
    }
}
