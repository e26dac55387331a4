internal import HostIO
internal import Synchronization
internal import Vocabulary

/// A qcow2 image: clusters that are there, found through two levels of tables, over a backing image or
/// nothing.
///
/// The executor is its loop's thread: between two `await`s nothing else runs here. Data of different
/// requests is transferred at the same time; tables change with `lockTables` held.
///
/// What makes a cut of the power harmless at any instant: tables in memory run ahead of the file, and
/// `commit` alone brings them there, in this order with a sync between: data, refcounts, refcount table;
/// L2 tables; L1 table. A cluster that lost its last reference is free only once the table that dropped it
/// is on stable storage, and no request that may still use it is under way. At worst clusters are leaked.
actor QCOW2Image: DiskDriver, BlockImage {
    nonisolated let file: HostFile
    nonisolated let loop: IOLoop
    nonisolated let backing: (any BlockImage)?
    /// Images and their backing, this one first: for their locks.
    nonisolated let chain: [HostFile]
    private nonisolated let size: Atomic<UInt64>
    nonisolated var byteCount: UInt64 { size.load(ordering: .relaxed) }
    nonisolated let sectorSize: Int
    nonisolated let isWritable: Bool

    /// Parts of a cluster stay.
    nonisolated let discardGranularity: Int
    var header: QCOW2Header
    var headerBytes: IOBuffer
    var l1: [UInt64]
    var dirtyL1: Set<Int> = []
    var refcountTable: [UInt64]
    var dirtyRefcountTable: Set<Int> = []
    var l2Tables: QCOW2TableCache
    var refcountBlocks: QCOW2TableCache

    /// Clusters of the file that hold the header and tables: no data is written there, whatever a
    /// broken image says.
    var metadataClusters: Set<UInt64> = []
    /// No cluster before it is free.
    var firstFree: UInt64 = 0
    /// From this byte on nothing was ever written to the file: it reads as zeros.
    var highWater: UInt64
    /// Freed by a table that is not in the file yet; the first request that cannot use them any more.
    var dropped: [(cluster: UInt64, request: UInt64)] = []
    /// The same, and the table is in the file.
    var releasable: [(cluster: UInt64, request: UInt64)] = []

    var requests: Set<UInt64> = []
    var nextRequest: UInt64 = 0
    /// Clusters of the guest whose mapping is being changed, and who waits for that.
    var changing: [UInt64: [CheckedContinuation<Void, Never>]] = [:]
    var areTablesLocked = false
    var tableWaiters: [CheckedContinuation<Void, Never>] = []
    /// A sync failed: what the host has on stable storage is unknown, so nothing more is written.
    var failure: HostErrno?
    /// While refcounts are rebuilt: how often each cluster of the file is really referred to.
    var inUse: ClusterCounts?
    /// The packed cluster that was read last, unpacked.
    var unpacked: (offset: UInt64, bytes: IOBuffer)?

    init(
        _ file: HostFile, header: QCOW2Header, headerBytes: IOBuffer, l1: [UInt64],
        refcountTable: [UInt64], backing: (any BlockImage)?, chain: [HostFile], fileSize: UInt64
    ) {
        self.file = file
        loop = file.loop
        self.backing = backing
        self.chain = chain
        self.header = header
        discardGranularity = header.clusterSize
        self.headerBytes = headerBytes
        self.l1 = l1
        self.refcountTable = refcountTable
        sectorSize = file.alignment > 512 ? 4096 : 512
        size = Atomic(header.virtualSize & ~UInt64(sectorSize - 1))
        isWritable = file.isWritable
        // 32 MiB of L2 tables and 8 MiB of refcounts at most, and never fewer than 8 tables.
        l2Tables = QCOW2TableCache(most: max(8, (32 << 20) >> header.clusterBits))
        refcountBlocks = QCOW2TableCache(most: max(8, (8 << 20) >> header.clusterBits))
        highWater = fileSize
        let bits = UInt64(header.clusterBits)
        var clusters: Set<UInt64> = [0]
        func add(_ offset: UInt64, _ count: Int) {
            for index in 0..<UInt64(max(count, 0)) {
                clusters.insert(offset >> bits &+ index)
            }
        }
        add(header.l1Offset, (l1.count * 8 + header.clusterSize - 1) >> header.clusterBits)
        add(header.refcountTableOffset, header.refcountTableClusters)
        for entry in l1 + refcountTable where entry & QCOW2Header.offsetMask != 0 {
            clusters.insert((entry & QCOW2Header.offsetMask) >> bits)
        }
        metadataClusters = clusters
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    nonisolated var features: DiskFeatures {
        isWritable ? [.discard, .writeZeroes, .flush] : []
    }

    nonisolated func refreshSize() throws(XError) -> UInt64 { byteCount }

    nonisolated func grow(to byteCount: UInt64) throws(XError) {
        let isDone = try loop.blocking { () async throws(XError) in
            do throws(HostErrno) { return try await self.resize(byteCount) } catch {
                throw self.file.failure("resize", error)
            }
        }
        guard isDone else {
            throw XError(
                .invalidArgument,
                "the disk '\(file.path)' would need too large a table for \(byteCount) bytes: give "
                    + "another size")
        }
        size.store(byteCount, ordering: .relaxed)
    }

    nonisolated func submit(_ request: DiskRequest, _ completion: @escaping IOCompletion) {
        Task(executorPreference: loop) {
            do throws(HostErrno) {
                try await self.perform(request)
                completion(nil)
            } catch { completion(error) }
        }
    }

    nonisolated func close(_ completion: @escaping IOCompletion) {
        Task(executorPreference: loop) {
            do throws(HostErrno) {
                try await self.finish()
                completion(nil)
            } catch { completion(error) }
        }
    }

    func perform(_ request: DiskRequest) async throws(HostErrno) {
        switch request.operation {
        case .read: try await read(request.offset, unsafe Segments(request.segments))
        case .write: try await write(request.offset, unsafe Segments(request.segments))
        case .flush:
            if isWritable { try await flush() }
            return
        case .discard: try await discard(request.offset, request.byteCount)
        case .writeZeroes:
            try await zero(request.offset, request.byteCount, mayUnmap: request.mayUnmap)
        }
        if request.isForced, request.operation != .read { try await flush() }
    }

    /// The last commit: tables, then what they freed.
    func finish() async throws(HostErrno) {
        defer { for file in chain { file.unlock() } }
        if isWritable {
            try await flush()
            try await flush()
        }
    }

    // MARK: Who waits for whom

    /// Takes the lock of the tables; in turn.
    func lockTables() async {
        if !areTablesLocked {
            areTablesLocked = true
            return
        }
        await withCheckedContinuation { tableWaiters.append($0) }
    }

    func unlockTables() {
        if tableWaiters.isEmpty {
            areTablesLocked = false
        } else {
            tableWaiters.removeFirst().resume()
        }
    }

    /// Waits until nobody changes the mapping of a cluster of the guest.
    func waitForChange(_ cluster: UInt64) async {
        while changing[cluster] != nil {
            await withCheckedContinuation { changing[cluster]?.append($0) }
        }
    }

    func endChange(_ clusters: Range<UInt64>) {
        for cluster in clusters {
            for waiter in changing.removeValue(forKey: cluster) ?? [] { waiter.resume() }
        }
    }

    func beginRequest() -> UInt64 {
        let number = nextRequest
        nextRequest &+= 1
        requests.insert(number)
        return number
    }

    func endRequest(_ number: UInt64) { requests.remove(number) }

    func requireWritable() throws(HostErrno) {
        if let failure { throw failure }
        if !isWritable { throw .readOnly }
    }

    // MARK: Tables

    func clusterIndex(_ offset: UInt64) -> UInt64 { offset >> UInt64(header.clusterBits) }

    func clusterOffset(_ cluster: UInt64) -> UInt64 { cluster &<< UInt64(header.clusterBits) }

    /// Index in the L1 table and in the L2 table of a cluster of the guest.
    func indices(_ cluster: UInt64) -> (l1: Int, l2: Int) {
        let entries = UInt64(header.l2Entries)
        return (Int(clamping: cluster / entries), Int(cluster % entries))
    }

    /// The L2 table in memory that an L1 entry points at; nil: it must be loaded first.
    func cachedL2(_ index: Int) -> QCOW2Table? {
        guard index < l1.count else { return nil }
        return l2Tables.find(l1[index] & QCOW2Header.offsetMask)
    }

    func hasL2(_ index: Int) -> Bool {
        index < l1.count && l1[index] & QCOW2Header.offsetMask != 0
    }

    /// The L2 table, loaded if it must be. With the tables locked.
    func loadL2(_ index: Int) async throws(HostErrno) -> QCOW2Table {
        if let table = cachedL2(index) { return table }
        guard index < l1.count else { throw .ioError }
        let offset = l1[index] & QCOW2Header.offsetMask
        guard header.isTable(offset) else { throw .ioError }
        try await makeRoomForL2()
        let buffer = try await file.load(offset, header.clusterSize)
        let table = QCOW2Table(offset: offset, buffer: buffer, unit: header.tableUnit)
        l2Tables.insert(table)
        return table
    }

    func makeRoomForL2() async throws(HostErrno) {
        if l2Tables.makeRoom() { return }
        try await commit()
        _ = l2Tables.makeRoom()
    }

    /// The mapping of a cluster of the guest, and how many bytes from `offset` on, at most `most`, go on
    /// the same way.
    func mapping(
        _ offset: UInt64, most: UInt64
    ) async throws(HostErrno) -> (ClusterMapping, UInt64) {
        let cluster = clusterIndex(offset)
        let place = indices(cluster)
        let size = UInt64(header.clusterSize)
        let within = offset & (size - 1)
        while true {
            let table: QCOW2Table?
            if hasL2(place.l1) {
                guard let cached = cachedL2(place.l1) else {
                    await lockTables()
                    defer { unlockTables() }
                    _ = try await loadL2(place.l1)
                    continue
                }
                table = cached
            } else {
                table = nil
            }
            guard let table else {
                let rest = UInt64(header.l2Entries - place.l2) &* size &- within
                return (.absent, min(rest, most))
            }
            let first = ClusterMapping(table.entry(place.l2), header)
            var count = size &- within
            var next = place.l2 + 1
            while count < most, next < header.l2Entries {
                let mapping = ClusterMapping(table.entry(next), header)
                switch (first, mapping) {
                case (.absent, .absent), (.zero, .zero): break
                case (.data(let start, let isOwned), .data(let here, let alsoOwned))
                where here == start &+ within &+ count && isOwned == alsoOwned: break
                default: return (first, min(count, most))
                }
                count &+= size
                next += 1
            }
            return (first, min(count, most))
        }
    }
}
