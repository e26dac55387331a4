internal import HostIO
internal import Synchronization
public import Vocabulary

/// A virtual disk on the host: a place for bytes that takes many requests at once and completes them in
/// any order.
///
/// Owner: the device or machine that opened it, who closes it. Every method may be called from any
/// thread; completions run on the disk's own thread, `disk/NAME`, or within `submit` if it is told so.
///
/// A flush covers the writes that completed before it was submitted; nothing else is ordered. Requests
/// that overlap are in no order.
public final class Disk: Sendable {
    /// As statistics and the thread show it.
    public let name: String
    /// As it was opened, or since it was laid over.
    public var specification: DiskSpecification { state.withLock { $0.specification } }
    public var format: DiskFormat { specification.format }
    public var isReadOnly: Bool { specification.isReadOnly }
    public var serial: String? { specification.serial }
    /// Bytes of the smallest piece: 512 or 4096. Offsets and byte counts are multiples of it.
    public var sectorSize: Int { driver.sectorSize }
    /// Bytes of the disk, a multiple of `sectorSize`. Changes only by `refreshSize`.
    public var byteCount: UInt64 { driver.byteCount }
    public var features: DiskFeatures { driver.features }
    /// Bytes of what a discard gives back, aligned so; of less, nothing may be. A power of two, at least a
    /// sector.
    public var discardGranularity: Int { driver.discardGranularity }
    /// Who does the host calls: `io_uring` or `threads`.
    public var engineName: String { loop.engineName }

    struct State {
        var specification: DiskSpecification
        var driver: any DiskDriver
        var metrics = DiskMetrics()
        var limit: RequestLimit?
        var isClosing = false
        /// Requests that wait for another driver; nil: there is none coming.
        var held: [Held]?
        /// Told when the last request is done.
        var closer: (@Sendable () -> Void)?
    }

    /// A request that has not begun.
    struct Held {
        var request: DiskRequest
        var completion: DiskCompletion
    }

    let loop: IOLoop
    let state: RankedLock<State>
    private let options: HostFile.Options
    private var driver: any DiskDriver { state.withLock { $0.driver } }
    private let isClosed = Atomic<Bool>(false)

    /// Opens a disk and locks it: one that is written to is open once on the host.
    ///
    /// Throws if it is not there, is in use, is broken or needs something that is not understood.
    /// Blocks while the host looks for it.
    public convenience init(
        opening specification: DiskSpecification, name: String, engine: DiskEngine = .automatic
    ) throws(XError) {
        try self.init(
            opening: specification, name: name, engine: engine, options: HostFile.Options())
    }

    init(
        opening specification: DiskSpecification, name: String, engine: DiskEngine,
        options: HostFile.Options
    ) throws(XError) {
        self.name = name
        self.options = options
        let loop = try IOLoop(name: "disk/" + name, choice: engine)
        self.loop = loop
        let driver: any DiskDriver
        do throws(XError) {
            driver = try Self.driver(specification, loop, options)
        } catch {
            loop.stopAndWait()
            throw error
        }
        state = RankedLock(
            State(
                specification: specification, driver: driver,
                limit: specification.requestsPerSecond.map(RequestLimit.init)),
            owner: "disk/" + name, rank: .leaf)
    }

    /// Opens another image with this disk's loop and options.
    func open(_ specification: DiskSpecification) throws(XError) -> any DiskDriver {
        try Self.driver(specification, loop, options)
    }

    private static func driver(
        _ specification: DiskSpecification, _ loop: IOLoop, _ options: HostFile.Options
    ) throws(XError) -> any DiskDriver {
        var options = options
        options.isDirect = specification.isDirect
        let isWritable = !specification.isReadOnly
        switch specification.format {
        case .raw:
            return try RawImage(
                HostFile(
                    path: specification.path, isWritable: isWritable, loop: loop, options: options))
        case .qcow2:
            return try QCOW2Image.opening(
                specification.path, isWritable: isWritable, loop: loop, options: options)
        case .nbd:
            return try NBDImage(uri: specification.path, isWritable: isWritable, loop: loop)
        }
    }

    deinit {
        if isClosed.load(ordering: .acquiring) { return }
        // Nothing is in flight: each request holds the disk.
        let (loop, driver) = (loop, driver)
        loop.submit { driver.close { _ in loop.stop() } }
    }

    /// Begins a request; `completion` is told once, on the disk's thread, also of requests that are
    /// refused: EINVAL (range or alignment), EROFS. After `close` it is told ESHUTDOWN at once, on this
    /// thread.
    ///
    /// Never blocks, unless the request is alone. The memory of the segments is left alone until the
    /// completion.
    ///
    /// - Parameter alone: the caller has nothing else to ask until it is done. A transfer that the host's
    ///   page cache serves is then done here and now, and `completion` told on this thread: nobody waits
    ///   for another thread to wake. A write may wait for the host, if its page cache is full of others.
    public func submit(
        _ request: DiskRequest, alone: Bool = false, completion: @escaping DiskCompletion
    ) {
        let now = HostThread.monotonicNow
        let verdict = state.withLock { state -> Verdict in
            if state.isClosing { return .refuse(.shutDown) }
            if state.held != nil {
                state.held?.append(Held(request: request, completion: completion))
                return .hold
            }
            state.metrics.count(request)
            if let refusal = Self.refusal(request, state) { return .refuseCounted(refusal) }
            if let due = state.limit?.admit(now) {
                state.metrics.delayed &+= 1
                return .delay(due, state.driver)
            }
            return .start(state.driver)
        }
        let done: IOCompletion = { [self] error in
            finish(request, error)
            completion(error)
        }
        switch verdict {
        case .refuse(let error): completion(error)
        case .refuseCounted(let error): loop.submit { done(error) }
        case .start(let driver):
            if alone, driver.isDoneNow(request) { done(nil) } else { driver.submit(request, done) }
        case .delay(let due, let driver):
            loop.submit(at: due) { driver.submit(request, done) }
        case .hold: break
        }
    }

    private enum Verdict {
        case start(any DiskDriver)
        case delay(Instant, any DiskDriver)
        case hold
        case refuse(HostErrno)
        case refuseCounted(HostErrno)
    }

    /// Why a request cannot be done, whatever the format.
    private static func refusal(_ request: DiskRequest, _ state: State) -> HostErrno? {
        if request.operation == .flush { return nil }
        if request.operation != .read, state.specification.isReadOnly { return .readOnly }
        let total = state.driver.byteCount
        guard (request.offset | request.byteCount) & UInt64(state.driver.sectorSize - 1) == 0,
            request.byteCount <= total, request.offset <= total - request.byteCount
        else { return .invalid }
        if request.operation == .read || request.operation == .write {
            let held = unsafe request.segments.reduce(UInt64(0)) { $0 &+ UInt64($1.count) }
            if held != request.byteCount { return .invalid }
        }
        return nil
    }

    private func finish(_ request: DiskRequest, _ error: HostErrno?) {
        let closer = state.withLock { state -> (@Sendable () -> Void)? in
            state.metrics.finish(request, error)
            guard state.metrics.inFlight == 0 else { return nil }
            defer { state.closer = nil }
            return state.closer
        }
        closer?()
    }

    /// What the disk did so far.
    public var metrics: DiskMetrics { state.withLock { $0.metrics } }

    /// Looks how large the disk is now, e.g. after the host has made its file longer, and returns the
    /// bytes. Blocks; not on the disk's thread.
    @discardableResult
    public func refreshSize() throws(XError) -> UInt64 { try driver.refreshSize() }

    /// Makes the disk larger while it is in use, and returns its bytes. Blocks; not on the disk's thread.
    ///
    /// - Parameter byteCount: rounded up to whole sectors.
    /// - Throws: `XError`: the disk is read-only, would become smaller, or cannot grow.
    @discardableResult
    public func grow(to byteCount: UInt64) throws(XError) -> UInt64 {
        let mask = UInt64(sectorSize - 1)
        guard byteCount <= UInt64(Int64.max) - mask else {
            throw XError(.invalidArgument, "\(byteCount) bytes are more than a disk can have")
        }
        let wanted = (byteCount + mask) & ~mask
        let old = driver.byteCount
        if wanted == old { return old }
        guard wanted > old else {
            throw XError(
                .invalidArgument,
                "the disk '\(specification.path)' has \(old) bytes, and while a guest uses it it only "
                    + "grows: give more than that")
        }
        guard !isReadOnly else {
            throw XError(
                .invalidArgument,
                "the disk '\(specification.path)' is read-only: attach it without ',readonly'")
        }
        try driver.grow(to: wanted)
        return driver.byteCount
    }

    /// Refuses further requests, waits for those in flight, brings all to stable storage and gives the
    /// file and its lock back. Blocks; not on the disk's thread. Later calls do nothing.
    ///
    /// Throws if the last flush fails: then what was written since the one before may be lost.
    public func close() throws(XError) {
        let isFirst = state.withLock { state in
            defer { state.isClosing = true }
            return !state.isClosing
        }
        guard isFirst else { return }
        let answer = Answer<HostErrno?>()
        // Who lays an image over it just now has it open again first.
        while state.withLock({ $0.held != nil }) { HostThread.sleep(nanoseconds: 1_000_000) }
        let driver = driver
        let close: @Sendable () -> Void = { driver.close { answer.give($0) } }
        let isIdle = state.withLock { state in
            if state.metrics.inFlight > 0 { state.closer = close }
            return state.metrics.inFlight == 0
        }
        if isIdle { loop.submit(close) }
        let error = answer.wait()
        isClosed.store(true, ordering: .releasing)
        loop.stop()
        if let error {
            throw XError(
                .hostCall,
                "the disk '\(specification.path)' could not be written when it was closed (\(error)): "
                    + "what was not flushed may be lost", cause: error)
        }
    }
}

/// So many requests a second, and a tenth of a second's worth at once: a request's turn comes when those
/// before it have had theirs (the generic cell rate algorithm, ITU-T I.371).
struct RequestLimit: Sendable {
    private let interval: UInt64
    private let burst: UInt64
    private var nextTurn: UInt64 = 0

    init(requestsPerSecond: Int) {
        interval = 1_000_000_000 / UInt64(max(requestsPerSecond, 1))
        burst = 100_000_000
    }

    /// Counts a request. When it may start; nil: now.
    mutating func admit(_ now: Instant) -> Instant? {
        let turn = max(nextTurn, now.nanoseconds)
        nextTurn = turn &+ interval
        return turn > now.nanoseconds &+ burst ? Instant(nanoseconds: turn &- burst) : nil
    }
}

extension DiskMetrics {
    fileprivate mutating func count(_ request: DiskRequest) {
        switch request.operation {
        case .read: reads &+= 1
        case .write: writes &+= 1
        case .flush: flushes &+= 1
        case .discard: discards &+= 1
        case .writeZeroes: zeroWrites &+= 1
        }
        inFlight &+= 1
        mostInFlight = max(mostInFlight, inFlight)
    }

    fileprivate mutating func finish(_ request: DiskRequest, _ error: HostErrno?) {
        inFlight &-= 1
        if error != nil {
            errors &+= 1
        } else if request.operation == .read {
            bytesRead &+= request.byteCount
        } else if request.operation == .write {
            bytesWritten &+= request.byteCount
        }
    }
}
