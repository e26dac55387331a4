internal import CHost
import Glibc
public import Synchronization
public import Vocabulary

/// The guest's RAM: one memory file, mapped so that the host address of a byte is `hostBase` plus
/// its guest-physical address.
///
/// The whole guest-physical span is reserved without access and only RAM is mapped into it, so a
/// stray access to a hole faults instead of touching something else of ours. Pages take host memory
/// when they are first written.
///
/// The engine holds `hostBase` and `pageFlags` as plain pointers; everybody else goes through
/// `read`, `write` and the atomics, which check addresses and keep the dirty log and the decoded
/// instructions right. All members may be used from any thread.
@safe public final class GuestMemory: @unchecked Sendable {
    /// Bytes of a page.
    public static let pageByteCount: UInt64 = 4096

    /// Host address of guest-physical address 0. Valid as long as this object; only RAM may be
    /// touched.
    public nonisolated(unsafe) let hostBase: UnsafeMutableRawPointer
    /// One byte for each page of the span, `PageFlags` bits, changed only atomically. Valid as long
    /// as this object.
    public nonisolated(unsafe) let pageFlags: UnsafeMutablePointer<UInt8>
    /// One bit for each page of the span, changed only atomically. Same lifetime.
    @usableFromInline nonisolated(unsafe) let dirtyWords: UnsafeMutablePointer<UInt64>
    /// Start and end of each region, ascending. Same lifetime, never changed.
    @usableFromInline nonisolated(unsafe) let bounds: UnsafeMutablePointer<UInt64>
    @usableFromInline let boundCount: Int

    /// The regions of RAM, ascending; touching ones are joined.
    public let regions: [MemoryRegion]
    /// Bytes of RAM.
    public let byteCount: UInt64
    /// The first address after the highest region.
    public let spanByteCount: UInt64
    /// The memory file, open as long as this object. Offsets are those of `fileOffset(of:)`. What it has is
    /// this memory until it is shared; see `MemoryExtents`.
    public let descriptor: CInt
    /// What it shares with others.
    let imageSlot = Mutex<MemoryImage?>(nil)

    /// Whether writes are recorded; see `setDirtyLog(on:)`.
    public let dirtyLogOn = Atomic<Bool>(false)
    /// Which pages are in use by whom, where pages may be absent; nil: all of them are always present.
    public let residency: PageResidency?
    let codeObservers = CodeObservers()
    /// For locked instructions that the host cannot do.
    public let busLock = BusLock()
    let peakResident = Atomic<UInt64>(0)
    /// Bytes that are mapped at `hostBase`: the span and a guard page.
    private let reservedByteCount: Int

    /// Makes RAM of zeros.
    ///
    /// - Parameter isPaged: pages of it may be absent; see `PageResidency`.
    ///
    /// Throws `invalidArgument` when the regions are empty, unaligned or overlap, and `outOfMemory`
    /// when the host cannot give that much.
    public init(regions given: [MemoryRegion], isPaged: Bool = false) throws(XError) {
        let regions = try Self.checked(given)
        let byteCount = regions.reduce(0) { $0 + $1.byteCount }
        let span = regions.last.map { $0.start.rawValue + $0.byteCount } ?? 0
        try Self.checkHost(byteCount: byteCount, span: span)

        let descriptor = unsafe chost_memfd_create(
            "martlet-memory", chost_MFD_CLOEXEC | chost_MFD_ALLOW_SEALING)
        guard descriptor >= 0 else {
            throw XError(
                .hostCall,
                "cannot make a memory file: \(Self.reason(chost_errno())); raise ulimit -n")
        }
        guard ftruncate(descriptor, off_t(byteCount)) == 0 else {
            let reason = Self.reason(chost_errno())
            close(descriptor)
            throw Self.tooLarge(byteCount, reason)
        }
        let pageCount = Int(span / Self.pageByteCount)
        let reserved = Int(span + Self.pageByteCount)
        let base = unsafe Self.reserve(reserved, PROT_NONE)
        // 64 pages share a word of the dirty log.
        let flags = unsafe Self.reserve(pageCount, PROT_READ | PROT_WRITE)
        let dirty = unsafe Self.reserve((pageCount + 63) / 64 * 8, PROT_READ | PROT_WRITE)
        guard let base = unsafe base, let flags = unsafe flags, let dirty = unsafe dirty else {
            let reason = Self.reason(chost_errno())
            if let base = unsafe base { unsafe munmap(base, reserved) }
            if let flags = unsafe flags { unsafe munmap(flags, pageCount) }
            close(descriptor)
            throw Self.tooLarge(byteCount, reason)
        }
        var offset: off_t = 0
        for region in regions {
            // SAFETY: the range lies in the reservation just made; nobody else knows of it yet.
            let mapped = unsafe mmap(
                base + Int(region.start.rawValue), Int(region.byteCount), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_FIXED | MAP_NORESERVE, descriptor, offset)
            guard unsafe mapped != MAP_FAILED else {
                let reason = Self.reason(chost_errno())
                unsafe munmap(base, reserved)
                unsafe munmap(flags, pageCount)
                unsafe munmap(dirty, (pageCount + 63) / 64 * 8)
                close(descriptor)
                throw Self.tooLarge(byteCount, reason)
            }
            offset += off_t(region.byteCount)
        }
        unsafe madvise(base, reserved, MADV_DONTDUMP)
        if isPaged {
            guard let residency = PageResidency(pageCount: pageCount) else {
                let reason = Self.reason(chost_errno())
                unsafe munmap(base, reserved)
                unsafe munmap(flags, pageCount)
                unsafe munmap(dirty, (pageCount + 63) / 64 * 8)
                close(descriptor)
                throw Self.tooLarge(byteCount, reason)
            }
            self.residency = residency
        } else {
            residency = nil
        }

        let bounds = UnsafeMutablePointer<UInt64>.allocate(capacity: regions.count * 2)
        for (index, region) in regions.enumerated() {
            let end = region.start.rawValue + region.byteCount
            unsafe bounds.advanced(by: index * 2).initialize(to: region.start.rawValue)
            unsafe bounds.advanced(by: index * 2 + 1).initialize(to: end)
        }
        unsafe self.hostBase = unsafe base
        unsafe self.pageFlags = unsafe flags.bindMemory(to: UInt8.self, capacity: pageCount)
        unsafe self.dirtyWords = unsafe dirty.bindMemory(
            to: UInt64.self, capacity: (pageCount + 63) / 64)
        unsafe self.bounds = unsafe bounds
        self.boundCount = regions.count * 2
        self.regions = regions
        self.byteCount = byteCount
        self.spanByteCount = span
        self.descriptor = descriptor
        self.reservedByteCount = reserved
    }

    /// Makes RAM that begins with what an image has, and shares it until it is written.
    ///
    /// Throws the same, and `invalidFormat` if the image is of another memory.
    public convenience init(regions: [MemoryRegion], image: MemoryImage) throws(XError) {
        try self.init(regions: regions)
        guard image.memoryByteCount == byteCount else {
            throw XError(
                .invalidFormat,
                "the image has \(image.memoryByteCount) bytes of memory and the machine \(byteCount)"
            )
        }
        try map(image)
        imageSlot.withLock { $0 = image }
    }

    /// Makes RAM of `byteCount` bytes laid out as in a PC; see `MemoryRegion.pc(byteCount:)`.
    public convenience init(byteCount: UInt64) throws(XError) {
        try self.init(regions: MemoryRegion.pc(byteCount: byteCount))
    }

    deinit {
        let pageCount = Int(spanByteCount / Self.pageByteCount)
        // SAFETY: mapped in init with these sizes; who keeps a plain pointer keeps this object.
        unsafe munmap(hostBase, reservedByteCount)
        unsafe munmap(pageFlags, pageCount)
        unsafe munmap(dirtyWords, (pageCount + 63) / 64 * 8)
        unsafe bounds.deallocate()
        close(descriptor)
    }

    /// Whether all of the `byteCount` bytes from `address` are RAM. No bytes are RAM anywhere.
    @inlinable
    public func contains(_ address: UInt64, _ byteCount: Int) -> Bool {
        guard byteCount > 0 else { return byteCount == 0 }
        let (last, overflow) = address.addingReportingOverflow(UInt64(byteCount) &- 1)
        if overflow { return false }
        var index = 0
        while index < boundCount {
            // SAFETY: `bounds` has `boundCount` values, an even number.
            let start = unsafe bounds[index]
            let end = unsafe bounds[index &+ 1]
            if address < end { return address >= start && last < end }
            index &+= 2
        }
        return false
    }

    /// Whether all of the `byteCount` bytes from `address` are RAM.
    @inlinable
    public func contains(_ address: GuestPhysicalAddress, byteCount: Int) -> Bool {
        contains(address.rawValue, byteCount)
    }

    /// Whether the page with this number (address divided by 4096) is RAM.
    @inlinable
    public func isRAM(page: UInt64) -> Bool {
        page < 1 << 52 && contains(page << 12, 4096)
    }

    /// Where a byte of RAM lies in `descriptor`; nil if the address is not RAM.
    public func fileOffset(of address: GuestPhysicalAddress) -> UInt64? {
        var before: UInt64 = 0
        for region in regions {
            if address < region.start { return nil }
            let offset = address.rawValue - region.start.rawValue
            if offset < region.byteCount { return before + offset }
            before += region.byteCount
        }
        return nil
    }

    /// Bytes of RAM that take host memory now, what is shared left out. Asks the host: not for hot paths.
    public var residentByteCount: UInt64 {
        var bytes: UInt64 = 0
        if image == nil {
            var status = stat()
            guard unsafe fstat(descriptor, &status) == 0 else { return 0 }
            bytes = UInt64(clamping: status.st_blocks) &* 512
        } else {
            bytes = PrivatePages().byteCount(of: self)
        }
        peakResident.max(bytes, ordering: .relaxed)
        return bytes
    }

    /// The most bytes of RAM that took host memory at any time `residentByteCount` was asked,
    /// now included.
    public var peakResidentByteCount: UInt64 {
        max(residentByteCount, peakResident.load(ordering: .relaxed))
    }
}
