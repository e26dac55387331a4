public import Bus
public import Clocks
internal import HostIO
public import Interrupts
internal import Vocabulary

/// The fixed hardware of ACPI: PM1a event and control blocks, the PM timer, and the reset register
/// (ACPI 6.4, 4.8). Claimed as one range of ports: event 0-3, control 4-5, timer 8-11.
///
/// Any thread.
public final class ACPIPower: Device, Sendable {
    /// What the guest asks for.
    public enum Request: Sendable, Equatable {
        case powerOff
        case reset
    }

    /// SLP_TYP of S5 in the DSDT's \_S5 package.
    public static let powerOffType: UInt16 = 5
    /// Offsets within the range of ports.
    public static let byteCount: UInt64 = 12

    public let name = "acpi-pm"
    private struct State {
        var status: UInt16 = 0
        var enable: UInt16 = 0
        var control: UInt16 = 1
    }
    private let state = RankedLock(State(), owner: "acpi-pm", rank: .device)
    private let clock: any Clock
    private let interrupts: any InterruptSink
    private let request: @Sendable (Request) -> Void
    /// The system control interrupt.
    public static let line: UInt32 = 9

    public init(
        clock: any Clock, interrupts: any InterruptSink,
        request: @escaping @Sendable (Request) -> Void
    ) {
        self.clock = clock
        self.interrupts = interrupts
        self.request = request
    }

    /// Presses the power button: a guest with ACPI shuts down. Any thread.
    public func pressPowerButton() {
        // The line is set under the lock: its levels must come in the order of the states.
        state.withLock { state in
            state.status |= 0x100
            interrupts.setLine(Self.line, asserted: state.status & state.enable != 0)
        }
    }

    public func read(offset: UInt64, width: AccessWidth) -> UInt64 {
        if offset >= 8 {
            // 3.579545 MHz.
            let (high, low) = clock.now.nanoseconds.multipliedFullWidth(by: 3_579_545)
            let ticks = UInt64(1_000_000_000).dividingFullWidth((high, low)).quotient
            return ticks & 0xffff_ffff
        }
        return state.withLock { state in
            switch offset {
            case 0: UInt64(state.status) | (width >= 4 ? UInt64(state.enable) << 16 : 0)
            case 2: UInt64(state.enable)
            case 4: UInt64(state.control)
            default: 0
            }
        }
    }

    public func write(offset: UInt64, width: AccessWidth, value: UInt64) {
        let word = UInt16(truncatingIfNeeded: value)
        let sleeps = state.withLock { state -> Bool in
            switch offset {
            case 0:
                state.status &= ~word
                if width >= 4 { state.enable = UInt16(truncatingIfNeeded: value >> 16) }
            case 2: state.enable = word
            case 4:
                state.control = word & 0x1c01 | 1
                if word & 0x2000 != 0, (word >> 10) & 7 == Self.powerOffType {
                    return true
                }
            default: break
            }
            if offset < 4 {
                interrupts.setLine(Self.line, asserted: state.status & state.enable != 0)
            }
            return false
        }
        if sleeps { request(.powerOff) }
    }
}

/// The reset control register at port 0xcf9: 6 resets the machine.
public final class ResetControl: Device, Sendable {
    public let name = "reset"
    private let request: @Sendable (ACPIPower.Request) -> Void

    public init(request: @escaping @Sendable (ACPIPower.Request) -> Void) {
        self.request = request
    }

    public func read(offset: UInt64, width: AccessWidth) -> UInt64 { 0 }

    public func write(offset: UInt64, width: AccessWidth, value: UInt64) {
        if value & 4 != 0 { request(.reset) }
    }
}
