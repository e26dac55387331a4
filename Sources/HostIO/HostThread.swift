internal import CHost
import Glibc
internal import Synchronization
public import Vocabulary

/// A thread of the host with a name, as `top -H` shows it.
///
/// Owner: who spawned it. Join it or let it go: a thread that is let go, by the last reference to this
/// object, runs on until its body ends, and the host then takes back what it had.
public final class HostThread: Sendable {
    /// At most 15 bytes, what the kernel keeps.
    public let name: String
    private let handle: pthread_t
    private let isJoined = Atomic<Bool>(false)

    private init(name: String, handle: pthread_t) {
        self.name = name
        self.handle = handle
    }

    deinit {
        if !isJoined.load(ordering: .acquiring) { pthread_detach(handle) }
    }

    /// How the host's scheduler treats a thread.
    public enum Priority: Sendable, Hashable {
        /// As the process.
        case inherited
        /// -20 (first) to 19 (last). A value the host does not allow is left out silently.
        case nice(Int)
        /// In the real-time class, first in first out, at 1 (last) to 99: it runs as soon as it has
        /// something to do, before every thread that is not. Its timed sleeps end when they are due.
        /// A host that does not allow it (`realTimeRefusal`) leaves the thread as the process.
        case realTime(Int)
    }

    /// Why a thread of this process may not be real-time; nil if it may. Tries it on a thread of
    /// its own.
    public static func realTimeRefusal(at priority: Int) -> HostErrno? {
        let answer = Answer()
        do {
            try spawn(name: "probe") {
                answer.error.store(
                    chost_set_thread_realtime(CInt(clamping: priority)), ordering: .releasing)
            }.join()
        } catch { return error.hostErrno }
        let error = answer.error.load(ordering: .acquiring)
        return error == 0 ? nil : HostErrno(rawValue: error)
    }

    /// The real-time priority of the calling thread, 1 to 99; 0: it is in no real-time class.
    public static var currentRealTimePriority: Int { Int(chost_thread_realtime()) }

    /// Starts a thread. Names longer than 15 bytes are cut.
    public static func spawn(
        name: String, priority: Priority = .inherited, _ body: @escaping @Sendable () -> Void
    ) throws(XError) -> HostThread {
        var short = name
        while short.utf8.count > 15 { short.removeLast() }
        let box = unsafe Unmanaged.passRetained(Start(name: short, priority: priority, body: body))
        var handle = pthread_t()
        // SAFETY: the new thread takes the box over; if there is none, we take it back.
        let error = unsafe pthread_create(&handle, nil, runThread, box.toOpaque())
        guard error == 0 else {
            unsafe box.release()
            throw hostError("start the thread \(name)", HostErrno(rawValue: error))
        }
        return HostThread(name: short, handle: handle)
    }

    /// Waits for the body to end. Once, from another thread; later calls do nothing.
    public func join() {
        if isJoined.exchange(true, ordering: .acquiringAndReleasing) { return }
        pthread_join(handle, nil)
    }

    /// The calling thread gets an error, not a signal that ends the process, when it writes to a peer
    /// that has gone: for threads with sockets of libraries.
    public static func refuseBrokenPipeSignal() {
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGPIPE)
        unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    /// Interrupts the thread's blocking host call by a signal.
    public func signal(_ number: CInt) {
        pthread_kill(handle, number)
    }

    /// Processor time that the calling thread has used, in nanoseconds.
    public static var processorNanoseconds: UInt64 { nanoseconds(CLOCK_THREAD_CPUTIME_ID) }

    /// Now, on the host's monotonic clock.
    public static var monotonicNow: Instant {
        Instant(nanoseconds: nanoseconds(CLOCK_MONOTONIC))
    }

    private static func nanoseconds(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// Lets the calling thread sleep.
    public static func sleep(nanoseconds: UInt64) {
        var pause = timespec(
            tv_sec: Int(clamping: nanoseconds / 1_000_000_000),
            tv_nsec: Int(nanoseconds % 1_000_000_000))
        unsafe nanosleep(&pause, nil)
    }

    /// The name of the calling thread.
    public static var currentName: String {
        var bytes = [CChar](repeating: 0, count: 16)
        // SAFETY: 16 bytes, as the call wants.
        unsafe chost_get_thread_name(&bytes)
        return String(
            decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// What a thread that tries something found.
private final class Answer: Sendable {
    let error = Atomic<CInt>(0)
}

/// What a new thread is given.
private final class Start: Sendable {
    let name: String
    let priority: HostThread.Priority
    let body: @Sendable () -> Void

    init(name: String, priority: HostThread.Priority, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.priority = priority
        self.body = body
    }
}

private func runThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument = unsafe argument else { return nil }
    // SAFETY: `spawn` retained it for us.
    let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
    unsafe chost_set_thread_name(start.name)
    switch start.priority {
    case .inherited: break
    case .nice(let value): _ = chost_set_thread_nice(CInt(clamping: value))
    case .realTime(let value):
        _ = chost_set_thread_realtime(CInt(clamping: value))
        chost_set_exact_timers()
    }
    start.body()
    return nil
}
