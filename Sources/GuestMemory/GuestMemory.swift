internal import CHost
import Glibc

@safe public final class GuestMemory: @unchecked Sendable {
    public nonisolated(unsafe) let hostBase: UnsafeMutableRawPointer
    let flags: UnsafeMutablePointer<UInt8>
    let size: UInt64
    public init(byteCount: Int) {
        unsafe hostBase = mmap(nil, byteCount, 3, 0x4022, -1, 0)
        unsafe flags = .allocate(capacity: byteCount / 4096)
        unsafe flags.initialize(repeating: 0, count: byteCount / 4096)
        size = UInt64(byteCount)
    }
    public func contains(_ address: UInt64, _ count: Int) -> Bool { address < size && UInt64(count) <= size - address }
    public func pageHoldsCode(_ address: UInt64) -> Bool { unsafe flags[Int(address >> 12)] & 1 != 0 }
    public func markCode(_ address: UInt64) { unsafe flags[Int(address >> 12)] |= 1 }
    public func clearCode(_ address: UInt64) { unsafe flags[Int(address >> 12)] &= ~1 }
}
