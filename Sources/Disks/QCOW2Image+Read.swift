internal import CZlib
internal import CZstd
internal import HostIO

/// Reading: clusters from the file, packed ones unpacked, the rest from the backing image.
extension QCOW2Image {
    func read(_ offset: UInt64, _ segments: Segments) async throws(HostErrno) {
        let request = beginRequest()
        defer { endRequest(request) }
        try await readMapped(offset, segments)
    }

    /// As `read`, for requests that are counted already.
    func readMapped(_ offset: UInt64, _ segments: Segments) async throws(HostErrno) {
        var done = 0
        while done < segments.byteCount {
            let position = offset &+ UInt64(done)
            let (mapping, count) = try await mapping(
                position, most: UInt64(segments.byteCount - done))
            let part = segments.slice(done, Int(count))
            let within = position & UInt64(header.clusterSize - 1)
            switch mapping {
            case .zero: part.zero()
            case .absent: try await readBacking(position, part)
            case .data(let start, _): try await file.read(start &+ within, part)
            case .compressed(let start, let byteCount):
                let cluster = try await unpack(start, byteCount)
                unsafe part.fill(
                    from: UnsafeRawBufferPointer(rebasing: cluster.bytes[Int(within)...]))
            case .broken: throw .ioError
            }
            done += Int(count)
        }
    }

    /// The bytes below this image; zeros behind its end.
    func readBacking(_ offset: UInt64, _ segments: Segments) async throws(HostErrno) {
        let end = backing?.byteCount ?? 0
        let there = offset < end ? min(end - offset, UInt64(segments.byteCount)) : 0
        if let backing, there > 0 {
            try await backing.read(offset, segments.slice(0, Int(there)))
        }
        segments.slice(Int(there), segments.byteCount).zero()
    }

    /// The bytes of a packed cluster.
    private func unpack(_ offset: UInt64, _ byteCount: Int) async throws(HostErrno) -> IOBuffer {
        if let unpacked, unpacked.offset == offset { return unpacked.bytes }
        let packed = try await file.load(offset, byteCount)
        let cluster = IOBuffer(byteCount: header.clusterSize)
        let isWhole =
            header.isZstandard
            ? Self.unpackZstandard(packed, cluster) : Self.unpackDeflate(packed, cluster)
        guard isWhole else { throw .ioError }
        unpacked = (offset, cluster)
        return cluster
    }

    /// Raw deflate with a window of 4 KiB, whose end is the cluster's, not the input's.
    private static func unpackDeflate(_ packed: IOBuffer, _ cluster: IOBuffer) -> Bool {
        var stream = unsafe z_stream()
        let size = unsafe Int32(MemoryLayout<z_stream>.size)
        guard unsafe inflateInit2_(&stream, -12, ZLIB_VERSION, size) == Z_OK else { return false }
        defer { unsafe inflateEnd(&stream) }
        unsafe stream.next_in = packed.bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.avail_in = UInt32(clamping: packed.byteCount)
        unsafe stream.next_out = cluster.bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.avail_out = UInt32(clamping: cluster.byteCount)
        let status = unsafe inflate(&stream, Z_FINISH)
        // SAFETY: both buffers outlive the call, which keeps to their sizes.
        return unsafe (status == Z_STREAM_END || status == Z_BUF_ERROR) && stream.avail_out == 0
    }

    private static func unpackZstandard(_ packed: IOBuffer, _ cluster: IOBuffer) -> Bool {
        guard let stream = unsafe ZSTD_createDStream() else { return false }
        defer { unsafe ZSTD_freeDStream(stream) }
        var source = unsafe ZSTD_inBuffer(
            src: packed.bytes.baseAddress, size: packed.byteCount, pos: 0)
        var target = unsafe ZSTD_outBuffer(
            dst: cluster.bytes.baseAddress, size: cluster.byteCount, pos: 0)
        while unsafe target.pos < target.size {
            let before = unsafe (source.pos, target.pos)
            // SAFETY: as above.
            let result = unsafe ZSTD_decompressStream(stream, &target, &source)
            if ZSTD_isError(result) != 0 { return false }
            if unsafe (source.pos, target.pos) == before { return false }
            if result == 0 { break }
        }
        return unsafe target.pos == target.size
    }

    /// What this image has from a byte on, not looking below it.
    func extent(_ offset: UInt64, most: UInt64) async throws(HostErrno) -> ImageExtent {
        let (mapping, count) = try await mapping(offset, most: most)
        switch mapping {
        case .absent:
            guard let backing else { return ImageExtent(kind: .zero, byteCount: count) }
            guard offset < backing.byteCount else {
                return ImageExtent(kind: .zero, byteCount: count)
            }
            return ImageExtent(
                kind: .absent, byteCount: min(count, backing.byteCount - offset))
        case .zero: return ImageExtent(kind: .zero, byteCount: count)
        default: return ImageExtent(kind: .data, byteCount: count)
        }
    }
}
