import GuestMemory
import Networks
import Testing
import Vocabulary

@testable import XenBackends

/// A frontend that does whatever comes to its mind, by a seed: mostly nearly right, so that it gets far.
/// It grants some pages for writing; the others have a pattern that is to stay.
final class HostileNetworkFrontend {
    private typealias Frontend = ScriptedNetworkFrontend

    /// References whose pages may be granted for writing; the rings' are before.
    private static let writable = UInt32(100)..<UInt32(400)
    /// References whose pages are granted for reading only, to others, or not at all.
    private static let guarded = UInt32(400)..<UInt32(800)
    /// No grant is for these pages.
    private static let ungranted = UInt32(0x420)..<UInt32(0x7ff)

    let frontend: ScriptedNetworkFrontend
    private var random: HostileChance
    private let guarded: GuardedPages
    private(set) var connections = 0
    private(set) var sentCount = 0
    private(set) var receivedCount: UInt64 = 0

    init(seed: UInt64) throws {
        random = HostileChance(seed: seed)
        frontend = try ScriptedNetworkFrontend(
            rate: NetworkRate(byteCount: 1 << 40, interval: 1_000_000))
        guarded = GuardedPages(
            Self.guarded.map { 0x100 + $0 } + Self.ungranted, in: frontend.memory)
        for reference in Self.guarded { guardPage(reference) }
    }

    /// Pages that somebody has written to who may not.
    var harmedPages: [GuestPhysicalAddress] { guarded.harmed }

    private func guardPage(_ reference: UInt32) {
        // None, for reading only, for others, a transfer.
        let flags: [UInt32] = [0, 1 | 4, 1 | 5 << 16, 2]
        frontend.guest.grant(reference, flags: pick(flags))
    }

    // MARK: Chance

    private func number(_ range: ClosedRange<Int>) -> Int { random.number(range) }
    private func chance(_ count: Int) -> Bool { random.isOne(in: count) }
    private func pick<T>(_ list: [T]) -> T { random.pick(list) }
    private func word() -> UInt32 { random.word() }
    private func bytes(_ count: Int) -> [UInt8] { random.bytes(count) }

    private func reference() -> UInt32 {
        switch number(0...20) {
        case 0: word()
        case 1: UInt32(number(16...40))
        case 2...4: UInt32(number(400...799))
        default: UInt32(number(100...399))
        }
    }

    private func frame() -> [UInt8] {
        if chance(8) { return bytes(number(0...200)) }
        var frame = ScriptedFrame(
            v6: chance(2), tcp: !chance(3),
            payloadByteCount: chance(20) ? number(0...70_000) : number(0...400))
        if chance(4) { frame.destination = [0x33, 0x33, 0, 0, 0, UInt8(number(0...3))] }
        var bytes = frame.bytes
        if chance(3) { bytes[number(0...min(60, bytes.count - 1))] ^= UInt8(1 << number(0...7)) }
        return bytes
    }

    // MARK: Operations

    /// Does one thing.
    func act() throws {
        if frontend.queues.isEmpty || chance(5) && chance(isConnected ? 12 : 1) { try actOnStore() }
        switch number(0...99) {
        case 0..<35: send()
        case 35 where chance(8): frontend.queues[queue()].transmit.put(bytes(12))
        case 37..<45: frontend.guest.notify(pick(ports))
        case 45..<60: post()
        case 60..<80: deliver()
        case 80..<84: frontend.network.endBatch()
        case 84..<88: flipNetwork()
        case 88..<91: askControl()
        case 91..<96: regrant()
        case 96..<98: scribble()
        case 98 where chance(8): runWild()
        default: takeAll()
        }
        takeAll()
    }

    private var isConnected: Bool { frontend.ofBackend("state") == "4" }

    private func queue() -> Int { number(0...frontend.queues.count - 1) }

    private var ports: [UInt32] {
        frontend.queues.flatMap { [$0.transmitPort, $0.receivePort] } + [frontend.controlPort]
    }

    private func takeAll() {
        for sent in frontend.network.takeSent() {
            sentCount += 1
            #expect(sent.bytes.count >= 14 && sent.bytes.count <= 0xffff)
            let end = Int(sent.metadata.checksumStart) + Int(sent.metadata.checksumOffset) + 2
            #expect(!sent.metadata.needsChecksum || end <= sent.bytes.count)
            #expect(sent.metadata.segmentation == .none || sent.metadata.segmentByteCount > 0)
        }
        for index in frontend.queues.indices {
            _ = frontend.queues[index].transmit.takeResponses()
            _ = frontend.queues[index].receive.takeResponses()
        }
        _ = frontend.control.takeResponses()
    }

    private func send() {
        let frame = frame()
        let start = reference()
        if Self.writable.contains(start) {
            frontend.memory.write(frontend.guest.page(start), frame.prefix(4096))
        }
        let sizes = chance(4) ? (0..<number(2...18)).map { _ in number(0...300) } : [frame.count]
        let count = chance(500) ? 30 : sizes.count
        var entries: [[UInt8]] = []
        for index in 0..<count {
            let extraFlag: UInt16 = index == 0 && chance(5) ? 8 : 0
            let odd: UInt16 = chance(500) ? UInt16(truncatingIfNeeded: word()) : 0
            let flags = (index < count - 1 ? 4 : 0) | UInt16(number(0...3)) | odd | extraFlag
            let size = index == 0 ? sizes.reduce(0, +) : index < sizes.count ? sizes[index] : 1
            entries.append(
                Frontend.slot(
                    index == 0 ? start : reference(),
                    offset: chance(500) ? UInt16(number(0...65535)) : UInt16(number(0...2) * 4),
                    flags: flags, identifier: UInt16(truncatingIfNeeded: word()),
                    byteCount: UInt16(chance(500) ? number(0...65535) : min(size, 4088))))
            if index == 0, flags & 8 != 0 { entries += extras() }
        }
        if chance(500) { entries.removeLast() }
        frontend.transmit(entries, queue: queue())
    }

    private func extras() -> [[UInt8]] {
        let count = chance(20) ? number(1...30) : number(1...3)
        return (0..<count).map { index in
            let more = index < count - 1 || chance(500)
            if chance(500) { return bytes(12) }
            switch number(0...3) {
            case 0:
                return [4, more ? 1 : 0] + bytes(10)
            case 1:
                return Frontend.multicast(
                    isAdded: chance(2), [0x33, 0x33, 0, 0, 0, UInt8(number(0...99))], more: more)
            default:
                return Frontend.segmentation(
                    byteCount: UInt16(chance(300) ? 0 : number(1...1500)),
                    type: UInt8(chance(300) ? number(0...255) : number(1...2)), more: more)
            }
        }
    }

    private func post() {
        let index = queue()
        let room = 256 - Int(frontend.queues[index].receive.produced &- responses(index))
        guard room > 0 else { return }
        for _ in 0..<number(1...min(room, 30)) {
            frontend.queues[index].receive.put(
                chance(100)
                    ? bytes(8)
                    : ScriptedRing.bytes([(UInt64(word()), 4), (UInt64(reference()), 4)]))
        }
        if chance(2) { frontend.guest.notify(frontend.queues[index].receivePort) }
    }

    private func responses(_ queue: Int) -> UInt32 {
        frontend.queues[queue].receive.responseProducer
    }

    private func deliver() {
        var metadata = PacketMetadata()
        metadata.needsChecksum = chance(2)
        metadata.checksumValid = chance(2)
        metadata.segmentation = pick([.none, .none, .tcpv4, .tcpv6])
        metadata.segmentByteCount = UInt16(number(0...65535))
        frontend.network.deliver(
            frame(), metadata, bufferByteCount: chance(3) ? number(1...100) : 2048)
        receivedCount = frontend.backend.metrics["packetsReceived"] ?? 0
    }

    private func flipNetwork() {
        if chance(2) {
            frontend.network.setRoom(number(0...3))
        } else {
            frontend.network.acceptAgain()
        }
        if chance(2) { frontend.backend.creditIsDue() }
    }

    private func askControl() {
        let type = UInt64(chance(10) ? Int(word()) & 0xffff : number(1...7))
        let data = (0..<3).map { index in
            index == 0 && chance(2)
                ? reference() : chance(3) ? word() : UInt32(number(0...130))
        }
        frontend.control.put(
            ScriptedRing.bytes(
                [(UInt64(word()) & 0xffff, 2), (type, 2)] + data.map { (UInt64($0), 4) }))
        frontend.guest.notify(frontend.controlPort)
    }

    private func regrant() {
        let bad: [UInt32] = [0, 1 | 4, 1 | 5 << 16, 2, 3, .max & ~0x18]
        let flags = chance(6) ? bad : [1]
        switch number(0...9) {
        case 0: frontend.guest.grant(UInt32(number(16...40)), flags: pick(flags))
        // Another page that may be written, or no RAM.
        case 1:
            frontend.guest.grant(
                UInt32(number(100...399)),
                page: chance(3) ? UInt32(1 << number(12...31)) : UInt32(number(0x110...0x28f)))
        case 2...4: guardPage(UInt32(number(400...799)))
        default: frontend.guest.grant(UInt32(number(100...399)), flags: pick(flags))
        }
    }

    /// Writes anything to a ring, behind its indices or to them.
    private func scribble() {
        let page = frontend.guest.page(UInt32(number(16...40)))
        let offset = chance(20) ? number(0...15) : number(64...4000)
        frontend.memory.write(page.advanced(by: UInt64(offset)), bytes(number(1...64)))
    }

    private func runWild() {
        let index = queue()
        switch number(0...2) {
        case 0: frontend.queues[index].transmit.setProducer(word())
        case 1: frontend.queues[index].receive.setProducer(word())
        default: frontend.control.setProducer(word())
        }
    }

    // MARK: Store

    private func actOnStore() throws {
        if frontend.queues.isEmpty || !isConnected || chance(30) {
            return try reconnect()
        }
        switch number(0...9) {
        case 0: handOver()
        case 1: try frontend.write("state", String(number(0...9)))
        case 2: try frontend.write("state", chance(2) ? "" : String(word()))
        case 3...5: try frontend.write("request-multicast-control", String(number(0...2)))
        default: try frontend.write(pick(nodes), value())
        }
    }

    private let nodes = [
        "request-rx-copy", "feature-rx-notify", "feature-sg", "feature-gso-tcpv4",
        "feature-no-csum-offload", "feature-ipv6-csum-offload", "multi-queue-num-queues",
        "tx-ring-ref", "rx-ring-ref", "event-channel", "event-channel-tx", "event-channel-rx",
        "queue-0/tx-ring-ref", "queue-1/event-channel-rx", "ctrl-ring-ref", "event-channel-ctrl",
    ]

    private func value() -> String? {
        switch number(0...5) {
        case 0: nil
        case 1: String(decoding: bytes(number(0...80)), as: UTF8.self)
        case 2: String(word())
        default: String(number(0...45))
        }
    }

    private func reconnect() throws {
        try frontend.leave()
        for reference in UInt32(16)...40 { frontend.guest.grant(reference) }
        var setup = Frontend.Setup()
        setup.queueCount = chance(2) ? 1 : number(2...8)
        setup.splitsChannels = chance(2)
        setup.hasControlRing = !chance(4)
        if chance(4) { setup.nodes["feature-sg"] = .some(nil) }
        if chance(4) { setup.nodes[pick(nodes)] = .some(value()) }
        if try frontend.connect(setup) == "4" { connections += 1 }
    }

    private func handOver() {
        let state = frontend.backend.captureState()
        // Its rings may be granted no more.
        try? frontend.backend.restore(state)
    }
}
