internal import CHost
import Glibc
internal import Synchronization
public import Vocabulary

// Copies in and out of RAM, at any alignment. Another thread may change the bytes meanwhile: who
// reads a structure shared with the guest reads each field once and checks what it read.
extension GuestMemory {
    /// Fills `buffer` from `address`; false, with nothing read, if not all of it is RAM.
    public func read(
        _ address: GuestPhysicalAddress, into buffer: UnsafeMutableRawBufferPointer
    ) -> Bool {
        guard contains(address.rawValue, buffer.count) else { return false }
        guard let destination = buffer.baseAddress, buffer.count > 0 else { return true }
        guard pin(address.rawValue, buffer.count) else { return false }
        // SAFETY: checked to be RAM, which stays mapped as long as self.
        unsafe memcpy(destination, hostBase + Int(address.rawValue), buffer.count)
        unpin(address.rawValue, buffer.count)
        return true
    }

    /// The `byteCount` bytes from `address`; nil if not all of them are RAM.
    public func read(_ address: GuestPhysicalAddress, byteCount: Int) -> [UInt8]? {
        guard byteCount >= 0, contains(address.rawValue, byteCount) else { return nil }
        return unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            count =
                unsafe read(address, into: UnsafeMutableRawBufferPointer(buffer)) ? byteCount : 0
        }
    }

    /// The little-endian integer at `address`; nil if not all of it is RAM.
    @inlinable
    public func read<T: FixedWidthInteger & BitwiseCopyable>(
        _ address: GuestPhysicalAddress, as type: T.Type
    ) -> T? {
        guard contains(address.rawValue, MemoryLayout<T>.size),
            pin(address.rawValue, MemoryLayout<T>.size)
        else { return nil }
        defer { unpin(address.rawValue, MemoryLayout<T>.size) }
        // SAFETY: checked to be RAM. One host load: not torn when it is aligned.
        return unsafe T(
            littleEndian: hostBase.loadUnaligned(fromByteOffset: Int(address.rawValue), as: T.self))
    }

    /// Copies `bytes` to `address`; false, with nothing written, if not all of it is RAM.
    @discardableResult
    public func write(_ address: GuestPhysicalAddress, from bytes: UnsafeRawBufferPointer) -> Bool {
        guard contains(address.rawValue, bytes.count) else { return false }
        guard let source = bytes.baseAddress, bytes.count > 0 else { return true }
        guard pin(address.rawValue, bytes.count) else { return false }
        // SAFETY: checked to be RAM.
        unsafe memmove(hostBase + Int(address.rawValue), source, bytes.count)
        wrote(address.rawValue, bytes.count)
        unpin(address.rawValue, bytes.count)
        return true
    }

    /// Copies `bytes` to `address`; false, with nothing written, if not all of it is RAM.
    @discardableResult
    public func write(_ address: GuestPhysicalAddress, _ bytes: some Sequence<UInt8>) -> Bool {
        let done = bytes.withContiguousStorageIfAvailable {
            unsafe write(address, from: UnsafeRawBufferPointer($0))
        }
        if let done { return done }
        return unsafe Array(bytes).withUnsafeBytes { unsafe write(address, from: $0) }
    }

    /// Stores an integer little endian; false, with nothing written, if not all of it is RAM.
    @inlinable @discardableResult
    public func write<T: FixedWidthInteger & BitwiseCopyable>(
        _ address: GuestPhysicalAddress, integer: T
    ) -> Bool {
        guard contains(address.rawValue, MemoryLayout<T>.size),
            pin(address.rawValue, MemoryLayout<T>.size)
        else { return false }
        // SAFETY: checked to be RAM. One host store: not torn when it is aligned.
        unsafe (hostBase + Int(address.rawValue)).storeBytes(of: integer.littleEndian, as: T.self)
        wrote(address.rawValue, MemoryLayout<T>.size)
        unpin(address.rawValue, MemoryLayout<T>.size)
        return true
    }

    /// Sets `byteCount` bytes from `address`; false, with nothing written, if not all are RAM.
    @discardableResult
    public func fill(_ address: GuestPhysicalAddress, byteCount: Int, with byte: UInt8 = 0) -> Bool
    {
        guard byteCount >= 0, contains(address.rawValue, byteCount) else { return false }
        if byteCount == 0 { return true }
        guard pin(address.rawValue, byteCount) else { return false }
        // SAFETY: checked to be RAM.
        unsafe memset(hostBase + Int(address.rawValue), CInt(byte), byteCount)
        wrote(address.rawValue, byteCount)
        unpin(address.rawValue, byteCount)
        return true
    }

    /// The host address of `byteCount` bytes of RAM; nil if not all of them are. Valid as long as
    /// self; what lies there, while the caller has the pages pinned. Who writes through it calls `wrote`
    /// afterwards, and unpins after that.
    @inlinable
    public func hostPointer(
        _ address: GuestPhysicalAddress, byteCount: Int
    ) -> UnsafeMutableRawPointer? {
        guard contains(address.rawValue, byteCount) else { return nil }
        return unsafe hostBase + Int(address.rawValue)
    }

    /// Enters a write that went past this class into the dirty log, and has the engines drop
    /// instructions decoded from the bytes. All of the bytes are RAM and present.
    public func wrote(_ address: UInt64, _ byteCount: Int) {
        // The store must be seen before the flags are read: an engine that decodes at this moment
        // sets the flag first and reads the bytes after.
        chost_atomic_fence()
        let log = dirtyLogOn.load(ordering: .relaxed)
        let last = (address &+ UInt64(byteCount) &- 1) >> 12
        var page = address >> 12
        while page <= last {
            if log { markDirty(page: page) }
            residency?.noteWritten(page)
            // SAFETY: the page is RAM, so it has a flag byte.
            if unsafe chost_atomic_load8(pageFlags + Int(page)) & PageFlags.code.rawValue != 0 {
                announce(.written, page << 12, by: 0)
            }
            page &+= 1
        }
    }
}
