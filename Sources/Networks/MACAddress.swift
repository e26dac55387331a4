public import Vocabulary

/// An Ethernet address.
public struct MACAddress: Hashable, Sendable, CustomStringConvertible {
    /// The 48 bits; the first byte on the wire is the highest.
    public let rawValue: UInt64

    /// The lowest 48 bits of `rawValue`.
    public init(rawValue: UInt64) { self.rawValue = rawValue & 0xffff_ffff_ffff }

    /// A locally administered unicast address (IEEE 802, 8.2.2) that depends on `seed` and `index`
    /// alone, so that a machine keeps its addresses.
    public init(seed: String, index: Int = 0) {
        // FNV-1a; the last steps spread the bits of short seeds.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func mix(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        seed.utf8.forEach(mix)
        for shift in stride(from: 0, to: 64, by: 8) {
            mix(UInt8(truncatingIfNeeded: index >> shift))
        }
        hash = (hash ^ hash >> 32) &* 0xd6e8_feb8_6659_fd93
        hash ^= hash >> 32
        self.init(rawValue: hash & ~(1 << 40) | 1 << 41)
    }

    /// Six bytes in hexadecimal with colons.
    public init(_ text: String) throws(XError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { $0.utf8.count == 2 ? UInt8($0, radix: 16) : nil }
        guard parts.count == 6, bytes.count == 6 else {
            throw XError(
                .invalidArgument,
                "'\(text)' is not a MAC address; write six bytes like 02:00:00:12:34:56")
        }
        guard bytes[0] & 1 == 0 else {
            throw XError(
                .invalidArgument,
                "the MAC address '\(text)' is a group's; the first byte of an interface's is even")
        }
        self.init(rawValue: bytes.reduce(0) { $0 << 8 | UInt64($1) })
    }

    /// In the order of the wire.
    public var bytes: [UInt8] {
        (0..<6).map { UInt8(truncatingIfNeeded: rawValue >> UInt64(40 - 8 * $0)) }
    }

    public var isLocallyAdministered: Bool { rawValue & 1 << 41 != 0 }

    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}
