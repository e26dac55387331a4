internal import Bus
internal import Clocks
internal import HostIO
internal import Interrupts
internal import LegacyDevices
internal import Vocabulary

/// The devices of a machine, put together and claimed on its bus.
///
/// Owner: the machine. Any thread.
final class MachineDevices: Sendable {
    let bus = Bus()
    let uarts: [UART]
    let power: ACPIPower
    /// Where devices complete their work.
    let contexts: [InterruptContext]
    private let powerButton: InterruptContext
    /// Every device, with what makes its state.
    let parts: [any MachinePart]

    /// What the devices need of the machine.
    struct Surroundings {
        var clock: HostClock
        var timers: MachineTimers
        var controller: InterruptController
        var request: @Sendable (ACPIPower.Request) -> Void
        var policy: InterruptContext.Policy
        var output: @Sendable (_ port: Int, _ bytes: [UInt8]) -> Void
        var room: @Sendable (_ port: Int) -> Void
    }

    /// Waits until the host has what the guest has sent, at most so long. No vCPU runs.
    func settle(milliseconds: Int) {
        for _ in 0..<milliseconds {
            if uarts.allSatisfy(\.isQuiet) { return }
            HostThread.sleep(nanoseconds: 1_000_000)
        }
    }

    /// A PC without what nobody needs. There is no 8259: ACPI says so, and kernels do not look.
    init(_ around: Surroundings) throws {
        let interrupts = around.controller
        let power = ACPIPower(
            clock: around.clock, interrupts: interrupts, request: around.request)
        self.power = power
        let powerButton = InterruptContext(
            around.policy, device: power.name, queue: power.name
        ) { power.pressPowerButton() }
        self.powerButton = powerButton
        let uarts = (0..<Machine.serialPortCount).map { port in
            UART(
                name: "uart\(port)", line: SerialPort.lines[port], clock: around.clock,
                interrupts: interrupts, policy: around.policy,
                wire: UART.Wire(
                    transmit: { [output = around.output] in output(port, $0) },
                    roomAvailable: { [room = around.room] in room(port) }))
        }
        self.uarts = uarts
        let timer = around.timers.intervalTimer.attach { setDeadline in
            IntervalTimer(
                clock: around.clock, interrupts: interrupts, setDeadline: setDeadline)
        } expired: {
            $0.timerExpired()
            return true
        }
        let realTimeClock = around.timers.realTimeClock.attach { setDeadline in
            RealTimeClock(
                clock: around.clock, wallClock: { HostClock.wallClockNanoseconds },
                interrupts: interrupts, setDeadline: setDeadline)
        } expired: {
            $0.timerExpired()
            return true
        }
        let control = SystemControlPort(timer: timer, clock: around.clock)
        let reset = ResetControl(request: around.request)
        let keyboard = KeyboardController(request: around.request)
        let window = IOAPICWindow(around.controller.ioAPIC)

        for (port, uart) in uarts.enumerated() {
            try bus.claim(PortNumber(SerialPort.addresses[port]), count: 8, uart)
        }
        try bus.claim(PortNumber(0x40), count: 4, timer)
        try bus.claim(PortNumber(0x61), count: 1, control)
        try bus.claim(PortNumber(0x64), count: 1, keyboard)
        try bus.claim(PortNumber(0x70), count: 2, realTimeClock)
        try bus.claim(PortNumber(0x600), count: ACPIPower.byteCount, power)
        try bus.claim(PortNumber(0xcf9), count: 1, reset)
        try bus.claim(MachineMemoryMap.ioAPIC, byteCount: 4096, window)
        bus.freeze()
        contexts = uarts.flatMap(\.contexts) + [powerButton]
        parts =
            uarts as [any MachinePart] + [timer, control, keyboard, realTimeClock, power, reset]
    }

    /// Presses the power button. Any thread.
    func pressPowerButton() { powerButton.signal() }

    /// What the lines of the I/O APIC are called where latencies are told.
    static let lineNames: [UInt32: String] = {
        var names = [
            IntervalTimer.line: "pit", RealTimeClock.line: "rtc", ACPIPower.line: "acpi-pm",
        ]
        for (port, line) in SerialPort.lines.enumerated() { names[line] = "uart\(port)" }
        return names
    }()

    /// How long the threads may take to hand the host what a guest that ended has sent, while they
    /// get nowhere, in nanoseconds.
    private static let patience: UInt64 = 10_000_000_000

    /// Has every context do what it has to do, and end. Waits for it, but not for a host that takes
    /// nothing for ten seconds.
    static func finish(_ contexts: [InterruptContext]) {
        for context in contexts { context.stop() }
        var waited: UInt64 = 0
        while !contexts.allSatisfy(\.isIdleForEver), waited < Self.patience {
            HostThread.sleep(nanoseconds: 1_000_000)
            waited &+= 1_000_000
        }
    }
}

/// Base ports and interrupt lines of the serial ports. COM3 and COM4 have lines of their own.
enum SerialPort {
    static let addresses: [UInt16] = [0x3f8, 0x2f8, 0x3e8, 0x2e8]
    static let lines: [UInt32] = [4, 3, 10, 11]
}

/// The I/O APIC's page on the bus. Its state is the I/O APIC's.
final class IOAPICWindow: Device {
    private let ioAPIC: IOAPIC

    init(_ ioAPIC: IOAPIC) { self.ioAPIC = ioAPIC }

    func read(offset: UInt64, width: AccessWidth) -> UInt64 { UInt64(ioAPIC.read(offset)) }

    func write(offset: UInt64, width: AccessWidth, value: UInt64) {
        ioAPIC.write(offset, UInt32(truncatingIfNeeded: value))
    }

    var name: String { ioAPIC.name }
    func captureState() -> IOAPIC.State { ioAPIC.captureState() }
    func restore(_ state: IOAPIC.State) throws(XError) { try ioAPIC.restore(state) }
    var metrics: [String: UInt64] { ioAPIC.metrics }
}
