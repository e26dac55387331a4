internal import HostIO
import Scheduler
internal import Trace
import VirtualCPU
import Vocabulary

/// Runs one vCPU, turn by turn, on whichever worker calls: hands each exit to the machine and
/// delivers what the local APIC has. Never blocks, and knows no device.
///
/// Owner: the machine. Everything but `report` belongs to the worker that runs it.
final class VCPURunner: VCPUBody, @unchecked Sendable {
    /// Why the vCPU runs no more.
    enum Ending: Equatable, Sendable {
        /// `PendingEvents.leave` was raised.
        case left
        case tripleFault
        /// HLT with interrupts off; only reported if no other vCPU could help.
        case haltedForEver
        case fetchOutsideMemory(GuestPhysicalAddress)
    }

    /// What the vCPU counted, as of some moment in the last milliseconds it ran.
    struct Report: Sendable {
        var engine = EngineStatistics()
        var exits: [ExitKind: UInt64] = [:]
        var firstUserEntry: Instant?
    }

    /// How an exit was dealt with.
    private enum Next {
        case goOn
        case come(back: TurnEnd.Reason)
        case end(Ending)
    }

    /// What ends a halt with interrupts on. Changed code can wait: the engine looks before it runs.
    private static let haltEnders: PendingEvents.Events = [
        .interrupt, .nonMaskableInterrupt, .systemManagementInterrupt, .initialize, .leave,
        .flushTLB, .kick, .park, .pageReady,
    ]
    /// Nanoseconds between two reports.
    private static let reportInterval: UInt64 = 1_000_000

    let index: VCPUIndex
    let engine: any CPUEngine
    let surroundings: any VCPUSurroundings
    private let pending: PendingEvents
    /// Asked when the vCPU halts with interrupts off: can nothing wake the guest any more?
    private let nothingCanWake: @Sendable (VCPUIndex) -> Bool
    /// Told when the vCPU begins and ends to wait for what only NMI, INIT or start-up can end.
    private let sleepsDeeply: @Sendable (Bool) -> Void
    private let hasEnded: @Sendable (VCPURunner, Ending) -> Void
    /// Told when the vCPU begins and ends to stand still.
    private let parks: @Sendable (Bool) -> Void
    private var history = ExitHistory()
    private var rate = InstructionRate()
    var isHalted = false
    /// It halts because a hypercall said so: a kick may come from a timer too.
    var waitsByHypercall = false
    /// It waits for a page that was absent.
    private var waitsForPage = false
    /// It told `sleepsDeeply` so.
    private var isDeepAsleep = false
    /// After INIT, or an application processor that nobody has started.
    var waitsForStartUp: Bool
    /// After INIT it runs at the reset vector, and waits for no start-up IPI.
    private let isBootstrap: Bool
    /// It stands still until `PendingEvents.unpark`.
    private var isParked = false
    private var ending: Ending?
    private var reportDue = Instant(nanoseconds: 0)
    private let published: RankedLock<Report>
    private let track: TraceTrack
    /// Told on which thread the vCPU is.
    private let observer: (any WorkerObserver)?

    init(
        index: VCPUIndex, engine: any CPUEngine, surroundings: any VCPUSurroundings,
        pending: PendingEvents, waitsForStartUp: Bool, track: TraceTrack = .off,
        observer: (any WorkerObserver)? = nil,
        nothingCanWake: @escaping @Sendable (VCPUIndex) -> Bool,
        sleepsDeeply: @escaping @Sendable (Bool) -> Void,
        parks: @escaping @Sendable (Bool) -> Void = { _ in },
        hasEnded: @escaping @Sendable (VCPURunner, Ending) -> Void
    ) {
        self.index = index
        self.engine = engine
        self.surroundings = surroundings
        self.pending = pending
        self.waitsForStartUp = waitsForStartUp
        isBootstrap = !waitsForStartUp
        self.track = track
        self.observer = observer
        self.nothingCanWake = nothingCanWake
        self.sleepsDeeply = sleepsDeeply
        self.hasEnded = hasEnded
        self.parks = parks
        published = RankedLock(
            Report(), owner: "vcpu\(index.rawValue)-report", rank: .leaf)
    }

    /// The statistics of a moment ago. Any thread.
    var report: Report { published.withLock { $0 } }

    /// Registers and last exits, for a guest that died. The vCPU's worker, or after it ended.
    func postMortem(_ reason: StopReason) -> PostMortem {
        PostMortem(
            reason: reason, vcpu: index, state: engine.state,
            lastExits: history.lastExits.map(\.description))
    }

    // MARK: Turns

    func run(_ turn: Turn) -> TurnEnd {
        pending.clear(.reschedule)
        wakeUp()
        let reason = runUntilDone(turn.deadline)
        return TurnEnd(
            reason, inKernel: engine.privilegeLevel == 0, keptSpinning: engine.keptSpinning)
    }

    func scheduledIn(stolenNanoseconds: UInt64) {
        if surroundings.scheduledIn(stolenNanoseconds: stolenNanoseconds) { engine.flushTLB() }
        observer?.comesOntoThread()
    }

    func scheduledOut(preempted: Bool) {
        observer?.leavesThread()
        surroundings.scheduledOut(preempted: preempted)
    }

    func hasInterrupted(_ other: VCPUIndex) -> Bool { surroundings.hasInterrupted(other) }

    func ended() {
        if let ending { hasEnded(self, ending) }
    }

    private func runUntilDone(_ deadline: Instant) -> TurnEnd.Reason {
        var now = HostThread.monotonicNow
        while true {
            let events = pending.current
            if isParked || !events.isEmpty {
                if events.contains(.leave) { return end(.left) }
                if let reason = standStill(events) { return reason }
                handle(events)
                if events.contains(.reschedule) {
                    pending.clear(.reschedule)
                    return .expired
                }
            }
            if waitsForStartUp { return sleepDeeply(until: [.initialize]) }
            if waitsForPage { return waitForPage(now) }
            if isHalted { return halt(now) }
            let budget = rate.budget(
                nanoseconds: deadline.nanoseconds &- min(now.nanoseconds, deadline.nanoseconds))
            let exit = engine.run(budget: budget)
            history.record(exit)
            let before = now
            now = HostThread.monotonicNow
            if exit == .budgetSpent {
                rate.spent(budget, nanoseconds: now.nanoseconds &- before.nanoseconds)
            }
            switch track.isOn ? traced(exit) : handle(exit) {
            case .goOn:
                if now >= deadline {
                    publish(now)
                    return .expired
                }
            case .come(let reason): return reason
            case .end(let ending): return end(ending)
            }
        }
    }

    /// Nil: it goes on.
    private func standStill(_ events: PendingEvents.Events) -> TurnEnd.Reason? {
        let waits = TurnEnd.Reason.blocked(until: [.unpark, .leave])
        if isParked {
            guard events.contains(.unpark) else { return waits }
            pending.clear([.park, .unpark])
            isParked = false
            parks(false)
            return nil
        }
        // An event in the midst of its delivery is no state to stand still in.
        guard events.contains(.park), !engine.isDelivering else { return nil }
        pending.clear([.park, .unpark])
        isParked = true
        parks(true)
        return waits
    }

    private func end(_ ending: Ending) -> TurnEnd.Reason {
        self.ending = ending
        reportDue = Instant(nanoseconds: 0)
        publish(HostThread.monotonicNow)
        return .ended
    }

    // MARK: Waiting

    private func halt(_ now: Instant) -> TurnEnd.Reason {
        publish(now)
        // An interrupt that cannot be taken does not end the halt.
        guard engine.canTakeInterrupt else {
            if waitsByHypercall {
                return .blocked(
                    until: [.kick, .nonMaskableInterrupt, .initialize, .leave, .park])
            }
            return sleepDeeply(until: [.kick, .nonMaskableInterrupt, .initialize])
        }
        return .blocked(until: Self.haltEnders)
    }

    /// As if it halted, but that only interrupts it can take are of use: the page comes anyway.
    private func waitForPage(_ now: Instant) -> TurnEnd.Reason {
        publish(now)
        var wakers: PendingEvents.Events = [.pageReady, .initialize, .leave, .flushTLB]
        if !engine.isDelivering { wakers.formUnion([.nonMaskableInterrupt, .park]) }
        if engine.canTakeInterrupt { wakers.insert(.interrupt) }
        return .blocked(until: wakers)
    }

    /// Waits for a kick, NMI, INIT or the end of the machine, or ends because nothing can come. Maskable
    /// interrupts wait in the local APIC, and the bit that announces them in the word.
    private func sleepDeeply(until wakers: PendingEvents.Events) -> TurnEnd.Reason {
        isDeepAsleep = true
        sleepsDeeply(true)
        return nothingCanWake(index)
            ? end(.haltedForEver) : .blocked(until: wakers.union([.leave, .park]))
    }

    private func wakeUp() {
        guard isDeepAsleep else { return }
        isDeepAsleep = false
        sleepsDeeply(false)
    }

    // MARK: Events

    private func handle(_ events: PendingEvents.Events) {
        if events.contains(.initialize) {
            pending.clear(.initialize)
            for request in surroundings.takeStartUpRequests() { start(request) }
        }
        if events.contains(.flushTLB) {
            pending.clear(.flushTLB)
            engine.flushTLB()
        }
        if events.contains(.pageReady) {
            pending.clear(.pageReady)
            waitsForPage = false
            surroundings.takeReadyPages()
        }
        if events.contains(.kick) {
            pending.clear(.kick)
            // A vCPU that runs finds the kick at its next HLT.
            if isHalted, surroundings.takeKick() { isHalted = false }
        }
        if events.contains(.systemManagementInterrupt) {
            pending.clear(.systemManagementInterrupt)
        }
        // Before it is started a processor keeps interrupts, and takes none.
        if waitsForStartUp {
            pending.clear([.interrupt, .nonMaskableInterrupt, .kick])
            return
        }
        if events.contains(.nonMaskableInterrupt) {
            pending.clear(.nonMaskableInterrupt)
            engine.injectNonMaskableInterrupt()
            endHalt()
            waitsForPage = false
        }
        if events.contains(.interrupt), engine.canTakeInterrupt {
            pending.clear(.interrupt)
            if let vector = surroundings.acknowledgeInterrupt() {
                engine.inject(interrupt: vector)
                endHalt()
                waitsForPage = false
            }
        }
    }

    /// An interrupt ends the halt, and uses up a kick that came with it.
    private func endHalt() {
        guard isHalted else { return }
        isHalted = false
        _ = surroundings.takeKick()
    }

    private func start(_ request: StartUpRequest) {
        switch request {
        case .initialize:
            engine.reset()
            isHalted = false
            waitsForPage = false
            waitsForStartUp = !isBootstrap
        case .startUp(let vector):
            // A second start-up IPI finds the processor running and is ignored.
            guard waitsForStartUp else { return }
            engine.startUp(vector: vector)
            waitsForStartUp = false
        }
    }

    // MARK: Exits

    private func traced(_ exit: VMExit) -> Next {
        let start = track.now
        defer { track.record(.exit(exit, from: start, to: track.now)) }
        return handle(exit)
    }

    private func handle(_ exit: VMExit) -> Next {
        switch exit {
        case .portRead(let port, let width):
            engine.complete(read: surroundings.readPort(port, width: width))
        case .portWrite(let port, let width, let value):
            surroundings.writePort(port, width: width, value: value)
        case .mmioRead(let address, let width):
            engine.complete(read: surroundings.readMemory(at: address, width: width))
        case .mmioWrite(let address, let width, let value):
            surroundings.writeMemory(at: address, width: width, value: value)
        case .msrRead(let index):
            if let value = surroundings.readMSR(index) {
                engine.complete(msr: value)
            } else {
                engine.completeMSRFault()
            }
        case .msrWrite(let index, let value):
            if surroundings.writeMSR(index, value: value) {
                engine.completeMSRWrite()
            } else {
                engine.completeMSRFault()
            }
        case .counterAdjusted(let value):
            surroundings.counterAdjusted(by: value)
            engine.completeMSRWrite()
        case .taskPriorityWrite(let value):
            surroundings.taskPriority = value
        case .taskPriorityRead:
            engine.complete(msr: UInt64(surroundings.taskPriority))
        case .hypercall:
            engine.complete(
                hypercall: surroundings.hypercall(engine.hypercallFrame, in: engine))
            switch surroundings.takeWish() {
            case nil: break
            case .yield(let receiver): return .come(back: .yielded(to: receiver))
            case .pass: return .come(back: .spun)
            case .wait:
                isHalted = !surroundings.takeKick()
                waitsByHypercall = true
            }
        case .halt:
            // The word may already hold the interrupt: the loop looks before it waits. A kick that
            // came before is not lost either.
            isHalted = !surroundings.takeKick()
            waitsByHypercall = false
        case .pause: return .come(back: .spun)
        case .pageAbsent(let address):
            switch surroundings.pageIsAbsent(address, engine) {
            case .goOn: break
            case .wait: waitsForPage = true
            case .notPresent(let token):
                engine.injectPageFault(address: UInt64(token), errorCode: 0)
            }
        case .budgetSpent, .eventsPending: break
        case .shutdown: return .end(.tripleFault)
        case .fetchOutsideMemory(let address): return .end(.fetchOutsideMemory(address))
        }
        return .goOn
    }

    private func publish(_ now: Instant) {
        guard now >= reportDue else { return }
        reportDue = now.advanced(by: Self.reportInterval)
        let report = Report(
            engine: engine.statistics, exits: history.counts, firstUserEntry: engine.firstUserEntry)
        published.withLock { $0 = report }
    }
}
