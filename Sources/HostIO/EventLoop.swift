internal import CHost
import Glibc
public import Vocabulary

/// Waits for many descriptors at once and calls who is interested: epoll(7).
///
/// Handlers and submitted work run on the thread that is in `run`, one after the other. Everything
/// else may be called from any thread.
public final class EventLoop: Sendable {
    /// What is waited for, and what happened.
    public struct Readiness: OptionSet, Sendable {
        public var rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        public static let read = Readiness(rawValue: chost_EPOLLIN)
        public static let write = Readiness(rawValue: chost_EPOLLOUT)
        /// The other side is gone. Reported whether asked for or not.
        public static let hangUp = Readiness(rawValue: chost_EPOLLHUP | chost_EPOLLRDHUP)
        /// Reported whether asked for or not.
        public static let error = Readiness(rawValue: chost_EPOLLERR)
    }

    public typealias Handler = @Sendable (Readiness) -> Void

    /// A descriptor's place in the loop.
    public struct Registration: Hashable, Sendable {
        fileprivate var token: UInt64
        fileprivate var descriptor: CInt
    }

    private struct State {
        var handlers: [UInt64: Handler] = [:]
        var work: [@Sendable () -> Void] = []
        var nextToken: UInt64 = 1
        var stopping = false
    }

    private let epoll: CInt
    private let wakeUp: EventCounter
    private let state = RankedLock(State(), owner: "event-loop", rank: .leaf)

    public init() throws(XError) {
        wakeUp = try EventCounter()
        epoll = CInt(try hostCall("make an epoll descriptor") { Int(chost_epoll_create()) })
        let (epoll, descriptor) = (epoll, wakeUp.descriptor)
        // Token 0 is the wake-up.
        _ = try hostCall("watch an eventfd") {
            Int(chost_epoll_add(epoll, descriptor, chost_EPOLLIN, 0))
        }
    }

    deinit { close(epoll) }

    /// Has `handler` called while `descriptor` is ready. The descriptor stays the caller's, who
    /// removes it before closing it.
    public func add(
        _ descriptor: CInt, _ interest: Readiness, _ handler: @escaping Handler
    ) throws(XError) -> Registration {
        let token = state.withLock { state in
            let token = state.nextToken
            state.nextToken += 1
            state.handlers[token] = handler
            return token
        }
        do {
            let epoll = epoll
            _ = try hostCall("watch descriptor \(descriptor)") {
                Int(chost_epoll_add(epoll, descriptor, interest.rawValue, token))
            }
        } catch {
            _ = state.withLock { $0.handlers.removeValue(forKey: token) }
            throw error
        }
        return Registration(token: token, descriptor: descriptor)
    }

    /// Changes what is waited for; an empty set pauses.
    public func setInterest(
        _ registration: Registration, _ interest: Readiness
    ) throws(XError) {
        let epoll = epoll
        _ = try hostCall("watch descriptor \(registration.descriptor)") {
            Int(
                chost_epoll_modify(
                    epoll, registration.descriptor, interest.rawValue, registration.token))
        }
    }

    /// Ends the calls of the handler; one may be running now unless this is the loop's thread.
    public func remove(_ registration: Registration) {
        _ = chost_epoll_remove(epoll, registration.descriptor)
        _ = state.withLock { $0.handlers.removeValue(forKey: registration.token) }
    }

    /// Has `body` called on the loop's thread, soon, in the order of submission.
    public func submit(_ body: @escaping @Sendable () -> Void) {
        state.withLock { $0.work.append(body) }
        wakeUp.signal()
    }

    /// Makes `run` return after what it is doing now.
    public func stop() {
        state.withLock { $0.stopping = true }
        wakeUp.signal()
    }

    /// Serves until `stop`. Work submitted before the stop is done.
    public func run() throws(XError) {
        let capacity = Int(CHOST_EVENT_BATCH)
        var tokens = [UInt64](repeating: 0, count: capacity)
        var events = [UInt32](repeating: 0, count: capacity)
        while true {
            let epoll = epoll
            let count = try hostCall("wait for events") {
                // SAFETY: both arrays hold CHOST_EVENT_BATCH entries.
                unsafe Int(chost_epoll_wait(epoll, &tokens, &events, -1))
            }
            for index in 0..<min(count, capacity) {
                let token = tokens[index]
                if token == 0 {
                    wakeUp.take()
                    continue
                }
                // A handler before this one may have removed it.
                let handler = state.withLock { $0.handlers[token] }
                handler?(Readiness(rawValue: events[index]))
            }
            let (work, stopping) = state.withLock { state in
                defer { state.work.removeAll() }
                return (state.work, state.stopping)
            }
            for body in work { body() }
            if stopping {
                state.withLock { $0.stopping = false }
                return
            }
        }
    }
}
