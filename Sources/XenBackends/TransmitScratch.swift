internal import Glibc
internal import Networks
internal import Xen

/// Room in which one packet of the guest is put together: no allocation for each.
///
/// Owner: a `NetworkTransmitter`, with its lock held.
@safe final class TransmitScratch: @unchecked Sendable {
    /// Ethernet with two tags, IP and TCP with all options, IPv6 with extensions.
    private static let headerCapacity = 256

    var packet = TransmitPacket()
    /// In use for the packet.
    var grants: [GrantTable.Grant] = []
    // SAFETY: allocated in `init`, freed in `deinit`. The vectors point into RAM of the guest that is
    // there as long as the machine, and into the header.
    private let header = UnsafeMutableRawBufferPointer.allocate(
        byteCount: TransmitScratch.headerCapacity, alignment: 16)
    private let vectors = UnsafeMutableBufferPointer<iovec>.allocate(
        capacity: NetworkRing.slotLimit + 1)
    private var headerByteCount = 0
    private var vectorCount = 1

    init() {
        grants.reserveCapacity(NetworkRing.slotLimit)
        unsafe vectors.initialize(repeating: iovec())
    }

    deinit {
        unsafe header.deallocate()
        unsafe vectors.deallocate()
    }

    /// Begins a packet without data.
    func begin() { (headerByteCount, vectorCount) = (0, 1) }

    /// Adds data behind the others: copies what belongs to the header, and notes where the rest is.
    func append(_ data: UnsafeMutableRawBufferPointer) {
        let count = min(data.count, Self.headerCapacity - headerByteCount)
        if count > 0 {
            // SAFETY: `count` bytes of the data, and as many are left of the header.
            unsafe UnsafeMutableRawBufferPointer(rebasing: header[headerByteCount...]).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: data[..<count]))
            headerByteCount += count
        }
        guard count < data.count, unsafe vectorCount < vectors.count else { return }
        unsafe vectors[vectorCount] = iovec(
            iov_base: data.baseAddress.map { unsafe $0 + count }, iov_len: data.count - count)
        vectorCount += 1
    }

    /// What was added, valid until the next `begin`.
    var buffers: UnsafeBufferPointer<iovec> {
        unsafe vectors[0] = iovec(iov_base: header.baseAddress, iov_len: headerByteCount)
        return unsafe UnsafeBufferPointer(rebasing: vectors[..<vectorCount])
    }

    /// What is left to do about the packet, with the header made ready for it. Nil: what the guest asks
    /// for does not go with what it sends.
    func metadata() -> PacketMetadata? {
        let isSegmented = packet.segmentation != .none
        guard packet.flags & TransmitFlags.checksumBlank != 0 || isSegmented else {
            return packet.flags & TransmitFlags.dataValidated != 0 ? .valid : PacketMetadata()
        }
        // SAFETY: the header's bytes that are there.
        let bytes = unsafe UnsafeMutableRawBufferPointer(rebasing: header[..<headerByteCount])
        guard
            var result = unsafe PacketChecksum.prepare(bytes, frameByteCount: packet.byteCount)
        else { return nil }
        guard isSegmented else { return result }
        guard
            let headers = unsafe PacketHeaders(
                UnsafeRawBufferPointer(bytes), frameByteCount: packet.byteCount),
            headers.isTCP, (headers.version == .v4) == (packet.segmentation == .tcpv4)
        else { return nil }
        result.segmentation = packet.segmentation
        result.segmentByteCount = packet.segmentByteCount
        // SAFETY: TCP's header lies in what was read.
        result.hasCongestionWindowReduced =
            unsafe bytes[headers.transportOffset + 13] & 0x80 != 0
        return result
    }
}
