public import Glibc

/// An Ethernet frame, possibly larger than the wire takes, and what is left to do about it.
///
/// The frame is a list of buffers in host memory, which stay the maker's. A packet is valid during the
/// call it is passed to; who wants to keep it copies its bytes.
@safe public struct Packet {
    /// Most bytes of a frame: 65535 of IP, the Ethernet header, two VLAN tags.
    public static let maximumByteCount = 65535 + 14 + 8

    /// The buffers, in order. A guest that owns their memory may change it at any time: read a byte
    /// once, or copy first.
    public let buffers: UnsafeBufferPointer<iovec>
    /// Bytes of all buffers.
    public let byteCount: Int
    public var metadata: PacketMetadata

    /// - Parameter buffers: readable for as long as the packet is used.
    @unsafe public init(
        buffers: UnsafeBufferPointer<iovec>, metadata: PacketMetadata = PacketMetadata()
    ) {
        unsafe self.buffers = unsafe buffers
        self.metadata = metadata
        var count = 0
        for index in buffers.indices {
            let (sum, overflow) = unsafe count.addingReportingOverflow(
                Int(clamping: buffers[index].iov_len))
            count = overflow ? Int.max : sum
        }
        byteCount = count
    }

    /// Runs `body` with a packet of one buffer.
    public static func withBytes<Result>(
        _ bytes: UnsafeRawBufferPointer, metadata: PacketMetadata = PacketMetadata(),
        _ body: (Packet) -> Result
    ) -> Result {
        var vector = unsafe iovec(
            iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
        // SAFETY: the buffer lives through the call; nobody writes to it.
        return unsafe withUnsafePointer(to: &vector) { vector in
            body(unsafe Packet(buffers: .init(start: vector, count: 1), metadata: metadata))
        }
    }

    /// Runs `body` with a packet of two buffers.
    static func withBytes<Result>(
        _ head: UnsafeRawBufferPointer, _ rest: UnsafeRawBufferPointer, metadata: PacketMetadata,
        _ body: (Packet) -> Result
    ) -> Result {
        var vectors = unsafe (
            iovec(
                iov_base: UnsafeMutableRawPointer(mutating: head.baseAddress), iov_len: head.count),
            iovec(
                iov_base: UnsafeMutableRawPointer(mutating: rest.baseAddress), iov_len: rest.count)
        )
        // SAFETY: a tuple of one type has the layout of an array; the buffers live through the call.
        return unsafe withUnsafeBytes(of: &vectors) { raw in
            body(unsafe Packet(buffers: raw.bindMemory(to: iovec.self), metadata: metadata))
        }
    }

    /// Copies the frame, at most `destination.count` bytes of it. Returns how many.
    @discardableResult
    public func copyBytes(to destination: UnsafeMutableRawBufferPointer) -> Int {
        var reader = PacketReader(self)
        return unsafe reader.read(into: destination)
    }

    /// A copy of the frame, of at most `maximumByteCount` bytes.
    public var bytes: [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: min(byteCount, Self.maximumByteCount)) {
            buffer, count in
            count = unsafe copyBytes(to: UnsafeMutableRawBufferPointer(buffer))
        }
    }
}

/// How a packet is cut into frames of the wire's size.
public enum SegmentationType: UInt8, Sendable, Hashable, BitwiseCopyable {
    case none = 0
    case tcpv4 = 1
    case tcpv6 = 2
}

/// What is left to do about a packet, in the terms of `struct virtio_net_hdr` (virtio 1.2, 5.1.6) and
/// of Linux' `sk_buff`.
public struct PacketMetadata: Sendable, Hashable, BitwiseCopyable {
    /// The sum from `checksumStart` to the end is to be stored at `checksumStart + checksumOffset`,
    /// where the sum of the pseudo header is now (CHECKSUM_PARTIAL). Always set with a segmentation.
    public var needsChecksum = false
    /// Somebody trusted has checked the transport's checksum, or the packet never left the host.
    public var checksumValid = false
    /// First byte of the transport header, counted from the start of the frame.
    public var checksumStart: UInt16 = 0
    /// Where the checksum is in the transport header: TCP 16, UDP 6.
    public var checksumOffset: UInt16 = 0
    public var segmentation = SegmentationType.none
    /// TCP payload of each segment in bytes, all but the last; 0 without a segmentation.
    public var segmentByteCount: UInt16 = 0
    /// Bytes of the headers that each segment repeats; 0: unknown.
    public var headerByteCount: UInt16 = 0
    /// The TCP flag CWR is set, which belongs to the first segment alone.
    public var hasCongestionWindowReduced = false

    public init() {}

    /// Nothing is left to do, and the checksum is right.
    public static var valid: PacketMetadata {
        var result = PacketMetadata()
        result.checksumValid = true
        return result
    }
}

/// What one side leaves to the other.
public struct PacketOffloads: OptionSet, Sendable, Hashable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Packets may need their TCP or UDP checksum.
    public static let checksum = PacketOffloads(rawValue: 1)
    /// Packets may be TCP over IPv4 that is to be segmented. Means `checksum`.
    public static let tcpSegmentationV4 = PacketOffloads(rawValue: 2)
    /// Packets may be TCP over IPv6 that is to be segmented. Means `checksum`.
    public static let tcpSegmentationV6 = PacketOffloads(rawValue: 4)
    public static let all: PacketOffloads = [.checksum, .tcpSegmentationV4, .tcpSegmentationV6]

    /// Whether a packet may be passed on as it is.
    public func allow(_ metadata: PacketMetadata) -> Bool {
        switch metadata.segmentation {
        case .none: !metadata.needsChecksum || contains(.checksum)
        case .tcpv4: isSuperset(of: [.checksum, .tcpSegmentationV4])
        case .tcpv6: isSuperset(of: [.checksum, .tcpSegmentationV6])
        }
    }
}
