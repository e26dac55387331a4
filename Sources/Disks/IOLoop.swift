internal import HostIO
internal import Synchronization
internal import Vocabulary

/// Does the host calls of a loop. Its completions run on the loop's thread.
protocol IOEngine: Sendable {
    /// Begins an operation. Any thread.
    func start(_ operation: HostOperation, for loop: IOLoop)
    /// Sleeps until an operation is done, `wake` or the deadline, and completes what is done. The loop's
    /// thread.
    func wait(until deadline: Instant?)
    /// Completes what is done, without sleeping. The loop's thread.
    func poll()
    /// Ends the sleep of the loop's thread, or the next one. Any thread.
    func wake()
}

/// One thread that serves disks: completions of host calls, submitted work, and the tasks of image
/// formats, whose executor it is. What only runs here needs no lock.
///
/// Owner: the `Disk` or the image command that made it, who stops it.
final class IOLoop: SerialExecutor, TaskExecutor, Sendable {
    private enum Item: Sendable {
        case job(UnownedJob)
        case work(@Sendable () -> Void)
    }

    private struct State {
        var items: [Item] = []
        var timers: [(due: Instant, body: @Sendable () -> Void)] = []
        var isSleeping = false
        var isStopping = false
    }

    private let state: RankedLock<State>
    private let engine: any IOEngine
    /// The kernel's choice, for people and tests.
    let engineName: String
    private let threadNumber = Atomic<UInt>(0)
    private let thread = RankedLock<HostThread?>(nil, owner: "disk-thread", rank: .leaf)

    /// Starts the thread.
    init(name: String, choice: DiskEngine) throws(XError) {
        state = RankedLock(State(), owner: name, rank: .leaf)
        switch choice {
        case .uring:
            engine = try UringEngine(name: name)
            engineName = "io_uring"
        case .threads:
            engine = PoolEngine()
            engineName = "threads"
        case .automatic:
            do throws(XError) {
                engine = try UringEngine(name: name)
                engineName = "io_uring"
            } catch {
                engine = PoolEngine()
                engineName = "threads"
            }
        }
        let spawned = try HostThread.spawn(name: name) { self.run() }
        thread.withLock { $0 = spawned }
    }

    /// Begins a host call, whose completion runs on the loop's thread. Any thread.
    func start(_ operation: HostOperation) { engine.start(operation, for: self) }

    /// Has `body` called on the loop's thread, in the order of submission.
    func submit(_ body: @escaping @Sendable () -> Void) { append(.work(body)) }

    /// Has `body` called on the loop's thread at a time.
    func submit(at due: Instant, _ body: @escaping @Sendable () -> Void) {
        let wake = state.withLock { state in
            state.timers.append((due, body))
            defer { state.isSleeping = false }
            return state.isSleeping
        }
        if wake { engine.wake() }
    }

    /// Ends the thread once what was submitted is done. The owner has seen to it that nothing is in
    /// flight.
    func stop() {
        let wake = state.withLock { state in
            state.isStopping = true
            defer { state.isSleeping = false }
            return state.isSleeping
        }
        if wake { engine.wake() }
    }

    /// As `stop`, and waits for the end: what the loop's tasks held is let go then. Not on the loop's
    /// thread.
    func stopAndWait() {
        stop()
        thread.withLock { $0 }?.join()
    }

    /// Whether the caller is on the loop's thread.
    var isCurrent: Bool { threadNumber.load(ordering: .relaxed) == HostThread.currentNumber }

    // MARK: As an executor

    func enqueue(_ job: consuming ExecutorJob) { append(.job(UnownedJob(job))) }

    /// Runs `body` on the loop's thread and waits for its end. Never called on the loop's thread.
    func blocking<Result: Sendable>(
        _ body: @escaping @Sendable () async throws(XError) -> Result
    ) throws(XError) -> Result {
        precondition(!isCurrent, "the thread of \(engineName) waits for itself")
        let answer = Answer<Swift.Result<Result, XError>>()
        Task(executorPreference: self) {
            do throws(XError) {
                answer.give(.success(try await body()))
            } catch { answer.give(.failure(error)) }
        }
        return try answer.wait().get()
    }

    private func append(_ item: Item) {
        let wake = state.withLock { state in
            state.items.append(item)
            defer { state.isSleeping = false }
            return state.isSleeping
        }
        if wake { engine.wake() }
    }

    private enum Step {
        case run([Item])
        case sleep(until: Instant?)
        case end
    }

    private func run() {
        threadNumber.store(HostThread.currentNumber, ordering: .relaxed)
        while true {
            let now = HostThread.monotonicNow
            let step = state.withLock { state -> Step in
                if !state.timers.isEmpty {
                    for timer in state.timers where timer.due <= now {
                        state.items.append(.work(timer.body))
                    }
                    state.timers.removeAll { $0.due <= now }
                }
                if !state.items.isEmpty {
                    defer { state.items = [] }
                    return .run(state.items)
                }
                if state.isStopping { return .end }
                state.isSleeping = true
                return .sleep(until: state.timers.map(\.due).min())
            }
            switch step {
            case .run(let items):
                for item in items {
                    switch item {
                    case .work(let body): body()
                    case .job(let job):
                        unsafe job.runSynchronously(
                            isolatedTo: asUnownedSerialExecutor(),
                            taskExecutor: asUnownedTaskExecutor())
                    }
                }
                engine.poll()
            case .sleep(let deadline):
                engine.wait(until: deadline)
                state.withLock { $0.isSleeping = false }
            case .end: return
            }
        }
    }
}

/// A value that one thread gives and one waits for.
final class Answer<Value: Sendable>: Sendable {
    private let value = RankedLock<Value?>(nil, owner: "disk-answer", rank: .leaf)
    private let word = SleepWord()

    func give(_ answer: Value) {
        value.withLock { $0 = answer }
        word.ring()
    }

    func wait() -> Value {
        while true {
            let rings = word.rings
            if let answer = value.withLock({ $0 }) { return answer }
            word.wait(after: rings)
        }
    }
}
