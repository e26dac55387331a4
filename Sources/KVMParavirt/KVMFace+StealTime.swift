internal import GuestMemory
internal import Synchronization
public import Vocabulary

/// kvm_steal_time, 64 bytes aligned to 64 (Linux arch/x86/include/uapi/asm/kvm_para.h): steal 0,
/// version 8, flags 12, preempted 16.
private enum StealArea {
    static let byteCount = 64
    static let version: UInt64 = 8
    static let preempted: UInt64 = 16
    /// Bits of the preempted byte. The first is the host's, the second any vCPU's of the guest.
    static let isPreempted: UInt8 = 1 << 0
    static let flushTLB: UInt8 = 1 << 1
}

// What the scheduler tells of a vCPU, on the worker that runs it. No lock, no allocation; without a
// registered area each is a load and a branch.
extension KVMFace {
    /// The vCPU stops running guest code.
    ///
    /// While it is marked preempted, other vCPUs do not wait for it to answer a TLB flush: they leave
    /// the request in its area. So it may be marked between two instructions only, and not with an
    /// exit that has no answer yet. A vCPU that halts is not marked, as on KVM since Linux 6.0: it
    /// gives its time away by its own will, and a guest that looks for an idle processor may have it.
    ///
    /// - Parameter preempted: it could go on, and something else runs in its place.
    public func scheduledOut(_ processor: VCPUIndex, preempted: Bool) {
        guard preempted, let own = self.processor(processor) else { return }
        let register = own.stealTime.load(ordering: .relaxed)
        guard register & 1 != 0 else { return }
        let area = register & ~63
        guard memory.contains(area, StealArea.byteCount) else { return }
        // A flush asked for since the last mark stays asked for.
        _ = memory.atomicOr(
            GuestPhysicalAddress(area &+ StealArea.preempted), StealArea.isPreempted)
        own.counters.add(.preemptions)
    }

    /// The vCPU is about to run guest code.
    ///
    /// - Parameter stolenNanoseconds: it could have run and did not, since the last call.
    /// - Returns: another vCPU relies on this one to drop its translations before it runs.
    public func scheduledIn(_ processor: VCPUIndex, stolenNanoseconds: UInt64) -> Bool {
        guard let own = self.processor(processor) else { return false }
        let register = own.stealTime.load(ordering: .relaxed)
        guard register & 1 != 0 else { return false }
        return publishStealTime(own, register & ~63, stolenNanoseconds)
    }

    /// The area must be usable at once when the guest names it, whatever lies there.
    func startStealTime(_ own: ProcessorFace, _ register: UInt64) {
        own.stealTime.store(register, ordering: .relaxed)
        if register & 1 != 0 { _ = publishStealTime(own, register & ~63, 0) }
    }

    /// - Returns: a TLB flush was asked for.
    private func publishStealTime(
        _ own: ProcessorFace, _ address: UInt64, _ stolen: UInt64
    ) -> Bool {
        guard memory.contains(address, StealArea.byteCount) else { return false }
        let area = GuestPhysicalAddress(address)
        // One exchange: who asks for a flush with a compare-exchange either finds the mark and is
        // heard here, or fails and sends an interrupt.
        let asked =
            memory.atomicExchange(area.advanced(by: StealArea.preempted), UInt8(0)) ?? 0
        // Readers look again while the version is odd or has changed.
        let version = area.advanced(by: StealArea.version)
        let odd = (memory.atomicLoad(version, as: UInt32.self) ?? 0) | 1
        memory.atomicStore(version, odd)
        let steal = memory.read(area, as: UInt64.self) ?? 0
        memory.write(area, integer: steal &+ stolen)
        memory.atomicStore(version, odd &+ 1)
        own.counters.add(.stolenNanoseconds, stolen)
        guard asked & StealArea.flushTLB != 0 else { return false }
        own.counters.add(.flushes)
        return true
    }
}
