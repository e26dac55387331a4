internal import Scheduler
internal import Trace
internal import Vocabulary

/// Turns of vCPUs and yields on the tracks of a trace: who ran on which vCPU's track, and on which
/// worker's.
///
/// Owner: the machine's `VCPUGroup`. Any worker.
struct SchedulerTrace: SchedulerRecorder {
    private let vcpus: [TraceTrack]
    private let workers: [TraceTrack]

    /// - Parameter vcpus: the tracks of the vCPUs, in their order.
    init(_ trace: TraceRecorder, vcpus: [TraceTrack], workerCount: Int) {
        self.vcpus = vcpus
        workers = (0..<workerCount).map { trace.makeTrack(.threads, name: "worker/\($0)") }
    }

    func turn(
        of vcpu: VCPUIndex, on worker: Int, from start: Instant, to end: Instant, _ why: TurnEnd
    ) {
        let (number, name) = (Int(vcpu.rawValue), Self.name(why.reason))
        if number < vcpus.count {
            vcpus[number].record(
                .slice(
                    name, .schedule, from: start.nanoseconds, to: end.nanoseconds,
                    TraceArgument("worker", UInt64(clamping: worker))))
        }
        if worker >= 0, worker < workers.count {
            workers[worker].record(
                .slice(
                    name, .schedule, from: start.nanoseconds, to: end.nanoseconds,
                    TraceArgument("vcpu", UInt64(vcpu.rawValue))))
        }
    }

    func yield(from giver: VCPUIndex, to receiver: VCPUIndex, on worker: Int, at time: Instant) {
        let number = Int(giver.rawValue)
        guard number < vcpus.count else { return }
        vcpus[number].record(
            .instant(
                "yield", .yield, at: time.nanoseconds,
                TraceArgument("to", UInt64(receiver.rawValue)),
                TraceArgument("worker", UInt64(clamping: worker))))
    }

    /// Why the turn ended.
    private static func name(_ reason: TurnEnd.Reason) -> StaticString {
        switch reason {
        case .expired: "ran, preempted"
        case .blocked: "ran, halted"
        case .spun: "ran, spins"
        case .yielded: "ran, yields"
        case .ended: "ran, ended"
        }
    }
}
