import Disks
import Foundation
import GuestMemory
import Interrupts
import Testing
import Vocabulary

@testable import XenBackends

/// The frontend of a guest with one disk.
final class ScriptedFrontend {
    private static let ringReference: UInt32 = 8

    let guest: ScriptedGuest
    let disk: Disk
    let backend: BlockBackend
    let port: UInt32
    private var ring: ScriptedRing
    private var layout = BlockProtocol.wide

    var memory: GuestMemory { guest.memory }
    var ringEntryCount: UInt32 { ring.entryCount }

    init(_ specification: DiskSpecification, features: BlockBackend.Features = .init()) throws {
        guest = try ScriptedGuest()
        disk = try Disk(opening: specification, name: "xvda", engine: .threads)
        backend = try BlockBackend(
            face: guest.face, store: guest.store, memory: guest.memory, disk: disk, number: 0,
            features: features, policy: .inline)
        port = try guest.allocatePort()
        ring = Self.ring(guest, order: 0)
    }

    private static func ring(
        _ guest: ScriptedGuest, order: UInt32, layout: BlockProtocol = .wide
    ) -> ScriptedRing {
        ScriptedRing(
            guest.memory, pages: references(order).map { guest.page($0) },
            entryByteCount: layout == .wide ? 112 : 108, entryCount: 32 << order)
    }

    /// Of the pages of a ring.
    private static func references(_ order: UInt32) -> [UInt32] {
        (0..<UInt32(1 << order)).map { $0 == 0 ? ringReference : 700 + $0 }
    }

    func grant(_ reference: UInt32, page: UInt32, flags: UInt32 = 1) {
        guest.grant(reference, page: page, flags: flags)
    }

    func isInUse(_ reference: UInt32) -> Bool { guest.isInUse(reference) }

    func page(_ reference: UInt32) -> GuestPhysicalAddress { guest.page(reference) }

    // MARK: Handshake

    func write(_ name: String, _ value: String) throws {
        try guest.write("\(backend.nodes.frontend)/\(name)", value)
    }

    func ofBackend(_ name: String) -> String? { guest.read("\(backend.nodes.backend)/\(name)") }

    /// As blkfront does it. The backend's state afterwards.
    func connect(
        persistent: Bool = false, order: UInt32 = 0, layout: BlockProtocol = .wide
    ) throws -> String? {
        self.layout = layout
        ring = Self.ring(guest, order: order, layout: layout)
        if order > 0 {
            try write("ring-page-order", String(order))
            for (index, reference) in Self.references(order).enumerated() {
                try write("ring-ref\(index)", String(reference))
            }
        } else {
            try write("ring-ref", String(Self.ringReference))
        }
        try write("event-channel", String(port))
        try write("protocol", layout == .wide ? "x86_64-abi" : "x86_32-abi")
        try write("feature-persistent", persistent ? "1" : "0")
        try write("state", "3")
        return ofBackend("state")
    }

    // MARK: Ring

    /// Puts the bytes of a request on the ring, as a 64-bit frontend has them: with 4 bytes before the
    /// identifier that a 32-bit one has not.
    func put(_ bytes: [UInt8]) {
        ring.put(layout == .wide ? bytes : Array(bytes[..<4] + bytes[8...]))
    }

    func setProducer(_ value: UInt32) { ring.setProducer(value) }

    func notify() { guest.notify(port) }

    /// Identifier, operation and status of each response that is there.
    func takeResponses() -> [[Int64]] {
        ring.takeResponses().map { entry in
            [
                ScriptedRing.integer(entry, 0, as: Int64.self), Int64(entry[8]),
                Int64(ScriptedRing.integer(entry, 10, as: Int16.self)),
            ]
        }
    }

    /// Waits for so many responses.
    func responses(_ count: Int) -> [[Int64]] {
        var result: [[Int64]] = []
        for _ in 0..<5_000 where result.count < count {
            result += takeResponses()
            if result.count < count { usleep(1_000) }
        }
        return result
    }

    /// A read (0), write (1) or flush (3) with direct segments: grant, first and last sector.
    static func request(
        _ operation: UInt64, _ identifier: UInt64, sector: UInt64,
        _ segments: [(UInt32, UInt8, UInt8)] = []
    ) -> [UInt8] {
        ScriptedRing.bytes(
            [
                (operation, 1), (UInt64(segments.count), 1), (0, 2), (0, 4), (identifier, 8),
                (sector, 8),
            ]
                + segments.flatMap {
                    [(UInt64($0.0), 4), (UInt64($0.1), 1), (UInt64($0.2), 1), (0, 2)]
                })
    }

    static func indirect(
        _ operation: UInt64, _ identifier: UInt64, sector: UInt64, count: Int, pages: [UInt32]
    ) -> [UInt8] {
        ScriptedRing.bytes(
            [
                (6, 1), (operation, 1), (UInt64(count), 2), (0, 4), (identifier, 8), (sector, 8),
                (0, 4),
            ] + pages.map { (UInt64($0), 4) })
    }

    static func discard(_ identifier: UInt64, sector: UInt64, count: UInt64) -> [UInt8] {
        ScriptedRing.bytes([(5, 1), (0, 3), (0, 4), (identifier, 8), (sector, 8), (count, 8)])
    }
}
