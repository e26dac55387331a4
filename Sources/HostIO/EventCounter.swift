internal import CHost
import Glibc
public import Vocabulary

/// A counter that other threads raise and an event loop waits for: eventfd(2).
public final class EventCounter: Sendable {
    /// Readable while the counter is not 0. Open as long as this object.
    public let descriptor: CInt

    public init() throws(XError) {
        descriptor = CInt(try hostCall("make an eventfd") { Int(chost_eventfd()) })
    }

    deinit { close(descriptor) }

    /// Raises the counter by one. Never blocks.
    public func signal() {
        var one: UInt64 = 1
        _ = unsafe write(descriptor, &one, 8)
    }

    /// The counter, which goes to 0.
    @discardableResult
    public func take() -> UInt64 {
        var value: UInt64 = 0
        return unsafe read(descriptor, &value, 8) == 8 ? value : 0
    }
}

/// A timer that an event loop waits for: timerfd(2) on the monotonic clock.
public final class HostTimer: Sendable {
    /// Readable once the time has come. Open as long as this object.
    public let descriptor: CInt

    public init() throws(XError) {
        descriptor = CInt(try hostCall("make a timerfd") { Int(chost_timerfd_create()) })
    }

    deinit { close(descriptor) }

    /// Sets the timer to go off once at `deadline` (at once if it has passed), or never for nil.
    public func set(_ deadline: Instant?) {
        // 0 would turn the timer off.
        _ = chost_timerfd_set(descriptor, deadline.map { max($0.nanoseconds, 1) } ?? 0)
    }

    /// How often the timer went off since this was last asked.
    @discardableResult
    public func take() -> UInt64 {
        var value: UInt64 = 0
        return unsafe read(descriptor, &value, 8) == 8 ? value : 0
    }
}
