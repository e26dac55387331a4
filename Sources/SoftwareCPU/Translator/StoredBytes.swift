/// Integers in bytes from a file, which may be anything: what lies beyond the end is 0.
struct LittleEndianReader {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func integer<T: FixedWidthInteger & BitwiseCopyable>(_ position: Int, as type: T.Type) -> T {
        guard position >= 0, position <= bytes.count &- MemoryLayout<T>.size else { return 0 }
        return unsafe bytes.withUnsafeBytes {
            T(littleEndian: unsafe $0.loadUnaligned(fromByteOffset: position, as: T.self))
        }
    }

    /// A number of two bytes.
    func count(_ position: Int) -> Int { Int(integer(position, as: UInt16.self)) }
}

/// Integers and bytes one after the other, and zeros behind them.
struct LittleEndianWriter {
    private(set) var bytes: [UInt8]
    private(set) var position = 0

    init(_ byteCount: Int) { bytes = [UInt8](repeating: 0, count: byteCount) }

    mutating func append<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        put(value, at: position)
        position += MemoryLayout<T>.size
    }

    /// In two bytes; what does not fit was refused before.
    mutating func append(count: Int) { append(UInt16(truncatingIfNeeded: count)) }

    mutating func append(_ other: UnsafeRawBufferPointer) {
        let start = position
        guard start + other.count <= bytes.count else { return }
        unsafe bytes.withUnsafeMutableBytes {
            unsafe UnsafeMutableRawBufferPointer(rebasing: $0[start...]).copyMemory(from: other)
        }
        position += other.count
    }

    mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at place: Int) {
        guard place >= 0, place + MemoryLayout<T>.size <= bytes.count else { return }
        unsafe bytes.withUnsafeMutableBytes {
            unsafe $0.storeBytes(of: value.littleEndian, toByteOffset: place, as: T.self)
        }
    }

    mutating func clear(_ start: Int, _ count: Int) {
        for place in start..<(start + count) where place < bytes.count { bytes[place] = 0 }
    }
}

/// A number of 64 bits that other bytes do not have but by accident, and certainly not bytes that differ in
/// eight neighbouring ones alone. Against accidents, not against anybody: who writes to the files is
/// looked at before (`CodeDirectory`).
enum ContentHash {
    private static let factor: UInt64 = 0x9e37_79b9_7f4a_7c15

    static func of(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        unsafe bytes.withUnsafeBytes { unsafe of($0) }
    }

    /// Each step can be undone, so a change in one word of eight bytes changes the result.
    static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash = UInt64(truncatingIfNeeded: bytes.count) &* factor
        var position = 0
        while position &+ 8 <= bytes.count {
            step(&hash, unsafe bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            position &+= 8
        }
        var rest: UInt64 = 0
        while position < bytes.count {
            rest = unsafe rest &<< 8 | UInt64(bytes[position])
            position &+= 1
        }
        step(&hash, rest)
        hash ^= hash &>> 32
        return hash &* factor
    }

    private static func step(_ hash: inout UInt64, _ word: UInt64) {
        hash = (hash ^ word) &* factor
        hash ^= hash &>> 29
    }
}

extension StoredTranslation.Key {
    /// What an entry is looked up by; `start` are up to `tagByteCount` bytes of the first block.
    func tag(_ start: UnsafeRawBufferPointer) -> UInt32 {
        var hash = unsafe ContentHash.of(start)
        let properties: UInt64 = (isUpper ? 1 : 0) | (usesGroups ? 2 : 0)
        hash ^= features &* 0xff51_afd7_ed55_8ccd
        hash ^= UInt64(mode) &<< 16 | UInt64(pageOffset) &<< 2 | properties
        hash = hash &* 0xc4ce_b9fe_1a85_ec53
        // 0 is what an empty place of the index holds.
        return max(UInt32(truncatingIfNeeded: hash &>> 32), 1)
    }

    static let tagByteCount = 16
}
