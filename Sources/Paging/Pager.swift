internal import Dispatch
public import GuestMemory
internal import HostIO
internal import Synchronization
public import Vocabulary

/// Brings a guest's pages when they are needed, and takes others away where the host is to keep only so many.
///
/// A page is present, absent, or on its way. Absent pages are all zeros, in the swap file, or in the source
/// that the memory was made from. Threads of the pager wait for disks and networks; who asks does not have to.
///
/// Owner: the machine. Any thread.
@safe public final class Pager: PageSupplier, @unchecked Sendable {
    public struct Options: Sendable {
        /// Bytes of the guest that the host keeps at most; nil: as many as there are.
        public var residentByteCount: UInt64?
        /// Where the swap file is made. Only with `residentByteCount`.
        public var swapDirectory = "/var/tmp"
        /// Threads that bring pages.
        public var threadCount = 4
        /// Chunks of the source, by number, that are brought before anybody asks for them, in this order;
        /// those that the source has not are left out. Not with one thread.
        public var prefetches: [UInt32] = []

        public init() {}
    }

    /// The least that a guest can do with.
    public static let smallestResidentByteCount: UInt64 = 16 << 20

    let memory: GuestMemory
    let residency: PageResidency
    let source: (any PageSource)?
    let swap: SwapFile?
    /// Pages that may be resident; `Int.max`: all.
    let limit: Int
    /// Pages that are kept free.
    let reserve: Int
    let desk = RankedLock(PagerDesk(), owner: "pager", rank: .leaf)
    let counters = PagerCounters()
    let wanted = DispatchSemaphore(value: 0)
    let room = DispatchSemaphore(value: 0)
    let evictorBell = SleepWord()
    let prefetches: RankedLock<Prefetches>
    let touched = RankedLock(TouchedChunks(), owner: "pager-touched", rank: .leaf)
    /// Of each page of the span: 0, it was never taken away; `UInt32.max`, it was all zeros then; else its slot
    /// in the swap file and 1. Written by the evictor while the page is absent and leaving, read while it is absent. Allocated in init, freed in
    /// deinit.
    nonisolated(unsafe) let slots: UnsafeMutablePointer<UInt32>
    /// The page that each slot was written with, for reading ahead. Written by the evictor before `slots`.
    /// Allocated in init, freed in deinit.
    nonisolated(unsafe) let pageOfSlot: UnsafeMutablePointer<UInt32>
    let pageCount: Int
    private let threadCount: Int
    private let threads = RankedLock([HostThread](), owner: "pager-threads", rank: .leaf)
    private let failureSlot = RankedLock(String?.none, owner: "pager-failure", rank: .leaf)
    private let failed: @Sendable (String) -> Void

    /// - Parameters:
    ///   - memory: paged, and nobody has looked at it. All of it is absent afterwards, so all that was
    ///     written to it before is taken to be zeros or the source's.
    ///   - source: of its pages; nil: they are all zeros.
    ///   - failed: a page cannot be had any more, with the reason: the guest must not go on. Any thread,
    ///     once; must not wait.
    /// - Throws: `XError`: there can be no swap file.
    public init(
        memory: GuestMemory, source: (any PageSource)?, _ options: Options,
        failed: @escaping @Sendable (String) -> Void
    ) throws(XError) {
        guard let residency = memory.residency else {
            throw XError(.invalidArgument, "this memory is not paged")
        }
        self.memory = memory
        self.residency = residency
        self.source = source
        self.failed = failed
        threadCount = max(1, options.threadCount)
        let isPrefetching = source != nil && Self.prefetchingCount(of: threadCount) > 0
        prefetches = RankedLock(
            Prefetches(isPrefetching ? options.prefetches : []), owner: "pager-prefetches",
            rank: .leaf)
        pageCount = Int(memory.spanByteCount >> 12)
        if let bytes = options.residentByteCount, bytes < memory.byteCount {
            limit = Int(max(bytes, Self.smallestResidentByteCount) >> 12)
            // Pages that lie idle for new ones, and what one round of the evictor writes.
            reserve = min(max(limit / 32, 64), 2048)
            let pages = Int(memory.byteCount >> 12)
            swap = try SwapFile(
                directory: options.swapDirectory, slotCount: pages + pages / 2 + SwapFile.longestRun
            )
        } else {
            limit = .max
            reserve = 0
            swap = nil
        }
        let slots = UnsafeMutablePointer<UInt32>.allocate(capacity: max(1, pageCount))
        if swap != nil { unsafe slots.initialize(repeating: 0, count: max(1, pageCount)) }
        unsafe self.slots = unsafe slots
        let slotCount = max(1, swap?.slotCount ?? 0)
        let pages = UnsafeMutablePointer<UInt32>.allocate(capacity: slotCount)
        unsafe pages.initialize(repeating: 0, count: slotCount)
        unsafe pageOfSlot = unsafe pages
        residency.setSupplier(self)
        memory.makeAllAbsent()
    }

    deinit {
        unsafe slots.deallocate()
        unsafe pageOfSlot.deallocate()
    }

    /// Starts its threads. Once.
    public func start() throws(XError) {
        var started: [HostThread] = []
        for number in 0..<threadCount {
            started.append(
                try HostThread.spawn(name: "pager\(number)") { [self] in fetch() })
        }
        if swap != nil {
            started.append(
                try HostThread.spawn(name: "evictor") { [self] in evict() })
        }
        let all = started
        threads.withLock { $0 = all }
        for _ in 0..<Self.prefetchingCount(of: threadCount) { wanted.signal() }
    }

    /// Ends its threads; who waits for a page gets none. Once, after the vCPUs.
    public func stop() {
        end()
        let all = threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        for thread in all { thread.join() }
    }

    /// From now on nobody gets a page that is absent.
    func end() {
        let waiters = desk.withLock { desk in
            desk.isStopped = true
            defer { desk.awaited = [:] }
            return desk.awaited.values.flatMap { $0 }
        }
        source?.stop()
        for waiter in waiters { waiter() }
        for _ in 0..<threadCount {
            wanted.signal()
            room.signal()
        }
        evictorBell.ring()
    }

    /// A page cannot be had: the guest ends, with the reason.
    func fail(_ reason: String) {
        // Reads that were given up.
        if desk.withLock({ $0.isStopped }) { return }
        let isFirst = failureSlot.withLock { failure in
            guard failure == nil else { return false }
            failure = reason
            return true
        }
        if isFirst { failed(reason) }
        end()
    }

    // MARK: Asking

    /// Whether a page is present now, perhaps because it is all zeros and there is room for it. Never waits.
    public func takesAtOnce(page: UInt64) -> Bool {
        guard page < UInt64(pageCount) else { return true }
        var ring = false
        let isPresent = desk.withLock { settle(page, &$0, &ring) }
        if ring { evictorBell.ring() }
        return isPresent
    }

    /// Asks for a page. True: it is present, at least at this moment. False: `arrived` is called, on a thread
    /// of the pager, when it is, or when it cannot be had any more. Never waits.
    public func request(page: UInt64, arrived: @escaping @Sendable () -> Void) -> Bool {
        guard page < UInt64(pageCount) else { return true }
        var ring = false
        var isQueued = false
        let isPresent = desk.withLock { desk -> Bool in
            if settle(page, &desk, &ring) { return true }
            if desk.isStopped { return false }
            isQueued = desk.awaited[page] == nil && !desk.leaving.contains(page)
            if isQueued { desk.enqueue(page) }
            desk.awaited[page, default: []].append(arrived)
            return false
        }
        if ring { evictorBell.ring() }
        if isQueued {
            counters.requests.wrappingAdd(1, ordering: .relaxed)
            wanted.signal()
        }
        return isPresent
    }

    /// True: the page is present now. The lock is held; `ring`: the evictor is to be rung.
    private func settle(_ page: UInt64, _ desk: inout PagerDesk, _ ring: inout Bool) -> Bool {
        guard memory.isAbsent(page << 12) else { return true }
        guard !desk.isStopped, desk.awaited[page] == nil, !desk.leaving.contains(page),
            isZero(page), desk.residentCount < limit
        else { return false }
        desk.residentCount += 1
        arrive(page)
        ring = ringIfLow(&desk)
        counters.zeroPages.wrappingAdd(1, ordering: .relaxed)
        return true
    }

    public func bring(page: UInt64) -> Bool {
        let done = DispatchSemaphore(value: 0)
        while memory.isAbsent(page << 12) {
            if desk.withLock({ $0.isStopped }) { return false }
            if request(page: page, arrived: { done.signal() }) { return true }
            if desk.withLock({ $0.isStopped }) { return false }
            done.wait()
        }
        return true
    }

    /// An absent page that is all zeros: of no source, and never taken away otherwise.
    func isZero(_ page: UInt64) -> Bool {
        if swap != nil, unsafe slots[Int(page)] != 0 { return unsafe slots[Int(page)] == .max }
        guard let source, let place = memory.fileOffset(of: .init(page << 12)) else { return true }
        let index = Int(place >> 12)
        let bits = source.presentPages(ofChunk: index / source.pagesPerChunk)
        return bits >> UInt64(index % source.pagesPerChunk) & 1 == 0
    }

    /// The page has its bytes: it is present. The lock is held.
    func arrive(_ page: UInt64, as use: PageResidency.Use = .accessed) {
        residency.take(.written, of: page)
        residency.note(use, page)
        memory.removeFlags([.absent, .onItsWay], ofPageAt: page << 12)
    }

    /// The evictor is to be rung. The lock is held.
    func ringIfLow(_ desk: inout PagerDesk) -> Bool {
        guard swap != nil, !desk.isEvictorRung,
            limit - desk.residentCount < reserve || desk.waitingForRoom > 0
        else { return false }
        desk.isEvictorRung = true
        return true
    }

    // MARK: Looking

    /// Bytes of the guest that have host memory.
    public var residentByteCount: UInt64 {
        UInt64(max(0, desk.withLock { $0.residentCount })) << 12
    }

    /// Counts, for statistics.
    public var metrics: [String: UInt64] {
        var metrics = counters.metrics
        metrics["prefetchedPagesUsed"] = prefetchedPagesUsed
        metrics["residentBytes"] = residentByteCount
        metrics["workerWaits"] = residency.waits.load(ordering: .relaxed)
        metrics["swapBytes"] = UInt64(swap?.usedCount.load(ordering: .relaxed) ?? 0) << 12
        return metrics
    }
}
