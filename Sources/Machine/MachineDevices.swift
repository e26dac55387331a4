internal import Bus
internal import Clocks
internal import Interrupts
internal import LegacyDevices
internal import Synchronization
internal import Vocabulary

/// The devices of a machine, put together and claimed on its bus.
///
/// Owner: the machine. Any thread.
final class MachineDevices: Sendable {
    let bus = Bus()
    let uarts: [UART]
    let power: ACPIPower
    /// Every device, with what makes its state.
    let parts: [any MachinePart]

    /// What the devices need of the machine.
    struct Surroundings {
        var clock: HostClock
        var timers: TimerQueue
        var controller: InterruptController
        var request: @Sendable (ACPIPower.Request) -> Void
        var output: @Sendable (_ port: Int, _ byte: UInt8) -> Void
        var room: @Sendable (_ port: Int) -> Void
    }

    /// A PC without what nobody needs. There is no 8259: ACPI says so, and kernels do not look.
    init(_ around: Surroundings) throws {
        let interrupts = around.controller
        let power = ACPIPower(
            clock: around.clock, interrupts: interrupts, request: around.request)
        self.power = power
        let uarts = (0..<Machine.serialPortCount).map { port in
            UART(
                name: "uart\(port)", line: SerialPort.lines[port], interrupts: interrupts,
                transmit: { [output = around.output] in output(port, $0) },
                roomAvailable: { [room = around.room] in room(port) })
        }
        self.uarts = uarts
        let timer = around.timers.attach { setDeadline in
            IntervalTimer(
                clock: around.clock, interrupts: interrupts, setDeadline: setDeadline)
        } expired: {
            $0.timerExpired()
        }
        let realTimeClock = around.timers.attach { setDeadline in
            RealTimeClock(
                clock: around.clock, wallClock: { HostClock.wallClockNanoseconds },
                interrupts: interrupts, setDeadline: setDeadline)
        } expired: {
            $0.timerExpired()
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
        parts =
            uarts as [any MachinePart] + [timer, control, keyboard, realTimeClock, power, reset]
    }
}

extension TimerQueue {
    /// Makes a part that has a timer of this queue, and calls `expired` on it at its deadlines.
    func attach<Part: MachinePart>(
        _ make: (_ setDeadline: @escaping @Sendable (Instant?) -> Void) -> Part,
        expired: @escaping @Sendable (Part) -> Void
    ) -> Part {
        let later = Later<Part>()
        let timer = makeTimer {
            if let part = later.part.load() { expired(part) }
        }
        let part = make { [self] in set(timer, $0) }
        _ = later.part.storeIfNil(part)
        return part
    }
}

/// Breaks the circle of a timer and the part it is for.
private final class Later<Part: MachinePart>: Sendable {
    let part = AtomicLazyReference<Part>()
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
