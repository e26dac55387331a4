internal import HostIO
public import Vocabulary

extension DiskImage {
    /// Makes a disk larger or smaller.
    ///
    /// - Parameters:
    ///   - byteCount: rounded up to 512.
    ///   - allowShrink: a smaller size is refused without it; of qcow2 images also with it unless what is
    ///     cut off is unused. Of raw images what is cut off is lost.
    public static func resize(
        path: String, format: DiskFormat, byteCount: UInt64, allowShrink: Bool = false
    ) throws(XError) {
        try noNetwork(format, "resize")
        guard byteCount <= UInt64(Int64.max) - 511 else {
            throw XError(.invalidArgument, "\(byteCount) bytes are more than a file can have")
        }
        let count = (byteCount + 511) & ~511
        try withLoop { loop throws(XError) in
            func refuseShrinking(_ old: UInt64) throws(XError) {
                if count < old, !allowShrink {
                    throw XError(
                        .invalidArgument,
                        "the disk '\(path)' has \(old) bytes, and \(count) would cut off its end: say "
                            + "that it may shrink")
                }
            }
            if format == .raw {
                let file = try HostFile(path: path, isWritable: true, loop: loop)
                guard !file.isBlockDevice else {
                    throw XError(.unsupported, "'\(path)' is a block device and keeps its size")
                }
                try refuseShrinking(try file.byteCount())
                try file.setByteCount(count)
                return
            }
            let image = try QCOW2Image.opening(path, isWritable: true, loop: loop)
            try refuseShrinking(image.byteCount)
            let isDone = try loop.blocking { () async throws(XError) in
                do throws(HostErrno) {
                    let isDone = try await image.resize(count)
                    try await image.finish()
                    return isDone
                } catch {
                    throw image.file.failure("resize", error)
                }
            }
            if !isDone {
                throw XError(
                    .invalidArgument,
                    "the disk '\(path)' holds data behind byte \(count), or would need too large a table:"
                        + " give another size")
            }
        }
    }
}

extension QCOW2Image {
    /// Changes the size of an image: one that is in use only grows. False if data would be cut off, or the
    /// size is too large for the clusters.
    func resize(_ newSize: UInt64) async throws(HostErrno) -> Bool {
        let old = header.virtualSize
        if newSize < old {
            let size = UInt64(header.clusterSize)
            var position = (newSize &+ size &- 1) & ~(size &- 1)
            while position < old {
                let (mapping, count) = try await mapping(position, most: old &- position)
                switch mapping {
                case .absent, .zero: position &+= count
                default: return false
                }
            }
        } else {
            let wanted = QCOW2Header.l1Count(newSize, clusterBits: header.clusterBits)
            guard wanted * 8 <= UInt64(QCOW2Header.largestL1ByteCount) else { return false }
            if Int(wanted) > l1.count { try await growL1(Int(wanted)) }
            // What was behind the end, in the last cluster or below, is not the guest's.
            let size = UInt64(header.clusterSize)
            let clusterEnd = (old &+ size &- 1) & ~(size &- 1)
            let end = min(newSize, max(clusterEnd, backing?.byteCount ?? 0))
            if end > old {
                let before = header.virtualSize
                header.virtualSize = newSize
                defer { header.virtualSize = before }
                try await zero(old, end &- old, mayUnmap: true)
            }
        }
        try await flush()
        header.virtualSize = newSize
        try await writeHeader()
        try await flush()
        return true
    }

    /// Makes the L1 table longer, in a new place.
    private func growL1(_ count: Int) async throws(HostErrno) {
        await lockTables()
        defer { unlockTables() }
        let size = header.clusterSize
        let clusters = (count * 8 + size - 1) / size
        let first = try await allocateRun(UInt64(clusters))
        var entries = l1
        entries += [UInt64](repeating: 0, count: count - l1.count)
        let buffer = IOBuffer(byteCount: clusters * size)
        for (index, entry) in entries.enumerated() { buffer.store64(index * 8, entry) }
        try await file.write(clusterOffset(first), Segments(buffer))
        try await commit()
        let old = (clusterIndex(header.l1Offset), (l1.count * 8 + size - 1) / size)
        header.l1Offset = clusterOffset(first)
        header.l1Count = count
        try await writeHeader()
        l1 = entries
        for index in 0..<UInt64(clusters) { metadataClusters.insert(first &+ index) }
        for index in 0..<UInt64(old.1) where old.0 != 0 {
            metadataClusters.remove(old.0 &+ index)
            releasable.append((old.0 &+ index, nextRequest))
        }
    }

    /// So many free clusters in a row. With the tables locked.
    private func allocateRun(_ count: UInt64) async throws(HostErrno) -> UInt64 {
        var start: UInt64 = 0
        var length: UInt64 = 0
        var unused: [UInt64] = []
        while length < count {
            let (first, got) = try await allocate(count &- length)
            if first != start &+ length || length == 0 {
                for index in 0..<length { unused.append(start &+ index) }
                start = first
                length = 0
            }
            length &+= got
        }
        for cluster in unused { try await setRefcount(cluster, 0) }
        return start
    }
}
