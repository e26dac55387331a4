internal import HostIO

/// Writing: in place where the guest's cluster is there, into new clusters where it is not.
extension QCOW2Image {
    func write(_ offset: UInt64, _ segments: Segments) async throws(HostErrno) {
        try requireWritable()
        let request = beginRequest()
        defer { endRequest(request) }
        try await writeMapped(offset, segments)
    }

    private func writeMapped(_ offset: UInt64, _ segments: Segments) async throws(HostErrno) {
        let size = UInt64(header.clusterSize)
        var done = 0
        while done < segments.byteCount {
            let position = offset &+ UInt64(done)
            let cluster = clusterIndex(position)
            await waitForChange(cluster)
            let (mapping, count) = try await mapping(
                position, most: UInt64(segments.byteCount - done))
            switch mapping {
            case .broken: throw .ioError
            case .data(let start, isOwned: true):
                let within = position & (size - 1)
                let range = clusterIndex(start)...clusterIndex(start &+ within &+ count &- 1)
                for target in range where metadataClusters.contains(target) { throw .ioError }
                // A whole image has no cluster behind the end of its file.
                guard range.upperBound < clusterIndex(highWater &+ size &- 1) else {
                    throw .ioError
                }
                try await file.write(start &+ within, segments.slice(done, Int(count)))
                done += Int(count)
            default:
                // Loading the table may have let somebody in.
                if changing[cluster] != nil { continue }
                done += try await writeNew(
                    position, segments.slice(done, segments.byteCount - done))
            }
        }
    }

    /// Clusters from `first` on, up to `last`, that have no place of their own in the file and whose
    /// mapping nobody changes: at least one.
    private func newRun(_ first: UInt64, _ last: UInt64) -> UInt64 {
        let place = indices(first)
        let table = cachedL2(place.l1)
        if table == nil, hasL2(place.l1) { return 1 }
        var count: UInt64 = 1
        while first &+ count <= last, place.l2 + Int(count) < header.l2Entries,
            changing[first &+ count] == nil
        {
            if let table {
                switch ClusterMapping(table.entry(place.l2 + Int(count)), header) {
                case .data(_, isOwned: true), .broken: return count
                default: break
                }
            }
            count &+= 1
        }
        return count
    }

    /// Writes the first bytes of the segments into new clusters and gives these to the guest. Returns how
    /// many bytes.
    private func writeNew(_ offset: UInt64, _ segments: Segments) async throws(HostErrno) -> Int {
        let size = UInt64(header.clusterSize)
        let first = clusterIndex(offset)
        let last = clusterIndex(offset &+ UInt64(segments.byteCount) &- 1)
        let wanted = newRun(first, last)
        let range = first..<(first &+ wanted)
        for cluster in range { changing[cluster] = [] }
        defer { endChange(range) }

        let (target, count, isVirgin) = try await allocateLocked(wanted)
        let end = min(
            offset &+ UInt64(segments.byteCount), clusterOffset(first &+ count))
        let byteCount = Int(end &- offset)
        do throws(HostErrno) {
            let head = offset & (size - 1)
            let tail = clusterOffset(first &+ count) &- end
            let before = try await oldBytes(offset &- head, head, isVirgin)
            let after = try await oldBytes(end, tail, isVirgin)
            var all = Segments()
            if let before { all.append(Segments(before)) }
            all.append(segments.slice(0, byteCount))
            if let after { all.append(Segments(after)) }
            let start = clusterOffset(target) &+ (before == nil ? head : 0)
            try await file.write(start, all)
            try await publish(first, target, count)
        } catch {
            await lockTables()
            for cluster in target..<(target &+ count) { try? await changeRefcount(cluster, by: -1) }
            unlockTables()
            throw error
        }
        return byteCount
    }

    /// What the rest of a new cluster must hold: the guest's bytes so far. nil: nothing needs to be
    /// written, because they are zeros and the file has zeros there.
    private func oldBytes(
        _ offset: UInt64, _ byteCount: UInt64, _ isVirgin: Bool
    ) async throws(HostErrno) -> IOBuffer? {
        if byteCount == 0 { return nil }
        if isVirgin, try await readsAsZero(offset, byteCount) { return nil }
        let buffer = IOBuffer(byteCount: Int(byteCount))
        // Behind the end of the disk there is nothing to read.
        if offset < header.virtualSize {
            try await readMapped(
                offset, buffer.slice(0, Int(min(byteCount, header.virtualSize &- offset))))
        }
        return buffer
    }

    /// Whether a range within one cluster of the guest is known to be zeros.
    func readsAsZero(_ offset: UInt64, _ byteCount: UInt64) async throws(HostErrno) -> Bool {
        if offset >= header.virtualSize { return true }
        let (mapping, _) = try await mapping(offset, most: byteCount)
        switch mapping {
        case .zero: return true
        case .absent: return offset >= (backing?.byteCount ?? 0)
        default: return false
        }
    }

    /// Points the guest's clusters at new ones of the file, whose data is written.
    private func publish(
        _ first: UInt64, _ target: UInt64, _ count: UInt64
    ) async throws(HostErrno) {
        await lockTables()
        defer { unlockTables() }
        let table = try await tableForChange(first)
        let place = indices(first)
        for index in 0..<Int(count) {
            drop(table.entry(place.l2 + index))
            table.setEntry(
                place.l2 + index,
                clusterOffset(target &+ UInt64(index)) | ClusterMapping.copied)
        }
    }

    /// The L2 table of a cluster of the guest, made if there is none. With the tables locked.
    func tableForChange(_ cluster: UInt64) async throws(HostErrno) -> QCOW2Table {
        let index = indices(cluster).l1
        guard index < l1.count else { throw .ioError }
        if hasL2(index) {
            let table = try await loadL2(index)
            if l1[index] & ClusterMapping.copied == 0 {
                guard try await refcount(clusterIndex(table.offset)) == 1 else { throw .ioError }
            }
            return table
        }
        try await makeRoomForL2()
        let (target, _) = try await allocate(1)
        let offset = clusterOffset(target)
        let table = QCOW2Table(
            offset: offset, buffer: IOBuffer(byteCount: header.clusterSize),
            unit: header.tableUnit)
        table.markAllDirty()
        l2Tables.insert(table)
        metadataClusters.insert(target)
        l1[index] = offset | ClusterMapping.copied
        dirtyL1.insert(index * 8 / header.tableUnit)
        return table
    }

    /// Notes that an L2 entry is replaced: the clusters of the file that it refers to become free.
    func drop(_ entry: UInt64) {
        switch ClusterMapping(entry, header) {
        case .absent, .zero(0), .broken: break
        case .zero(let offset), .data(let offset, _):
            dropped.append((clusterIndex(offset), nextRequest))
        case .compressed(let offset, let byteCount):
            let last = clusterIndex(offset &+ UInt64(byteCount) &- 1)
            for cluster in clusterIndex(offset)...last { dropped.append((cluster, nextRequest)) }
        }
    }

    // MARK: Zeros and discards

    func zero(
        _ offset: UInt64, _ byteCount: UInt64, mayUnmap: Bool
    ) async throws(HostErrno) {
        try requireWritable()
        let request = beginRequest()
        defer { endRequest(request) }
        let size = UInt64(header.clusterSize)
        var position = offset
        let end = offset &+ byteCount
        while position < end {
            let cluster = clusterIndex(position)
            let clusterEnd = min(clusterOffset(cluster &+ 1), max(header.virtualSize, end))
            let isWhole = position & (size - 1) == 0 && clusterEnd <= end
            if isWhole, header.version >= 3 || backing == nil {
                let last =
                    end == header.virtualSize
                    ? clusterIndex(end &+ size &- 1)
                    : clusterIndex(end)
                let next = try await clear(cluster, last, asZeros: true)
                position = min(clusterOffset(next), end)
            } else {
                let part = min(clusterEnd, end) &- position
                if try await !readsAsZero(position, part) {
                    let zeros = IOBuffer(byteCount: Int(part))
                    try await writeMapped(position, Segments(zeros))
                }
                position &+= part
            }
        }
    }

    func discard(_ offset: UInt64, _ byteCount: UInt64) async throws(HostErrno) {
        try requireWritable()
        // Below lies what the guest did not have there.
        if header.version < 3, backing != nil { return }
        let request = beginRequest()
        defer { endRequest(request) }
        let size = UInt64(header.clusterSize)
        let end = offset &+ byteCount
        var cluster = clusterIndex(offset &+ size &- 1)
        let last = end == header.virtualSize ? clusterIndex(end &+ size &- 1) : clusterIndex(end)
        while cluster < last { cluster = try await clear(cluster, last, asZeros: false) }
    }

    /// Takes whole clusters from the guest, from `first` up to before `last` or the end of the L2 table.
    /// Returns the first that is not done.
    private func clear(
        _ first: UInt64, _ last: UInt64, asZeros: Bool
    ) async throws(HostErrno) -> UInt64 {
        let place = indices(first)
        let end = min(last, first &+ UInt64(header.l2Entries - place.l2))
        let isBacked = clusterOffset(first) < (backing?.byteCount ?? 0)
        // Nothing is there, and nothing below it.
        if !hasL2(place.l1), !(asZeros && isBacked) { return end }
        if dropped.count > 8192 { try await flush() }
        await waitForChange(first)
        await lockTables()
        defer { unlockTables() }
        if changing[first] != nil { return first }
        if !hasL2(place.l1), !(asZeros && isBacked) { return end }
        let table = try await tableForChange(first)
        let cleared = backing != nil ? ClusterMapping.zeroFlag : 0
        var cluster = first
        while cluster < end, changing[cluster] == nil {
            let index = place.l2 + Int(cluster &- first)
            let entry = table.entry(index)
            switch ClusterMapping(entry, header) {
            case .broken: throw .ioError
            case .absent where !asZeros || backing == nil: break
            case .zero(0): break
            default:
                drop(entry)
                table.setEntry(index, cleared)
            }
            cluster &+= 1
        }
        return cluster
    }
}
