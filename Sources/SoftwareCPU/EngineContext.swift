internal import CEngine
internal import GuestMemory
internal import VirtualCPU
internal import Vocabulary
internal import X86

/// Everything of an engine that is not hot. Reached through `CPUState.context` on slow paths.
///
/// Owner: `SoftwareEngine`, which outlives every use; one worker at a time.
@safe
final class EngineContext {
    let memory: GuestMemory
    let hostBase: UnsafeMutableRawPointer
    let events: PendingEvents
    /// CPUID leaves as the machine offers them.
    let cpuid: @Sendable (_ leaf: UInt32, _ subleaf: UInt32) -> CPUIDResult
    /// What those leaves offer beyond the base.
    lazy var features = InstructionFeatures.base.union(offeredFeatures)
    /// The blocks of all engines, this one's place among them, and the generation that it runs.
    let cache: CodeCache
    let resident: CodeCache.Resident
    var code: CodeArena
    /// Where instructions go that are run once: page-crossing ones and single steps.
    let transient: UnsafeMutablePointer<DecodedInstruction>
    /// What others say about pages with code, and this engine's number among them.
    let mailbox: CodeMailbox
    let observer: Int
    /// This engine's place at the bus lock.
    let seat: BusLock.Seat
    /// The exit that `run` returns when the leave reason is `exit`.
    var pendingExit: VMExit = .budgetSpent
    /// What to do with the answer: see `SoftwareEngine.complete`.
    var exitAwaits: ExitAnswer = .nothing
    /// The instruction of the last exit has not finished yet.
    var awaitsAnswer: Bool {
        if case .nothing = exitAwaits { false } else { true }
    }
    /// Translation contexts handed out so far; see TLB.swift.
    var contexts = TranslationContexts()
    var nonMaskableInterruptsBlocked = false
    var nonMaskableInterruptPending = false
    /// What the machine has taken of IA32_APIC_BASE, for CPUID.
    var localAPICIsEnabled = true
    /// What DR7 enables.
    var breakpoints = Breakpoints()
    /// The last exit has been answered and its instruction is to run again.
    var answered = false
    /// Delivery between two runs ended in shutdown.
    var triple = false
    /// The page that was absent, after `recordAbsence`.
    var absentPage: UInt64 = 0
    /// What is to be delivered before anything else, once a page is there.
    var undelivered: Event?
    /// What others say about pages that went.
    let absences: AbsenceMail
    /// RPL of the selector that LAR, LSL, VERR or VERW looks at.
    var inspectedPrivilege: UInt32 = 0
    /// Length of the IN, OUT or hypercall that left: RIP moves past it with the answer.
    var instructionLength: UInt64 = 0
    /// Retired instructions up to the last entry to the run loop.
    var retired: UInt64 = 0
    var statistics = EngineStatistics()
    /// When the guest first came to CPL 3.
    var firstUserEntry: Instant?
    var transients = TransientInstructions()
    let crossings = CrossingBlocks()
    var patched = PatchedPages()
    var accesses = AccessEstimate()
    /// Where instructions leave translated code, counted; nil: they are not.
    let formCounts: FormCounts?
    /// Told what may be looked at; nil: nobody looks.
    var sampler: GuestSampler?

    init(
        memory: GuestMemory, events: PendingEvents, cache: CodeCache,
        cpuid: @escaping @Sendable (UInt32, UInt32) -> CPUIDResult
    ) {
        self.memory = memory
        unsafe self.hostBase = unsafe memory.hostBase
        self.events = events
        self.cpuid = cpuid
        self.cache = cache
        let resident = CodeCache.Resident(events)
        self.resident = resident
        self.code = cache.admit(resident)
        formCounts = cache.makeFormCounts()
        unsafe transient = .allocate(capacity: 4)
        unsafe transient.initialize(repeating: .empty, count: 4)
        let seat = memory.busLock.makeSeat { events.raise(.codeChanged) }
        self.seat = seat
        let mailbox = CodeMailbox(events)
        self.mailbox = mailbox
        let absences = AbsenceMail(events)
        self.absences = absences
        self.observer = memory.observeCode(
            attention: {
                // In this order: who gets up has read its mail before.
                let translates: CodeAttention =
                    seat.isWithinInstruction && !absences.isDone ? .translatesAbsent : []
                let isRunning = seat.isInGuestCode
                if mailbox.isDone { return translates.union(isRunning ? .running : .heard) }
                return translates.union(isRunning ? [.running, .behind] : .away)
            },
            { change, page in
                switch change {
                case .decoded: mailbox.leave(page)
                case .absent: absences.leave()
                // The cache drops it.
                case .written: break
                }
            })
    }

    deinit {
        cache.dismiss(resident)
        unsafe transient.deallocate()
    }

    /// True for the instructions that are run once and must not be linked to.
    func isTransient(_ op: Op) -> Bool {
        unsafe op >= UnsafePointer(transient) && op < UnsafePointer(transient + 4)
    }
}

/// What the engine does with the machine's answer to an exit.
enum ExitAnswer {
    case nothing
    /// The value joins the replay list and the instruction runs again.
    case replay
    /// A store or OUT was carried out: an empty entry joins the replay list.
    case replayWrite
    /// The value is the accumulator's, `width` bytes, and the instruction is done with that.
    case accumulator(width: Int)
    /// The instruction is done when it leaves.
    case end
    case modelSpecificRegister
    case taskPriority(register: UInt16)
    case hypercall
}

@inline(__always)
func context(_ cpu: CPU) -> EngineContext {
    // SAFETY: `context` is set once when the engine is made, and the engine keeps the object alive.
    unsafe Unmanaged<EngineContext>.fromOpaque(cpu.pointee.context.unsafelyUnwrapped)
        .takeUnretainedValue()
}

/// Records an exit at `op` and leaves the run loop; `op` runs again afterwards.
func leave(_ cpu: CPU, _ op: Op, with exit: VMExit, awaiting answer: ExitAnswer) -> Next {
    unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
    let engine = unsafe context(cpu)
    engine.pendingExit = exit
    engine.exitAwaits = answer
    unsafe cpu.pointee.leaveReason = LeaveReason.exit
    return nil
}
