public import Bus
public import Clocks
internal import HostIO
public import Interrupts
internal import Synchronization
internal import Vocabulary

/// A 16550A serial port: eight byte-wide registers, FIFOs of 16 bytes, one interrupt line.
///
/// Owner: the machine. Registers are accessed by vCPUs, which never wait for the host: what they
/// send is put down, and leaves in the transmitter's interrupt context; what the host sends is put
/// down too, and is received in the receiver's.
public final class UART: Device {
    /// The host's end of the wire.
    public struct Wire: Sendable {
        /// Gets the bytes the guest sends, in order, in the transmitter's context. May block when
        /// that is a thread.
        public var transmit: @Sendable ([UInt8]) -> Void
        /// The port takes bytes again after `receive` did not take all; in the receiver's context.
        public var roomAvailable: @Sendable () -> Void

        public init(
            transmit: @escaping @Sendable ([UInt8]) -> Void,
            roomAvailable: @escaping @Sendable () -> Void = {}
        ) {
            self.transmit = transmit
            self.roomAvailable = roomAvailable
        }
    }

    /// Nanoseconds that bytes wait for more to leave with them: a wire of 115,200 baud takes as
    /// long for one.
    private static let gathering: UInt64 = 87_000

    public let name: String
    private let line: UInt32
    private let clock: any Clock
    private let interrupts: any InterruptSink
    let registers: RankedLock<Registers>
    /// Bytes are with the host that are not in `registers` any more.
    private let isTransmitting = Atomic<Bool>(false)
    /// The level the line has, so that only changes go to the controller. Written under the lock.
    private let lineLevel = Atomic<Bool>(false)
    /// When the oldest byte came that the receiver has not announced, in nanoseconds; 0: none.
    private let arrivedAt = Atomic<UInt64>(0)
    /// The host has more than fitted.
    private let hostWaits = Atomic<Bool>(false)
    let receiver: InterruptContext
    let transmitter: InterruptContext
    let counters = AccessCounters()

    /// - Parameters:
    ///   - line: the global system interrupt.
    ///   - clock: of the host's events.
    public init(
        name: String, line: UInt32, clock: any Clock, interrupts: any InterruptSink,
        policy: InterruptContext.Policy, wire: Wire
    ) {
        self.name = name
        self.line = line
        self.clock = clock
        self.interrupts = interrupts
        registers = RankedLock(Registers(), owner: name, rank: .device)
        let work = Later<UART>()
        receiver = InterruptContext(policy, device: name, queue: name + "-rx") {
            work.part?.completeInput(wire)
        }
        transmitter = InterruptContext(
            policy, device: name, queue: name + "-tx", gathering: Self.gathering
        ) { work.part?.completeOutput(wire) }
        work.set(self)
    }

    /// Sets the line. With the lock held: levels must come in the order of the registers' states.
    ///
    /// - Parameter event: of the host that led to this; nil: now.
    func announce(_ registers: Registers, since event: Instant? = nil) {
        let level = registers.isInterrupting
        guard level != lineLevel.load(ordering: .relaxed) else { return }
        lineLevel.store(level, ordering: .relaxed)
        interrupts.setLine(line, asserted: level, since: event)
        if level { counters.countInterrupt() }
    }

    // MARK: The host's side

    /// Offers bytes from the host. Returns how many were taken; the guest gets them when it is ready
    /// to. Any thread, which holds no lock of the device or below.
    public func receive(_ bytes: some Collection<UInt8>) -> Int {
        let now = clock.now.nanoseconds
        var total = 0
        while true {
            let taken = registers.withLock { put(bytes.dropFirst(total), &$0) }
            guard taken > 0 else { return total }
            total += taken
            _ = arrivedAt.compareExchange(expected: 0, desired: now, ordering: .relaxed)
            if !receiver.isInline {
                receiver.signal()
                return total
            }
            // Not by way of `roomAvailable`, which is for another time: the caller is here.
            guard deliver(), total < bytes.count else { return total }
        }
    }

    private func put(_ bytes: some Collection<UInt8>, _ registers: inout Registers) -> Int {
        let taken = min(Registers.arrivingCapacity - registers.arriving.count, bytes.count)
        registers.arriving += bytes.prefix(taken)
        hostWaits.store(taken < bytes.count, ordering: .relaxed)
        return taken
    }

    /// Brings what has arrived to the guest. True if there is room for more.
    private func deliver() -> Bool {
        let since = arrivedAt.exchange(0, ordering: .relaxed)
        return registers.withLock { registers in
            if registers.takeArrivals() {
                announce(registers, since: since == 0 ? nil : Instant(nanoseconds: since))
            }
            return registers.arriving.count <= Registers.arrivingCapacity / 2
        }
    }

    /// Brings what has arrived to the guest, and asks the host for more.
    private func completeInput(_ wire: Wire) {
        if deliver(), hostWaits.exchange(false, ordering: .relaxed) { wire.roomAvailable() }
    }

    /// Hands the host what has been sent. The transmitter is empty again then, if it was not.
    private func completeOutput(_ wire: Wire) {
        while true {
            // Room for what a guest sends at once, so that its vCPU need not make it.
            var bytes: [UInt8] = []
            bytes.reserveCapacity(256)
            registers.withLock { registers in
                swap(&bytes, &registers.leaving)
                isTransmitting.store(!bytes.isEmpty, ordering: .relaxed)
                registers.endRest()
                announce(registers)
            }
            if bytes.isEmpty { return }
            wire.transmit(bytes)
            isTransmitting.store(false, ordering: .releasing)
            registers.withLock { registers in
                let wasFull = bytes.count > Registers.leavingCapacity - 16
                guard wasFull, registers.hasRoomToLeave else { return }
                registers.transmitterEmptied = true
                announce(registers)
            }
        }
    }

    /// Whether the host has all that the guest has sent.
    public var isQuiet: Bool {
        registers.withLock {
            $0.leaving.isEmpty && !isTransmitting.load(ordering: .acquiring)
        }
    }

    // MARK: The guest's side

    public func read(offset: UInt64, width: AccessWidth) -> UInt64 {
        counters.countRead()
        let (value, wantsMore) = registers.withLock { registers -> (UInt8, Bool) in
            let value = registers.read(UInt8(truncatingIfNeeded: offset & 7))
            return (value, refill(&registers))
        }
        if wantsMore { receiver.signal() }
        return UInt64(value)
    }

    public func write(offset: UInt64, width: AccessWidth, value: UInt64) {
        counters.countWrite()
        let byte = UInt8(truncatingIfNeeded: value)
        let (begins, wantsMore) = registers.withLock { registers -> (Bool, Bool) in
            let wasEmpty = registers.leaving.isEmpty
            registers.write(UInt8(truncatingIfNeeded: offset & 7), byte)
            if !transmitter.isInline { registers.restAfterBurst() }
            return (wasEmpty && !registers.leaving.isEmpty, refill(&registers))
        }
        if begins { transmitter.signal() }
        if wantsMore { receiver.signal() }
    }

    /// After an access: what is on the wire moves up. True if the host should send more.
    private func refill(_ registers: inout Registers) -> Bool {
        if !registers.arriving.isEmpty { _ = registers.takeArrivals() }
        announce(registers)
        return registers.arriving.count <= Registers.arrivingCapacity / 2
            && hostWaits.load(ordering: .relaxed)
    }
}
