internal import Glibc

/// Copies of packets, one behind the other in one piece of memory, taken in the order they were put
/// in.
///
/// Owner: whoever has it now; one thread at a time.
@safe final class PacketArena: @unchecked Sendable {
    /// What is before each frame.
    private struct Record: BitwiseCopyable {
        var byteCount: UInt32
        var metadata: PacketMetadata
    }

    private static let recordByteCount = 32
    let capacity: Int
    // SAFETY: `capacity` bytes, allocated in `init`, freed in `deinit`. The host gives the pages as
    // they are touched.
    private let base: UnsafeMutableRawPointer
    /// Bytes put in and taken out so far; both are multiples of 16.
    private var end = 0
    private var start = 0
    private(set) var packetCount = 0

    init(capacity: Int) {
        precondition(capacity >= 2 * Packet.maximumByteCount, "an arena of \(capacity) bytes")
        precondition(MemoryLayout<Record>.size <= Self.recordByteCount)
        self.capacity = capacity
        unsafe base = .allocate(byteCount: capacity, alignment: 64)
    }

    deinit { unsafe base.deallocate() }

    var isEmpty: Bool { packetCount == 0 }

    private static func footprint(_ byteCount: Int) -> Int {
        recordByteCount + (byteCount + 15) & ~15
    }

    /// Copies a packet behind the others; false if there is no room. Packets of more than
    /// `Packet.maximumByteCount` are never taken.
    func append(_ packet: Packet) -> Bool {
        guard packet.byteCount <= Packet.maximumByteCount,
            Self.footprint(packet.byteCount) <= capacity - end
        else { return false }
        let record = Record(
            byteCount: UInt32(truncatingIfNeeded: packet.byteCount), metadata: packet.metadata)
        // SAFETY: record and frame end before `capacity`.
        unsafe (base + end).storeBytes(of: record, as: Record.self)
        unsafe packet.copyBytes(
            to: UnsafeMutableRawBufferPointer(
                start: base + end + Self.recordByteCount, count: packet.byteCount))
        end += Self.footprint(packet.byteCount)
        packetCount += 1
        return true
    }

    /// The oldest packet, whose bytes stay until `clear` or `removeFirst` empties the arena.
    var first: (frame: UnsafeMutableRawBufferPointer, metadata: PacketMetadata)? {
        guard packetCount > 0 else { return nil }
        // SAFETY: `append` put a record here, and as many bytes as it says.
        let record = unsafe (base + start).load(as: Record.self)
        return unsafe (
            UnsafeMutableRawBufferPointer(
                start: base + start + Self.recordByteCount, count: Int(record.byteCount)),
            record.metadata
        )
    }

    func removeFirst() {
        guard packetCount > 0 else { return }
        let record = unsafe (base + start).load(as: Record.self)
        start += Self.footprint(Int(record.byteCount))
        packetCount -= 1
        if packetCount == 0 { clear() }
    }

    func clear() { (start, end, packetCount) = (0, 0, 0) }
}
