import HostIO
import Machine

extension Doctor {
    /// Whether interrupt threads may be real-time: tries it.
    static func realTimeThreads() -> DoctorFinding {
        let subject = "interrupt threads"
        let priority = InterruptOptions.defaultTimerPriority
        guard let refusal = HostThread.realTimeRefusal(at: priority) else {
            return DoctorFinding(
                subject: subject, verdict: .good,
                detail: "a thread was real-time (SCHED_FIFO, priority \(priority))", remedy: nil)
        }
        return DoctorFinding(
            subject: subject, verdict: .degraded,
            detail: "not real-time here: \(refusal); interrupts wait for other threads",
            remedy: "allow it with 'ulimit -r 99' (RLIMIT_RTPRIO, limits.conf(5)) or CAP_SYS_NICE")
    }
}
