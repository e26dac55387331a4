import HostIO
import Testing
import Vocabulary

@testable import Networks

/// A network that gives back what it is sent.
private final class EchoNetwork: Network {
    let name = "echo"
    let capabilities = NetworkCapabilities(mtu: 1500)
    private let sink = RankedLock<(any PacketSink)?>(nil, owner: "test", rank: .device)

    var statistics: NetworkStatistics { NetworkStatistics() }
    func start(sink: any PacketSink, offloads: PacketOffloads) { self.sink.withLock { $0 = sink } }
    func setOffloads(_ offloads: PacketOffloads) {}
    func send(_ packet: Packet) -> SendOutcome {
        guard let sink = sink.withLock({ $0 }) else { return .accepted }
        return sink.receive(packet) ? .accepted : .full
    }
    func resume() {}
    func stop() { sink.withLock { $0 = nil } }
}

@Suite(.serialized) struct NetworkImpairmentTests {
    private static func frame(_ number: Int, _ count: Int = 64) -> [UInt8] {
        big(UInt32(number)) + [UInt8](repeating: 0, count: count - 4)
    }

    private static func numbers(_ sink: RecordingReceiver) -> [Int] {
        sink.takeAll().map { $0.bytes[0..<4].reduce(0) { $0 << 8 | Int($1) } }
    }

    /// Runs packets through; gives their numbers as they came back.
    private static func pass(
        _ count: Int, seed: UInt64 = 1, sent: LinkImpairment = LinkImpairment(),
        received: LinkImpairment = LinkImpairment()
    ) throws -> (numbers: [Int], statistics: NetworkStatistics) {
        let network = try NetworkImpairment(
            EchoNetwork(), sent: sent, received: received, seed: seed)
        let sink = RecordingReceiver()
        try network.start(sink: sink, offloads: .all)
        for number in 0..<count { network.send(frame(number)) }
        #expect(
            eventually {
                let lost = network.statistics.sent.drops + network.statistics.received.drops
                return sink.count + Int(lost) == count
            })
        network.stop()
        return (numbers(sink), network.statistics)
    }

    @Test func linkWithoutImpairmentIsPerfect() throws {
        #expect(try Self.pass(2000).numbers == Array(0..<2000))
    }

    @Test func lossesAreAsOftenAsSaidAndTheSame() throws {
        var lossy = LinkImpairment()
        lossy.lossProbability = 0.1
        let first = try Self.pass(5000, seed: 3, sent: lossy)
        #expect((400...600).contains(first.statistics.sent.drops))
        #expect(first.numbers == first.numbers.sorted())
        #expect(try Self.pass(5000, seed: 3, sent: lossy).numbers == first.numbers)
        #expect(try Self.pass(5000, seed: 4, sent: lossy).numbers != first.numbers)
        lossy.lossProbability = 1
        #expect(try Self.pass(10, received: lossy).numbers.isEmpty)
    }

    @Test func packetsOvertake() throws {
        var bad = LinkImpairment()
        bad.reorderProbability = 0.05
        let numbers = try Self.pass(2000, received: bad).numbers
        #expect(numbers != Array(0..<2000))
        #expect(numbers.sorted() == Array(0..<2000))
    }

    @Test func delayAndRateTakeTime() throws {
        var far = LinkImpairment()
        far.delayNanoseconds = 20_000_000
        let start = HostThread.monotonicNow.nanoseconds
        #expect(try Self.pass(10, sent: far, received: far).numbers == Array(0..<10))
        #expect(HostThread.monotonicNow.nanoseconds - start >= 40_000_000)

        // 200 frames of 64 bytes at 2 Mbit/s: 51 ms.
        var slow = LinkImpairment()
        slow.bitsPerSecond = 2_000_000
        let before = HostThread.monotonicNow.nanoseconds
        #expect(try Self.pass(200, sent: slow).numbers == Array(0..<200))
        #expect(HostThread.monotonicNow.nanoseconds - before >= 51_000_000)
        slow.queueByteCount = 640
        #expect(try Self.pass(200, sent: slow).numbers.count < 150)
    }

    @Test func fullSinkIsWaitedFor() throws {
        let network = try NetworkImpairment(EchoNetwork())
        let sink = RecordingReceiver()
        sink.setRoom(3)
        try network.start(sink: sink, offloads: .all)
        for number in 0..<50 { network.send(Self.frame(number)) }
        #expect(eventually { sink.count == 3 })
        HostThread.sleep(nanoseconds: 20_000_000)
        #expect(sink.count == 3)
        sink.setRoom(.max)
        network.resume()
        #expect(eventually { sink.count == 50 })
        network.stop()
        #expect(Self.numbers(sink) == Array(0..<50))
    }

    @Test func connectionSurvivesABadLink() throws {
        var bad = LinkImpairment()
        bad.reorderProbability = 0.05
        bad.delayNanoseconds = 200_000
        let network = try NetworkImpairment(UserNetwork(name: "test0"), received: bad)
        let guest = try ScriptedGuest(network)
        guest.sendARP(1, target: UserNetwork.gateway, to: [0, 0, 0, 0, 0, 0])
        let answer = try #require(guest.sink.next()).bytes
        guest.peerMAC = Array(answer[22..<28])
        let listener = try HostSockets.listen()
        try guest.connect(HostSockets.port(listener))
        let connection = try HostSockets.accept(listener)
        var random = SeededGenerator(16)
        let data = random.bytes(300_000)
        let number = connection.rawValue
        let writer = try HostThread.spawn(name: "writer") { try? writeAll(number, data) }
        #expect(try guest.read(data.count) == data)
        writer.join()
    }
}
