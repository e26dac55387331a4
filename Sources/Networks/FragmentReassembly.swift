/// Puts fragments of IPv4 datagrams together (RFC 791, 3.2).
///
/// libslirp 4.7 does it too, but fragments that a guest made up corrupt its memory: it gets none.
/// Bounded: the datagram that waits longest gives way. Overlapping fragments end their datagram (as
/// RFC 5722 has it for IPv6). Owner: a network's thread.
struct FragmentReassembly {
    private struct Key: Hashable {
        var source: UInt32
        var destination: UInt32
        var identification: UInt16
        var transportProtocol: UInt8
    }

    private struct Datagram {
        /// Ethernet and IP headers of the first fragment.
        var header: [UInt8] = []
        var payload: [UInt8] = []
        /// What of `payload` is there: in order, apart from each other.
        var parts: [Range<Int>] = []
        /// Bytes of the whole payload, once the last fragment came.
        var byteCount: Int?
        /// When its first fragment came, in nanoseconds.
        var start: UInt64
    }

    static let datagramLimit = 16
    /// Pieces that are apart; a sender in order makes one.
    static let partLimit = 64
    /// RFC 791 suggests 15 s, Linux waits for 30 s.
    static let lifetimeNanoseconds: UInt64 = 30_000_000_000

    private var datagrams: [Key: Datagram] = [:]
    var count: Int { datagrams.count }

    /// Takes a fragment. Returns the datagram in its frame if it is whole now.
    ///
    /// - Parameters:
    ///   - headers: of `frame`, IPv4.
    ///   - now: nanoseconds of the monotonic clock.
    mutating func add(
        _ frame: UnsafeRawBufferPointer, _ headers: PacketHeaders, now: UInt64
    ) -> [UInt8]? {
        let network = headers.networkOffset
        let key = unsafe Key(
            source: frame.big32(network + 12), destination: frame.big32(network + 16),
            identification: frame.big16(network + 4), transportProtocol: headers.transportProtocol)
        let word = unsafe frame.big16(network + 6)
        let from = Int(word & 0x1fff) * 8
        let hasMore = word & 0x2000 != 0
        let part = from..<from + (headers.end - headers.transportOffset)
        guard !part.isEmpty, !hasMore || part.count % 8 == 0,
            headers.transportOffset - network + part.upperBound <= 65535
        else { return nil }
        var datagram = take(key, now)
        guard insert(part, isLast: !hasMore, into: &datagram) else { return nil }
        if datagram.payload.count < part.upperBound {
            datagram.payload.append(
                contentsOf: repeatElement(0, count: part.upperBound - datagram.payload.count))
        }
        unsafe datagram.payload.replaceSubrange(
            part, with: frame.part(headers.transportOffset..<headers.end))
        if from == 0 { datagram.header = unsafe [UInt8](frame.part(0..<headers.transportOffset)) }
        if let byteCount = datagram.byteCount, datagram.parts == [0..<byteCount] {
            return whole(datagram, network)
        }
        datagrams[key] = datagram
        return nil
    }

    /// Takes the datagram of a key out, or a new one for which there is room.
    private mutating func take(_ key: Key, _ now: UInt64) -> Datagram {
        if let found = datagrams.removeValue(forKey: key),
            now &- found.start < Self.lifetimeNanoseconds
        {
            return found
        }
        if datagrams.count >= Self.datagramLimit,
            let oldest = datagrams.min(by: { $0.value.start < $1.value.start })
        {
            datagrams[oldest.key] = nil
        }
        return Datagram(start: now)
    }

    /// Notes that a part is there; false if it does not go with the others.
    private func insert(_ part: Range<Int>, isLast: Bool, into datagram: inout Datagram) -> Bool {
        let limit = datagram.byteCount ?? (isLast ? part.upperBound : .max)
        guard !isLast || part.upperBound == limit, part.upperBound <= limit,
            datagram.parts.last.map({ $0.upperBound <= limit }) ?? true,
            !datagram.parts.contains(where: { $0.overlaps(part) })
        else { return false }
        if isLast { datagram.byteCount = part.upperBound }
        var index =
            datagram.parts.firstIndex { $0.lowerBound >= part.upperBound }
            ?? datagram.parts.count
        var merged = part
        if index < datagram.parts.count, datagram.parts[index].lowerBound == merged.upperBound {
            merged = merged.lowerBound..<datagram.parts.remove(at: index).upperBound
        }
        if index > 0, datagram.parts[index - 1].upperBound == merged.lowerBound {
            index -= 1
            merged = datagram.parts.remove(at: index).lowerBound..<merged.upperBound
        }
        datagram.parts.insert(merged, at: index)
        return datagram.parts.count <= Self.partLimit
    }

    private func whole(_ datagram: Datagram, _ network: Int) -> [UInt8] {
        var frame = datagram.header + datagram.payload
        unsafe frame.withUnsafeMutableBytes { frame in
            unsafe frame.setBig16(UInt16(clamping: frame.count - network), at: network + 2)
            unsafe frame.setBig16(0, at: network + 6)
            if let headers = unsafe PacketHeaders(frame.readable) {
                unsafe PacketChecksum.completeNetworkHeader(frame, headers)
            }
        }
        return frame
    }
}
