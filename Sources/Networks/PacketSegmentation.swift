/// Cuts packets that are larger than the wire takes into frames: TCP segments and IP fragments.
///
/// What network cards do (TSO), in software. One thread at a time.
@safe final class PacketSegmentation {
    /// Smallest segment that is cut: Linux' own bound is 48 bytes without 40 of options. Less would
    /// let a guest make tens of thousands of frames of one.
    static let smallestSegmentByteCount = 8
    /// IPv4 with options, IPv6 with extensions, TCP with options, VLAN tags.
    private static let headerCapacity = 512

    // SAFETY: allocated in `init`, freed in `deinit`, used in calls only.
    private let header = UnsafeMutableRawBufferPointer.allocate(
        byteCount: PacketSegmentation.headerCapacity, alignment: 8)
    private var fragmentIdentification: UInt32 = 0

    deinit { unsafe header.deallocate() }

    /// Cuts a TCP packet. Each segment has the headers with its own lengths, sequence number, IPv4
    /// identification, flags and checksums; the last is shorter. `body` is called for each in order;
    /// its frame has the headers in one buffer and the payload, where it is in `frame`, in another.
    ///
    /// FIN and PSH are the last segment's, CWR the first's (RFC 3168, 6.1.2), as `tcp_gso_segment` of
    /// Linux does it.
    ///
    /// - Returns: false, and `body` was not called, if this is no TCP packet or cannot be cut so.
    func segment(
        _ frame: UnsafeRawBufferPointer, segmentByteCount: Int, _ body: (Packet) -> Void
    ) -> Bool {
        guard let headers = unsafe PacketHeaders(frame), headers.isTCP,
            segmentByteCount >= Self.smallestSegmentByteCount,
            let template = unsafe copyHeader(frame, headers.payloadOffset)
        else { return false }
        let flags = unsafe frame.byte(headers.transportOffset + 13)
        let sequence = unsafe frame.big32(headers.transportOffset + 4)
        let identification = unsafe frame.big16(headers.networkOffset + 4)
        // A SYN or RST with segments is nonsense that would be repeated.
        guard flags & 0x06 == 0 || headers.end - headers.payloadOffset <= segmentByteCount else {
            return false
        }
        var offset = headers.payloadOffset
        var index = 0
        repeat {
            let next = min(offset + segmentByteCount, headers.end)
            let payload = unsafe frame.part(offset..<next)
            unsafe template.setBig32(
                sequence &+ UInt32(truncatingIfNeeded: offset - headers.payloadOffset),
                at: headers.transportOffset + 4)
            var own = flags
            if next < headers.end { own &= ~0x09 }
            if index > 0 { own &= ~0x80 }
            unsafe template.setByte(own, at: headers.transportOffset + 13)
            unsafe setLength(template, headers, payload.count)
            if headers.version == .v4 {
                unsafe template.setBig16(
                    identification &+ UInt16(truncatingIfNeeded: index),
                    at: headers.networkOffset + 4)
                unsafe PacketChecksum.completeNetworkHeader(template, headers)
            }
            unsafe setChecksum(template, headers, payload)
            unsafe Packet.withBytes(template.readable, payload, metadata: .valid, body)
            offset = next
            index += 1
        } while offset < headers.end
        return true
    }

    private func copyHeader(
        _ frame: UnsafeRawBufferPointer, _ count: Int
    ) -> UnsafeMutableRawBufferPointer? {
        guard unsafe count <= header.count, count <= frame.count else { return nil }
        unsafe header.copyMemory(from: frame.part(0..<count))
        return unsafe header.part(0..<count)
    }

    private func setLength(
        _ template: UnsafeMutableRawBufferPointer, _ headers: PacketHeaders, _ payload: Int
    ) {
        let network = headers.networkOffset
        let byteCount = UInt16(clamping: template.count - network + payload)
        switch headers.version {
        case .v4: unsafe template.setBig16(byteCount, at: network + 2)
        case .v6: unsafe template.setBig16(byteCount &- 40, at: network + 4)
        }
    }

    private func setChecksum(
        _ template: UnsafeMutableRawBufferPointer, _ headers: PacketHeaders,
        _ payload: UnsafeRawBufferPointer
    ) {
        unsafe template.setBig16(0, at: headers.transportOffset + 16)
        var sum = PacketChecksum.Sum()
        unsafe sum.add(
            PacketChecksum.pseudoHeader(
                template.readable, headers,
                byteCount: headers.tcpHeaderByteCount + payload.count))
        unsafe sum.add(template.readable.part(headers.transportOffset..<headers.payloadOffset))
        unsafe sum.add(payload)
        unsafe template.setBig16(~sum.folded, at: headers.transportOffset + 16)
    }

    /// Cuts an IP packet into fragments for a wire whose frames have `mtu` bytes of IP (RFC 791, 3.2;
    /// RFC 8200, 4.5). The checksum of what it carries must be right. Frames as in `segment`.
    ///
    /// - Returns: false, and `body` was not called, if it is no IP packet or a fragment of one.
    func fragment(
        _ frame: UnsafeRawBufferPointer, mtu: Int, _ body: (Packet) -> Void
    ) -> Bool {
        guard let headers = unsafe PacketHeaders(frame), !headers.isFragment, mtu >= 576
        else { return false }
        switch headers.version {
        case .v4: return unsafe fragmentV4(frame, headers, mtu, body)
        case .v6: return unsafe fragmentV6(frame, headers, mtu, body)
        }
    }

    private func fragmentV4(
        _ frame: UnsafeRawBufferPointer, _ headers: PacketHeaders, _ mtu: Int,
        _ body: (Packet) -> Void
    ) -> Bool {
        guard let template = unsafe copyHeader(frame, headers.transportOffset) else { return false }
        let network = headers.networkOffset
        let step = (mtu - (headers.transportOffset - network)) & ~7
        for offset in stride(from: headers.transportOffset, to: headers.end, by: step) {
            let next = min(offset + step, headers.end)
            let place = UInt16(truncatingIfNeeded: (offset - headers.transportOffset) / 8)
            unsafe template.setBig16(place | (next < headers.end ? 0x2000 : 0), at: network + 6)
            unsafe setLength(template, headers, next - offset)
            unsafe PacketChecksum.completeNetworkHeader(template, headers)
            unsafe Packet.withBytes(
                template.readable, frame.part(offset..<next), metadata: PacketMetadata(), body)
        }
        return true
    }

    /// The fragment header comes behind the fixed header; what slirp sends has no extensions.
    private func fragmentV6(
        _ frame: UnsafeRawBufferPointer, _ headers: PacketHeaders, _ mtu: Int,
        _ body: (Packet) -> Void
    ) -> Bool {
        let network = headers.networkOffset
        let first = network + 40
        guard unsafe copyHeader(frame, first) != nil else { return false }
        let template = unsafe header.part(0..<first + 8)
        unsafe template.setByte(template.readable.byte(network + 6), at: first)
        unsafe template.setByte(44, at: network + 6)
        unsafe template.setByte(0, at: first + 1)
        fragmentIdentification &+= 1
        unsafe template.setBig32(fragmentIdentification, at: first + 4)
        let step = (mtu - 48) & ~7
        for offset in stride(from: first, to: headers.end, by: step) {
            let next = min(offset + step, headers.end)
            let place = UInt16(truncatingIfNeeded: offset - first) & 0xfff8
            unsafe template.setBig16(place | (next < headers.end ? 1 : 0), at: first + 2)
            unsafe setLength(template, headers, next - offset)
            unsafe Packet.withBytes(
                template.readable, frame.part(offset..<next), metadata: PacketMetadata(), body)
        }
        return true
    }
}
