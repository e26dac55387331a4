public import Vocabulary

/// The only upward door a device has.
///
/// Any thread may call. Never blocks, takes no lock that a vCPU may hold while it runs guest code, or
/// that another line takes.
public protocol InterruptSink: AnyObject, Sendable {
    /// Sets the level of the interrupt line `line` (a global system interrupt number).
    ///
    /// - Parameter event: when the host's event happened that asserts the line; nil: now.
    func setLine(_ line: UInt32, asserted: Bool, since event: Instant?)

    /// A message-signalled interrupt: `address` and `data` as the device's capability has them.
    func send(messageAddress address: UInt64, data: UInt32)
}

extension InterruptSink {
    /// Sets the level of a line, for something that happens now.
    public func setLine(_ line: UInt32, asserted: Bool) {
        setLine(line, asserted: asserted, since: nil)
    }
}
