/// The only upward door a device has.
///
/// Any thread may call. Never blocks, takes no lock that a vCPU may hold while it runs guest code.
public protocol InterruptSink: AnyObject, Sendable {
    /// Sets the level of the interrupt line `line` (a global system interrupt number).
    func setLine(_ line: UInt32, asserted: Bool)

    /// A message-signalled interrupt: `address` and `data` as the device's capability has them.
    func send(messageAddress address: UInt64, data: UInt32)
}
