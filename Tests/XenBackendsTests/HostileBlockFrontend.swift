import Disks
import GuestMemory
import Testing
import Vocabulary

@testable import XenBackends

/// A frontend of a disk that does whatever comes to its mind, by a seed: mostly nearly right, so that it
/// gets far. It grants some pages for writing, some for reading, and some to nobody.
final class HostileBlockFrontend {
    private typealias Frontend = ScriptedFrontend

    /// References whose pages may be granted for writing.
    private static let writable = 100...399
    /// Granted for reading only.
    private static let readable = 550...699
    /// Granted to others, or not at all: what is in their pages is not to get onto the disk.
    private static let secret = 400...549
    /// None of those that guarded pages have.
    private static let secretByte: UInt8 = 0x5a
    /// Of the disk.
    private static let sectorCount = 2048

    let frontend: ScriptedFrontend
    private var random: HostileChance
    private let guarded: GuardedPages
    private let secrets: [GuestPhysicalAddress]
    private var isConnected = false
    private var order: UInt32 = 0
    private(set) var connections = 0
    /// Responses that say that all went well.
    private(set) var okayCount = 0
    private var produced: UInt32 = 0
    private var answered: UInt32 = 0

    init(_ specification: DiskSpecification, seed: UInt64) throws {
        random = HostileChance(seed: seed)
        frontend = try ScriptedFrontend(specification)
        let memory = frontend.memory
        guarded = GuardedPages(Self.readable.map { 0x100 + UInt32($0) }, in: memory)
        secrets = (Self.secret.map { 0x100 + UInt64($0) } + (0x420..<0x7ff)).map {
            GuestPhysicalAddress($0 << 12)
        }
        for page in secrets { memory.fill(page, byteCount: 4096, with: Self.secretByte) }
        for reference in Self.readable { frontend.guest.grant(UInt32(reference), flags: 1 | 4) }
        for reference in Self.secret { hide(UInt32(reference)) }
    }

    /// Pages that somebody has written to who may not.
    var harmedPages: [GuestPhysicalAddress] {
        guarded.harmed
            + secrets.filter { page in
                frontend.memory.read(page, byteCount: 4096)?
                    .allSatisfy { $0 == Self.secretByte } != true
            }
    }

    /// The disk has a sector of a page that it was not to read.
    static func hasSecret(_ image: [UInt8]) -> Bool {
        stride(from: 0, to: image.count - 511, by: 512).contains { start in
            image[start..<start + 512].allSatisfy { $0 == secretByte }
        }
    }

    private func hide(_ reference: UInt32) {
        frontend.guest.grant(reference, flags: random.pick([0, 1 | 5 << 16, 2]))
    }

    private func reference() -> UInt32 {
        switch random.number(0...40) {
        case 0: random.word()
        case 1: UInt32(random.number(8...20))
        case 2...4: UInt32(random.number(Self.secret))
        case 5...10: UInt32(random.number(Self.readable))
        default: UInt32(random.number(Self.writable))
        }
    }

    // MARK: Operations

    /// Does one thing.
    func act() throws {
        if !isConnected || random.isOne(in: 60) { try actOnStore() }
        switch random.number(0...99) {
        case 0..<45: put(direct())
        case 45..<55: put(indirect())
        case 55..<58: put(Frontend.request(3, identifier(), sector: 0))
        case 58..<60:
            put(Frontend.discard(identifier(), sector: sector(), count: UInt64(number(0...64, 9))))
        case 60..<61: put(random.bytes(112))
        case 61..<70: regrant()
        case 70..<73: scribble()
        case 73 where random.isOne(in: 20): runWild()
        default: frontend.notify()
        }
        if random.isOne(in: 3) { takeAll() }
    }

    private func identifier() -> UInt64 { random.next() }

    /// Mostly within a range.
    private func number(_ range: ClosedRange<Int>, _ odd: Int) -> UInt32 {
        random.isOne(in: odd) ? random.word() : UInt32(random.number(range))
    }

    private func sector() -> UInt64 {
        random.isOne(in: 50) ? random.next() : UInt64(random.number(0...Self.sectorCount))
    }

    private func segment() -> (UInt32, UInt8, UInt8) {
        if random.isOne(in: 50) { return (reference(), random.bytes(1)[0], random.bytes(1)[0]) }
        let first = random.number(0...7)
        return (reference(), UInt8(first), UInt8(random.number(first...7)))
    }

    private func direct() -> [UInt8] {
        let count = random.isOne(in: 100) ? random.number(0...255) : random.number(1...11)
        var bytes = Frontend.request(
            random.isOne(in: 50) ? UInt64(random.number(0...9)) : UInt64(random.number(0...1)),
            identifier(), sector: sector(), (0..<min(count, 11)).map { _ in segment() })
        bytes[1] = UInt8(count)
        return bytes
    }

    private func indirect() -> [UInt8] {
        let count = random.isOne(in: 30) ? Int(random.word() & 0xffff) : random.number(1...40)
        let page = UInt32(random.number(Self.writable))
        for index in 0..<min(count, 512) {
            let (reference, first, last) = segment()
            let entry = [(UInt64(reference), 4), (UInt64(first), 1), (UInt64(last), 1), (0, 2)]
            frontend.memory.write(
                frontend.page(page).advanced(by: UInt64(index * 8)), ScriptedRing.bytes(entry))
        }
        let pages = (0..<8).map { index in index == 0 && !random.isOne(in: 20) ? page : reference()
        }
        return Frontend.indirect(
            UInt64(random.number(0...(random.isOne(in: 20) ? 9 : 1))), identifier(),
            sector: sector(),
            count: count, pages: pages)
    }

    /// Unless the ring is full.
    private func put(_ bytes: [UInt8]) {
        guard isConnected, produced &- answered < frontend.ringEntryCount else { return takeAll() }
        frontend.put(bytes + [UInt8](repeating: 0, count: max(0, 112 - bytes.count)))
        produced &+= 1
        if random.isOne(in: 2) { frontend.notify() }
    }

    private func takeAll() {
        // What it writes to its own ring it reads there.
        for response in frontend.takeResponses() {
            answered &+= 1
            if response[2] == 0 { okayCount += 1 }
        }
    }

    private func regrant() {
        switch random.number(0...9) {
        case 0: frontend.guest.grant(UInt32(random.number(8...20)), flags: random.pick([0, 1, 5]))
        // Another page that may be written, or no RAM.
        case 1:
            frontend.guest.grant(
                UInt32(random.number(Self.writable)),
                page: random.isOne(in: 3)
                    ? UInt32(1) << UInt32(random.number(12...31))
                    : UInt32(random.number(0x164...0x28f)))
        case 2...3: hide(UInt32(random.number(Self.secret)))
        case 4:
            frontend.guest.grant(
                UInt32(random.number(Self.writable)),
                flags: random.pick([0, 5, 2, 3, .max & ~0x18]))
        default: frontend.guest.grant(UInt32(random.number(Self.writable)))
        }
    }

    /// Writes anything to a ring, behind its indices or to them, or to a page of data.
    private func scribble() {
        let isRing = random.isOne(in: 2)
        let page = frontend.page(isRing ? 8 : UInt32(random.number(Self.writable)))
        let offset =
            random.isOne(in: 20) ? random.number(0...15) : random.number(64...4000)
        frontend.memory.write(
            page.advanced(by: UInt64(offset)), random.bytes(random.number(1...64)))
    }

    private func runWild() {
        frontend.setProducer(random.word())
        frontend.notify()
    }

    // MARK: Store

    private func actOnStore() throws {
        if !isConnected || random.isOne(in: 3) { return try reconnect() }
        switch random.number(0...4) {
        case 0: try? frontend.backend.restore(frontend.backend.captureState())
        case 1: try frontend.write("state", String(random.number(0...9)))
        case 2: try frontend.write("state", random.isOne(in: 2) ? "" : String(random.word()))
        default: try frontend.write(random.pick(Self.nodes), value())
        }
        isConnected = frontend.ofBackend("state") == "4"
    }

    private static let nodes = [
        "ring-ref", "ring-ref0", "ring-ref3", "ring-page-order", "event-channel", "protocol",
        "feature-persistent", "multi-queue-num-queues", "queue-0/ring-ref", "queue-1/event-channel",
    ]

    private func value() -> String {
        switch random.number(0...4) {
        case 0: ""
        case 1: String(decoding: random.bytes(random.number(0...80)), as: UTF8.self)
        case 2: String(random.word())
        default: String(random.number(0...40))
        }
    }

    private func reconnect() throws {
        for state in ["5", "6", "1"] { try frontend.write("state", state) }
        for name in Self.nodes {
            try frontend.guest.remove(frontend.backend.nodes.frontend + "/" + name)
        }
        frontend.guest.grant(8)
        if random.isOne(in: 8) { try frontend.write(random.pick(Self.nodes), value()) }
        order = random.isOne(in: 2) ? 0 : UInt32(random.number(0...4))
        for reference in UInt32(700)...715 { frontend.guest.grant(reference) }
        let state = try frontend.connect(
            persistent: random.isOne(in: 2), order: order,
            layout: random.isOne(in: 4) ? .narrow : .wide)
        isConnected = state == "4"
        if isConnected { connections += 1 }
        (produced, answered) = (0, 0)
    }
}
