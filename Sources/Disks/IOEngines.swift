internal import CUring
internal import Glibc
internal import HostIO
internal import Synchronization
internal import Vocabulary

/// Who does the host calls of a disk.
public enum DiskEngine: String, Sendable, CaseIterable {
    /// io_uring where the host offers it, threads otherwise (containers often forbid io_uring).
    case automatic
    case uring
    case threads
}

/// io_uring(7): any thread submits, the loop's thread waits.
@safe final class UringEngine: IOEngine, @unchecked Sendable {
    private static let entries: UInt32 = 256
    private static let nop: UInt64 = 0

    @safe private struct Entry: @unchecked Sendable {
        var kind: CInt
        var descriptor: CInt
        var vectors: UnsafeMutablePointer<iovec>?
        var argument: UInt64
        var offset: UInt64
        var mode: CInt
        var token: UInt64
    }

    private struct Submission {
        /// Entries are in the queue, or wait for it, that the kernel has not been told of.
        var isPrepared = false
        var waiting: [Entry] = []
    }

    // SAFETY: ours, destroyed in deinit. The submission queue is touched with `submission` taken, the
    // completion queue by the loop's thread alone.
    private let ring: OpaquePointer
    private let submission: RankedLock<Submission>
    /// The loop's thread tells the kernel once for all that it prepares in one round.
    private let loopThread = Atomic<UInt>(0)

    init(name: String) throws(XError) {
        var error: CInt = 0
        guard let ring = unsafe curing_create(Self.entries, &error) else {
            throw XError(
                .unsupported,
                "the host offers no io_uring for disks (\(HostErrno(rawValue: error))): use threads",
                cause: HostErrno(rawValue: error))
        }
        unsafe self.ring = unsafe ring
        submission = RankedLock(Submission(), owner: name + "-ring", rank: .leaf)
    }

    deinit { unsafe curing_destroy(ring) }

    func start(_ operation: HostOperation, for loop: IOLoop) {
        let kind: CInt
        var mode: CInt = 0
        var argument = UInt64(operation.vectorCount)
        switch operation.kind {
        case .read: kind = CInt(CURING_READ)
        case .write: kind = CInt(CURING_WRITE)
        case .sync: kind = CInt(CURING_SYNC)
        case .allocate(let wanted):
            kind = CInt(CURING_ALLOCATE)
            mode = wanted
            argument = operation.byteCount
        case .deviceDiscard:
            // An ioctl, which rings do not have.
            BlockingPool.shared.run(operation, for: loop)
            return
        }
        let token = unsafe UInt64(
            UInt(bitPattern: Unmanaged.passRetained(operation).toOpaque()))
        unsafe prepare(
            kind, operation.descriptor, operation.vectors, argument, operation.offset, mode, token)
    }

    func wake() { unsafe prepare(CInt(CURING_NOP), -1, nil, 0, 0, 0, Self.nop) }

    private func prepare(
        _ kind: CInt, _ descriptor: CInt, _ vectors: UnsafeMutablePointer<iovec>?,
        _ argument: UInt64, _ offset: UInt64, _ mode: CInt, _ token: UInt64
    ) {
        let entry = unsafe Entry(
            kind: kind, descriptor: descriptor, vectors: vectors, argument: argument,
            offset: offset, mode: mode, token: token)
        let isLoop = loopThread.load(ordering: .relaxed) == HostThread.currentNumber
        submission.withLock { state in
            state.isPrepared = true
            if isLoop {
                // What finds no room waits until completions have been taken, which only this
                // thread does.
                if !state.waiting.isEmpty || !put(entry) { state.waiting.append(entry) }
                return
            }
            while !put(entry) { sched_yield() }
            // Another thread's entries may be left for the loop, which is awake then.
            if unsafe curing_submit(ring) >= 0 { state.isPrepared = !state.waiting.isEmpty }
        }
    }

    /// With the lock held: false if there is no room, even after the kernel was asked to take what is
    /// there.
    private func put(_ entry: Entry) -> Bool {
        for _ in 0..<2 {
            // SAFETY: the operation keeps the vectors until it is completed.
            if unsafe curing_prepare(
                ring, entry.kind, entry.descriptor, entry.vectors, entry.argument, entry.offset,
                entry.mode, entry.token) == 0
            {
                return true
            }
            if unsafe curing_submit(ring) < 0 { return false }
        }
        return false
    }

    private func submitPrepared() {
        submission.withLock { state in
            guard state.isPrepared else { return }
            var taken = 0
            for entry in state.waiting {
                guard put(entry) else { break }
                taken += 1
            }
            state.waiting.removeFirst(taken)
            if unsafe curing_submit(ring) >= 0 { state.isPrepared = !state.waiting.isEmpty }
        }
    }

    func poll() {
        loopThread.store(HostThread.currentNumber, ordering: .relaxed)
        submitPrepared()
        complete()
    }

    func wait(until deadline: Instant?) {
        loopThread.store(HostThread.currentNumber, ordering: .relaxed)
        submitPrepared()
        var limit: Int64 = -1
        if let deadline {
            let now = HostThread.monotonicNow.nanoseconds
            limit = Int64(clamping: deadline.nanoseconds > now ? deadline.nanoseconds - now : 0)
        }
        // The kernel had no room: it is asked again soon.
        if submission.withLock({ $0.isPrepared }) { limit = 1_000_000 }
        // EINTR and ETIME: the loop looks for itself.
        _ = unsafe curing_wait(ring, limit)
        complete()
    }

    private func complete() {
        var tokens = [UInt64](repeating: 0, count: Int(CURING_BATCH))
        var results = [Int32](repeating: 0, count: Int(CURING_BATCH))
        while true {
            // SAFETY: both arrays hold CURING_BATCH entries.
            let count = unsafe Int(curing_take(ring, &tokens, &results))
            for index in 0..<count where tokens[index] != Self.nop {
                guard
                    let pointer = unsafe UnsafeRawPointer(bitPattern: UInt(tokens[index]))
                else { continue }
                // SAFETY: `start` retained the operation under this token, and it completes once.
                let operation = unsafe Unmanaged<HostOperation>.fromOpaque(pointer)
                    .takeRetainedValue()
                operation.completion(Int(results[index]))
            }
            if count < Int(CURING_BATCH) { return }
        }
    }
}

/// The threads of `BlockingPool`, for hosts without io_uring.
final class PoolEngine: IOEngine {
    private let word = SleepWord()
    private let seen = Atomic<UInt32>(0)

    func start(_ operation: HostOperation, for loop: IOLoop) {
        BlockingPool.shared.run(operation, for: loop)
    }

    func wait(until deadline: Instant?) {
        word.wait(
            after: seen.load(ordering: .relaxed), until: deadline.map(\.nanoseconds) ?? .max)
        seen.store(word.rings, ordering: .relaxed)
    }

    func poll() {}

    func wake() { word.ring() }
}

/// Threads that wait for the host in place of those that may not. They live as long as the process.
final class BlockingPool: Sendable {
    static let shared = BlockingPool()

    private static let mostThreads = 16

    private struct State {
        var waiting: [(operation: HostOperation, loop: IOLoop)] = []
        var first = 0
        var threads = 0
        var idle = 0
    }

    private let state = RankedLock(State(), owner: "disk-threads", rank: .leaf)
    private let word = SleepWord()

    /// Does the operation on some thread, and completes it on the loop's.
    func run(_ operation: HostOperation, for loop: IOLoop) {
        let isThreadWanted = state.withLock { state in
            state.waiting.append((operation, loop))
            let waiting = state.waiting.count - state.first
            guard waiting > state.idle, state.threads < Self.mostThreads else { return false }
            state.threads += 1
            return true
        }
        if isThreadWanted,
            (try? HostThread.spawn(name: "disk-io", { self.serve() })) == nil
        {
            let threads = state.withLock { state in
                state.threads -= 1
                return state.threads
            }
            // Without any thread the caller does it all.
            if threads == 0 { while let (next, loop) = take() { Self.finish(next, loop) } }
        }
        word.ring()
    }

    private static func finish(_ operation: HostOperation, _ loop: IOLoop) {
        let result = operation.execute()
        loop.submit { operation.completion(result) }
    }

    private func take() -> (HostOperation, IOLoop)? {
        state.withLock { state in
            guard state.first < state.waiting.count else { return nil }
            let next = state.waiting[state.first]
            state.first += 1
            if state.first == state.waiting.count || state.first >= 256 {
                state.waiting.removeFirst(state.first)
                state.first = 0
            }
            return (next.operation, next.loop)
        }
    }

    private func serve() {
        while true {
            let rings = word.rings
            if let (operation, loop) = take() {
                Self.finish(operation, loop)
                continue
            }
            state.withLock { $0.idle += 1 }
            word.wait(after: rings)
            state.withLock { $0.idle -= 1 }
        }
    }
}
