/// A device, controller or clock of a machine: it can say its state, take it back, and says what it
/// counted. What is not one cannot join a machine.
public protocol MachinePart: AnyObject, Sendable {
    /// What the guest could tell apart. Times are kept as what has passed or is left, because the
    /// host's clock of another day means nothing.
    associatedtype State: Codable & Sendable

    /// As statistics, messages and snapshots show it, e.g. `uart0`; unique within the machine.
    var name: String { get }

    /// Any thread, while no vCPU runs.
    func captureState() -> State

    /// Goes on from `state`: sets lines and timers too. Any thread, while no vCPU runs.
    /// - Throws: `XError` for a state that this part cannot be in; the part is then as it was.
    func restore(_ state: State) throws(XError)

    /// Counters since the part was made, by name with the unit. Any thread.
    var metrics: [String: UInt64] { get }
}
