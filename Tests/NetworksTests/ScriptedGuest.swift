import HostIO
import Vocabulary

@testable import Networks

/// A guest's network stack, as little of it as a test needs: ARP, and one TCP connection at a time.
final class ScriptedGuest {
    struct Trouble: Error, CustomStringConvertible { var description: String }

    let network: any Network
    let sink = RecordingReceiver()
    var address: UInt32 = UserNetwork.guest
    var peer: UInt32 = UserNetwork.gateway
    var peerMAC = Frames.gatewayMAC
    /// Largest payload of a packet that is to be segmented.
    var burst = 60_000
    var segment: UInt16 = 1460
    /// Leaves checksums and segmentation to the network.
    let offloads: PacketOffloads

    // The connection.
    var (sourcePort, destinationPort) = (UInt16(40000), UInt16(0))
    private(set) var sequence: UInt32 = 1000
    private(set) var acknowledged: UInt32 = 1000
    private(set) var expected: UInt32 = 0
    private(set) var peerWindow = 0
    private(set) var peerFinished = false
    private(set) var wasReset = false
    /// The host said by ICMP that the peer cannot be reached.
    private(set) var isUnreachable = false
    private(set) var inbox: [UInt8] = []
    /// Largest packet that came, and how many were to be segmented.
    private(set) var largest = 0
    private(set) var segmented = 0

    init(_ network: any Network, offloads: PacketOffloads = .all) throws {
        self.network = network
        self.offloads = offloads
        try network.start(sink: sink, offloads: offloads)
    }

    deinit { network.stop() }

    func sendIP(_ packet: [UInt8], _ metadata: PacketMetadata = PacketMetadata()) throws {
        let frame = Frames.ethernet(0x0800, to: peerMAC, packet)
        let done = eventually { network.send(frame, metadata) == .accepted }
        if !done { throw Trouble(description: "the network took no frame for ten seconds") }
    }

    func sendARP(_ operation: UInt16, target: UInt32, to: [UInt8]) {
        let body =
            big(1 as UInt16) + big(0x0800 as UInt16) + [6, 4] + big(operation) + Frames.guestMAC
            + big(address) + to + big(target)
        network.send(
            Frames.ethernet(0x0806, to: [UInt8](repeating: 0xff, count: 6), body))
    }

    /// The next frame that is not an ARP request for us, which is answered.
    func next(seconds: Double = 10) throws -> RecordingReceiver.Received {
        while let frame = sink.next(seconds: seconds) {
            let bytes = frame.bytes
            if bytes.count >= 42, bytes[12] == 8, bytes[13] == 6, bytes[21] == 1 {
                if Array(bytes[38..<42]) == big(address) {
                    let sender = Array(bytes[28..<32])
                    peerMAC = Array(bytes[22..<28])
                    sendARP(2, target: sender.reduce(0) { $0 << 8 | UInt32($1) }, to: peerMAC)
                }
                continue
            }
            return frame
        }
        throw Trouble(description: "no frame for \(seconds) seconds")
    }

    // MARK: TCP

    func sendTCP(_ flags: UInt8, options: [UInt8] = [], _ body: [UInt8] = []) throws {
        var tcp = Frames.tcp(
            sourcePort, destinationPort, sequence: sequence,
            acknowledgment: flags & 0x10 != 0 ? expected : 0, flags: flags, options: options, body)
        let addresses = (big(address), big(peer))
        var metadata = PacketMetadata()
        if offloads.contains(.checksum) {
            let pseudo = naiveSum(
                Frames.pseudo(from: addresses.0, to: addresses.1, kind: 6, count: tcp.count))
            tcp.replaceSubrange(16..<18, with: big(pseudo))
            metadata.needsChecksum = true
            metadata.checksumStart = 34
            metadata.checksumOffset = 16
            if body.count > Int(segment) {
                metadata.segmentation = .tcpv4
                metadata.segmentByteCount = segment
                metadata.headerByteCount = UInt16(54 + options.count)
            }
        } else {
            tcp = Frames.summed(tcp, at: 16, kind: 6, from: addresses.0, to: addresses.1)
        }
        try sendIP(Frames.ipv4(6, from: address, to: peer, tcp), metadata)
        sequence = sequence &+ UInt32(body.count) &+ (flags & 3 != 0 ? 1 : 0)
    }

    private var offer: [UInt8] { [2, 4] + big(segment) }

    func connect(_ port: UInt16) throws {
        destinationPort = port
        try sendTCP(0x02, options: offer)
        while expected == 0, !wasReset, !isUnreachable { try takeTCP() }
        if !wasReset, !isUnreachable { try sendTCP(0x10) }
    }

    /// Waits for somebody to connect to a port of ours.
    func accept(_ port: UInt16) throws {
        sourcePort = port
        while expected == 0 { try takeTCP() }
        try sendTCP(0x12, options: offer)
        while acknowledged != sequence { try takeTCP() }
    }

    /// Takes one frame of the connection.
    func takeTCP(seconds: Double = 10) throws {
        let frame = try next(seconds: seconds)
        var bytes = frame.bytes
        guard let found = headers(bytes), found.isTCP else {
            if bytes.count > 34, bytes[23] == 1, bytes[34] == 3 { isUnreachable = true }
            return
        }
        if frame.metadata.segmentation != .none {
            guard frame.metadata.segmentation == .tcpv4, frame.metadata.needsChecksum,
                frame.metadata.segmentByteCount == segment, frame.metadata.checksumStart == 34,
                frame.metadata.checksumOffset == 16, frame.metadata.headerByteCount == 54,
                offloads.contains(.tcpSegmentationV4)
            else { throw Trouble(description: "metadata \(frame.metadata)") }
            segmented += 1
        } else if bytes.count > network.capabilities.mtu + 14 {
            throw Trouble(description: "a frame of \(bytes.count) bytes")
        }
        if frame.metadata.needsChecksum {
            let partial = naiveSum(Array(bytes[34...]))
            bytes.replaceSubrange(50..<52, with: big(~partial))
        }
        guard Frames.isRight(bytes) else { throw Trouble(description: "a wrong checksum") }
        largest = max(largest, bytes.count)
        let tcp = Array(bytes[found.transportOffset..<found.end])
        let flags = tcp[13]
        func word(_ at: Int) -> UInt32 { tcp[at..<at + 4].reduce(0) { $0 << 8 | UInt32($1) } }
        if flags & 0x02 != 0 {
            expected = word(4) &+ 1
            (peer, destinationPort) = (
                bytes[26..<30].reduce(0) { $0 << 8 | UInt32($1) },
                UInt16(tcp[0]) << 8 | UInt16(tcp[1])
            )
        }
        if flags & 0x04 != 0 { wasReset = true }
        if flags & 0x10 != 0 { acknowledged = word(8) }
        peerWindow = Int(tcp[14]) << 8 | Int(tcp[15])
        let payload = bytes[found.payloadOffset..<found.end]
        if !payload.isEmpty || flags & 0x01 != 0 {
            if word(4) == expected {
                inbox += payload
                expected = expected &+ UInt32(payload.count) &+ (flags & 0x01 != 0 ? 1 : 0)
                if flags & 0x01 != 0 { peerFinished = true }
            }
            try sendTCP(0x10)
        }
    }

    /// Sends bytes and waits until they are acknowledged.
    func write(_ bytes: [UInt8]) throws {
        var done = 0
        while done < bytes.count || acknowledged != sequence {
            let under = Int(sequence &- acknowledged)
            let limit = offloads.contains(.tcpSegmentationV4) ? burst : Int(segment)
            let count = min(limit, bytes.count - done, max(peerWindow - under, 0))
            if count > 0 {
                try sendTCP(0x18, Array(bytes[done..<done + count]))
                done += count
            } else {
                try takeTCP()
            }
        }
    }

    /// Receives so many bytes.
    func read(_ count: Int) throws -> [UInt8] {
        while inbox.count < count, !peerFinished, !wasReset { try takeTCP() }
        let result = Array(inbox.prefix(count))
        inbox.removeFirst(result.count)
        return result
    }
}
