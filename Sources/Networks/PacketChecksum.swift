/// The Internet checksum (RFC 1071) of packets.
public enum PacketChecksum {
    /// The sum of 16-bit words, before it is inverted. Parts may be of odd length.
    struct Sum {
        // In the byte order of the host: the sum does not depend on it (RFC 1071, 2 (B)).
        private var words: UInt64 = 0
        private var isOdd = false

        /// Adds bytes; at most 65557 in all are meant.
        mutating func add(_ bytes: UnsafeRawBufferPointer) {
            var sum = unsafe Self.words(bytes)
            if isOdd { sum = UInt64(Self.fold(sum).byteSwapped) }
            words &+= sum
            if bytes.count & 1 != 0 { isOdd.toggle() }
        }

        /// Adds a word; the bytes before must be even.
        mutating func add(_ word: UInt16) { words &+= UInt64(word.bigEndian) }

        /// The sum, as a number.
        var folded: UInt16 { UInt16(bigEndian: Self.fold(words)) }

        private static func fold(_ sum: UInt64) -> UInt16 {
            var sum = (sum & 0xffff_ffff) &+ (sum >> 32)
            sum = (sum & 0xffff) &+ (sum >> 16 & 0xffff) &+ (sum >> 32)
            sum = (sum & 0xffff) &+ (sum >> 16)
            sum = (sum & 0xffff) &+ (sum >> 16)
            return UInt16(truncatingIfNeeded: sum)
        }

        /// Sums 32-bit words into 64 bits, where no carry is lost; vector instructions do the first
        /// loop.
        private static func words(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
            guard let base = bytes.baseAddress else { return 0 }
            let count = bytes.count
            var (a, b, c, d): (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
            var offset = 0
            // SAFETY: every load ends at or before `count`.
            while offset &+ 16 <= count {
                let low = unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                let high = unsafe base.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self)
                a &+= low & 0xffff_ffff
                b &+= low &>> 32
                c &+= high & 0xffff_ffff
                d &+= high &>> 32
                offset &+= 16
            }
            while offset &+ 2 <= count {
                a &+= unsafe UInt64(base.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
                offset &+= 2
            }
            if offset < count {
                let last = unsafe UInt16(bytes[offset])
                // The missing byte is 0 and comes behind.
                a &+= UInt64((last << 8).bigEndian)
            }
            return a &+ b &+ c &+ d
        }
    }

    /// The checksum of bytes: the inverted sum.
    public static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt16 {
        var sum = Sum()
        unsafe sum.add(bytes)
        return ~sum.folded
    }

    /// The sum, not inverted, of the pseudo header that TCP and UDP checksums cover (RFC 9293, 3.1;
    /// RFC 8200, 8.1).
    ///
    /// - Parameter byteCount: of the transport header and what it carries.
    static func pseudoHeader(
        _ frame: UnsafeRawBufferPointer, _ headers: PacketHeaders, byteCount: Int
    ) -> UInt16 {
        var sum = Sum()
        let network = headers.networkOffset
        switch headers.version {
        case .v4: unsafe sum.add(frame.part(network + 12..<network + 20))
        case .v6: unsafe sum.add(frame.part(network + 8..<network + 40))
        }
        sum.add(UInt16(headers.transportProtocol))
        sum.add(UInt16(truncatingIfNeeded: byteCount))
        sum.add(UInt16(truncatingIfNeeded: byteCount >> 16))
        return sum.folded
    }

    /// Does what `metadata` leaves to do about the checksum of a frame: sums from `checksumStart` to the
    /// end, with the sum of the pseudo header that is in the field.
    ///
    /// False, and nothing is written, if the field does not lie in the frame.
    @discardableResult
    public static func complete(
        _ frame: UnsafeMutableRawBufferPointer, start: Int, offset: Int
    ) -> Bool {
        guard start >= 0, offset >= 0, start + offset + 2 <= frame.count else { return false }
        let sum = unsafe checksum(frame.readable.part(start..<frame.count))
        // What sums to 0 is sent as all ones: 0 means "no checksum" in UDP, and TCP takes either.
        unsafe frame.setBig16(sum == 0 ? 0xffff : sum, at: start + offset)
        return true
    }

    /// Makes the checksums of an IP packet right, whatever is in their fields: the IPv4 header's, and
    /// TCP's or UDP's. False if it is neither TCP nor UDP, or is a fragment.
    @discardableResult
    public static func complete(_ frame: UnsafeMutableRawBufferPointer) -> Bool {
        guard let headers = unsafe PacketHeaders(frame.readable) else { return false }
        unsafe completeNetworkHeader(frame, headers)
        guard let offset = headers.checksumOffset else { return false }
        unsafe setPseudoHeader(frame, headers, offset)
        return unsafe complete(
            frame.part(0..<headers.end), start: headers.transportOffset, offset: offset)
    }

    /// Makes a packet one whose checksum is left to do: puts the sum of the pseudo header in the field.
    /// For frames whose sender leaves the field blank and says not where it is. Nil if the packet is
    /// neither TCP nor UDP, or is a fragment.
    ///
    /// - Parameters:
    ///   - frame: its first bytes, at least the headers. Only the headers are read and written.
    ///   - frameByteCount: of the whole frame.
    public static func prepare(
        _ frame: UnsafeMutableRawBufferPointer, frameByteCount: Int
    ) -> PacketMetadata? {
        guard
            let headers = unsafe PacketHeaders(frame.readable, frameByteCount: frameByteCount),
            let offset = headers.checksumOffset
        else { return nil }
        unsafe setPseudoHeader(frame, headers, offset)
        return metadata(headers, offset)
    }

    static func metadata(_ headers: PacketHeaders, _ offset: Int) -> PacketMetadata {
        var result = PacketMetadata()
        result.needsChecksum = true
        result.checksumStart = UInt16(truncatingIfNeeded: headers.transportOffset)
        result.checksumOffset = UInt16(truncatingIfNeeded: offset)
        result.headerByteCount = UInt16(
            truncatingIfNeeded: headers.isTCP
                ? headers.payloadOffset : headers.transportOffset + 8)
        return result
    }

    static func setPseudoHeader(
        _ frame: UnsafeMutableRawBufferPointer, _ headers: PacketHeaders, _ offset: Int
    ) {
        let sum = unsafe pseudoHeader(
            frame.readable, headers, byteCount: headers.end - headers.transportOffset)
        unsafe frame.setBig16(sum, at: headers.transportOffset + offset)
    }

    /// Makes the checksum of an IPv4 header right. IPv6 has none.
    static func completeNetworkHeader(
        _ frame: UnsafeMutableRawBufferPointer, _ headers: PacketHeaders
    ) {
        guard headers.version == .v4 else { return }
        let network = headers.networkOffset
        let end = unsafe network + Int(frame.readable.byte(network) & 15) * 4
        unsafe frame.setBig16(0, at: network + 10)
        unsafe frame.setBig16(checksum(frame.readable.part(network..<end)), at: network + 10)
    }

    /// Whether the checksums of an IP packet are right. A UDP datagram over IPv4 may have none. Nil if
    /// it is not an IP packet that is whole.
    public static func isRight(_ frame: UnsafeRawBufferPointer) -> Bool? {
        guard let headers = unsafe PacketHeaders(frame) else { return nil }
        if headers.version == .v4 {
            let network = headers.networkOffset
            let end = unsafe network + Int(frame.byte(network) & 15) * 4
            guard unsafe checksum(frame.part(network..<end)) == 0 else { return false }
        }
        guard let offset = headers.checksumOffset else { return true }
        if headers.isUDP, headers.version == .v4,
            unsafe frame.big16(headers.transportOffset + offset) == 0
        {
            return true
        }
        var sum = Sum()
        unsafe sum.add(
            pseudoHeader(frame, headers, byteCount: headers.end - headers.transportOffset))
        unsafe sum.add(frame.part(headers.transportOffset..<headers.end))
        return sum.folded == 0xffff
    }
}
