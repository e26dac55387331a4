internal import HostIO
internal import Synchronization
internal import Vocabulary

/// What a Xen guest has registered for one vCPU. Each word is atomic: others raise events and kick
/// while the vCPU runs.
///
/// Owner: `XenFace`, one for each vCPU, as long as it.
final class XenProcessor: Sendable {
    /// Address of its vcpu_info; 0: there is none.
    let information = Atomic<UInt64>(0)
    /// Address of the control block of its FIFO events; 0: there is none.
    let controlBlock = Atomic<UInt64>(0)
    /// The vector of HVMOP_set_evtchn_upcall_vector; 0: the domain's.
    let upcallVector = Atomic<UInt8>(0)
    /// It waits in SCHEDOP_poll for this port; `anyPort` for several, 0 for none.
    let polled = Atomic<UInt32>(0)
    /// Somebody kicked the vCPU and it has not left, or skipped, an HLT for it.
    let isKicked = Atomic<Bool>(false)
    /// When VIRQ_TIMER is due, in nanoseconds of the guest's system time; 0: it is not set.
    let timerDeadline = Atomic<UInt64>(0)
    /// The port of each virtual interrupt that vCPUs have of their own: timer 0, debug 1.
    let timerPort = Atomic<UInt32>(0)
    let debugPort = Atomic<UInt32>(0)
    /// The last event of each priority that is linked; changed with FIFO events only.
    let tails: RankedLock<EventQueueTails>
    let runstate: RankedLock<Runstate>

    static let anyPort: UInt32 = .max

    init(_ index: Int, now: UInt64) {
        tails = RankedLock(EventQueueTails(), owner: "xen-events\(index)", rank: .eventQueue)
        runstate = RankedLock(
            Runstate(since: now), owner: "xen-runstate\(index)", rank: .eventQueue)
    }

    /// INIT: what the guest registers anew when it starts the processor. vcpu_info stays where it is, as
    /// on Xen.
    func initialize() {
        polled.store(0, ordering: .sequentiallyConsistent)
        isKicked.store(false, ordering: .sequentiallyConsistent)
        timerDeadline.store(0, ordering: .relaxed)
    }
}

/// The last linked event of each of the 16 priorities; 0: the queue is empty as far as known.
struct EventQueueTails {
    var words = [UInt32](repeating: 0, count: 16)
}
