internal import Networks

/// The hash of a packet's addresses and ports by which a frontend has its queues chosen
/// (xen/include/public/io/netif.h; the hash of "receive side scaling" of Windows).
struct ToeplitzHash: Sendable, Codable, Equatable {
    /// XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ.
    static let algorithm: UInt8 = 1

    /// What goes into a hash: _XEN_NETIF_CTRL_HASH_TYPE_*.
    enum Kind: UInt8, Sendable {
        case ipv4 = 0
        case ipv4TCP = 1
        case ipv6 = 2
        case ipv6TCP = 3

        var bit: UInt32 { 1 << UInt32(rawValue) }
        static let all: UInt32 = 15
    }

    struct Value: Sendable, Equatable {
        var kind: Kind
        var value: UInt32
    }

    static let largestKey = 40
    static let largestMapping = 128

    /// The frontend has chosen this algorithm.
    var isSelected = false
    /// Bits of `Kind`.
    var kinds: UInt32 = 0
    /// Bytes that are not there are 0.
    var key: [UInt8] = []
    /// Queue by hash, modulo its size; empty: by the hash modulo the queues.
    var mapping: [UInt32] = []

    /// The hash of a frame; nil: of this kind none is wanted.
    ///
    /// - Parameter frame: its first bytes, at least the headers.
    func value(of frame: UnsafeRawBufferPointer, frameByteCount: Int) -> Value? {
        guard isSelected, kinds != 0,
            let headers = unsafe PacketHeaders(frame, frameByteCount: frameByteCount)
        else { return nil }
        let isV4 = headers.version == .v4
        let candidates: [(Kind, hasPorts: Bool)] =
            isV4
            ? [(.ipv4TCP, true), (.ipv4, false)] : [(.ipv6TCP, true), (.ipv6, false)]
        for (kind, hasPorts) in candidates
        where kinds & kind.bit != 0 && (!hasPorts || headers.isTCP) {
            // Source and destination follow each other in both headers, and so do ports.
            let start = headers.networkOffset + (isV4 ? 12 : 8)
            var input = unsafe [UInt8](frame[start..<start + (isV4 ? 8 : 32)])
            if hasPorts {
                unsafe input +=
                    frame[headers.transportOffset..<headers.transportOffset + 4]
            }
            return Value(kind: kind, value: hash(input))
        }
        return nil
    }

    /// The bits of the key from each set bit of the data on, 32 of them.
    func hash(_ data: [UInt8]) -> UInt32 {
        var window: UInt64 = 0
        for index in 0..<8 { window = window << 8 | UInt64(keyByte(index)) }
        var result: UInt32 = 0
        for (index, byte) in data.enumerated() {
            for bit in 0..<8 where byte & 0x80 >> UInt8(bit) != 0 {
                result ^= UInt32(truncatingIfNeeded: window >> UInt64(32 - bit))
            }
            window = window << 8 | UInt64(keyByte(index + 8))
        }
        return result
    }

    private func keyByte(_ index: Int) -> UInt8 { index < key.count ? key[index] : 0 }

    /// The queue of a hash.
    func queue(_ value: UInt32, of count: Int) -> Int {
        let index =
            mapping.isEmpty ? Int(value) : Int(mapping[Int(value) % mapping.count])
        return index % count
    }
}
