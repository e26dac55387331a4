internal import CHost
internal import CLZMA
internal import Glibc
internal import HostIO
public import Synchronization
public import Vocabulary

/// A file without a name that pages of a guest are kept in while the guest's memory has no room for them.
///
/// Each slot has a page and its checksum, which stays in memory: what comes back is what was written, or an
/// error. Past the host's page cache where the file system can, for that would be the memory that was to be
/// saved.
///
/// Owner: the pager. One thread allocates, writes and frees; any may read slots that are written.
@safe public final class SwapFile: @unchecked Sendable {
    public static let pageByteCount = 4096
    /// Pages of one write.
    public static let longestRun = 256

    /// Slots of the file.
    public let slotCount: Int
    private let descriptor: CInt
    private let directory: String
    /// Of each slot that is written. Allocated in init, freed in deinit.
    private nonisolated(unsafe) let checksums: UnsafeMutablePointer<UInt32>
    /// A bit for each slot in use; the one thread's.
    private var used: [UInt64]
    private var next = 0
    /// Slots in use. Any thread.
    public let usedCount = Atomic<Int>(0)

    /// - Parameters:
    ///   - directory: where the file is made; its file system has room for what is written, which is found
    ///     out then.
    ///   - slotCount: pages that may be kept.
    /// - Throws: `XError`: there is no file to be made there.
    public init(directory: String, slotCount: Int) throws(XError) {
        var template = Array((directory + "/martlet-swap-XXXXXX").utf8CString)
        var number = unsafe mkstemp(&template)
        guard number >= 0 else {
            throw XError(
                .hostCall,
                "cannot make a swap file in '\(directory)': \(HostErrno(rawValue: errno)); name another "
                    + "folder with --swap",
                cause: HostErrno(rawValue: errno))
        }
        let path = unsafe template.withUnsafeBufferPointer {
            unsafe $0.baseAddress.map { unsafe String(cString: $0) } ?? ""
        }
        let direct = unsafe open(path, O_RDWR | O_CLOEXEC | CInt(chost_O_DIRECT))
        if direct >= 0 {
            close(number)
            number = direct
        }
        _ = fcntl(number, F_SETFD, FD_CLOEXEC)
        unsafe unlink(path)
        descriptor = number
        self.directory = directory
        self.slotCount = slotCount
        unsafe checksums = .allocate(capacity: max(1, slotCount))
        unsafe checksums.initialize(repeating: 0, count: max(1, slotCount))
        used = [UInt64](repeating: 0, count: (slotCount + 63) / 64)
    }

    deinit {
        close(descriptor)
        unsafe checksums.deallocate()
    }

    // MARK: Slots

    private func isUsed(_ slot: Int) -> Bool { used[slot >> 6] >> UInt64(slot & 63) & 1 != 0 }

    /// As many slots behind each other as can be had, at most `count`; nil: there are none.
    public func allocate(_ count: Int) -> Range<Int>? {
        guard slotCount > 0, count > 0 else { return nil }
        var looked = 0
        while looked < slotCount {
            if next >= slotCount { next = 0 }
            if isUsed(next) {
                // A full word at a time.
                let step = next & 63 == 0 && used[next >> 6] == .max ? 64 : 1
                next += step
                looked += step
                continue
            }
            let first = next
            while next < slotCount, next - first < count, !isUsed(next) {
                used[next >> 6] |= 1 << UInt64(next & 63)
                next += 1
            }
            usedCount.add(next - first, ordering: .relaxed)
            return first..<next
        }
        return nil
    }

    /// The page of the slot is not wanted any more.
    public func free(_ slot: Int) {
        guard slot < slotCount, isUsed(slot) else { return }
        used[slot >> 6] &= ~(1 << UInt64(slot & 63))
        usedCount.subtract(1, ordering: .relaxed)
    }

    // MARK: Pages

    /// Writes pages to slots behind each other. `pages` is aligned to 4096 bytes.
    public func write(_ pages: UnsafeRawBufferPointer, to slots: Range<Int>) throws(XError) {
        guard pages.count == slots.count * Self.pageByteCount, slots.upperBound <= slotCount else {
            return
        }
        var done = 0
        while done < pages.count {
            let place = off_t(slots.lowerBound * Self.pageByteCount + done)
            let count = unsafe pwrite(
                descriptor, pages.baseAddress.map { unsafe $0 + done }, pages.count - done, place)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let error = HostErrno(rawValue: count == 0 ? ENOSPC : errno)
                throw XError(
                    .hostCall,
                    "cannot write to the swap file in '\(directory)': \(error); make room there, or "
                        + "name another folder with --swap",
                    cause: error)
            }
            done += count
        }
        for (number, slot) in slots.enumerated() {
            let page = unsafe UnsafeRawBufferPointer(
                rebasing: pages[
                    number * Self.pageByteCount..<(number + 1) * Self.pageByteCount])
            unsafe checksums[slot] = unsafe Self.checksum(page)
        }
    }

    /// Reads the pages of slots behind each other. `pages` is aligned to 4096 bytes.
    public func read(
        _ slots: Range<Int>, into pages: UnsafeMutableRawBufferPointer
    ) throws(XError) {
        guard slots.upperBound <= slotCount, pages.count == slots.count * Self.pageByteCount else {
            return
        }
        let got = unsafe readSome(
            descriptor, at: slots.lowerBound * Self.pageByteCount, into: pages)
        guard got == pages.count else {
            throw XError(
                .hostCall,
                "cannot read slots \(slots) of the swap file in '\(directory)': "
                    + "\(HostErrno(rawValue: errno)); its disk may be failing")
        }
        for (number, slot) in slots.enumerated() {
            let start = number * Self.pageByteCount
            let page = unsafe UnsafeRawBufferPointer(
                rebasing: pages[start..<start + Self.pageByteCount])
            guard unsafe Self.checksum(page) == checksums[slot] else {
                throw XError(
                    .hostCall,
                    "slot \(slot) of the swap file in '\(directory)' is not what was written there: its "
                        + "disk may be failing")
            }
        }
    }

    /// For tests: a byte of a slot changes.
    func damage(_ slot: Int) throws(XError) {
        let page = try MemoryMapping(anonymous: Self.pageByteCount)
        let place = off_t(slot * Self.pageByteCount)
        _ = unsafe pwrite(descriptor, page.base, Self.pageByteCount, place)
    }

    /// Half of a CRC-64, which liblzma makes several times as fast as zlib a CRC-32.
    private static func checksum(_ page: UnsafeRawBufferPointer) -> UInt32 {
        guard let base = page.baseAddress else { return 0 }
        return UInt32(
            truncatingIfNeeded: unsafe lzma_crc64(
                base.assumingMemoryBound(to: UInt8.self), page.count, 0))
    }
}
