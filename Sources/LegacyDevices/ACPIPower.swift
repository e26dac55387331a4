public import Bus
public import Clocks
internal import HostIO
public import Interrupts
internal import Vocabulary

/// The fixed hardware of ACPI: PM1a event and control blocks and the PM timer (ACPI 6.4, 4.8).
/// Claimed as one range of ports: event 0-3, control 4-5, timer 8-11.
///
/// Any thread.
public final class ACPIPower: Device {
    /// What the guest asks for.
    public enum Request: Sendable, Equatable {
        case powerOff
        case reset
    }

    /// SLP_TYP of S5 in the DSDT's \_S5 package.
    public static let powerOffType: UInt16 = 5
    /// Offsets within the range of ports.
    public static let byteCount: UInt64 = 12
    /// The system control interrupt.
    public static let line: UInt32 = 9
    /// Of the PM timer, in hertz.
    public static let timerFrequency: UInt64 = 3_579_545

    public let name = "acpi-pm"
    let registers = RankedLock(Registers(), owner: "acpi-pm", rank: .device)
    private let clock: any Clock
    private let interrupts: any InterruptSink
    let request: @Sendable (Request) -> Void
    let counters = AccessCounters()

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
        registers.withLock { registers in
            registers.status |= Registers.powerButton
            announce(registers)
        }
    }

    /// Sets the line. With the lock held: its levels must come in the order of the states.
    func announce(_ registers: Registers) {
        let asserted = registers.status & registers.enable != 0
        interrupts.setLine(Self.line, asserted: asserted)
        if asserted { counters.countInterrupt() }
    }

    /// The PM timer before the guest's offset, 64 bits.
    var ticks: UInt64 {
        let (high, low) = clock.now.nanoseconds.multipliedFullWidth(by: Self.timerFrequency)
        return UInt64(1_000_000_000).dividingFullWidth((high, low)).quotient
    }
}
