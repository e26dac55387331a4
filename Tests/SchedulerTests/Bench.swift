import Testing
import VirtualCPU
import Vocabulary

@testable import Scheduler

/// Workers without threads, on a clock that the test moves: every decision of the scheduler is taken
/// when the test asks for it, in the order of simulated time.
final class Bench {
    /// Nanoseconds, for the scheduler's closure and the test, which are one thread.
    final class Time: @unchecked Sendable {
        var now: UInt64 = 1_000_000_000
        var instant: Instant { Instant(nanoseconds: now) }
    }

    let time = Time()
    let scheduler: VCPUScheduler
    /// When each worker's turn ends; nil: it has nothing to run.
    private var turns: [(assignment: Assignment, started: UInt64, end: UInt64)?]

    init(workers: Int) {
        let time = time
        scheduler = VCPUScheduler(cores: Array(0..<workers)) { time.instant }
        turns = Array(repeating: nil, count: workers)
    }

    func group(_ count: Int, _ change: (inout VCPUGroup.Settings) -> Void = { _ in }) throws
        -> VCPUGroup
    {
        var settings = VCPUGroup.Settings()
        change(&settings)
        return try VCPUGroup(
            scheduler, pending: (0..<count).map { _ in PendingEvents() }, settings: settings)
    }

    /// Puts scripted vCPUs to work; without threads.
    func start(_ group: VCPUGroup, _ bodies: [ScriptedBody]) {
        for (task, body) in zip(group.tasks, bodies) {
            body.pending = task.pending
            task.start(body)
        }
    }

    /// Lets `nanoseconds` pass.
    func run(_ nanoseconds: UInt64, _ each: (UInt64) -> Void = { _ in }) {
        let end = time.now + nanoseconds
        while time.now < end {
            each(time.now)
            for worker in scheduler.workers { begin(worker) }
            // The next end of a turn, in steps that let idle workers look again.
            let next = turns.compactMap { $0?.end }.min() ?? end
            time.now = max(time.now, min(next, end, time.now + 1_000_000))
            for worker in scheduler.workers { finish(worker) }
        }
    }

    private func begin(_ worker: Worker) {
        guard turns[worker.number] == nil else { return }
        guard let assignment = scheduler.next(on: worker, now: time.instant) else { return }
        let body = assignment.task.body as? ScriptedBody
        assignment.task.pending.clear(.reschedule)
        let length = min(
            assignment.sliceEnd.nanoseconds - min(time.now, assignment.sliceEnd.nanoseconds),
            body?.burst ?? .max)
        turns[worker.number] = (assignment, time.now, time.now + length)
    }

    private func finish(_ worker: Worker) {
        guard let turn = turns[worker.number] else { return }
        let isCalled = turn.assignment.task.pending.current.contains(.reschedule)
        guard time.now >= turn.end || isCalled else { return }
        turns[worker.number] = nil
        let ran = time.now - turn.started
        let body = turn.assignment.task.body as? ScriptedBody
        let end = body?.end(ran: ran) ?? TurnEnd(.expired, inKernel: false)
        scheduler.finish(
            turn.assignment, on: worker, end, started: Instant(nanoseconds: turn.started),
            ran: ran, now: time.instant)
    }
}

/// A vCPU that runs for `burst` nanoseconds and then ends its turn as the test says.
final class ScriptedBody: VCPUBody, @unchecked Sendable {
    var burst: UInt64 = .max
    var why = TurnEnd.Reason.expired
    var inKernel = false
    var interrupted: Set<UInt32> = []
    var hasEnded = false
    var ran: UInt64 = 0
    var log: [String] = []
    var pending: PendingEvents?

    init(burst: UInt64 = .max, _ why: TurnEnd.Reason = .expired, inKernel: Bool = false) {
        self.burst = burst
        self.why = why
        self.inKernel = inKernel
    }

    func end(ran: UInt64) -> TurnEnd {
        self.ran += ran
        if case .blocked(let events) = why { pending?.clear(events) }
        return TurnEnd(ran >= burst ? why : .expired, inKernel: inKernel)
    }

    func run(_ turn: Turn) -> TurnEnd { TurnEnd(why, inKernel: inKernel) }
    func scheduledIn(stolenNanoseconds: UInt64) { log.append("in") }
    func scheduledOut(preempted: Bool) { log.append(preempted ? "preempted" : "out") }
    func hasInterrupted(_ other: VCPUIndex) -> Bool { interrupted.contains(other.rawValue) }
    func ended() { hasEnded = true }
}

extension [ScriptedBody] {
    var ran: UInt64 { reduce(0) { $0 + $1.ran } }
    static func busy(_ count: Int) -> Self { (0..<count).map { _ in ScriptedBody() } }
}

/// `value` is within `part` of `wanted`.
func isNear(_ value: UInt64, _ wanted: UInt64, within part: Double) -> Bool {
    abs(Double(value) - Double(wanted)) <= Double(wanted) * part
}
