internal import CHost
import Glibc
public import Vocabulary

/// A thread of the host with a name, as `top -H` shows it.
///
/// Owner: who spawned it. Join it or let it go: a thread that is let go runs on until its body ends.
public final class HostThread: Sendable {
    /// At most 15 bytes, what the kernel keeps.
    public let name: String
    private let handle: pthread_t

    private init(name: String, handle: pthread_t) {
        self.name = name
        self.handle = handle
    }

    /// How the host's scheduler treats a thread.
    public enum Priority: Sendable, Hashable {
        /// As the process.
        case inherited
        /// -20 (first) to 19 (last). A value the host does not allow is left out silently.
        case nice(Int)
    }

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

    /// Waits for the body to end. To be called once, from another thread.
    public func join() {
        pthread_join(handle, nil)
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

    /// The name of the calling thread.
    public static var currentName: String {
        var bytes = [CChar](repeating: 0, count: 16)
        // SAFETY: 16 bytes, as the call wants.
        unsafe chost_get_thread_name(&bytes)
        return String(
            decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
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
    if case .nice(let value) = start.priority {
        _ = chost_set_thread_nice(CInt(clamping: value))
    }
    start.body()
    return nil
}
