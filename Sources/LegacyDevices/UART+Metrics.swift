public import Interrupts

extension UART {
    /// Reads, writes and rises of the line, and times that either context began its work; each a
    /// count. The real-time priority of the receiver's thread, 0 for none.
    public var metrics: [String: UInt64] {
        var values = counters.values
        values["receiverRuns"] = receiver.metrics["runs"]
        values["transmitterRuns"] = transmitter.metrics["runs"]
        values["realTimePriority"] = receiver.metrics["realTimePriority"]
        return values
    }

    /// The contexts in which the port completes its work, for the machine to start and stop.
    public var contexts: [InterruptContext] { [receiver, transmitter] }
}
