public import Bus

/// The reset control register at port 0xcf9: bit 2 resets the machine.
///
/// Any thread; no lock, no state.
public final class ResetControl: Device {
    public let name = "reset"
    let request: @Sendable (ACPIPower.Request) -> Void
    let counters = AccessCounters()

    public init(request: @escaping @Sendable (ACPIPower.Request) -> Void) {
        self.request = request
    }
}
