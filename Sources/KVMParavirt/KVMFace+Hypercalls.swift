internal import Synchronization
public import Vocabulary

extension KVMFace {
    /// Numbers of include/uapi/linux/kvm_para.h.
    private enum Number {
        static let pollInterrupt: UInt64 = 1
        static let kick: UInt64 = 5
        static let sendInterrupts: UInt64 = 10
        static let yield: UInt64 = 11
    }

    /// Errors of the same header, as RAX has them.
    enum HypercallError {
        static let notPermitted = UInt64(bitPattern: -1)
        static let invalidArgument = UInt64(bitPattern: -22)
        static let unknown = UInt64(bitPattern: -1000)
    }

    /// RAX of a hypercall nobody knows.
    public static let unknownHypercall = HypercallError.unknown

    /// Decides what a hypercall does; the caller carries the effect out, on the vCPU's worker.
    public func hypercall(_ call: Hypercall, from caller: VCPUIndex) -> HypercallOutcome {
        guard let own = processor(caller) else { return HypercallOutcome(Self.unknownHypercall) }
        var outcome = decide(call, caller, own.counters)
        if !call.is64Bit { outcome.result &= 0xffff_ffff }
        return outcome
    }

    private func decide(
        _ call: Hypercall, _ caller: VCPUIndex, _ counters: borrowing ProcessorFace.Counters
    ) -> HypercallOutcome {
        guard call.privilegeLevel == 0 else {
            counters.add(.refused)
            return HypercallOutcome(HypercallError.notPermitted)
        }
        switch call.number {
        case Number.pollInterrupt:
            // The exit itself is what it is for.
            counters.add(.polls)
            return HypercallOutcome(0)
        case Number.kick:
            counters.add(.kicks)
            // KVM takes the identifier as 32 bits. The flags in a0 are to be 0 and are not looked at.
            guard let target = target(call.a1 & 0xffff_ffff) else { return HypercallOutcome(0) }
            processor(target)?.isKicked.store(true, ordering: .sequentiallyConsistent)
            return HypercallOutcome(0, .kick(target))
        case Number.yield:
            counters.add(.yields)
            guard let target = target(call.a0), target != caller else {
                return HypercallOutcome(0)
            }
            return HypercallOutcome(0, .yield(to: target))
        case Number.sendInterrupts:
            counters.add(.interruptCommands)
            return interrupts(call, counters)
        default:
            counters.add(.unknown)
            return HypercallOutcome(HypercallError.unknown)
        }
    }

    /// The vCPU with this local APIC identifier.
    private func target(_ identifier: UInt64) -> VCPUIndex? {
        identifier < UInt64(processors.count)
            ? VCPUIndex(UInt32(truncatingIfNeeded: identifier)) : nil
    }

    /// KVM_HC_SEND_IPI: a0 and a1 the bitmap, a2 the identifier of its first bit, a3 the command.
    private func interrupts(
        _ call: Hypercall, _ counters: borrowing ProcessorFace.Counters
    ) -> HypercallOutcome {
        // Logical destination and shorthands have no meaning beside a bitmap.
        guard call.a3 & 0xc_0800 == 0 else {
            return HypercallOutcome(HypercallError.invalidArgument)
        }
        let first = UInt32(truncatingIfNeeded: call.a2)
        guard UInt64(first) < UInt64(processors.count) else { return HypercallOutcome(0) }
        var targets = UInt128(call.a0) | UInt128(call.a1) << (call.is64Bit ? 64 : 32)
        let after = processors.count - Int(first)
        if after < 128 { targets &= (1 << UInt128(after)) &- 1 }
        guard targets != 0 else { return HypercallOutcome(0) }
        counters.add(.interrupts, UInt64(targets.nonzeroBitCount))
        return HypercallOutcome(
            0,
            .interprocessorInterrupts(
                InterprocessorInterrupts(
                    first: first, targets: targets,
                    command: UInt32(truncatingIfNeeded: call.a3 & 0xc7ff))))
    }

    // MARK: Kicks

    /// The vCPU was kicked since the last call: it does not halt, or halts no more. Its own worker,
    /// when it meets HLT, when `PendingEvents.kick` is raised while it halts, and when something else
    /// ended the halt, which uses a kick up.
    public func takeKick(_ processor: VCPUIndex) -> Bool {
        guard let own = self.processor(processor) else { return false }
        return own.isKicked.exchange(false, ordering: .sequentiallyConsistent)
    }
}
