public import HostIO
internal import Synchronization
public import Trace
public import Vocabulary

/// Where one device queue or host event source completes its work: in a thread of its own, named as
/// Linux names them and with a priority, or inline, on the thread that submits.
///
/// Owner: the device. Any thread signals.
public final class InterruptContext: Sendable {
    /// How interrupts are completed in a machine: what all its contexts are made from.
    public struct Policy: Sendable {
        /// Nil: inline.
        public var priority: (@Sendable (_ device: String) -> HostThread.Priority)?
        /// A row of the trace for a thread.
        public var track: @Sendable (_ thread: String) -> TraceTrack

        public init(
            priority: (@Sendable (_ device: String) -> HostThread.Priority)?,
            track: @escaping @Sendable (_ thread: String) -> TraceTrack = { _ in .off }
        ) {
            self.priority = priority
            self.track = track
        }

        /// Everything on the thread that submits.
        public static let inline = Policy(priority: nil)
    }

    /// As `ps -L` shows it: `irq/` and the queue. At most 15 bytes.
    public let name: String
    private let work: @Sendable () -> Bool
    private let priority: HostThread.Priority?
    private let gathering: UInt64
    private let track: TraceTrack
    private let bell = SleepWord()
    /// There is something to do.
    private let isSignalled = Atomic<Bool>(false)
    private let isStopping = Atomic<Bool>(false)
    private let hasEnded = Atomic<Bool>(false)
    private let realTimePriority = Atomic<Int>(0)
    private let runs = Atomic<UInt64>(0)

    /// - Parameters:
    ///   - device: whose priority it has.
    ///   - queue: of the device, e.g. `uart0-rx`; the thread is `irq/uart0-rx`.
    ///   - gathering: nanoseconds that a thread waits for more to do before it begins, where nobody
    ///     waits for it: so many wake-ups less.
    ///   - work: does all there is to do. Called once for any number of signals, on one thread at a
    ///     time unless it is inline.
    public init(
        _ policy: Policy, device: String, queue: String, gathering: UInt64 = 0,
        work: @escaping @Sendable () -> Void
    ) {
        name = "irq/" + queue
        priority = policy.priority?(device)
        track = policy.priority == nil ? .off : policy.track(name)
        self.gathering = gathering
        self.work = {
            work()
            return true
        }
    }

    /// The same for a queue that a guest signals, as often as it likes: who is called for nothing again and
    /// again looks less often (Xen's XSA-332).
    ///
    /// - Parameter work: false: there was nothing to do.
    public init(
        _ policy: Policy, device: String, queue: String,
        finding work: @escaping @Sendable () -> Bool
    ) {
        name = "irq/" + queue
        priority = policy.priority?(device)
        track = policy.priority == nil ? .off : policy.track(name)
        gathering = 0
        self.work = work
    }

    /// The work is done by whoever signals.
    public var isInline: Bool { priority == nil }

    /// There is something to do. Threaded it never blocks; inline it does it, so the caller holds
    /// no lock that the work takes.
    public func signal() {
        guard priority != nil else {
            _ = work()
            return
        }
        if !isSignalled.exchange(true, ordering: .sequentiallyConsistent) { bell.ring() }
    }

    /// Starts the thread, if there is to be one. Once.
    public func start() throws(XError) {
        guard let priority else { return }
        _ = try HostThread.spawn(name: name, priority: priority) { [self] in loop() }
    }

    /// Has the thread end once it has nothing to do. Returns at once.
    public func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        bell.ring()
    }

    /// The thread has ended, or there never was one.
    public var isIdleForEver: Bool { priority == nil || hasEnded.load(ordering: .acquiring) }

    /// Times that the work was begun, and the real-time priority the host gave the thread (0: none).
    public var metrics: [String: UInt64] {
        [
            "runs": runs.load(ordering: .relaxed),
            "realTimePriority": UInt64(realTimePriority.load(ordering: .relaxed)),
        ]
    }

    private func loop() {
        realTimePriority.store(HostThread.currentRealTimePriority, ordering: .relaxed)
        var pace = FruitlessPace()
        while true {
            let rings = bell.rings
            if isSignalled.load(ordering: .sequentiallyConsistent) {
                if gathering > 0, !isStopping.load(ordering: .relaxed) {
                    HostThread.sleep(nanoseconds: gathering)
                }
                isSignalled.store(false, ordering: .sequentiallyConsistent)
                let start = track.now
                let hasFound = work()
                runs.wrappingAdd(1, ordering: .relaxed)
                track.record(.slice("complete", .interrupt, from: start, to: track.now))
                let pause = pace.pause(after: hasFound)
                if pause > 0, !isStopping.load(ordering: .relaxed) {
                    HostThread.sleep(nanoseconds: pause)
                }
            } else if isStopping.load(ordering: .sequentiallyConsistent) {
                hasEnded.store(true, ordering: .releasing)
                return
            } else {
                bell.wait(after: rings)
            }
        }
    }
}
