public import VirtualCPU
public import Vocabulary

/// What the scheduler runs: one vCPU, with whatever executes it.
///
/// One worker at a time calls `run`, `scheduledIn` and `scheduledOut`; which one changes from turn to
/// turn, with everything that the last one did seen by the next.
public protocol VCPUBody: AnyObject, Sendable {
    /// Runs the vCPU until the turn is over or it cannot go on.
    func run(_ turn: Turn) -> TurnEnd

    /// The vCPU comes onto a worker; `stolenNanoseconds` is how long it has wanted to run and did
    /// not, since the last call.
    func scheduledIn(stolenNanoseconds: UInt64)
    /// The vCPU leaves its worker. `preempted`: it would have run on.
    func scheduledOut(preempted: Bool)

    /// The vCPU has lately sent an interrupt to this other one of its VM.
    func hasInterrupted(_ other: VCPUIndex) -> Bool

    /// `run` returned `.ended`, and everything has been accounted for. Called once.
    func ended()
}

/// What a vCPU may do with its worker.
public struct Turn: Sendable, Equatable {
    /// When to come back if nothing else ends the turn. Wake-ups of others end it earlier, through
    /// `PendingEvents.reschedule`.
    public var deadline: Instant
    public var worker: Int

    public init(deadline: Instant, worker: Int) {
        self.deadline = deadline
        self.worker = worker
    }
}

/// Why a vCPU came back.
public struct TurnEnd: Sendable, Equatable {
    public enum Reason: Sendable, Equatable {
        /// The deadline has passed, or `PendingEvents.reschedule` was raised.
        case expired
        /// It waits until one of these is raised.
        case blocked(until: PendingEvents.Events)
        /// It waits in a loop of PAUSE for what another vCPU has to do.
        case spun
        /// It asked for another vCPU to run.
        case yielded(to: VCPUIndex)
        /// It runs no more.
        case ended
    }

    public var reason: Reason
    /// At privilege level 0.
    public var inKernel: Bool
    /// With `spun`: it did nothing else since it last spun.
    public var keptSpinning: Bool

    public init(_ reason: Reason, inKernel: Bool, keptSpinning: Bool = false) {
        self.reason = reason
        self.inKernel = inKernel
        self.keptSpinning = keptSpinning
    }
}

/// Who wants to know what the scheduler does. Called by the workers between turns: must be quick
/// and take no lock of rank `scheduler` or higher.
public protocol SchedulerRecorder: Sendable {
    /// A vCPU ran.
    func turn(
        of vcpu: VCPUIndex, on worker: Int, from start: Instant, to end: Instant, _ why: TurnEnd)
    /// A vCPU gave the rest of its slice to another.
    func yield(from giver: VCPUIndex, to receiver: VCPUIndex, on worker: Int, at time: Instant)
}
