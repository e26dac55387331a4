internal import CHost
import Glibc
public import Vocabulary

/// Pages of the host, unmapped at the end of its life.
@safe public struct MemoryMapping: ~Copyable, @unchecked Sendable {
    /// The first byte; valid as long as this value.
    public let base: UnsafeMutableRawPointer
    /// A multiple of the page size.
    public let byteCount: Int

    /// What may be done with the pages.
    public struct Access: OptionSet, Sendable {
        public var rawValue: CInt
        public init(rawValue: CInt) { self.rawValue = rawValue }
        public static let read = Access(rawValue: PROT_READ)
        public static let write = Access(rawValue: PROT_WRITE)
        public static let execute = Access(rawValue: PROT_EXEC)
    }

    /// Zeroed pages, taking host memory when they are first written.
    public init(anonymous byteCount: Int, access: Access = [.read, .write]) throws(XError) {
        try self.init(
            byteCount, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    }

    /// Pages of a file, shared with it.
    public init(
        descriptor: CInt, offset: Int, byteCount: Int, access: Access
    ) throws(XError) {
        try self.init(byteCount, access, MAP_SHARED, descriptor, offset)
    }

    /// Zeroed pages that `again` maps at a second address. The host's tools show them as `/dev/zero`.
    public init(shared byteCount: Int, access: Access = [.read, .write]) throws(XError) {
        try self.init(
            byteCount, access, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    }

    private init(pages: UnsafeMutableRawPointer, byteCount: Int) {
        unsafe base = unsafe pages
        self.byteCount = byteCount
    }

    /// The same pages at another address. Of shared ones only.
    public borrowing func again(access: Access) throws(XError) -> MemoryMapping {
        guard let pages = unsafe chost_map_again(base, byteCount) else {
            throw hostError("map \(byteCount) bytes again", HostErrno(rawValue: errno))
        }
        let result = unsafe MemoryMapping(pages: pages, byteCount: byteCount)
        try result.protect(access)
        return result
    }

    /// Gives the pages back and keeps the addresses: the process maps nothing else there any more.
    public consuming func retireAddresses() {
        let reserved = unsafe mmap(
            base, byteCount, PROT_NONE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0)
        if unsafe reserved != MAP_FAILED { discard self } else { _ = consume self }
    }

    private init(
        _ byteCount: Int, _ access: Access, _ flags: CInt, _ descriptor: CInt, _ offset: Int
    ) throws(XError) {
        guard byteCount > 0, byteCount <= Int.max - 4095, offset >= 0 else {
            throw XError(.invalidArgument, "cannot map \(byteCount) bytes at offset \(offset)")
        }
        let rounded = (byteCount + 4095) & ~4095
        let pages = unsafe mmap(nil, rounded, access.rawValue, flags, descriptor, off_t(offset))
        let error = errno
        guard let pages = unsafe pages, unsafe pages != MAP_FAILED else {
            throw hostError("map \(byteCount) bytes", HostErrno(rawValue: error))
        }
        unsafe self.base = unsafe pages
        self.byteCount = rounded
    }

    deinit { unsafe munmap(base, byteCount) }

    /// Changes what may be done with all of the pages.
    public borrowing func protect(_ access: Access) throws(XError) {
        guard unsafe mprotect(base, byteCount, access.rawValue) == 0 else {
            throw hostError("change the access of \(byteCount) bytes", HostErrno(rawValue: errno))
        }
    }
}
