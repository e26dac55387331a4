internal import CHost
import Glibc
public import Synchronization

/// Who brings pages that are absent.
public protocol PageSupplier: AnyObject, Sendable {
    /// Waits until the page with this number is present. False: it cannot be had any more. Any thread
    /// that runs no guest code at this moment.
    func bring(page: UInt64) -> Bool
}

/// Which pages of a memory are in use, and by whom: what it takes for pages to be absent.
///
/// A page is absent while `PageFlags.absent` says so; whoever brings it clears that last, and whoever
/// takes it away sets it first. An engine looks at the flag before it makes a translation, and gives up
/// translations when it is told (`CodeChange.absent`). Everybody else pins the page: the pin is set
/// before the flag is looked at, the flag before the pins are.
///
/// Owner: `GuestMemory`. Any thread.
@safe public final class PageResidency: @unchecked Sendable {
    /// What happened to a page since somebody looked.
    public struct Use: OptionSet, Sendable {
        public var rawValue: UInt8
        @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

        public static let accessed = Use(rawValue: 1 << 0)
        public static let written = Use(rawValue: 1 << 1)
        /// It came before anybody asked for it; for statistics.
        public static let prefetched = Use(rawValue: 1 << 2)
    }

    /// How many users of each page there are who must not see it go. Valid as long as this object.
    private nonisolated(unsafe) let pins: UnsafeMutablePointer<UInt16>
    /// One byte for each page, changed only atomically. Same lifetime.
    private nonisolated(unsafe) let uses: UnsafeMutablePointer<UInt8>
    private let pageCount: Int
    private let supplierSlot = AtomicLazyReference<Supplier>()
    /// Times that a thread which pins had to wait.
    public let waits = Atomic<UInt64>(0)

    private final class Supplier: Sendable {
        let supplier: any PageSupplier
        init(_ supplier: any PageSupplier) { self.supplier = supplier }
    }

    /// Nil: the host has no addresses left, and errno says so.
    init?(pageCount: Int) {
        guard let pins = unsafe GuestMemory.reserve(pageCount * 2, PROT_READ | PROT_WRITE) else {
            return nil
        }
        guard let uses = unsafe GuestMemory.reserve(pageCount, PROT_READ | PROT_WRITE) else {
            unsafe munmap(pins, pageCount * 2)
            return nil
        }
        unsafe self.pins = unsafe pins.bindMemory(to: UInt16.self, capacity: pageCount)
        unsafe self.uses = unsafe uses.bindMemory(to: UInt8.self, capacity: pageCount)
        self.pageCount = pageCount
    }

    deinit {
        // SAFETY: mapped in init with these sizes.
        unsafe munmap(pins, pageCount * 2)
        unsafe munmap(uses, pageCount)
    }

    /// Says who brings pages. Once, before any page is absent.
    public func setSupplier(_ supplier: any PageSupplier) {
        _ = supplierSlot.storeIfNil(Supplier(supplier))
    }

    // MARK: Use

    // Pages here are those of the memory, so each has its byte and its count.

    /// An engine makes a translation of the page, or somebody else has looked at it.
    public func note(_ use: Use, _ page: UInt64) {
        guard page < UInt64(pageCount) else { return }
        // SAFETY: here and below, there is a byte for each page.
        let place = unsafe uses + Int(page)
        // Reading first: most pages are marked already.
        if unsafe chost_atomic_load8(place) & use.rawValue != use.rawValue {
            unsafe _ = chost_atomic_or8(place, use.rawValue)
        }
    }

    func noteWritten(_ page: UInt64) { note([.accessed, .written], page) }

    public func use(of page: UInt64) -> Use {
        guard page < UInt64(pageCount) else { return [] }
        return Use(rawValue: unsafe chost_atomic_load8(uses + Int(page)))
    }

    /// Takes marks away; those that were there.
    @discardableResult
    public func take(_ use: Use, of page: UInt64) -> Use {
        guard page < UInt64(pageCount) else { return [] }
        return Use(rawValue: unsafe chost_atomic_and8(uses + Int(page), ~use.rawValue))
            .intersection(use)
    }

    // MARK: Pins

    /// Whether somebody uses the page who must not see it go.
    public func isPinned(_ page: UInt64) -> Bool {
        guard page < UInt64(pageCount) else { return false }
        return unsafe chost_atomic_load16(pins + Int(page)) != 0
    }

    /// False: the page cannot be had, and is not pinned.
    func pin(_ page: UInt64, in memory: GuestMemory) -> Bool {
        guard page < UInt64(pageCount) else { return false }
        let place = unsafe pins + Int(page)
        while true {
            unsafe _ = chost_atomic_add16(place, 1)
            if !memory.flags(ofPageAt: page << 12).contains(.absent) {
                note(.accessed, page)
                return true
            }
            unsafe _ = chost_atomic_add16(place, .max)
            if !bring(page) { return false }
        }
    }

    /// False: it cannot be had any more.
    func bring(_ page: UInt64) -> Bool {
        waits.wrappingAdd(1, ordering: .relaxed)
        return supplierSlot.load()?.supplier.bring(page: page) ?? false
    }

    func unpin(_ page: UInt64) {
        guard page < UInt64(pageCount) else { return }
        unsafe _ = chost_atomic_add16(pins + Int(page), .max)
    }
}

extension GuestMemory {
    /// Has the pages of `byteCount` bytes from `address`, all of them RAM, present until `unpin`: waits
    /// for those that are absent. False: one cannot be had, and none is pinned. Any thread that runs no
    /// guest code at this moment; `byteCount` is not 0.
    @inlinable
    public func pin(_ address: UInt64, _ byteCount: Int) -> Bool {
        residency == nil || pinPages(address, byteCount)
    }

    /// Takes back one `pin` of the same bytes.
    @inlinable
    public func unpin(_ address: UInt64, _ byteCount: Int) {
        if residency != nil { unpinPages(address, byteCount) }
    }

    @usableFromInline @inline(never)
    func pinPages(_ address: UInt64, _ byteCount: Int) -> Bool {
        guard let residency else { return true }
        let first = address >> 12
        let last = (address &+ UInt64(byteCount) &- 1) >> 12
        var page = first
        while page <= last {
            if !residency.pin(page, in: self) {
                while page > first {
                    page &-= 1
                    residency.unpin(page)
                }
                return false
            }
            page &+= 1
        }
        return true
    }

    @usableFromInline @inline(never)
    func unpinPages(_ address: UInt64, _ byteCount: Int) {
        guard let residency, byteCount > 0 else { return }
        for page in address >> 12...(address &+ UInt64(byteCount) &- 1) >> 12 {
            residency.unpin(page)
        }
    }

    /// Waits until the page of `address` is present, which then may go again. False: it cannot be had. Any
    /// thread that runs no guest code at this moment.
    public func bring(_ address: UInt64) -> Bool {
        !isAbsent(address) || residency?.bring(address >> 12) ?? true
    }

    /// Whether the page of `address` is absent. What is asked from guest code holds until the vCPU comes
    /// between two blocks.
    public func isAbsent(_ address: UInt64) -> Bool {
        residency != nil && flags(ofPageAt: address).contains(.absent)
    }
}
