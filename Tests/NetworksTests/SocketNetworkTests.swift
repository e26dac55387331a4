import CHost
import Glibc
import HostIO
import Testing
import Vocabulary

@testable import Networks

@Suite(.serialized) struct SocketNetworkTests {
    private static func path() -> String {
        "/tmp/martlet-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock"
    }

    private static func open(
        _ path: String, _ name: String, _ offloads: PacketOffloads = .all
    ) throws -> (SocketNetwork, RecordingReceiver) {
        let network = try SocketNetwork(name: name, path: path)
        let sink = RecordingReceiver()
        try network.start(sink: sink, offloads: offloads)
        return (network, sink)
    }

    @Test func framesGoBothWays() throws {
        let path = Self.path()
        let (first, firstSink) = try Self.open(path, "a")
        var information = stat()
        #expect(unsafe lstat(path, &information) == 0 && information.st_mode & 0o777 == 0o600)
        let (second, secondSink) = try Self.open(path, "b")
        #expect(eventually { first.isConnected && second.isConnected })
        var random = SeededGenerator(13)
        let frames = (0..<2000).map { _ in random.bytes(Int.random(in: 14...1514, using: &random)) }
        for frame in frames {
            #expect(eventually { first.send(frame) == .accepted })
            #expect(eventually { second.send(Array(frame.reversed())) == .accepted })
        }
        #expect(eventually { firstSink.count == 2000 && secondSink.count == 2000 })
        #expect(secondSink.takeAll().map(\.bytes) == frames)
        #expect(firstSink.takeAll().map(\.bytes) == frames.map { $0.reversed() })
        second.stop()
        first.stop()
        #expect(unsafe lstat(path, &information) != 0, "the file goes with who made it")
    }

    @Test func largePacketsBecomeFramesWithChecksums() throws {
        let path = Self.path()
        let (first, _) = try Self.open(path, "a")
        let (second, sink) = try Self.open(path, "b")
        #expect(eventually { first.isConnected && second.isConnected })
        var random = SeededGenerator(14)
        let body = random.bytes(60_000)
        var frame = PacketSegmentationTests.packet(true, flags: 0x18, sequence: 9, body)
        let prepared = unsafe frame.withUnsafeMutableBytes {
            unsafe PacketChecksum.prepare($0, frameByteCount: $0.count)
        }
        var metadata = try #require(prepared)
        metadata.segmentation = .tcpv6
        metadata.segmentByteCount = 1428
        first.send(frame, metadata)
        #expect(eventually { sink.count == 43 })
        let frames = sink.takeAll()
        #expect(frames.allSatisfy { Frames.isRight($0.bytes) && $0.bytes.count <= 1514 })
        #expect(frames.flatMap { $0.bytes[86...] } == body)
        metadata.segmentation = .none
        let small = Array(frame[0..<14 + 40 + 32 + 100])
        // Its length in the header is the long one: only the sum to the end is looked at.
        first.send(small, metadata)
        #expect(eventually { sink.count == 1 })
        first.stop()
        second.stop()
    }

    @Test func eitherSideMayComeBack() throws {
        let path = Self.path()
        let (first, firstSink) = try Self.open(path, "a")
        let frame = [UInt8](repeating: 5, count: 100)
        first.send(frame)
        #expect(eventually { first.statistics.sent.drops == 1 }, "nobody is there")
        do {
            let (second, _) = try Self.open(path, "b")
            #expect(eventually { first.isConnected && second.isConnected })
            second.stop()
        }
        #expect(eventually { !first.isConnected })
        let (third, thirdSink) = try Self.open(path, "c")
        #expect(eventually { first.isConnected })
        third.send(frame)
        #expect(eventually { firstSink.count == 1 })
        // A third machine finds both ends taken.
        let (fourth, _) = try Self.open(path, "d")
        HostThread.sleep(nanoseconds: 50_000_000)
        first.send(frame)
        #expect(eventually { thirdSink.count == 1 })
        fourth.stop()
        first.stop()
        #expect(eventually { !third.isConnected })
        let (fifth, fifthSink) = try Self.open(path, "e")
        #expect(eventually { third.isConnected && fifth.isConnected })
        third.send(frame)
        #expect(eventually { fifthSink.count == 1 })
        third.stop()
        fifth.stop()
    }

    @Test func hostilePeersAreLeft() throws {
        let path = Self.path()
        let (network, sink) = try Self.open(path, "a")
        for (index, header) in [
            [0, 0, 0, 0], [0, 0, 0, 13], [0, 1, 0, 22], [255, 255, 255, 255],
        ]
        .enumerated() {
            let peer = Descriptor(owning: unsafe chost_unix_connect(path))
            // Byte by byte: half a length is none.
            let good: [UInt8] = [0, 0, 0, 14] + [UInt8](repeating: UInt8(index), count: 14)
            for byte in good { try writeAll(peer.rawValue, [byte]) }
            #expect(eventually { sink.count == index + 1 })
            try writeAll(peer.rawValue, header.map { UInt8($0) })
            #expect(eventually { network.statistics.received.errors == UInt64(index + 1) })
            #expect(eventually { !network.isConnected })
        }
        network.stop()
    }

    @Test func leftoversAreReplacedAndOtherFilesAreNot() throws {
        let path = Self.path()
        let left = Descriptor(owning: unsafe chost_unix_listen(path))
        #expect(left.rawValue >= 0)
        _ = left.release()
        let number = unsafe chost_unix_connect(path)
        #expect(number >= 0)
        close(number)
        // Now nobody listens, but the file stays.
        let stale = Self.path()
        let made = unsafe chost_unix_listen(stale)
        close(made)
        let network = try SocketNetwork(name: "a", path: stale)
        var information = stat()
        #expect(unsafe lstat(stale, &information) == 0)
        network.stop()
        _ = unsafe unlink(path)

        let file = Self.path()
        _ = try Descriptor(path: file, flags: O_CREAT | O_WRONLY)
        defer { _ = unsafe unlink(file) }
        do {
            _ = try SocketNetwork(name: "a", path: file)
            Issue.record("a plain file was taken")
        } catch { #expect(error.message.contains(file) && error.message.contains("no socket")) }
        #expect(throws: XError.self) { try SocketNetwork(name: "a", path: "/nowhere/at/all") }
    }

    @Test func fullSinkHoldsThePeerUp() throws {
        let path = Self.path()
        let (first, _) = try Self.open(path, "a")
        let (second, sink) = try Self.open(path, "b")
        #expect(eventually { first.isConnected && second.isConnected })
        sink.setRoom(0)
        let frame = [UInt8](repeating: 1, count: 1500)
        var accepted = 0
        while accepted < 20_000, first.send(frame) == .accepted {
            accepted += 1
            // The stream's thread is given time to fill what is behind it.
            if accepted % 100 == 0 { HostThread.sleep(nanoseconds: 2_000_000) }
        }
        #expect(accepted < 20_000)
        sink.setRoom(.max)
        second.resume()
        #expect(eventually { sink.count == accepted })
        #expect(second.statistics.received.drops == 0)
        first.stop()
        second.stop()
    }
}
