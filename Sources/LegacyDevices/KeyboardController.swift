public import Bus

/// As much of the i8042 keyboard controller as a machine without keyboard needs: the command port,
/// 0x64, whose command 0xfe resets the machine. Port 0x60 is nobody's.
///
/// Any thread; no lock, no state.
public final class KeyboardController: Device {
    public let name = "i8042"
    let request: @Sendable (ACPIPower.Request) -> Void
    let counters = AccessCounters()

    public init(request: @escaping @Sendable (ACPIPower.Request) -> Void) {
        self.request = request
    }
}
