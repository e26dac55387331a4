public import GuestMemory
public import Vocabulary

/// One direction of a ring of bytes in a guest's page, as store and console have them
/// (xen/include/public/io/xs_wire.h, console.h): producer and consumer count bytes modulo 2^32, the place
/// is the count modulo the size.
///
/// One thread at a time for each direction. The guest's index is read once for each call, and what it
/// makes no sense with is not used.
public struct ByteRing: Sendable {
    private let memory: GuestMemory
    private let data: GuestPhysicalAddress
    private let byteCount: UInt32
    private let consumer: GuestPhysicalAddress
    private let producer: GuestPhysicalAddress

    /// - Parameters:
    ///   - page: address of the page, which is RAM.
    ///   - data: offset of the bytes in it.
    ///   - byteCount: a power of two.
    ///   - indices: offset of the consumer's index; the producer's follows.
    public init(
        _ memory: GuestMemory, page: GuestPhysicalAddress, data: UInt64, byteCount: UInt32,
        indices: UInt64
    ) {
        self.memory = memory
        self.data = page.advanced(by: data)
        self.byteCount = byteCount
        consumer = page.advanced(by: indices)
        producer = page.advanced(by: indices &+ 4)
    }

    /// Consumer, producer, and how many bytes lie between them; nil: more than there is room for.
    private var state: (consumer: UInt32, producer: UInt32, count: UInt32)? {
        guard let consumer = memory.atomicLoad(consumer, as: UInt32.self),
            let producer = memory.atomicLoad(producer, as: UInt32.self),
            producer &- consumer <= byteCount
        else { return nil }
        return (consumer, producer, producer &- consumer)
    }

    /// The indices make no sense: the guest has broken its ring.
    public var isBroken: Bool { state == nil }

    /// Bytes to read.
    public var count: Int { Int(state?.count ?? 0) }

    /// Bytes there is room for.
    public var room: Int { state.map { Int(byteCount &- $0.count) } ?? 0 }

    /// Takes what is there, at most `limit` bytes.
    public func read(limit: Int = .max) -> [UInt8] {
        guard let state, state.count > 0 else { return [] }
        let count = UInt32(clamping: min(Int(state.count), limit))
        var bytes: [UInt8] = []
        for (offset, length) in pieces(state.consumer, count) {
            bytes += memory.read(data.advanced(by: offset), byteCount: length) ?? []
        }
        memory.atomicStore(consumer, state.consumer &+ count)
        return bytes
    }

    /// Puts bytes in, as many as there is room for now. How many.
    public func write(_ bytes: ArraySlice<UInt8>) -> Int {
        guard let state else { return 0 }
        let count = min(UInt32(clamping: bytes.count), byteCount &- state.count)
        if count == 0 { return 0 }
        var next = bytes.startIndex
        for (offset, length) in pieces(state.producer, count) {
            memory.write(data.advanced(by: offset), bytes[next..<(next + length)])
            next += length
        }
        memory.atomicStore(producer, state.producer &+ count)
        return Int(count)
    }

    /// Up to two runs of bytes, by offset and length.
    private func pieces(_ index: UInt32, _ count: UInt32) -> [(UInt64, Int)] {
        if count == 0 { return [] }
        let start = index & (byteCount &- 1)
        let first = min(count, byteCount &- start)
        let pieces = [(UInt64(start), Int(first))]
        return first == count ? pieces : pieces + [(0, Int(count &- first))]
    }
}

extension XenFace {
    /// A ring of bytes in a page of the guest; parameters as of `ByteRing`.
    public func ring(
        page: GuestPhysicalAddress, data: UInt64, byteCount: UInt32, indices: UInt64
    ) -> ByteRing {
        ByteRing(memory, page: page, data: data, byteCount: byteCount, indices: indices)
    }
}
