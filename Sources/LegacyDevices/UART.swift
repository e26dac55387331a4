public import Bus
internal import HostIO
public import Interrupts
internal import Synchronization

/// A 16550A serial port: eight byte-wide registers, FIFOs of 16 bytes, one interrupt line.
///
/// Owner: the machine. Registers are accessed by vCPUs, `receive` by a host thread. Output leaves
/// through the `transmit` callback on the vCPU's thread, outside the device's lock.
public final class UART: Device {
    public let name: String
    private let line: UInt32
    private let interrupts: any InterruptSink
    private let transmit: @Sendable (UInt8) -> Void
    /// Called when the guest can take more bytes than `receive` could place.
    private let roomAvailable: @Sendable () -> Void
    let registers: RankedLock<Registers>
    /// The level the line has, so that only changes go to the controller. Written under the lock.
    private let lineLevel = Atomic<Bool>(false)
    let counters = AccessCounters()

    /// - Parameters:
    ///   - line: the global system interrupt.
    ///   - transmit: gets each byte the guest sends; must not block.
    ///   - roomAvailable: any thread; some bytes that did not fit may be offered again.
    public init(
        name: String, line: UInt32, interrupts: any InterruptSink,
        transmit: @escaping @Sendable (UInt8) -> Void,
        roomAvailable: @escaping @Sendable () -> Void = {}
    ) {
        self.name = name
        self.line = line
        self.interrupts = interrupts
        self.transmit = transmit
        self.roomAvailable = roomAvailable
        registers = RankedLock(Registers(), owner: name, rank: .device)
    }

    /// Sets the line. With the lock held: levels must come in the order of the registers' states.
    func announce(_ registers: Registers) {
        let level = registers.isInterrupting
        guard level != lineLevel.load(ordering: .relaxed) else { return }
        lineLevel.store(level, ordering: .relaxed)
        interrupts.setLine(line, asserted: level)
        if level { counters.countInterrupt() }
    }

    /// Offers bytes from the host. Returns how many were taken: none while the guest holds RTS down
    /// or its FIFO is full. Any thread.
    public func receive(_ bytes: some Collection<UInt8>) -> Int {
        registers.withLock { registers in
            var taken = 0
            for byte in bytes {
                if !registers.acceptsInput { break }
                registers.input.append(byte)
                taken += 1
            }
            if taken > 0 {
                registers.inputIsAged = true
                announce(registers)
            }
            return taken
        }
    }

    public func read(offset: UInt64, width: AccessWidth) -> UInt64 {
        counters.countRead()
        let (value, hasRoom) = registers.withLock { registers -> (UInt8, Bool) in
            let wasFull = !registers.acceptsInput
            let value = registers.read(UInt8(truncatingIfNeeded: offset & 7))
            announce(registers)
            return (value, wasFull && registers.acceptsInput)
        }
        if hasRoom { roomAvailable() }
        return UInt64(value)
    }

    public func write(offset: UInt64, width: AccessWidth, value: UInt64) {
        counters.countWrite()
        let byte = UInt8(truncatingIfNeeded: value)
        let (sent, hasRoom) = registers.withLock { registers -> (UInt8?, Bool) in
            let couldAccept = registers.acceptsInput
            let sent = registers.write(UInt8(truncatingIfNeeded: offset & 7), byte)
            announce(registers)
            return (sent, !couldAccept && registers.acceptsInput)
        }
        if let sent { transmit(sent) }
        if hasRoom { roomAvailable() }
    }
}
