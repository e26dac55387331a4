internal import GuestMemory
internal import HostIO
internal import Synchronization
public import Vocabulary

/// The grant table of one domain (xen/include/public/grant_table.h): which of its pages the guest lets
/// others use. Frames lie where the guest has put them in its memory.
///
/// Any thread looks entries up, without a lock: an entry is read once, and taken with one
/// compare-exchange that fails if the guest has changed it meanwhile.
public final class GrantTable: Sendable {
    /// Frames of entries, and of version 2's status words.
    public static let frameCount = 64
    static let statusFrameCount = 8

    /// GTF_* of both versions.
    enum Flags {
        static let typeMask: UInt16 = 3
        static let permitAccess: UInt16 = 1
        static let readOnly: UInt16 = 1 << 2
        static let reading: UInt16 = 1 << 3
        static let writing: UInt16 = 1 << 4
        static let subPage: UInt16 = 1 << 8
    }

    let memory: GuestMemory
    let frames: [AtomicAddress]
    let statusFrames: [AtomicAddress]
    private let versionWord = Atomic<UInt32>(1)
    let counters = Counters()

    struct Counters: ~Copyable, Sendable {
        let taken = Atomic<UInt64>(0)
        let refused = Atomic<UInt64>(0)
        let copies = Atomic<UInt64>(0)
    }

    init(memory: GuestMemory) {
        self.memory = memory
        frames = (0..<Self.frameCount).map { _ in AtomicAddress() }
        statusFrames = (0..<Self.statusFrameCount).map { _ in AtomicAddress() }
    }

    /// 1 or 2: how entries look.
    public var version: UInt32 {
        get { versionWord.load(ordering: .acquiring) }
        set { versionWord.store(newValue, ordering: .releasing) }
    }

    /// Entries that a table of this version can have.
    var entryCount: UInt32 { UInt32(Self.frameCount * 4096) / (version == 2 ? 16 : 8) }

    /// A page the guest has granted, in use until `end`.
    public struct Grant: Sendable, Equatable {
        public var reference: GrantReference
        /// Of the granted bytes; all in one page.
        public var address: GuestPhysicalAddress
        /// From `address`: 4096, or less for a part of a page (version 2).
        public var byteCount: UInt32
        public var isWritable: Bool
    }

    private struct Entry {
        var flags: UInt16
        var domain: UInt16
        var frame: UInt64
        var offset: UInt16 = 0
        var length: UInt16 = 4096
        /// Of the word that holds flags and domain.
        var address: GuestPhysicalAddress
        /// Of the status of version 2.
        var status: GuestPhysicalAddress?
    }

    private func entry(_ reference: GrantReference) -> Entry? {
        let version = version
        let perFrame = UInt32(version == 2 ? 256 : 512)
        let frame = Int(reference.rawValue / perFrame)
        guard frame < frames.count else { return nil }
        let base = frames[frame].value
        guard base != 0 else { return nil }
        let size = UInt64(4096 / perFrame)
        let address = GuestPhysicalAddress(
            base &+ UInt64(reference.rawValue % perFrame) &* size)
        guard let head = memory.atomicLoad(address, as: UInt32.self) else { return nil }
        var entry = Entry(
            flags: UInt16(truncatingIfNeeded: head), domain: UInt16(truncatingIfNeeded: head >> 16),
            frame: 0, address: address)
        if version != 2 {
            entry.frame = UInt64(
                memory.atomicLoad(address.advanced(by: 4), as: UInt32.self) ?? .max)
            return entry
        }
        let statusPage = Int(reference.rawValue / 2048)
        guard statusPage < statusFrames.count, statusFrames[statusPage].value != 0,
            let frame = memory.atomicLoad(address.advanced(by: 8), as: UInt64.self)
        else { return nil }
        entry.frame = frame
        entry.status = GuestPhysicalAddress(
            statusFrames[statusPage].value &+ UInt64(reference.rawValue % 2048) &* 2)
        if entry.flags & Flags.subPage != 0 {
            let part = memory.atomicLoad(address.advanced(by: 4), as: UInt32.self) ?? 0
            entry.offset = UInt16(truncatingIfNeeded: part)
            entry.length = UInt16(truncatingIfNeeded: part >> 16)
        }
        return entry
    }

    /// Takes a grant into use by the control domain. Nil: there is none, it is for somebody else or for
    /// reading only, or the page is no RAM. The guest sees it in use until `end`.
    public func begin(_ reference: GrantReference, write: Bool) -> Grant? {
        for _ in 0..<8 {
            guard let entry = entry(reference),
                entry.flags & Flags.typeMask == Flags.permitAccess,
                entry.domain == DomainID.host.rawValue,
                !write || entry.flags & Flags.readOnly == 0,
                entry.frame < 1 << 40, memory.contains(entry.frame << 12, 4096),
                UInt32(entry.offset) + UInt32(entry.length) <= 4096
            else { break }
            guard mark(entry, write: write) else { continue }
            // Whoever has it reads and writes it by plain pointers.
            guard memory.pin(entry.frame << 12, 4096) else {
                unmark(entry)
                break
            }
            counters.taken.wrappingAdd(1, ordering: .relaxed)
            return Grant(
                reference: reference,
                address: GuestPhysicalAddress(entry.frame << 12 | UInt64(entry.offset)),
                byteCount: UInt32(entry.length), isWritable: write)
        }
        counters.refused.wrappingAdd(1, ordering: .relaxed)
        return nil
    }

    private func mark(_ entry: Entry, write: Bool) -> Bool {
        let use = Flags.reading | (write ? Flags.writing : 0)
        if let status = entry.status {
            guard memory.atomicOr(status, use) != nil else { return false }
            // The guest revokes an entry first and looks at its status then.
            let head = memory.atomicLoad(entry.address, as: UInt32.self) ?? 0
            if UInt16(truncatingIfNeeded: head) == entry.flags { return true }
            _ = memory.atomicAnd(status, ~use)
            return false
        }
        let head = UInt32(entry.domain) << 16 | UInt32(entry.flags)
        return memory.atomicCompareExchange(
            entry.address, expected: head, desired: head | UInt32(use)) == head
    }

    /// The grant is not in use any more by this. Who uses one twice at a time keeps count.
    public func end(_ grant: Grant) {
        memory.unpin(grant.address.rawValue, 1)
        if let entry = entry(grant.reference) { unmark(entry) }
    }

    private func unmark(_ entry: Entry) {
        let use = Flags.reading | Flags.writing
        if let status = entry.status {
            _ = memory.atomicAnd(status, ~use)
        } else {
            _ = memory.atomicAnd(entry.address, ~use)
        }
    }

    // MARK: Frames

    /// A frame lies at this address from now on, and has what it had.
    ///
    /// - Parameter index: as XENMAPSPACE_grant_table has it; bit 31: of the status words.
    func place(_ index: UInt64, at address: GuestPhysicalAddress) -> XenError? {
        let isStatus = index & 1 << 31 != 0
        let number = Int(clamping: index & ~(1 << 31))
        let list = isStatus ? statusFrames : frames
        guard number < list.count, !isStatus || version == 2 else { return .invalidArgument }
        let old = list[number].value
        if old == address.rawValue { return nil }
        let content =
            old == 0
            ? [UInt8](repeating: 0, count: 4096)
            : memory.read(GuestPhysicalAddress(old), byteCount: 4096) ?? []
        guard memory.write(address, content) else { return .invalidArgument }
        list[number].value = address.rawValue
        return nil
    }

    /// The frame is gone from this address.
    func remove(_ address: GuestPhysicalAddress) {
        for frame in frames + statusFrames where frame.value == address.rawValue {
            frame.value = 0
        }
    }

    /// All frames are gone, and the entries as in a new domain.
    func reset() {
        for frame in frames + statusFrames { frame.value = 0 }
        version = 1
    }
}
