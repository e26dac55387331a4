internal import HostIO

/// Refcounts, and clusters of the file that are free. All with the tables locked.
extension QCOW2Image {
    /// As `allocate`, with the tables locked for as long as it takes; and whether the file has only zeros
    /// there.
    func allocateLocked(
        _ wanted: UInt64
    ) async throws(HostErrno) -> (first: UInt64, count: UInt64, isVirgin: Bool) {
        await lockTables()
        defer { unlockTables() }
        let before = highWater
        let (first, count) = try await allocate(wanted)
        return (first, count, clusterOffset(first) >= before && !file.isBlockDevice)
    }

    /// Takes free clusters that follow each other, one at least and `wanted` at most. Their refcount is 1
    /// from now on.
    func allocate(_ wanted: UInt64) async throws(HostErrno) -> (first: UInt64, count: UInt64) {
        let perBlock = UInt64(header.refcountsPerBlock)
        var cluster = firstFree
        while true {
            let block = Int(clamping: cluster / perBlock)
            if block >= refcountTable.count {
                try await growRefcountTable()
                continue
            }
            let table = try await refcountBlock(block)
            let start = Int(cluster % perBlock)
            let order = header.refcountOrder
            var index = start
            while index < header.refcountsPerBlock, !isFree(table, block, index) { index += 1 }
            if index == header.refcountsPerBlock {
                cluster = UInt64(block + 1) &* perBlock
                firstFree = max(firstFree, cluster)
                continue
            }
            let first = UInt64(block) &* perBlock &+ UInt64(index)
            var count: UInt64 = 0
            while count < wanted, index < header.refcountsPerBlock, isFree(table, block, index) {
                table.setRefcount(index, 1, order: order)
                count += 1
                index += 1
            }
            firstFree = first &+ count
            highWater = max(highWater, clusterOffset(first &+ count))
            return (first, count)
        }
    }

    private func isFree(_ table: QCOW2Table, _ block: Int, _ index: Int) -> Bool {
        let cluster = UInt64(block) &* UInt64(header.refcountsPerBlock) &+ UInt64(index)
        return table.refcount(index, order: header.refcountOrder) == 0
            && !metadataClusters.contains(cluster)
    }

    /// How often a cluster of the file is referred to; 0 behind the refcount table.
    func refcount(_ cluster: UInt64) async throws(HostErrno) -> UInt64 {
        let perBlock = UInt64(header.refcountsPerBlock)
        let block = Int(clamping: cluster / perBlock)
        guard block < refcountTable.count,
            refcountTable[block] & QCOW2Header.offsetMask != 0
        else { return 0 }
        let table = try await refcountBlock(block)
        return table.refcount(Int(cluster % perBlock), order: header.refcountOrder)
    }

    /// Counts a reference more or less. A count that is 0 already stays.
    func changeRefcount(_ cluster: UInt64, by change: Int) async throws(HostErrno) {
        let old = try await refcount(cluster)
        if change < 0, old == 0 { return }
        try await setRefcount(cluster, change < 0 ? old &- 1 : old &+ 1)
    }

    func setRefcount(_ cluster: UInt64, _ value: UInt64) async throws(HostErrno) {
        let perBlock = UInt64(header.refcountsPerBlock)
        let block = Int(clamping: cluster / perBlock)
        while block >= refcountTable.count { try await growRefcountTable() }
        let table = try await refcountBlock(block)
        table.setRefcount(Int(cluster % perBlock), value, order: header.refcountOrder)
        if value == 0 { firstFree = min(firstFree, cluster) }
    }

    /// The block of refcounts with an index, loaded if it must be, made if there is none.
    func refcountBlock(_ index: Int) async throws(HostErrno) -> QCOW2Table {
        let offset = refcountTable[index] & QCOW2Header.offsetMask
        if offset == 0 { return try await newRefcountBlock(index) }
        if let table = refcountBlocks.find(offset) { return table }
        guard header.isTable(offset) else { throw .ioError }
        try await makeRoomForRefcounts()
        let buffer = try await file.load(offset, header.clusterSize)
        let table = QCOW2Table(offset: offset, buffer: buffer, unit: header.tableUnit)
        refcountBlocks.insert(table)
        return table
    }

    private func makeRoomForRefcounts() async throws(HostErrno) {
        if refcountBlocks.makeRoom() { return }
        try await writeRefcounts()
        _ = refcountBlocks.makeRoom()
    }

    /// A block for a stretch of the file in which nothing is counted yet. It lies there itself, and counts
    /// itself.
    private func newRefcountBlock(_ index: Int) async throws(HostErrno) -> QCOW2Table {
        try await makeRoomForRefcounts()
        let first = UInt64(index) &* UInt64(header.refcountsPerBlock)
        let end = first &+ UInt64(header.refcountsPerBlock)
        // What a broken image has there although nothing counts it stays out of it.
        guard let cluster = (first..<end).first(where: { !isInUse($0) }) else { throw .ioError }
        let offset = clusterOffset(cluster)
        let table = QCOW2Table(
            offset: offset, buffer: IOBuffer(byteCount: header.clusterSize),
            unit: header.tableUnit)
        table.setRefcount(Int(cluster - first), 1, order: header.refcountOrder)
        table.markAllDirty()
        refcountBlocks.insert(table)
        metadataClusters.insert(cluster)
        refcountTable[index] = offset
        dirtyRefcountTable.insert(index * 8 / header.tableUnit)
        highWater = max(highWater, offset &+ UInt64(header.clusterSize))
        return table
    }

    private func isInUse(_ cluster: UInt64) -> Bool {
        metadataClusters.contains(cluster) || (inUse?.count(cluster) ?? 0) > 0
    }

    /// Makes the refcount table longer, in a new place behind all that it counts.
    ///
    /// The new table and the blocks that count it are on stable storage before the header points there,
    /// and the old table is free after that.
    func growRefcountTable() async throws(HostErrno) {
        let size = header.clusterSize
        let perBlock = header.refcountsPerBlock
        let start = UInt64(refcountTable.count) &* UInt64(perBlock)
        let clusters = (refcountTable.count * 8 * 3 / 2 + size - 1) / size + 1
        guard clusters * size <= max(QCOW2Header.largestRefcountTableByteCount, size) else {
            throw .tooBig
        }
        // Blocks count the table and themselves.
        var blocks = 1
        while blocks * perBlock < clusters + blocks { blocks += 1 }
        let used = clusters + blocks
        var entries = refcountTable
        entries += [UInt64](repeating: 0, count: clusters * size / 8 - entries.count)
        guard refcountTable.count + blocks <= entries.count else { throw .tooBig }
        var new: [QCOW2Table] = []
        for block in 0..<blocks {
            let offset = clusterOffset(start &+ UInt64(clusters + block))
            let table = QCOW2Table(
                offset: offset, buffer: IOBuffer(byteCount: size), unit: header.tableUnit)
            for index in 0..<perBlock where block * perBlock + index < used {
                table.setRefcount(index, 1, order: header.refcountOrder)
            }
            entries[refcountTable.count + block] = offset
            try await file.write(offset, Segments(table.buffer))
            table.markClean()
            new.append(table)
        }
        try await writeRefcounts()
        let buffer = IOBuffer(byteCount: clusters * size)
        for (index, entry) in entries.enumerated() { buffer.store64(index * 8, entry) }
        try await file.write(clusterOffset(start), Segments(buffer))
        try await sync()
        let old = (clusterIndex(header.refcountTableOffset), header.refcountTableClusters)
        header.refcountTableOffset = clusterOffset(start)
        header.refcountTableClusters = clusters
        try await writeHeader()
        refcountTable = entries
        dirtyRefcountTable = []
        for index in 0..<UInt64(used) { metadataClusters.insert(start &+ index) }
        for table in new where refcountBlocks.makeRoom() { refcountBlocks.insert(table) }
        highWater = max(highWater, clusterOffset(start &+ UInt64(used)))
        for index in 0..<UInt64(old.1) {
            metadataClusters.remove(old.0 &+ index)
            releasable.append((old.0 &+ index, nextRequest))
        }
    }
}
