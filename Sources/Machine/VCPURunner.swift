internal import HostIO
internal import Trace
import VirtualCPU
import Vocabulary

/// Runs one vCPU on the thread that calls `run`: hands each exit to the machine, delivers what the
/// local APIC has, and sleeps while the guest halts. Knows no device.
///
/// Owner: the machine. Everything but `report` belongs to the vCPU's thread.
final class VCPURunner: @unchecked Sendable {
    /// Why `run` returned.
    enum Ending: Equatable, Sendable {
        /// `PendingEvents.leave` was raised.
        case left
        case tripleFault
        /// HLT with interrupts off; only reported if no other vCPU could help.
        case haltedForEver
        case fetchOutsideMemory(GuestPhysicalAddress)
    }

    /// What the vCPU counted, as of its last halt or spent budget.
    struct Report: Sendable {
        var engine = EngineStatistics()
        var exits: [ExitKind: UInt64] = [:]
    }

    /// Instructions per turn of the engine.
    static let budget = 4_000_000

    let index: VCPUIndex
    private let engine: any CPUEngine
    private let surroundings: any VCPUSurroundings
    private let pending: PendingEvents
    private let gate: WakeGate
    /// Asked when the vCPU halts with interrupts off: can nothing wake the guest any more?
    private let nothingCanWake: @Sendable (VCPUIndex) -> Bool
    /// Told when the vCPU begins and ends to wait for what only NMI, INIT or start-up can end.
    private let sleepsDeeply: @Sendable (Bool) -> Void
    private var history = ExitHistory()
    private var isHalted = false
    /// After INIT, or an application processor that nobody has started.
    private var waitsForStartUp: Bool
    /// After INIT it runs at the reset vector, and waits for no start-up IPI.
    private let isBootstrap: Bool
    private let published: RankedLock<Report>
    private let track: TraceTrack

    init(
        index: VCPUIndex, engine: any CPUEngine, surroundings: any VCPUSurroundings,
        pending: PendingEvents, gate: WakeGate, waitsForStartUp: Bool,
        track: TraceTrack = .off, nothingCanWake: @escaping @Sendable (VCPUIndex) -> Bool,
        sleepsDeeply: @escaping @Sendable (Bool) -> Void
    ) {
        self.index = index
        self.engine = engine
        self.surroundings = surroundings
        self.pending = pending
        self.gate = gate
        self.waitsForStartUp = waitsForStartUp
        isBootstrap = !waitsForStartUp
        self.track = track
        self.nothingCanWake = nothingCanWake
        self.sleepsDeeply = sleepsDeeply
        published = RankedLock(
            Report(), owner: "vcpu\(index.rawValue)-report", rank: .leaf)
    }

    /// Runs the vCPU until the machine stops or the guest cannot go on.
    func run() -> Ending {
        defer { publish() }
        while true {
            let events = pending.current
            if !events.isEmpty {
                if events.contains(.leave) { return .left }
                handle(events)
            }
            if waitsForStartUp {
                if sleepDeeply(until: [.initialize]) { return .haltedForEver }
                continue
            }
            if isHalted {
                sleep()
                continue
            }
            let exit = engine.run(budget: Self.budget)
            history.record(exit)
            if let ending = track.isOn ? traced(exit) : handle(exit) { return ending }
        }
    }

    /// The statistics as of the last halt or spent budget. Any thread.
    var report: Report { published.withLock { $0 } }

    /// Registers and last exits, for a guest that died. The vCPU's thread, or after it ended.
    func postMortem(_ reason: StopReason) -> PostMortem {
        PostMortem(
            reason: reason, vcpu: index, state: engine.state,
            lastExits: history.lastExits.map(\.description))
    }

    // MARK: Events

    private func handle(_ events: PendingEvents.Events) {
        if events.contains(.initialize) {
            pending.clear(.initialize)
            for request in surroundings.takeStartUpRequests() { start(request) }
        }
        if events.contains(.flushTLB) { pending.clear(.flushTLB) }
        if events.contains(.systemManagementInterrupt) {
            pending.clear(.systemManagementInterrupt)
        }
        // Before it is started a processor keeps interrupts, and takes none.
        if waitsForStartUp {
            pending.clear([.interrupt, .nonMaskableInterrupt])
            return
        }
        if events.contains(.nonMaskableInterrupt) {
            pending.clear(.nonMaskableInterrupt)
            engine.injectNonMaskableInterrupt()
            isHalted = false
        }
        if events.contains(.interrupt), engine.canTakeInterrupt {
            pending.clear(.interrupt)
            if let vector = surroundings.acknowledgeInterrupt() {
                engine.inject(interrupt: vector)
                isHalted = false
            }
        }
    }

    private func start(_ request: StartUpRequest) {
        switch request {
        case .initialize:
            engine.reset()
            isHalted = false
            waitsForStartUp = !isBootstrap
        case .startUp(let vector):
            // A second start-up IPI finds the processor running and is ignored.
            guard waitsForStartUp else { return }
            engine.startUp(vector: vector)
            waitsForStartUp = false
        }
    }

    // MARK: Exits

    private func traced(_ exit: VMExit) -> Ending? {
        let start = track.now
        defer { track.record(.exit(exit, from: start, to: track.now)) }
        return handle(exit)
    }

    private func handle(_ exit: VMExit) -> Ending? {
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
            engine.complete(hypercall: surroundings.hypercall(engine))
        case .halt:
            publish()
            isHalted = true
            // The word may already hold the interrupt: the loop looks before it sleeps. An
            // interrupt that cannot be taken would keep the sleep from happening.
            if !engine.canTakeInterrupt { return haltWithInterruptsOff() }
        case .budgetSpent:
            publish()
        case .pause, .eventsPending, .pageAbsent:
            break
        case .shutdown:
            return .tripleFault
        case .fetchOutsideMemory(let address):
            return .fetchOutsideMemory(address)
        }
        return nil
    }

    /// Sleeps until an NMI, INIT or the end of the machine, or reports that nothing can come.
    private func haltWithInterruptsOff() -> Ending? {
        sleepDeeply(until: [.nonMaskableInterrupt, .initialize]) ? .haltedForEver : nil
    }

    /// Sleeps until one of `wakers` or the end of the machine. True: nothing can come any more.
    /// Maskable interrupts stay in the local APIC, which keeps them; the bit that announces them is
    /// put back once the vCPU runs again.
    private func sleepDeeply(until wakers: PendingEvents.Events) -> Bool {
        var announced = false
        sleepsDeeply(true)
        defer { sleepsDeeply(false) }
        while true {
            let events = pending.current
            if !events.isDisjoint(with: wakers.union(.leave)) { break }
            if nothingCanWake(index) { return true }
            if events.contains(.interrupt) { announced = true }
            pending.clear(
                PendingEvents.Events(rawValue: ~0).subtracting(wakers.union(.leave)))
            gate.wait()
        }
        if announced { pending.raise(.interrupt) }
        return false
    }

    /// Until somebody asks for something. Changed code can wait: the engine looks before it runs.
    private func sleep() {
        pending.clear(.codeChanged)
        gate.wait()
    }

    private func publish() {
        let report = Report(engine: engine.statistics, exits: history.counts)
        published.withLock { $0 = report }
    }
}
