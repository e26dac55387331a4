internal import Vocabulary
internal import Xen

/// What somebody outside may ask of a guest.
public enum PowerRequest: String, Sendable, Codable, CaseIterable {
    case powerOff = "poweroff"
    case halt
    case reboot
}

// Asking a guest. Any thread.
extension Machine {
    /// Asks the guest to end, or to begin anew: a Xen guest by its store, others by the power button.
    ///
    /// - Throws: `XError`: the guest does not listen, or there is no way to ask that.
    public func ask(_ request: PowerRequest) throws {
        guard let powerControl else {
            guard request != .reboot else {
                throw XError(
                    .unsupported,
                    "the platform '\(configuration.platform.rawValue)' has a power button only: use "
                        + "--platform xen, or poweroff")
            }
            return pressPowerButton()
        }
        switch request {
        case .powerOff: try powerControl.ask(.powerOff)
        case .halt: try powerControl.ask(.halt)
        case .reboot: try powerControl.ask(.reboot)
        }
    }

    /// The guest has taken the last request. True where it has no way to say so.
    public var hasAcknowledged: Bool { powerControl?.isAcknowledged ?? true }

    /// Takes the last request back. False: it is too late for that.
    public func withdrawRequest() -> Bool { powerControl?.withdraw() ?? false }

    /// Presses a key of the kernel's "magic SysRq".
    public func press(systemRequest key: Character) throws {
        guard let powerControl else {
            throw XError(
                .unsupported,
                "the platform '\(configuration.platform.rawValue)' has no way for SysRq: use "
                    + "--platform xen")
        }
        try powerControl.press(systemRequest: key)
    }
}
