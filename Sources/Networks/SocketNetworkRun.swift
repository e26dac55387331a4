internal import CHost
internal import Glibc
internal import HostIO
internal import Synchronization

/// What a `SocketNetwork`'s thread does: the guest's packets onto the stream, the stream's to the guest.
///
/// Owner: the thread; `isConnected` is anybody's to read.
@safe final class SocketNetworkRun: @unchecked Sendable {
    /// Bytes of frames made ready for the stream; more wait in the queue.
    private static let outgoingLimit = 256 << 10
    private static let incomingCapacity = 256 << 10
    /// Between looks for the other side.
    private static let retryMilliseconds: CInt = 100

    private let link: SocketLink
    private let queue: SendQueue
    private let delivery: PacketDelivery
    private let counters: NetworkCounters
    private let segmentation = PacketSegmentation()
    private var arena = PacketArena(capacity: SendQueue.capacity)
    let isConnected = Atomic<Bool>(false)

    /// Frames with their lengths, not yet written from `outgoingStart` on.
    private var outgoing: [UInt8] = []
    private var outgoingStart = 0
    // SAFETY: `incomingCapacity` bytes, freed in `deinit`. What was read and not delivered yet is
    // from `incomingStart` to `incomingEnd`.
    private let incoming = UnsafeMutableRawBufferPointer.allocate(
        byteCount: SocketNetworkRun.incomingCapacity, alignment: 64)
    private var incomingStart = 0
    private var incomingEnd = 0

    init(
        link: SocketLink, queue: SendQueue, delivery: PacketDelivery, counters: NetworkCounters
    ) {
        self.link = link
        self.queue = queue
        self.delivery = delivery
        self.counters = counters
    }

    deinit { unsafe incoming.deallocate() }

    func run() {
        while !queue.isClosed {
            isConnected.store(link.connection >= 0, ordering: .releasing)
            if queue.takeResumed() {
                delivery.retry()
                deliverFrames()
            }
            takePackets()
            write()
            delivery.endBatch()
            wait()
        }
        link.disconnect()
        isConnected.store(false, ordering: .releasing)
    }

    private func wait() {
        let connected = link.connection >= 0
        let room = outgoing.count - outgoingStart < Self.outgoingLimit
        var events: CInt = 0
        if !delivery.isFull { events |= POLLIN }
        if outgoingStart < outgoing.count { events |= POLLOUT }
        var waits = [
            pollfd(fd: queue.wake.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(
                fd: connected && events != 0 ? link.connection : -1, events: Int16(events),
                revents: 0),
            pollfd(fd: link.listener, events: Int16(POLLIN), revents: 0),
        ]
        // With no room the queue is left alone, until the stream takes more.
        let mayWait = !room || (arena.isEmpty && queue.prepareToWait())
        let limit = connected || link.listener >= 0 ? -1 : Self.retryMilliseconds
        _ = unsafe poll(&waits, 3, mayWait ? limit : 0)
        if waits[0].revents != 0 { queue.wake.take() }
        if connected {
            if waits[2].revents != 0 { link.refuseOthers() }
            if waits[1].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0, !delivery.isFull {
                read()
            }
        } else {
            link.connect()
        }
    }

    /// The other side is gone: what was under way is lost, and half a frame is no frame.
    private func disconnect() {
        link.disconnect()
        outgoing.removeAll(keepingCapacity: true)
        (outgoingStart, incomingStart, incomingEnd) = (0, 0, 0)
    }

    // MARK: From the guest

    private func takePackets() {
        while outgoing.count - outgoingStart < Self.outgoingLimit {
            if arena.isEmpty {
                let (filled, producerWaited) = queue.exchange(arena)
                arena = filled
                if producerWaited { delivery.acceptAgain() }
                if arena.isEmpty { return }
            }
            guard let (frame, metadata) = unsafe arena.first else { return }
            if link.connection < 0 {
                counters.sent.drop()
            } else {
                unsafe prepare(frame, metadata)
            }
            arena.removeFirst()
        }
    }

    /// Makes frames of the wire's size.
    private func prepare(_ frame: UnsafeMutableRawBufferPointer, _ metadata: PacketMetadata) {
        if metadata.segmentation != .none {
            let cut = unsafe segmentation.segment(
                frame.readable, segmentByteCount: Int(metadata.segmentByteCount), enqueue)
            if !cut { counters.sent.error() }
            return
        }
        if metadata.needsChecksum,
            unsafe !PacketChecksum.complete(
                frame, start: Int(metadata.checksumStart), offset: Int(metadata.checksumOffset))
        {
            return counters.sent.error()
        }
        unsafe Packet.withBytes(frame.readable, enqueue)
    }

    private func enqueue(_ packet: Packet) {
        let byteCount = UInt32(truncatingIfNeeded: packet.byteCount)
        for shift in [24, 16, 8, 0] as [UInt32] {
            outgoing.append(UInt8(truncatingIfNeeded: byteCount >> shift))
        }
        for index in unsafe packet.buffers.indices {
            let part = unsafe packet.buffers[index]
            // SAFETY: a buffer of the packet.
            unsafe outgoing.append(
                contentsOf: UnsafeRawBufferPointer(start: part.iov_base, count: part.iov_len))
        }
    }

    private func write() {
        while link.connection >= 0, outgoingStart < outgoing.count {
            let descriptor = link.connection
            let sent = unsafe outgoing.withUnsafeBytes { bytes in
                let rest = unsafe bytes.part(outgoingStart..<bytes.count)
                // SAFETY: the bytes that are not written yet.
                return unsafe rest.baseAddress.map {
                    unsafe chost_send(descriptor, $0, UInt64(rest.count))
                } ?? 0
            }
            if sent > 0 {
                outgoingStart += Int(sent)
            } else if sent == -Int(EAGAIN) || sent == -Int(EINTR) {
                break
            } else {
                return disconnect()
            }
        }
        if outgoingStart == outgoing.count {
            outgoing.removeAll(keepingCapacity: true)
            outgoingStart = 0
        } else if outgoingStart > Self.outgoingLimit {
            outgoing.removeSubrange(0..<outgoingStart)
            outgoingStart = 0
        }
    }

    // MARK: To the guest

    private func read() {
        if incomingStart > 0 {
            // SAFETY: both ranges lie in the buffer; memmove(3) lets them overlap.
            unsafe incoming.copyMemory(from: incoming.readable.part(incomingStart..<incomingEnd))
            incomingEnd -= incomingStart
            incomingStart = 0
        }
        let room = unsafe incoming.part(incomingEnd..<incoming.count)
        let count = unsafe Glibc.read(link.connection, room.baseAddress, room.count)
        if count > 0 {
            incomingEnd += count
            deliverFrames()
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            disconnect()
        }
    }

    /// Gives the frames that are whole. A length that no frame has ends the connection: what follows
    /// cannot be told apart any more.
    private func deliverFrames() {
        while !delivery.isFull, incomingEnd - incomingStart >= 4 {
            let byteCount = unsafe Int(incoming.readable.big32(incomingStart))
            guard (14...Packet.maximumByteCount).contains(byteCount) else {
                counters.received.error()
                return disconnect()
            }
            guard incomingEnd - incomingStart - 4 >= byteCount else { return }
            let from = incomingStart + 4
            incomingStart = from + byteCount
            unsafe Packet.withBytes(
                incoming.readable.part(from..<from + byteCount), delivery.deliver)
        }
    }
}
