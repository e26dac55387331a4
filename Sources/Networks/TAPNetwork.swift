internal import CHost
internal import Glibc
internal import HostIO
internal import Synchronization
public import Vocabulary

/// A TAP device of the host (Linux, Documentation/networking/tuntap.rst): what the guest sends arrives
/// at the interface `tap:NAME` of the host.
///
/// Frames go by `readv` and `writev` with the offloads of `IFF_VNET_HDR`: up to 64 KiB of TCP at a
/// time, checksums left open. `send` writes in the caller's thread.
public final class TAPNetwork: Network {
    public let name: String
    public let capabilities: NetworkCapabilities
    /// Of the host's interface.
    public let deviceName: String

    private let counters = NetworkCounters()
    private let descriptor: Descriptor
    private let wake: EventCounter
    private let resumed = Atomic<Bool>(false)
    private let stopping = Atomic<Bool>(false)
    private let running = RankedLock<Running?>(nil, owner: "tap", rank: .device)

    private struct Running: Sendable {
        var thread: HostThread
        var delivery: PacketDelivery
    }

    /// Attaches to a TAP device, makes it if there is none and the process may, and turns it on.
    ///
    /// - Parameters:
    ///   - name: of the guest's interface.
    ///   - device: of the host's, 1 to 15 bytes.
    public init(name: String, device: String) throws(XError) {
        self.name = name
        deviceName = device
        descriptor = try Self.open(device)
        wake = try EventCounter()
        let mtu = unsafe chost_interface_mtu(device)
        guard mtu > 0 else {
            throw XError(.notFound, "the TAP device '\(device)' is gone; make it again")
        }
        capabilities = NetworkCapabilities(mtu: min(max(Int(mtu), 68), 65535))
    }

    public var statistics: NetworkStatistics { counters.snapshot }

    /// Whether the host has an interface of this name, which `init` would attach to and not make.
    public static func isThere(device: String) -> Bool {
        unsafe chost_interface_mtu(device) >= 0
    }

    /// By which TAP devices are attached to.
    static let control = "/dev/net/tun"

    private static func open(_ device: String) throws(XError) -> Descriptor {
        let number = unsafe Glibc.open(control, O_RDWR | O_CLOEXEC | O_NONBLOCK)
        guard number >= 0 else { throw refusal(device, errno, control) }
        let descriptor = Descriptor(owning: number)
        let error = unsafe chost_tap_attach(number, device)
        guard error == 0 else { throw refusal(device, error, "the device") }
        if unsafe chost_interface_is_up(device) == 0 {
            let error = unsafe chost_interface_set_up(device)
            guard error == 0 else {
                throw XError(
                    .hostCall,
                    "the TAP device '\(device)' is down and cannot be turned on: "
                        + "\(HostErrno(rawValue: error)); run: sudo ip link set \(device) up",
                    cause: HostErrno(rawValue: error))
            }
        }
        return descriptor
    }

    /// Why a device cannot be used, and what to do.
    static func refusal(_ device: String, _ number: CInt, _ what: String) -> XError {
        let error = HostErrno(rawValue: number)
        let make =
            "sudo ip tuntap add dev \(device) mode tap user $USER && sudo ip link set \(device) up"
        let advice =
            switch number {
            case ENOENT, ENODEV, ENXIO:
                "load the module (sudo modprobe tun) or give the container --device /dev/net/tun"
            case EACCES where what == Self.control:
                "let users open it, sudo chmod 666 \(what), and make a device that you may use: \(make)"
            case EPERM, EACCES: "make a device that you may use: \(make)"
            case EBUSY: "another program uses it; end that or take another device"
            case EINVAL: "an interface of this name is no TAP device; take another name"
            case ENAMETOOLONG: "names of interfaces have at most 15 bytes"
            default: "or use 'user', which needs no device"
            }
        return XError(
            .hostCall, "cannot use the TAP device '\(device)': \(what): \(error); \(advice)",
            cause: error)
    }

    public func start(sink: any PacketSink, offloads: PacketOffloads) throws(XError) {
        let delivery = PacketDelivery(
            sink: sink, offloads: offloads, mtu: capabilities.mtu, counters: counters)
        setDeviceOffloads(offloads)
        let thread = try HostThread.spawn(name: "net/\(name)") { [self] in run(delivery) }
        running.withLock { $0 = Running(thread: thread, delivery: delivery) }
    }

    public func setOffloads(_ offloads: PacketOffloads) {
        setDeviceOffloads(offloads)
        running.withLock { $0 }?.delivery.offloads = offloads
    }

    /// A host that refuses sends plain frames; `PacketDelivery` does what is missing then.
    private func setDeviceOffloads(_ offloads: PacketOffloads) {
        _ = chost_tap_set_offload(
            descriptor.rawValue, offloads.contains(.checksum) ? 1 : 0,
            offloads.contains(.tcpSegmentationV4) ? 1 : 0,
            offloads.contains(.tcpSegmentationV6) ? 1 : 0)
    }

    /// Writes the frame in the calling thread; a device that takes no more loses it, as a wire does.
    public func send(_ packet: Packet) -> SendOutcome {
        let count = unsafe packet.buffers.count
        guard packet.byteCount >= 14, packet.byteCount <= Packet.maximumByteCount, count < 256
        else {
            counters.sent.error()
            return .accepted
        }
        var header = TAPHeader.make(packet.metadata)
        let written = unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: count + 1) {
            vectors in
            unsafe withUnsafeMutableBytes(of: &header) { header in
                unsafe vectors.initializeElement(
                    at: 0, to: iovec(iov_base: header.baseAddress, iov_len: header.count))
                for index in 0..<count {
                    unsafe vectors.initializeElement(at: index + 1, to: packet.buffers[index])
                }
                // SAFETY: header and buffers live through the call. The host checks what they say.
                return unsafe writev(
                    descriptor.rawValue, vectors.baseAddress, CInt(truncatingIfNeeded: count + 1))
            }
        }
        if written > 0 {
            counters.sent.count(packet.byteCount)
        } else if errno == EAGAIN || errno == ENOBUFS || errno == EIO {
            // EIO: the interface is down.
            counters.sent.drop()
        } else {
            counters.sent.error()
        }
        return .accepted
    }

    public func resume() {
        resumed.store(true, ordering: .releasing)
        wake.signal()
    }

    public func stop() {
        stopping.store(true, ordering: .releasing)
        wake.signal()
        let old = running.withLock { running in
            defer { running = nil }
            return running
        }
        old?.thread.join()
    }

    deinit { stop() }

    // MARK: The thread

    /// Frames that are read before the sink is told of them.
    private static let batch = 64

    private func run(_ delivery: PacketDelivery) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Packet.maximumByteCount, alignment: 64)
        defer { unsafe buffer.deallocate() }
        while !stopping.load(ordering: .acquiring) {
            var waits = [
                pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0),
                // -1 is passed over.
                pollfd(
                    fd: delivery.isFull ? -1 : descriptor.rawValue, events: Int16(POLLIN),
                    revents: 0),
            ]
            _ = unsafe poll(&waits, 2, -1)
            if waits[0].revents != 0 { wake.take() }
            if resumed.exchange(false, ordering: .acquiringAndReleasing) { delivery.retry() }
            for _ in 0..<Self.batch where !delivery.isFull {
                guard unsafe readOne(buffer, delivery) else { break }
            }
            delivery.endBatch()
            if waits[1].revents & Int16(POLLERR | POLLHUP | POLLNVAL) != 0 {
                // The device was removed. Once a second is enough to look for the end.
                counters.received.error()
                var pause = [pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0)]
                _ = unsafe poll(&pause, 1, 1000)
            }
        }
    }

    /// Reads a frame and gives it away. False if there is none.
    private func readOne(
        _ buffer: UnsafeMutableRawBufferPointer, _ delivery: PacketDelivery
    ) -> Bool {
        var header = chost_tap_header()
        let count = unsafe withUnsafeMutableBytes(of: &header) { header in
            var vectors = unsafe (
                iovec(iov_base: header.baseAddress, iov_len: header.count),
                iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
            )
            // SAFETY: a tuple of one type has the layout of an array.
            return unsafe withUnsafeBytes(of: &vectors) {
                unsafe readv(
                    descriptor.rawValue, $0.bindMemory(to: iovec.self).baseAddress, 2)
            }
        }
        let byteCount = count - MemoryLayout<chost_tap_header>.size
        guard byteCount >= 14, byteCount <= buffer.count else { return false }
        guard let metadata = TAPHeader.metadata(header) else {
            counters.received.error()
            return true
        }
        unsafe Packet.withBytes(
            buffer.readable.part(0..<byteCount), metadata: metadata, delivery.deliver)
        return true
    }
}

/// `PacketMetadata` in the host's words.
enum TAPHeader {
    static func make(_ metadata: PacketMetadata) -> chost_tap_header {
        var result = chost_tap_header()
        if metadata.needsChecksum {
            result.flags = UInt8(CHOST_TAP_NEEDS_CSUM)
            result.csum_start = metadata.checksumStart
            result.csum_offset = metadata.checksumOffset
        } else if metadata.checksumValid {
            result.flags = UInt8(CHOST_TAP_DATA_VALID)
        }
        switch metadata.segmentation {
        case .none: break
        case .tcpv4: result.gso_type = UInt8(CHOST_TAP_GSO_TCPV4)
        case .tcpv6: result.gso_type = UInt8(CHOST_TAP_GSO_TCPV6)
        }
        if metadata.segmentation != .none {
            result.gso_size = metadata.segmentByteCount
            if metadata.hasCongestionWindowReduced { result.gso_type |= UInt8(CHOST_TAP_GSO_ECN) }
        }
        result.hdr_len = metadata.headerByteCount
        return result
    }

    /// Nil for a segmentation that was not asked for.
    static func metadata(_ header: chost_tap_header) -> PacketMetadata? {
        var result = PacketMetadata()
        result.needsChecksum = header.flags & UInt8(CHOST_TAP_NEEDS_CSUM) != 0
        result.checksumValid = header.flags & UInt8(CHOST_TAP_DATA_VALID) != 0
        if result.needsChecksum {
            result.checksumStart = header.csum_start
            result.checksumOffset = header.csum_offset
        }
        result.headerByteCount = header.hdr_len
        switch CInt(header.gso_type & ~UInt8(CHOST_TAP_GSO_ECN)) {
        case 0: return result
        case CInt(CHOST_TAP_GSO_TCPV4): result.segmentation = .tcpv4
        case CInt(CHOST_TAP_GSO_TCPV6): result.segmentation = .tcpv6
        default: return nil
        }
        result.segmentByteCount = header.gso_size
        result.hasCongestionWindowReduced = header.gso_type & UInt8(CHOST_TAP_GSO_ECN) != 0
        return result
    }
}
