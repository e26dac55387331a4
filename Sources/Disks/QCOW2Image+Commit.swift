internal import HostIO

/// Bringing the tables to the file, in the one order that is whole wherever it is cut.
extension QCOW2Image {
    /// Everything that completed before is on stable storage when this returns.
    func flush() async throws(HostErrno) {
        try requireWritable()
        await lockTables()
        defer { unlockTables() }
        try await commit()
        try await release()
    }

    /// Writes what differs from the file. With the tables locked.
    func commit() async throws(HostErrno) {
        try requireWritable()
        let l2 = l2Tables.dirty
        let hadReferences = !l2.isEmpty || !dirtyL1.isEmpty
        try await writeRefcounts()
        if hadReferences {
            // Data and refcounts come before what refers to them.
            try await sync()
            for table in l2 {
                try await write(table)
                table.markClean()
            }
            if !dirtyL1.isEmpty {
                try await sync()
                try await writeL1()
            }
        }
        try await sync()
        releasable += dropped
        dropped = []
    }

    /// Writes refcounts, and then the table that points at new blocks of them.
    func writeRefcounts() async throws(HostErrno) {
        for table in refcountBlocks.dirty {
            try await write(table)
            table.markClean()
        }
        guard !dirtyRefcountTable.isEmpty else { return }
        try await sync()
        let unit = header.tableUnit
        for index in dirtyRefcountTable.sorted() {
            let buffer = IOBuffer(byteCount: unit)
            for entry in 0..<(unit / 8) where index * (unit / 8) + entry < refcountTable.count {
                buffer.store64(entry * 8, refcountTable[index * (unit / 8) + entry])
            }
            try await file.write(
                header.refcountTableOffset &+ UInt64(index * unit), Segments(buffer))
        }
        dirtyRefcountTable = []
        // What is counted in them may be referred to next.
        try await sync()
    }

    private func write(_ table: QCOW2Table) async throws(HostErrno) {
        for range in table.dirtyRanges {
            try await file.write(
                table.offset &+ UInt64(range.offset),
                table.buffer.slice(range.offset, range.byteCount))
        }
    }

    private func writeL1() async throws(HostErrno) {
        let unit = header.tableUnit
        for index in dirtyL1.sorted() {
            let buffer = IOBuffer(byteCount: unit)
            for entry in 0..<(unit / 8) where index * (unit / 8) + entry < l1.count {
                buffer.store64(entry * 8, l1[index * (unit / 8) + entry])
            }
            try await file.write(header.l1Offset &+ UInt64(index * unit), Segments(buffer))
        }
        dirtyL1 = []
    }

    /// Writes the header, and waits until it is on stable storage.
    func writeHeader() async throws(HostErrno) {
        header.store(in: headerBytes)
        try await file.write(0, headerBytes.slice(0, header.tableUnit))
        try await sync()
    }

    /// A sync that fails is the end: the host may have forgotten what it did not write, and a second sync
    /// would not say so.
    func sync() async throws(HostErrno) {
        do throws(HostErrno) { try await file.sync() } catch {
            failure = error
            throw error
        }
    }

    /// Counts down the references of clusters that nothing in the file refers to and no request uses any
    /// more: they are free then. With the tables locked.
    func release() async throws(HostErrno) {
        if releasable.isEmpty { return }
        let oldest = requests.min() ?? nextRequest
        let ready = releasable.filter { $0.request <= oldest }
        releasable.removeAll { $0.request <= oldest }
        unpacked = nil
        var first: UInt64?
        var end: UInt64 = 0
        for cluster in ready.map(\.cluster).sorted() {
            let count = try await refcount(cluster)
            if count == 0 || metadataClusters.contains(cluster) { continue }
            if count == 1 {
                // Neighbours go back to the host together, before anybody gets them again.
                if let start = first, cluster != end {
                    try? await file.discard(
                        clusterOffset(start), clusterOffset(end &- start))
                    first = nil
                }
                if first == nil { first = cluster }
                end = cluster &+ 1
            }
            try await setRefcount(cluster, count &- 1)
        }
        if let first {
            try? await file.discard(clusterOffset(first), clusterOffset(end &- first))
        }
    }
}
