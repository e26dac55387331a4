internal import Glibc
internal import Interrupts
public import Networks
internal import Synchronization

// What comes from the network, on its thread.
extension NetworkBackend: PacketSink {
    public func receive(_ packet: Packet) -> Bool {
        let count = connectedQueueCount.load(ordering: .acquiring)
        guard count > 0, let first = unsafe packet.buffers.first else {
            strays.wrappingAdd(1, ordering: .relaxed)
            return true
        }
        // SAFETY: the network's buffer, whole during this call.
        let head = unsafe UnsafeRawBufferPointer(start: first.iov_base, count: first.iov_len)
        guard unsafe filter.allows(head) else { return true }
        let hashed = unsafe control.hash(of: head, frameByteCount: packet.byteCount)
        let queue =
            unsafe hashed?.queue ?? Self.queue(head, packet.byteCount, of: count)
        return queues[queue].receiver.receive(packet, hash: hashed?.value) != .full
    }

    public func receivedBatch() {
        for queue in queues.prefix(connectedQueueCount.load(ordering: .acquiring)) {
            queue.receiver.notify()
        }
    }

    public func networkAcceptsAgain() {
        for queue in queues.prefix(connectedQueueCount.load(ordering: .acquiring)) {
            queue.transmitter.context.signal()
        }
    }

    /// The same queue for all packets of a connection.
    private static func queue(
        _ frame: UnsafeRawBufferPointer, _ byteCount: Int, of count: Int
    ) -> Int {
        guard count > 1,
            let headers = unsafe PacketHeaders(frame, frameByteCount: byteCount)
        else { return 0 }
        let isV4 = headers.version == .v4
        let start = headers.networkOffset + (isV4 ? 12 : 8)
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func mix(_ range: Range<Int>) {
            for index in range {
                hash = unsafe (hash ^ UInt64(frame[index])) &* 0x100_0000_01b3
            }
        }
        mix(start..<start + (isV4 ? 8 : 32))
        if headers.isTCP || headers.isUDP {
            mix(headers.transportOffset..<headers.transportOffset + 4)
        }
        return Int((hash ^ hash >> 32) & 0xffff_ffff) % count
    }
}
