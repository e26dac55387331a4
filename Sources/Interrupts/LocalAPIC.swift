internal import HostIO
public import VirtualCPU
public import Vocabulary

/// The local APIC of one vCPU (SDM volume 3, chapter 11): registers by memory (xAPIC) and by MSR
/// (x2APIC), the timer, and the requests that wait for the vCPU.
///
/// Owner: `InterruptController`. Any thread may deliver; registers are the vCPU's. One lock, held for
/// a few dozen instructions; while it is held only the clocks and the timer queue are called.
public final class LocalAPIC: Sendable {
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
        /// Nanoseconds until the guest's time-stamp counter reaches the value; 0 when it has.
        public var nanosecondsUntilCounter: @Sendable (UInt64) -> UInt64
        /// Has `timerExpired` called at the deadline, on any thread; nil cancels.
        public var setDeadline: @Sendable (Instant?) -> Void

        public init(
            now: @escaping @Sendable () -> Instant,
            nanosecondsUntilCounter: @escaping @Sendable (UInt64) -> UInt64,
            setDeadline: @escaping @Sendable (Instant?) -> Void
        ) {
            self.now = now
            self.nanosecondsUntilCounter = nanosecondsUntilCounter
            self.setDeadline = setDeadline
        }
    }

    public let index: VCPUIndex
    /// The initial APIC ID.
    public let identifier: UInt32
    private let registers: RankedLock<Registers>
    private let pending: PendingEvents
    private let wake: @Sendable () -> Void
    private let timing: Timing

    /// - Parameters:
    ///   - wake: called after `pending` has been raised, on any thread.
    public init(
        index: VCPUIndex, pending: PendingEvents, timing: Timing,
        wake: @escaping @Sendable () -> Void
    ) {
        self.index = index
        identifier = index.rawValue
        self.pending = pending
        self.timing = timing
        self.wake = wake
        registers = RankedLock(
            Registers(identifier: index.rawValue), owner: "apic\(index.rawValue)", rank: .localAPIC)
    }

    // MARK: Delivery, from any thread

    /// Accepts a fixed or lowest-priority interrupt.
    public func request(vector: UInt8, level: Bool) {
        let accepted = registers.withLock { registers in
            guard registers.isSoftwareEnabled, vector >= 16 else { return false }
            registers.interruptRequest.insert(vector)
            if level {
                registers.triggerMode.insert(vector)
            } else {
                registers.triggerMode.remove(vector)
            }
            return registers.deliverable != nil
        }
        if accepted { raise(.interrupt) }
    }

    public func requestNonMaskableInterrupt() { raise(.nonMaskableInterrupt) }

    public func request(_ request: StartUpRequest) {
        registers.withLock { $0.startUpRequests.append(request) }
        raise(.initialize)
    }

    private func raise(_ events: PendingEvents.Events) {
        pending.raise(events)
        wake()
    }

    // MARK: The vCPU's side

    /// Takes the highest deliverable request into service. Nil if there is none. What
    /// remains has a lower priority; the end of this interrupt raises the pending bit for it.
    public func acknowledge() -> UInt8? {
        registers.withLock { registers in
            guard let vector = registers.deliverable else { return nil }
            registers.interruptRequest.remove(vector)
            registers.inService.insert(vector)
            return vector
        }
    }

    /// There is a request the priorities let through now.
    public var hasDeliverable: Bool { registers.withLock { $0.deliverable != nil } }

    /// The INIT and start-up requests since the last call, oldest first. An INIT resets the APIC's
    /// registers, except the identifier and IA32_APIC_BASE (SDM volume 3, 11.4.7.3).
    public func takeStartUpRequests() -> [StartUpRequest] {
        registers.withLock { registers in
            let requests = registers.startUpRequests
            registers.startUpRequests = []
            if requests.contains(.initialize) {
                registers.initialize()
                timing.setDeadline(nil)
            }
            return requests
        }
    }

    /// CR8: bits 7:4 of the task priority.
    public var taskPriority: UInt8 {
        get { registers.withLock { UInt8(truncatingIfNeeded: $0.taskPriority >> 4) } }
        set {
            registers.withLock { $0.taskPriority = UInt32(newValue & 0xf) << 4 }
            announce()
        }
    }

    private func announce() {
        if hasDeliverable { pending.raise(.interrupt) }
    }

    /// IA32_APIC_BASE. The set value has been checked by `setBase`.
    public var base: UInt64 { registers.withLock { $0.base } }

    /// False: #GP.
    public func setBase(_ value: UInt64) -> Bool {
        registers.withLock { $0.setBase(value) }
    }

    /// The logical or physical address of this APIC matches. `isX2` destinations have 32 bits.
    func matches(destination: UInt32, isLogical: Bool, isX2: Bool) -> Bool {
        registers.withLock {
            $0.matches(destination: destination, isLogical: isLogical, isX2: isX2)
        }
    }

    /// For lowest-priority arbitration: smaller is more willing. Nil when disabled.
    var arbitrationPriority: UInt8? {
        registers.withLock { $0.isSoftwareEnabled ? $0.processorPriority : nil }
    }

    // MARK: Registers

    /// What a write asks the controller to do.
    public enum Effect: Sendable, Equatable {
        case none
        case command(Command)
        /// End of interrupt of a level-triggered vector: the IOAPICs hear of it.
        case endOfInterrupt(vector: UInt8)
    }

    /// A 32-bit read at `offset` of the page, or of x2APIC MSR 0x800 + offset / 16.
    public func read(_ offset: UInt32) -> UInt32 {
        if offset == 0x390 { return currentCount }
        return registers.withLock { $0.read(offset) }
    }

    /// A 32-bit write. The interrupt command's high half is kept until the low half is written.
    public func write(_ offset: UInt32, _ value: UInt32) -> Effect {
        let (effect, timerChanged) = registers.withLock { registers -> (Effect, Bool) in
            registers.write(offset, value, source: index)
        }
        if timerChanged { programTimer(offset) }
        announce()
        return effect
    }

    /// RDMSR 0x800 to 0x8ff. Nil: #GP.
    public func readX2(_ index: UInt32) -> UInt64? {
        guard registers.withLock({ $0.isX2 }) else { return nil }
        let offset = (index & 0xff) << 4
        switch offset {
        case 0x300: return registers.withLock { $0.interruptCommand }
        case 0x0b0, 0x3f0, 0x0e0, 0x310: return nil
        default: return Registers.isKnown(offset) ? UInt64(read(offset)) : nil
        }
    }

    /// WRMSR. Nil: #GP.
    public func writeX2(_ index: UInt32, _ value: UInt64) -> Effect? {
        guard registers.withLock({ $0.isX2 }) else { return nil }
        let offset = (index & 0xff) << 4
        if offset == 0x300 {
            registers.withLock { $0.interruptCommand = value }
            return .command(Command(value: value, isX2: true, source: self.index))
        }
        guard value >> 32 == 0 else { return nil }
        if offset == 0x3f0 {
            guard value >> 8 == 0 else { return nil }
            request(vector: UInt8(truncatingIfNeeded: value), level: false)
            return Effect.none
        }
        guard Registers.isWritable(offset), offset != 0x0e0, offset != 0x0d0, offset != 0x310 else {
            return nil
        }
        if offset == 0x0b0 || offset == 0x280, value != 0 { return nil }
        return write(offset, UInt32(truncatingIfNeeded: value))
    }

    // MARK: Timer

    /// IA32_TSC_DEADLINE.
    public var deadline: UInt64 {
        get { registers.withLock { $0.timerDeadline } }
        set {
            registers.withLock { registers in
                // In the other modes the register reads as 0 and ignores writes.
                guard registers.timerMode == .deadline else { return }
                registers.timerDeadline = newValue
                timing.setDeadline(
                    newValue == 0
                        ? nil
                        : timing.now().advanced(by: timing.nanosecondsUntilCounter(newValue)))
            }
        }
    }

    /// Nanoseconds of one count: the timer's input is 1 GHz.
    private func programTimer(_ offset: UInt32) {
        registers.withLock { registers in
            if offset == 0x320 {
                // Changing to or from deadline mode disarms the timer.
                registers.timerDeadline = 0
                if registers.timerMode == .deadline { registers.initialCount = 0 }
            } else {
                registers.timerStart = timing.now().nanoseconds
            }
            timing.setDeadline(
                registers.initialCount == 0
                    ? nil
                    : Instant(nanoseconds: registers.timerStart).advanced(
                        by: registers.timerPeriod))
        }
    }

    private var currentCount: UInt32 {
        let now = timing.now().nanoseconds
        return registers.withLock { registers in
            guard registers.initialCount != 0, registers.timerMode != .deadline else { return 0 }
            let elapsed = (now &- registers.timerStart) / UInt64(registers.timerDivisor)
            let count = UInt64(registers.initialCount)
            if registers.timerMode == .periodic {
                return UInt32(truncatingIfNeeded: count - elapsed % count)
            }
            return elapsed >= count ? 0 : UInt32(truncatingIfNeeded: count - elapsed)
        }
    }

    /// The deadline has come. Any thread.
    public func timerExpired() {
        // The next deadline is set under the lock: the vCPU may be setting another one.
        let vector = registers.withLock { registers -> UInt8? in
            let now = timing.now()
            let entry = registers.localVectors[Registers.timerEntry]
            let vector = entry & 0x1_0000 == 0 ? UInt8(truncatingIfNeeded: entry) : nil
            switch registers.timerMode {
            case .deadline:
                let due = registers.timerDeadline
                guard due != 0 else { return nil }
                let rest = timing.nanosecondsUntilCounter(due)
                if rest > 0 {
                    timing.setDeadline(now.advanced(by: rest))
                    return nil
                }
                registers.timerDeadline = 0
                return vector
            case .periodic, .oneShot:
                let period = registers.timerPeriod
                guard period != 0 else { return nil }
                let start = registers.timerStart
                let end = Instant(nanoseconds: start).advanced(by: period)
                if now < end {
                    timing.setDeadline(end)
                    return nil
                }
                guard registers.timerMode == .periodic else { return vector }
                // A late thread skips periods rather than bunching them.
                registers.timerStart = start &+ (now.nanoseconds &- start) / period &* period
                timing.setDeadline(
                    Instant(nanoseconds: registers.timerStart).advanced(
                        by: max(period, Self.shortestPeriod)))
                return vector
            }
        }
        if let vector { request(vector: vector, level: false) }
    }

    /// Nanoseconds between two interrupts of the periodic timer at least, whatever the guest asks.
    static let shortestPeriod: UInt64 = 20_000
}
