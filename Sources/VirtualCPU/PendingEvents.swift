public import Synchronization

/// What other threads ask of one vCPU: one atomic word, polled by its engine between blocks.
///
/// Owner: the machine, one per vCPU, alive as long as it. Any thread may raise; only the vCPU's own
/// worker takes.
@safe public final class PendingEvents: Sendable {
    /// The bits of the word.
    public struct Events: OptionSet, Sendable {
        public var rawValue: UInt32
        @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// The local APIC may have an interrupt to deliver.
        public static let interrupt = Events(rawValue: 1 << 0)
        public static let nonMaskableInterrupt = Events(rawValue: 1 << 1)
        public static let systemManagementInterrupt = Events(rawValue: 1 << 2)
        /// INIT or start-up: the vCPU's run state changes.
        public static let initialize = Events(rawValue: 1 << 3)
        /// Leave the engine whatever the guest does: pause, stop, snapshot.
        public static let leave = Events(rawValue: 1 << 4)
        /// Drop translations of addresses: another vCPU asked for it.
        public static let flushTLB = Events(rawValue: 1 << 5)
        /// Another vCPU or a device changed code: the engine deals with it by itself.
        public static let codeChanged = Events(rawValue: 1 << 6)
        /// The worker is wanted for another vCPU.
        public static let reschedule = Events(rawValue: 1 << 8)
        /// The vCPU is to stand still between two instructions, as its machine is captured.
        public static let park = Events(rawValue: 1 << 9)
        /// It may go on.
        public static let unpark = Events(rawValue: 1 << 10)
        /// A page that the vCPU waits for, or waited for, is there.
        public static let pageReady = Events(rawValue: 1 << 11)
        /// Another vCPU asks this one to leave HLT, interrupts off or not (KVM_HC_KICK_CPU).
        public static let kick = Events(rawValue: 1 << 7)
    }

    /// The word itself, in memory of its own so that an engine may poll it through a pointer.
    // SAFETY: the pointer never changes and what it points at is atomic.
    public nonisolated(unsafe) let word: UnsafeMutablePointer<Atomic<UInt32>>

    public init() {
        // SAFETY: initialised here, once, and freed in deinit; everyone who polls it keeps `self` alive.
        unsafe word = UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1)
        unsafe word.initialize(to: Atomic(0))
    }

    deinit {
        unsafe word.deinitialize(count: 1)
        unsafe word.deallocate()
    }

    /// The events asked for now. Any thread.
    public var current: Events {
        Events(rawValue: unsafe word.pointee.load(ordering: .acquiring))
    }

    /// Asks for `events`. Any thread. True if none of them was set before, so a wake-up is due.
    @discardableResult
    public func raise(_ events: Events) -> Bool {
        let (old, _) = unsafe word.pointee.bitwiseOr(
            events.rawValue, ordering: .acquiringAndReleasing)
        return old & events.rawValue == 0
    }

    /// Takes back `events` before they are acted on. The vCPU's own worker only.
    public func clear(_ events: Events) {
        _ = unsafe word.pointee.bitwiseAnd(~events.rawValue, ordering: .acquiringAndReleasing)
    }
}
