internal import HostIO
internal import Synchronization
public import Vocabulary

/// The store of a machine on a UNIX stream socket, as xenstored has one: clients of this user, or root,
/// with the rights of the host.
///
/// Owner: the machine. Made, started once and stopped once, by any thread.
public final class StoreSocket: Sendable {
    public let path: String
    private let run: StoreSocketRun
    private let thread = RankedLock<HostThread?>(nil, owner: "xenstore-sock", rank: .leaf)

    /// Makes the socket; who connects waits for `start`.
    ///
    /// - Parameters:
    ///   - option: what the user gave the path by, for the words of errors.
    /// - Throws: `XError` for a path that is in use or cannot be used.
    public init(path: String, option: String, store: StoreHost) throws(XError) {
        self.path = path
        run = StoreSocketRun(
            listener: try UnixListener(path: path, option: option), bell: try StoreSocketBell(),
            store: store)
    }

    /// Starts to serve clients, in a thread of its own.
    public func start() throws(XError) {
        let started = try HostThread.spawn(name: "xenstore-sock") { [run] in run.run() }
        thread.withLock { $0 = started }
    }

    /// Ends all connections and waits for the thread; the socket's file goes. Not by the thread itself.
    public func stop() {
        run.bell.stop()
        let started = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        started?.join()
    }

    deinit { stop() }
}

/// What wakes the thread of a `StoreSocket`.
final class StoreSocketBell: Sendable {
    private let counter: EventCounter
    private let stopping = Atomic<Bool>(false)

    init() throws(XError) { counter = try EventCounter() }

    var descriptor: CInt { counter.descriptor }
    var isStopping: Bool { stopping.load(ordering: .acquiring) }
    func ring() { counter.signal() }
    func take() { counter.take() }

    func stop() {
        stopping.store(true, ordering: .releasing)
        ring()
    }
}
