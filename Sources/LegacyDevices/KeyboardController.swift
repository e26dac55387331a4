public import Bus

/// As much of the i8042 keyboard controller as a machine without keyboard needs: nothing is ever
/// waiting, and command 0xfe resets. Claimed as ports 0x60 and 0x64 each.
public final class KeyboardController: Device, Sendable {
    public let name: String
    private let isCommandPort: Bool
    private let request: @Sendable (ACPIPower.Request) -> Void

    public init(isCommandPort: Bool, request: @escaping @Sendable (ACPIPower.Request) -> Void) {
        name = isCommandPort ? "i8042-command" : "i8042-data"
        self.isCommandPort = isCommandPort
        self.request = request
    }

    /// Without a controller all bits read as ones, and drivers give up at once.
    public func read(offset: UInt64, width: AccessWidth) -> UInt64 { 0xff }

    public func write(offset: UInt64, width: AccessWidth, value: UInt64) {
        if isCommandPort, value & 0xff == 0xfe { request(.reset) }
    }
}
