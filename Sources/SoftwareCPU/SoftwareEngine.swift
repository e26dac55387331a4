internal import CEngine
internal import CHost
public import GuestMemory
public import VirtualCPU
public import Vocabulary

/// The CPU engine in software: decoded blocks of interpreted instructions.
///
/// Owner: the runner of one vCPU; all members on that vCPU's worker only, except that
/// `PendingEvents` may be raised by anyone. Frees its state when it goes.
@safe
public final class SoftwareEngine: CPUEngine {
    // Owner: this object. Allocated in init, freed in deinit; touched by the vCPU's worker only.
    let cpu: CPU
    let engine: EngineContext
    private var interruptWindowWanted = false
    /// The exit of `run` was answered by `completeMSRFault`.
    private var failed = false

    /// - Parameters:
    ///   - memory: the guest's RAM, shared by all its engines.
    ///   - events: what others ask of this vCPU.
    ///   - tscOffset: added to the host's time-stamp counter.
    ///   - code: the blocks of all engines that share the memory.
    ///   - cpuid: the machine's CPUID leaves, as far as instructions go the same for all these engines;
    ///     bits that mirror processor state are filled in here.
    public init(
        memory: GuestMemory, events: PendingEvents, tscOffset: UInt64 = 0, code: CodeCache,
        cpuid: @escaping @Sendable (_ leaf: UInt32, _ subleaf: UInt32) -> CPUIDResult
    ) {
        unsafe cpu = CPU.allocate(capacity: 1)
        unsafe cpu.withMemoryRebound(to: UInt8.self, capacity: MemoryLayout<CPUState>.size) {
            unsafe $0.initialize(repeating: 0, count: MemoryLayout<CPUState>.size)
        }
        engine = EngineContext(memory: memory, events: events, cache: code, cpuid: cpuid)
        // SAFETY: `engine` lives as long as `self`, and so does the state that points at it.
        unsafe cpu.pointee.context = unsafe Unmanaged.passUnretained(engine).toOpaque()
        unsafe cpu.pointee.pendingWord = unsafe UnsafeRawPointer(events.word).assumingMemoryBound(
            to: UInt32.self)
        unsafe cpu.pointee.formCounts = unsafe engine.formCounts?.counters
        unsafe cpu.pointee.tscOffset = tscOffset
        unsafe cpu.pointee.x87Exact = x87Register
        unsafe cpu.pointee.blockHeader = blockHeader
        unsafe engine.code.describe(to: cpu)
        unsafe cpu.pointee.slowIntegers = unsafe IntegerOperation.slowHandlers
        unsafe cpu.pointee.extendedStates = ExtendedState.supported(engine.features)
        state = ArchitecturalState()
    }

    /// An engine with blocks of its own: one that shares the memory with no other.
    public convenience init(
        memory: GuestMemory, events: PendingEvents, tscOffset: UInt64 = 0,
        translation: TranslationPolicy = .off,
        cpuid: @escaping @Sendable (_ leaf: UInt32, _ subleaf: UInt32) -> CPUIDResult
    ) {
        self.init(
            memory: memory, events: events, tscOffset: tscOffset,
            code: CodeCache(memory: memory, translation: translation), cpuid: cpuid)
    }

    deinit { unsafe cpu.deallocate() }

    public func reset() {
        let old = state
        var start = ArchitecturalState()
        let caching = CR0.cd | CR0.nw
        start.cr0 = start.cr0 & ~caching | old.cr0 & caching
        start.xcr0 = old.xcr0
        start.modelSpecific = old.modelSpecific
        start.modelSpecific.efer = 0
        // The offset to the host's counter stays to the last bit.
        start.modelSpecific.tsc = 0
        start.vector = old.vector
        start.x87 = old.x87
        state = start
    }

    public func startUp(vector: UInt8) {
        var start = state
        start.modelSpecific.tsc = 0
        start.cs.selector = UInt16(vector) &<< 8
        start.cs.base = UInt64(vector) &<< 12
        start.rip = 0
        state = start
    }

    // MARK: Running

    public func run(budget: Int) -> VMExit {
        let wanted = Int64(max(1, budget))
        unsafe cpu.pointee.budget = wanted
        unsafe vectorStateLoad(cpu)
        engine.memory.busLock.sitDown(engine.seat)
        unsafe enterCode(cpu, engine)
        engine.sampler?.setRunning(true)
        let exit = runLoop()
        engine.sampler?.setRunning(false)
        engine.cache.leave(engine.resident)
        engine.memory.busLock.getUp(engine.seat)
        unsafe x87_release(cpu)
        unsafe vectorStateSync(cpu)
        unsafe engine.retired &+= UInt64(bitPattern: wanted &- cpu.pointee.budget)
        unsafe cpu.pointee.budget = 0
        return exit
    }

    private func runLoop() -> VMExit {
        if engine.triple { return .shutdown }
        unsafe readCodeMail(cpu, engine)
        if case .replayWrite = engine.exitAwaits { answer(0) }
        if engine.answered {
            engine.answered = false
            // The instruction of the last exit runs again, alone, with the answers.
            unsafe cpu.pointee.stepping =
                unsafe cpu.pointee.stepping & Stepping.trap | Stepping.replay
            unsafe cpu.pointee.replayCursor = 0
            unsafe refreshContexts(cpu)
        }
        if engine.nonMaskableInterruptPending, !engine.nonMaskableInterruptsBlocked,
            engine.undelivered == nil, unsafe cpu.pointee.replayCount == 0
        {
            engine.nonMaskableInterruptPending = false
            engine.nonMaskableInterruptsBlocked = true
            let event = Event(
                vector: Vector.nonMaskableInterrupt, kind: .external, errorCode: nil)
            if unsafe !deliverInterrupt(cpu, event) { return .shutdown }
        }
        if engine.undelivered != nil {
            if unsafe !deliverWhatWasPutOff(cpu) { return .shutdown }
            if engine.undelivered != nil { return leaveForAbsentPage() }
        }
        while true {
            unsafe cpu.pointee.leaveReason = LeaveReason.none
            if var op = unsafe nextBlock() {
                while let next = unsafe op.pointee.handler(cpu, op) {
                    unsafe op = unsafe begin(cpu, next) ? next + 1 : next
                }
            }
            switch unsafe cpu.pointee.leaveReason {
            case LeaveReason.fault:
                unsafe refundBudget(cpu)
                if unsafe cpu.pointee.faultVector == Vector.absentPage {
                    return leaveForAbsentPage()
                }
                engine.statistics.exceptionsDelivered &+= 1
                if unsafe !deliverRecordedFault(cpu) { return .shutdown }
                if engine.undelivered != nil { return leaveForAbsentPage() }
                // Exceptions may go on for ever without an instruction retired between them.
                unsafe cpu.pointee.budget &-= 1
                engine.retired &-= 1
                if let exit = attend() { return exit }
            case LeaveReason.exit:
                unsafe refundBudget(cpu)
                if case .end = engine.exitAwaits { advance(engine.instructionLength) }
                if !engine.mailbox.isEmpty { unsafe readCodeMail(cpu, engine) }
                return engine.pendingExit
            case LeaveReason.restart:
                unsafe refundBudget(cpu)
            case LeaveReason.poll:
                if let exit = poll() { return exit }
            default:
                if let exit = attend() { return exit }
                if interruptWindowWanted, canTakeInterrupt {
                    interruptWindowWanted = false
                    return .eventsPending
                }
            }
        }
    }

    /// The instruction runs again, with the answers to its exits.
    private func leaveForAbsentPage() -> VMExit {
        if unsafe cpu.pointee.replayCount != 0 { engine.answered = true }
        return .pageAbsent(GuestPhysicalAddress(engine.absentPage))
    }

    /// The block at RIP. Nil: the fetch faulted.
    private func nextBlock() -> Next {
        if unsafe cpu.isLongCode, let known = unsafe knownTarget(cpu, cpu.pointee.rip) {
            unsafe cpu.pointee.block = nil
            return unsafe known
        }
        return unsafe lookUpBlock(cpu)
    }

    /// A block header saw a spent budget or a pending event.
    private func poll() -> VMExit? {
        unsafe readCodeMail(cpu, engine)
        if unsafe engine.events.current.rawValue & cpu.pointee.pendingMask != 0 {
            interruptWindowWanted = false
        }
        return attend()
    }

    /// The exit that is due between two instructions, if any.
    private func attend() -> VMExit? {
        let mask = unsafe cpu.pointee.pendingMask & ~PendingEvents.Events.codeChanged.rawValue
        if engine.events.current.rawValue & mask != 0 { return .eventsPending }
        return unsafe cpu.pointee.budget <= 0 ? .budgetSpent : nil
    }

    // MARK: Answers

    public func complete(read value: UInt64) {
        guard case .accumulator(let width) = engine.exitAwaits else {
            answer(value)
            return
        }
        unsafe PortIO.setAccumulator(cpu, value, width)
        advance(engine.instructionLength)
    }

    public func complete(msr value: UInt64) {
        if case .modelSpecificRegister = engine.exitAwaits {
            unsafe cpu.setGPR(GPR.rax, value & 0xffff_ffff)
            unsafe cpu.setGPR(GPR.rdx, value &>> 32)
            advance(2)
        } else {
            answer(value)
        }
    }

    public func completeMSRWrite() {
        if unsafe UInt32(truncatingIfNeeded: cpu.gpr(GPR.rcx)) == MSR.apicBase {
            engine.localAPICIsEnabled = unsafe cpu.gpr(GPR.rax) & (1 << 11) != 0
        }
        advance(2)
    }

    public func completeMSRFault() {
        engine.exitAwaits = .nothing
        unsafe recordFault(cpu, vector: Vector.generalProtection, errorCode: 0)
        engine.triple = unsafe !engine.lookAtMemory(cpu) { unsafe deliverRecordedFault(cpu) }
    }

    public func complete(hypercall result: UInt64) {
        unsafe cpu.setGPR(GPR.rax, result)
        advance(engine.instructionLength)
    }

    public var hypercallFrame: HypercallFrame {
        var frame = HypercallFrame()
        frame.rax = unsafe cpu.gpr(GPR.rax)
        frame.rbx = unsafe cpu.gpr(GPR.rbx)
        frame.rcx = unsafe cpu.gpr(GPR.rcx)
        frame.rdx = unsafe cpu.gpr(GPR.rdx)
        frame.rsi = unsafe cpu.gpr(GPR.rsi)
        frame.rdi = unsafe cpu.gpr(GPR.rdi)
        frame.r8 = unsafe cpu.gpr(8)
        frame.r9 = unsafe cpu.gpr(9)
        frame.r10 = unsafe cpu.gpr(10)
        frame.privilegeLevel = UInt8(truncatingIfNeeded: unsafe cpu.currentPrivilegeLevel)
        frame.is64Bit = unsafe cpu.isLongCode
        return frame
    }

    private func answer(_ value: UInt64) {
        let count = unsafe Int(cpu.pointee.replayCount)
        if count < Int(MMIO_REPLAY_COUNT) {
            unsafe (cpu.bytes + CPUOffsets.replayValues)
                .storeBytes(of: value, toByteOffset: count &* 8, as: UInt64.self)
            unsafe cpu.pointee.replayCount &+= 1
        }
        engine.exitAwaits = .nothing
        engine.answered = true
    }

    private func advance(_ byteCount: UInt64) {
        engine.exitAwaits = .nothing
        unsafe cpu.pointee.rip = unsafe cpu.pointee.rip &+ byteCount
        engine.retired &+= 1
    }

    // MARK: Interrupts

    public var canTakeInterrupt: Bool {
        unsafe cpu.pointee.systemFlags & Flags.interrupt != 0 && cpu.pointee.interruptShadow == 0
            && cpu.pointee.replayCount == 0 && !engine.answered && !engine.awaitsAnswer
            && engine.undelivered == nil
    }

    public var isDelivering: Bool { engine.undelivered != nil }

    public func injectPageFault(address: UInt64, errorCode: UInt16) {
        unsafe cpu.pointee.faultAddress = address
        unsafe recordFault(cpu, vector: Vector.pageFault, errorCode: errorCode)
        engine.statistics.exceptionsDelivered &+= 1
        engine.triple = unsafe !engine.lookAtMemory(cpu) { unsafe deliverRecordedFault(cpu) }
    }

    public func requestInterruptWindow() { interruptWindowWanted = true }

    public func inject(interrupt vector: UInt8) {
        interruptWindowWanted = false
        engine.statistics.interruptsDelivered &+= 1
        engine.triple = unsafe !engine.lookAtMemory(cpu) {
            unsafe deliverInterrupt(cpu, Event(vector: vector, kind: .external, errorCode: nil))
        }
    }

    public func injectNonMaskableInterrupt() { engine.nonMaskableInterruptPending = true }

    /// What `.pause` exits for; nil: it does not.
    public var pauseLoop: PauseLoop? {
        didSet { unsafe watchPauses(cpu, for: pauseLoop) }
    }

    public var keptSpinning: Bool { unsafe cpu.pointee.keptSpinning != 0 }

    public var firstUserEntry: Instant? { engine.firstUserEntry }

    public var privilegeLevel: UInt8 {
        UInt8(truncatingIfNeeded: unsafe cpu.pointee.currentPrivilegeLevel)
    }

    public func flushTLB() {
        engine.statistics.tlbFlushes &+= 1
        unsafe flushEverything(cpu)
    }

    // MARK: State

    /// What a profiler looks at the vCPU through. Before the first run; once.
    public func makeSampler() -> GuestSampler {
        let sampler = unsafe GuestSampler(cpu, engine.cache)
        sampler.setBlocks(engine.code.addresses)
        engine.sampler = sampler
        return sampler
    }

    public var statistics: EngineStatistics {
        var result = engine.statistics
        result.instructionsRetired = engine.retired
        result.tlbMisses = unsafe cpu.pointee.tlbMisses
        result.tlbHits = engine.accesses.hits(
            retired: result.instructionsRetired, misses: result.tlbMisses)
        result.blockLookups = unsafe cpu.pointee.blockLookups
        return result
    }

    public var state: ArchitecturalState {
        get { unsafe readState(cpu, engine) }
        set { unsafe writeState(cpu, engine, newValue) }
    }
}
