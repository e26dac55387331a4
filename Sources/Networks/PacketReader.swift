internal import Glibc

/// Reads a packet's bytes in order, piece by piece, each once.
///
/// As valid as its packet is.
@safe public struct PacketReader {
    private let packet: Packet
    /// The buffer that is read, and how much of it was.
    private var index = 0
    private var offset = 0

    public init(_ packet: Packet) { self.packet = packet }

    /// Copies the next bytes, at most `destination.count`. Returns how many; less: the packet has ended.
    public mutating func read(into destination: UnsafeMutableRawBufferPointer) -> Int {
        var done = 0
        while done < destination.count, unsafe index < packet.buffers.count {
            let part = unsafe packet.buffers[index]
            let count = unsafe min(part.iov_len - offset, destination.count - done)
            guard count > 0, let source = unsafe part.iov_base,
                let target = destination.baseAddress
            else {
                (index, offset) = (index + 1, 0)
                continue
            }
            // SAFETY: `count` bytes of the part are left, and as many of the destination.
            unsafe memcpy(target + done, source + offset, count)
            done += count
            offset += count
        }
        return done
    }
}
