import GuestMemory
import Interrupts
import Testing
import VirtualCPU
import Vocabulary
import Xen
import XenStore

/// A guest whose frontends are played, without a CPU: linear addresses are physical. It has granted
/// all pages from 1 MiB on, in order.
final class ScriptedGuest: LinearAddressSpace {
    private static let arguments: UInt64 = 0x8_000
    private static let sharedInfo: UInt64 = 0x1_0000
    private static let grants: UInt64 = 0x2_0000
    private static let storeRing: UInt64 = 0x3_0000
    /// References of pages; 0 to 7 are others' by custom.
    static let references = UInt32(8)..<UInt32(800)

    let memory: GuestMemory
    let face: XenFace
    let store: StoreHost
    private let connection: StoreConnectionID

    init() throws {
        memory = try GuestMemory(
            regions: [MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 8 << 20)])
        face = XenFace(
            memory: memory, processorCount: 1, frequency: 1_000_000_000, identifier: [],
            surroundings: XenFace.Surroundings(
                counter: { 0 }, monotonic: { 0 }, wallClock: { 0 }, interrupt: { _, _ in },
                kick: { _ in }, setTimer: { _, _ in }, setPollTimer: { _, _ in }))
        let storePort = try #require(face.eventChannels.allocate())
        store = try StoreHost(
            face: face, page: GuestPhysicalAddress(Self.storeRing), port: storePort,
            policy: .inline)
        let domain = face.domain
        connection = try store.perform { (service) throws(StoreError) in
            guard let id = service.connection(of: domain) else { throw .notFound }
            return id
        }
        call(12, 7, 0x7ff0, 0, 0, 0, UInt32(Self.sharedInfo >> 12), 0)
        for frame in 0..<UInt32(2) {
            call(12, 7, 0x7ff0, 1, frame, 0, UInt32(Self.grants >> 12) + frame, 0)
        }
        for reference in Self.references { grant(reference) }
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

    // MARK: Grants

    /// Where the entry of the grant table is, flags first.
    static func entry(_ reference: UInt32) -> GuestPhysicalAddress {
        GuestPhysicalAddress(grants + UInt64(reference) * 8)
    }

    /// - Parameters:
    ///   - page: nil: the one that the reference has by custom.
    ///   - flags: GTF_*, and the domain that may use it in the upper half.
    func grant(_ reference: UInt32, page: UInt32? = nil, flags: UInt32 = 1) {
        let entry = Self.entry(reference)
        memory.write(entry.advanced(by: 4), integer: page ?? 0x100 + reference)
        memory.write(entry, integer: flags)
    }

    /// Somebody reads or writes the page.
    func isInUse(_ reference: UInt32) -> Bool { Self.isInUse(memory, reference) }

    var usedReferences: [UInt32] { Self.usedReferences(memory) }

    /// For other threads.
    static func isInUse(_ memory: GuestMemory, _ reference: UInt32) -> Bool {
        (memory.atomicLoad(entry(reference), as: UInt32.self) ?? 0) & 0x18 != 0
    }

    static func usedReferences(_ memory: GuestMemory) -> [UInt32] {
        references.filter { isInUse(memory, $0) }
    }

    /// Where the page of a grant is.
    func page(_ reference: UInt32) -> GuestPhysicalAddress {
        GuestPhysicalAddress(UInt64(0x100 + reference) << 12)
    }

    // MARK: Event channels

    /// A port that waits for a backend.
    func allocatePort() throws -> UInt32 {
        try #require(face.eventChannels.allocate()).rawValue
    }

    func notify(_ port: UInt32) { call(32, 4, port) }

    /// The host has notified since this was last asked.
    func takeEvent(_ port: UInt32) -> Bool {
        // evtchn_pending of shared_info.
        let word = GuestPhysicalAddress(Self.sharedInfo + 2048 + UInt64(port / 64) * 8)
        let bit = UInt64(1) << UInt64(port % 64)
        return (memory.atomicAnd(word, ~bit) ?? 0) & bit != 0
    }

    // MARK: Store

    func write(_ path: String, _ value: String) throws {
        let id = connection
        try store.perform { (service) throws(StoreError) in
            try service.write(path, value, as: id)
        }
    }

    func remove(_ path: String) throws {
        let id = connection
        try store.perform { (service) throws(StoreError) in
            do throws(StoreError) {
                try service.remove(path, as: id)
            } catch {
                if error != .notFound { throw error }
            }
        }
    }

    /// Nil: there is none, or it is not the guest's to read.
    func read(_ path: String) -> String? {
        let id = connection
        let value = try? store.perform { (service) throws(StoreError) in
            try service.read(path, as: id)
        }
        return value.map { String(decoding: $0, as: UTF8.self) }
    }
}
