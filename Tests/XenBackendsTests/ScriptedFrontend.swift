import Disks
import Foundation
import GuestMemory
import Interrupts
import Synchronization
import Testing
import VirtualCPU
import Vocabulary
import Xen
import XenStore

@testable import XenBackends

/// A guest with one disk, whose frontend is played: linear addresses are physical.
final class ScriptedFrontend: LinearAddressSpace {
    static let ringPage: UInt64 = 0x40_000
    private static let grants: UInt64 = 0x20_000
    private static let arguments: UInt64 = 0x8_000

    let memory: GuestMemory
    let face: XenFace
    let store: StoreHost
    let disk: Disk
    let backend: BlockBackend
    private let guest: StoreConnectionID
    let port: UInt32
    private var produced: UInt32 = 0
    private var consumed: UInt32 = 0
    private(set) var ringEntryCount: UInt32 = 32

    init(_ specification: DiskSpecification, features: BlockBackend.Features = .init()) throws {
        memory = try GuestMemory(
            regions: [MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 8 << 20)])
        face = XenFace(
            memory: memory, processorCount: 1, frequency: 1_000_000_000, identifier: [],
            surroundings: XenFace.Surroundings(
                counter: { 0 }, monotonic: { 0 }, wallClock: { 0 }, interrupt: { _, _ in },
                kick: { _ in }, setTimer: { _, _ in }, setPollTimer: { _, _ in }))
        let channels = face.eventChannels
        let storePort = try #require(channels.allocate())
        store = try StoreHost(
            face: face, page: GuestPhysicalAddress(0x3_0000), port: storePort, policy: .inline)
        disk = try Disk(opening: specification, name: "xvda", engine: .threads)
        backend = try BlockBackend(
            face: face, store: store, memory: memory, disk: disk, number: 0, features: features,
            policy: .inline)
        port = try #require(channels.allocate()).rawValue
        let domain = face.domain
        guest = try store.perform { (service) throws(StoreError) in
            guard let id = service.connection(of: domain) else { throw .notFound }
            return id
        }
        // The shared info, and a frame of grants: all pages from 1 MiB on, in order.
        call(12, 7, 0x7ff0, 0, 0, 0, 0x10, 0)
        for frame in 0..<UInt32(2) { call(12, 7, 0x7ff0, 1, frame, 0, 0x20 + frame, 0) }
        for reference in 8..<UInt32(800) {
            let page = reference == 8 ? UInt32(Self.ringPage >> 12) : 0x100 + reference
            grant(reference, page: page)
        }
    }

    func physicalAddress(
        of address: GuestVirtualAddress, forWriting: Bool
    ) -> GuestPhysicalAddress? { GuestPhysicalAddress(address.rawValue) }

    private func call(_ number: UInt64, _ command: UInt64, _ words: UInt32...) {
        for (index, word) in words.enumerated() {
            memory.write(GuestPhysicalAddress(Self.arguments + UInt64(index) * 4), integer: word)
        }
        var frame = HypercallFrame()
        (frame.rax, frame.rdi, frame.rsi) = (number, command, Self.arguments)
        let outcome = face.hypercall(frame, from: VCPUIndex(0), in: self)
        #expect(outcome.result == 0)
    }

    func grant(_ reference: UInt32, page: UInt32, flags: UInt32 = 1) {
        let entry = Self.grants + UInt64(reference) * 8
        memory.write(GuestPhysicalAddress(entry + 4), integer: page)
        memory.write(GuestPhysicalAddress(entry), integer: flags)
    }

    func isInUse(_ reference: UInt32) -> Bool {
        (memory.read(
            GuestPhysicalAddress(Self.grants + UInt64(reference) * 8), as: UInt32.self) ?? 0) & 0x18
            != 0
    }

    /// Where the page of a grant is.
    func page(_ reference: UInt32) -> GuestPhysicalAddress {
        GuestPhysicalAddress(UInt64(0x100 + reference) << 12)
    }

    // MARK: Handshake

    func write(_ name: String, _ value: String) throws {
        let path = backend.nodes.frontend + "/" + name
        let id = guest
        try store.perform { (service) throws(StoreError) in
            try service.write(path, value, as: id)
        }
    }

    func ofBackend(_ name: String) -> String? {
        let path = backend.nodes.backend + "/" + name
        let id = guest
        let value = try? store.perform { (service) throws(StoreError) in
            try service.read(path, as: id)
        }
        return value.map { String(decoding: $0, as: UTF8.self) }
    }

    /// As blkfront does it. The backend's state afterwards.
    func connect(persistent: Bool = false, order: UInt32 = 0) throws -> String? {
        memory.fill(GuestPhysicalAddress(Self.ringPage), byteCount: 4096)
        (produced, consumed) = (0, 0)
        if order > 0 {
            try write("ring-page-order", String(order))
            for index in 0..<UInt32(1 << order) {
                try write("ring-ref\(index)", String(index == 0 ? 8 : 700 + index))
            }
        } else {
            try write("ring-ref", "8")
        }
        ringEntryCount = order == 0 ? 32 : 32 << order
        try write("event-channel", String(port))
        try write("protocol", "x86_64-abi")
        try write("feature-persistent", persistent ? "1" : "0")
        try write("state", "3")
        return ofBackend("state")
    }

    // MARK: Ring

    private func ringAddress(_ offset: Int) -> GuestPhysicalAddress {
        let index = offset / 4096
        let base = index == 0 ? Self.ringPage : page(UInt32(700 + index)).rawValue
        return GuestPhysicalAddress(base + UInt64(offset % 4096))
    }

    private func word(_ offset: Int) -> UInt32 {
        memory.atomicLoad(ringAddress(offset), as: UInt32.self) ?? 0
    }

    /// Puts the bytes of a request on the ring.
    func put(_ bytes: [UInt8]) {
        let start = 64 + Int(produced & (ringEntryCount - 1)) * 112
        for (index, byte) in bytes.enumerated() {
            memory.write(ringAddress(start + index), integer: byte)
        }
        produced &+= 1
        memory.atomicStore(ringAddress(0), produced)
    }

    func setProducer(_ value: UInt32) { memory.atomicStore(ringAddress(0), value) }

    func notify() {
        call(32, 4, port)
    }

    /// Waits for so many responses: identifier, operation and status of each.
    func responses(_ count: Int) -> [[Int64]] {
        var result: [[Int64]] = []
        for _ in 0..<5_000 where result.count < count {
            while consumed != word(8) {
                let start = 64 + Int(consumed & (ringEntryCount - 1)) * 112
                let identifier = memory.read(ringAddress(start), as: UInt64.self) ?? 0
                let rest = memory.read(ringAddress(start + 8), as: UInt32.self) ?? 0
                result.append([
                    Int64(bitPattern: identifier), Int64(rest & 0xff),
                    Int64(Int16(truncatingIfNeeded: rest >> 16)),
                ])
                consumed &+= 1
            }
            if result.count < count { usleep(1_000) }
        }
        return result
    }

    static func bytes(_ fields: [(UInt64, Int)]) -> [UInt8] {
        fields.flatMap { value, count in
            (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
        }
    }

    /// A read (0), write (1) or flush (3) with direct segments: grant, first and last sector.
    static func request(
        _ operation: UInt64, _ identifier: UInt64, sector: UInt64,
        _ segments: [(UInt32, UInt8, UInt8)] = []
    ) -> [UInt8] {
        bytes(
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
        bytes(
            [
                (6, 1), (operation, 1), (UInt64(count), 2), (0, 4), (identifier, 8), (sector, 8),
                (0, 4),
            ] + pages.map { (UInt64($0), 4) })
    }

    static func discard(_ identifier: UInt64, sector: UInt64, count: UInt64) -> [UInt8] {
        bytes([(5, 1), (0, 3), (0, 4), (identifier, 8), (sector, 8), (count, 8)])
    }
}
