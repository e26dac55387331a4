import Testing

@testable import Networks

@Suite(.serialized) struct IPv6Tests {
    private static let prefix: [UInt8] = [0xfe, 0xc0] + [UInt8](repeating: 0, count: 6)
    private static let own = prefix + [UInt8](repeating: 0, count: 7) + [0x15]
    private static let gateway = prefix + [UInt8](repeating: 0, count: 7) + [2]

    private static func send(_ guest: ScriptedGuest, to: [UInt8], _ message: [UInt8]) {
        let body = Frames.summed(message, at: 2, kind: 58, from: own, to: to)
        var packet = Frames.ipv6(58, from: own, to: to, body)
        packet[7] = 255
        guest.network.send(Frames.ethernet(0x86dd, to: [0x33, 0x33, 0, 0, 0, 2], packet))
    }

    /// The next ICMPv6 message of a type.
    private static func next(_ guest: ScriptedGuest, _ type: UInt8) -> [UInt8]? {
        while let frame = guest.sink.next(seconds: 2)?.bytes {
            guard frame.count > 58, Array(frame[12..<14]) == [0x86, 0xdd], frame[20] == 58 else {
                continue
            }
            #expect(Frames.isRight(frame))
            if frame[54] == type { return Array(frame[54...]) }
        }
        return nil
    }

    private static let solicitation: [UInt8] =
        [135, 0, 0, 0, 0, 0, 0, 0] + gateway + [1, 1] + Frames.guestMAC

    @Test func routerAndNeighbourAreFound() throws {
        let guest = try ScriptedGuest(UserNetwork(name: "test0"))
        let routers: [UInt8] = [0xff, 2] + [UInt8](repeating: 0, count: 13) + [2]
        Self.send(guest, to: routers, [133, 0, 0, 0, 0, 0, 0, 0, 1, 1] + Frames.guestMAC)
        let router = try #require(Self.next(guest, 134))
        // The prefix option: RFC 4861, 4.6.2.
        let options = try #require(
            (16..<router.count - 31).first { router[$0] == 3 && router[$0 + 1] == 4 })
        #expect(router[options + 2] == 64)
        #expect(Array(router[options + 16..<options + 24]) == Self.prefix)
        Self.send(guest, to: Self.gateway, Self.solicitation)
        let neighbour = try #require(Self.next(guest, 136))
        #expect(Array(neighbour[8..<24]) == Self.gateway)
        let ping: [UInt8] = [128, 0, 0, 0, 0, 1, 0, 2] + [UInt8](repeating: 7, count: 1000)
        Self.send(guest, to: Self.gateway, ping)
        #expect(Self.next(guest, 129).map { Array($0[4...]) } == Array(ping[4...]))
    }

    @Test func itCanBeOff() throws {
        var options = UserNetworkOptions()
        options.hasIPv6 = false
        let guest = try ScriptedGuest(UserNetwork(name: "test0", options: options))
        Self.send(guest, to: Self.gateway, Self.solicitation)
        #expect(Self.next(guest, 136) == nil)
    }

    @Test func closedPortsAreSaid() throws {
        // By RST or ICMP.
        let guest = try ScriptedGuest(UserNetwork(name: "test0"))
        Self.send(guest, to: Self.gateway, Self.solicitation)
        _ = Self.next(guest, 136)
        let tcp = Frames.summed(
            Frames.tcp(
                4000, try HostSockets.freePort(), sequence: 9, flags: 2, options: [2, 4, 5, 0xa0]),
            at: 16, kind: 6, from: Self.own, to: Self.gateway)
        guest.network.send(
            Frames.ethernet(0x86dd, Frames.ipv6(6, from: Self.own, to: Self.gateway, tcp)))
        var answers: [UInt8] = []
        while answers.isEmpty, let frame = guest.sink.next(seconds: 5)?.bytes {
            guard Array(frame[12..<14]) == [0x86, 0xdd] else { continue }
            if frame[20] == 6 || (frame[20] == 58 && frame[54] == 1) { answers = frame }
        }
        #expect(!answers.isEmpty && Frames.isRight(answers))
    }
}
