public import GuestMemory
internal import HostIO
internal import Synchronization
public import VirtualCPU
public import Vocabulary

/// The local APIC of one vCPU (SDM volume 3, chapter 11): registers by memory (xAPIC) and by MSR
/// (x2APIC), the timer, and the requests that wait for the vCPU.
///
/// Owner: `InterruptController`. Any thread may deliver, and takes no lock for it: what waits is in
/// atomic words, and only the vCPU's own thread moves a request into service. The registers have a
/// lock of their own, which the vCPU's thread, its timer and the local inputs take.
public final class LocalAPIC: MachinePart {
    /// What an INIT or start-up IPI asks of the vCPU.
    public enum StartUpRequest: Sendable, Equatable {
        case initialize
        case startUp(vector: UInt8)
    }

    /// An interrupt command for the controller to route.
    public struct Command: Sendable, Equatable {
        public var value: UInt64
        public var isX2: Bool
        public var source: VCPUIndex
    }

    /// What the timer needs of the clocks: the machine puts these together.
    public struct Timing: Sendable {
        /// Now, on the machine's monotonic clock.
        public var now: @Sendable () -> Instant
        /// Nanoseconds until the vCPU's time-stamp counter, which shows so much (the second number,
        /// modulo 2^64) above the machine's, reaches the first; 0 when it has.
        public var nanosecondsUntilCounter: @Sendable (UInt64, UInt64) -> UInt64
        /// Has `timerExpired` called at the deadline, on any thread; nil cancels.
        public var setDeadline: @Sendable (Instant?) -> Void

        public init(
            now: @escaping @Sendable () -> Instant,
            nanosecondsUntilCounter: @escaping @Sendable (UInt64, UInt64) -> UInt64,
            setDeadline: @escaping @Sendable (Instant?) -> Void
        ) {
            self.now = now
            self.nanosecondsUntilCounter = nanosecondsUntilCounter
            self.setDeadline = setDeadline
        }
    }

    /// An error of the error status register (SDM volume 3, 11.5.3).
    struct ErrorStatus {
        static let sendIllegalVector: UInt32 = 1 << 5
        static let receivedIllegalVector: UInt32 = 1 << 6
        static let illegalRegisterAddress: UInt32 = 1 << 7
    }

    /// Where the bit is that enables the APIC, in its page and among the registers of x2APIC.
    public static let spuriousVectorRegister: UInt32 = 0xf0
    public static let spuriousVectorRegisterX2: UInt32 = 0x80f

    public let index: VCPUIndex
    public let name: String
    /// The initial APIC ID.
    public let identifier: UInt32
    let registers: RankedLock<Registers>
    /// IRR and TMR: any thread.
    let requests = AtomicVectorSet()
    let triggers = AtomicVectorSet()
    let startUps = StartUpLatch()
    /// Errors since the error status register was last written: any thread.
    let errors = Atomic<UInt32>(0)
    /// The LVT error entry, for whoever finds an error. Written under the lock.
    private let errorEntry = Atomic<UInt32>(0x1_0000)
    /// `LocalAPICAddress`. Written under the lock.
    private let addressWord = Atomic<UInt64>(0)
    let pending: PendingEvents
    let timing: Timing
    /// Where the guest ends interrupts without a write; nil: it does not.
    let memory: GuestMemory?
    /// What made each request, and when.
    let stamps = InterruptStamps()
    /// The vCPU's thread, or with the lock of the registers.
    let record: LatencyRecord
    /// What the timer was last set to, in nanoseconds.
    let alarm = Atomic<UInt64>(0)
    private let wake: @Sendable () -> Void
    let counters = Counters()

    /// - Parameters:
    ///   - memory: for `setEndOfInterruptWord`.
    ///   - wake: called after `pending` has been raised, on any thread.
    ///   - trace: where interrupts taken into service are shown, and how sources are called there.
    public init(
        index: VCPUIndex, pending: PendingEvents, timing: Timing, memory: GuestMemory? = nil,
        trace: Tracing = Tracing(),
        wake: @escaping @Sendable () -> Void
    ) {
        self.index = index
        name = "apic\(index.rawValue)"
        identifier = index.rawValue
        self.pending = pending
        self.timing = timing
        self.memory = memory
        self.wake = wake
        record = LatencyRecord(trace)
        registers = RankedLock(
            Registers(identifier: index.rawValue), owner: name, rank: .localAPIC)
        registers.withLock { publish($0) }
    }

    // MARK: Delivery, from any thread

    /// Where senders find this APIC.
    var address: LocalAPICAddress {
        LocalAPICAddress(bits: addressWord.load(ordering: .sequentiallyConsistent))
    }

    /// Whether it takes interrupts at all: it is enabled, by its base and by its spurious-interrupt vector
    /// register.
    public var isSoftwareEnabled: Bool { address.isSoftwareEnabled }

    /// Accepts a fixed or lowest-priority interrupt. False: this APIC takes none now, or not this.
    @discardableResult
    public func request(
        vector: UInt8, level: Bool, origin: InterruptOrigin = .unknown
    ) -> Bool {
        guard address.isSoftwareEnabled, !startUps.holdsInitialize else { return false }
        guard vector >= 16 else {
            report(ErrorStatus.receivedIllegalVector)
            return false
        }
        if triggers.contains(vector) != level {
            if level { triggers.insert(vector) } else { triggers.remove(vector) }
        }
        // Of requests that become one interrupt the first counts.
        if origin.source != .unknown, !requests.contains(vector) {
            stamps.set(vector, origin.source, origin.time ?? timing.now())
        }
        requests.insert(vector)
        counters.add(.accepted)
        // The vCPU lowers its priority before it looks at the requests, and this is the other way
        // round: one of the two sees the other. An end that is offered has perhaps been made.
        let address = address
        if vector & 0xf0 > address.processorPriority & 0xf0 || address.endIsOffered {
            raise(.interrupt)
        }
        return true
    }

    public func requestNonMaskableInterrupt() {
        counters.add(.nonMaskable)
        raise(.nonMaskableInterrupt)
    }

    /// Wakes the vCPU for a kick (KVM's APIC_DM_REMRD), which has been noted elsewhere.
    public func kick() { raise(.kick) }

    /// Wakes the vCPU for an interrupt that this APIC knows nothing of.
    public func requestDirect() { raise(.interrupt) }

    public func request(_ request: StartUpRequest) {
        startUps.insert(request)
        raise(.initialize)
    }

    /// An error of this APIC. The first since the register was written may interrupt.
    func report(_ error: UInt32) {
        counters.add(.errors)
        let (old, _) = errors.bitwiseOr(error, ordering: .acquiringAndReleasing)
        let entry = errorEntry.load(ordering: .acquiring)
        let vector = UInt8(truncatingIfNeeded: entry)
        guard old == 0, entry & 0x1_0000 == 0, vector >= 16 else { return }
        request(vector: vector, level: false)
    }

    private func raise(_ events: PendingEvents.Events) {
        pending.raise(events)
        wake()
    }

    // MARK: The vCPU's side

    func deliverable(_ priority: UInt8, _ isSoftwareEnabled: Bool) -> UInt8? {
        guard isSoftwareEnabled, let vector = requests.current.highest,
            vector & 0xf0 > priority & 0xf0
        else { return nil }
        return vector
    }

    /// There is a request the priorities let through now.
    public var hasDeliverable: Bool {
        let address = address
        return deliverable(address.processorPriority, address.isSoftwareEnabled) != nil
    }

    /// The INIT and start-up requests since the last call, oldest first. An INIT resets the APIC's
    /// registers, except the identifier and IA32_APIC_BASE (SDM volume 3, 11.4.7.3).
    public func takeStartUpRequests() -> [StartUpRequest] {
        startUps.take {
            registers.withLock { registers in
                retract(&registers)
                registers.initialize()
                publish(registers)
                forgetRequests()
            }
        }
    }

    /// The requests and the timer go with the registers.
    private func forgetRequests() {
        requests.replace(VectorSet())
        triggers.replace(VectorSet())
        errors.store(0, ordering: .releasing)
        timing.setDeadline(nil)
        stamps.clear()
    }

    /// CR8: bits 7:4 of the task priority.
    public var taskPriority: UInt8 {
        get { registers.withLock { UInt8(truncatingIfNeeded: $0.taskPriority >> 4) } }
        set {
            registers.withLock {
                $0.taskPriority = UInt32(newValue & 0xf) << 4
                publish($0)
            }
            announce()
        }
    }

    /// Tells the vCPU of what waits. On its worker.
    public func announce() {
        if hasDeliverable || address.endIsOffered && !requests.current.isEmpty {
            pending.raise(.interrupt)
        }
    }

    /// IA32_APIC_BASE. The set value has been checked by `setBase`.
    public var base: UInt64 { registers.withLock { $0.base } }

    /// False: #GP.
    public func setBase(_ value: UInt64) -> Bool {
        registers.withLock { registers in
            // A disabled APIC forgets what is in service.
            if value & 0x800 == 0 { retract(&registers) }
            guard registers.setBase(value) else { return false }
            if value & 0x800 == 0 { forgetRequests() }
            publish(registers)
            return true
        }
    }

    /// Tells the senders. With the lock held, after each change of what they must know.
    func publish(_ registers: Registers) {
        errorEntry.store(registers.localVectors[Registers.errorEntry], ordering: .releasing)
        addressWord.store(registers.address.bits, ordering: .sequentiallyConsistent)
    }

    // MARK: Local inputs

    /// The pins and the sources that raise interrupts through the local vector table.
    public enum LocalInput: Int, Sendable, CaseIterable {
        case thermal = 1
        case performance = 2
        case lint0 = 3
        case lint1 = 4
    }

    /// Sets the level of a local input. Any thread. External interrupts (ExtINT) and SMIs are not
    /// delivered: this machine has no 8259 and no system management mode.
    public func setInput(_ input: LocalInput, asserted: Bool) {
        let delivery = registers.withLock { $0.setInput(input, asserted: asserted) }
        if let delivery { deliver(delivery) }
    }

    /// What an entry of the local vector table sends.
    struct LocalDelivery: Sendable, Equatable {
        var mode: UInt8
        var vector: UInt8
        var isLevel: Bool
    }

    func deliver(_ delivery: LocalDelivery) {
        switch delivery.mode {
        case 0: request(vector: delivery.vector, level: delivery.isLevel)
        case 4: requestNonMaskableInterrupt()
        case 5: request(.initialize)
        default: break
        }
    }
}
