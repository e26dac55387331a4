internal import HostIO
internal import Synchronization

/// What the face keeps for one vCPU apart from its clock. Each word is atomic, and all but `isKicked`
/// and `hasReadyPages` belong to the vCPU's own worker. The lock of `asyncFaults` is for whom pages
/// are brought by, and is not taken unless a page is or was not there.
///
/// Owner: `KVMFace`, one for each vCPU, as long as it.
final class ProcessorFace: Sendable {
    /// MSR_KVM_STEAL_TIME: bit 0 enable, bits 63:6 the address of the area.
    let stealTime = Atomic<UInt64>(0)
    /// MSR_KVM_POLL_CONTROL: bit 0 set, as after reset, if the host may poll before it puts a halted
    /// vCPU to sleep. This host never does.
    let pollControl = Atomic<UInt64>(1)
    /// Somebody kicked the vCPU and it has not left, or skipped, an HLT for it.
    let isKicked = Atomic<Bool>(false)
    /// MSR_KVM_ASYNC_PF_EN and MSR_KVM_ASYNC_PF_INT.
    let asyncFaultEnable = Atomic<UInt64>(0)
    let asyncFaultInterrupt = Atomic<UInt64>(0)
    let asyncFaults = RankedLock(AsyncFaultQueue(), owner: "kvm-async-faults", rank: .leaf)
    /// `asyncFaults` has something for the guest. Changed with its lock held.
    let hasReadyPages = Atomic<Bool>(false)
    let counters = Counters()

    /// INIT. The poll control stays, as on KVM (kvm_vcpu_reset).
    func initialize() {
        stealTime.store(0, ordering: .relaxed)
        isKicked.store(false, ordering: .sequentiallyConsistent)
        asyncFaultEnable.store(0, ordering: .relaxed)
        asyncFaultInterrupt.store(0, ordering: .relaxed)
    }
}
