public import GuestMemory
public import VirtualCPU
internal import Vocabulary

/// The memory that the arguments of a hypercall are in: the caller's linear addresses.
///
/// Each structure is read once, as a whole, into a value; nothing that a hypercall looks at twice can
/// change in between. The caller's worker only.
@safe
public struct HypercallMemory {
    private let memory: GuestMemory
    private let space: any LinearAddressSpace
    /// The caller is 64-bit code: pointers and `xen_ulong_t` are 8 bytes and not 4, and structures laid out
    /// so.
    let isWide: Bool

    public init(_ memory: GuestMemory, _ space: any LinearAddressSpace, isWide: Bool = true) {
        self.memory = memory
        self.space = space
        self.isWide = isWide
    }

    /// Bytes of a pointer.
    var wordByteCount: UInt64 { isWide ? 8 : 4 }

    /// Where a linear address is now; nil: nowhere, or not writable.
    func physical(_ address: UInt64, write: Bool) -> GuestPhysicalAddress? {
        space.physicalAddress(of: GuestVirtualAddress(address), forWriting: write)
    }

    /// The bytes from `address`, at most `Arguments.capacity`; nil: some of them are not mapped to RAM.
    func read(_ address: UInt64, byteCount: Int) -> Arguments? {
        guard byteCount >= 0, byteCount <= Arguments.capacity else { return nil }
        var result = Arguments(byteCount: byteCount, isWide: isWide)
        let isRead = unsafe withUnsafeMutableBytes(of: &result.words) { buffer in
            var done = 0
            while done < byteCount {
                let at = address &+ UInt64(done)
                let rest = min(byteCount - done, 0x1000 - Int(at & 0xfff))
                guard let place = physical(at, write: false),
                    unsafe memory.read(
                        place,
                        into: UnsafeMutableRawBufferPointer(
                            rebasing: buffer[done..<(done + rest)]))
                else { return false }
                done += rest
            }
            return true
        }
        return isRead ? result : nil
    }

    /// The structure at `address`, of so many bytes in the layout of 64-bit and in that of 32-bit callers.
    func read(_ address: UInt64, wide: Int, narrow: Int) -> Arguments? {
        read(address, byteCount: isWide ? wide : narrow)
    }

    /// A pointer or `xen_ulong_t` of an array.
    func readWord(_ array: UInt64, _ index: UInt64) -> UInt64? {
        read(array &+ index &* wordByteCount, wide: 8, narrow: 4)?.word(0, narrow: 0)
    }

    /// False: not all of it is mapped to writable RAM; the part before that is written.
    func write(_ address: UInt64, _ bytes: [UInt8]) -> Bool {
        var done = 0
        while done < bytes.count {
            let at = address &+ UInt64(done)
            let rest = min(bytes.count - done, 0x1000 - Int(at & 0xfff))
            guard let place = physical(at, write: true),
                memory.write(place, bytes[done..<(done + rest)])
            else { return false }
            done += rest
        }
        return true
    }

    func write(_ address: UInt64, integer value: some FixedWidthInteger) -> Bool {
        var bytes: [UInt8] = []
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
        return write(address, bytes)
    }
}

/// A structure of a hypercall as it was at one moment.
struct Arguments {
    /// Bytes of the largest structure that is read as a whole.
    static let capacity = 48

    fileprivate var words = InlineArray<6, UInt64>(repeating: 0)
    private let byteCount: Int
    private let isWide: Bool

    fileprivate init(byteCount: Int, isWide: Bool) {
        self.byteCount = byteCount
        self.isWide = isWide
    }

    /// The little-endian integer at an offset, all of it within one word of 64 bits; 0 beyond the end.
    func integer<T: FixedWidthInteger>(_ offset: Int, as type: T.Type = T.self) -> T {
        guard offset >= 0, offset + T.bitWidth / 8 <= byteCount else { return 0 }
        return T(truncatingIfNeeded: words[offset / 8] >> UInt64(offset % 8 * 8))
    }

    /// A pointer or `xen_ulong_t`, at an offset that is another one for 32-bit callers.
    func word(_ wide: Int, narrow: Int) -> UInt64 {
        isWide ? integer(wide) : UInt64(integer(narrow, as: UInt32.self))
    }

    /// An integer of 32 bits, the same.
    func half(_ wide: Int, narrow: Int) -> UInt32 { integer(isWide ? wide : narrow) }

    func domain(_ offset: Int) -> DomainID { DomainID(integer(offset, as: UInt16.self)) }
    func port(_ offset: Int) -> EventChannelPort {
        EventChannelPort(integer(offset, as: UInt32.self))
    }
}
