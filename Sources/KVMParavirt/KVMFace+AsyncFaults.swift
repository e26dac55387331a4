internal import GuestMemory
internal import HostIO
internal import Synchronization
public import Vocabulary

/// How a vCPU stands at an access to a page that is not there.
public struct AsyncFaultConditions: Sendable {
    /// CPL.
    public var privilegeLevel: UInt8
    /// EFLAGS.IF, and no interrupt shadow.
    public var interruptsEnabled: Bool
    /// CR0.PG.
    public var pagingEnabled: Bool
    /// An exception, or an interrupt that is being delivered, comes before.
    public var eventPending: Bool

    public init(
        privilegeLevel: UInt8, interruptsEnabled: Bool, pagingEnabled: Bool, eventPending: Bool
    ) {
        self.privilegeLevel = privilegeLevel
        self.interruptsEnabled = interruptsEnabled
        self.pagingEnabled = pagingEnabled
        self.eventPending = eventPending
    }
}

/// What becomes of an access to a page that is not there.
public enum AsyncFaultAnswer: Sendable, Equatable {
    /// #PF, error code 0, CR2 = token; the page is on its way. The caller has the page fetched and
    /// calls `pageIsReady` with the token.
    case notPresent(token: UInt32)
    /// The vCPU halts until the page is there, but takes interrupts.
    case halt
}

/// MSR_KVM_ASYNC_PF_EN (Linux Documentation/virt/kvm/x86/msr.rst): address in bits 63:6.
enum AsyncFaultRegister {
    static let enable: UInt32 = 0x4b56_4d02
    static let interrupt: UInt32 = 0x4b56_4d06
    static let acknowledge: UInt32 = 0x4b56_4d07
    /// Reserved: 5 and 4. DELIVERY_AS_PF_VMEXIT, bit 2, is for nested guests and is not offered.
    /// SEND_ALWAYS, bit 1, is taken, but permits only what need not be done: faults at CPL 0.
    static let refused: UInt64 = 1 << 5 | 1 << 4 | 1 << 2
    /// ENABLED and DELIVERY_AS_INT: without the second nothing is delivered.
    static let enabled: UInt64 = 1 << 0 | 1 << 3

    static func isEnabled(_ value: UInt64) -> Bool { value & enabled == enabled }
    static func area(_ value: UInt64) -> UInt64 { value & ~63 }
}

/// kvm_vcpu_pv_apf_data (Linux arch/x86/include/uapi/asm/kvm_para.h). The host writes both words when
/// they are 0, the guest writes 0 when it has read them.
private enum AsyncFaultArea {
    /// What KVM wants to be RAM of the 64 bytes.
    static let byteCount = 8
    /// 1: the #PF that is coming is ours.
    static let flags: UInt64 = 0
    static let token: UInt64 = 4
}

// Asynchronous page faults: what the pager tells of a page, the guest learns by #PF and by interrupt.
//
// The area may itself lie in a page that is not there, and then who touches it waits for the pager,
// which calls `pageIsReady`: so no lock is held around an access to it. Only the vCPU's own worker
// writes it.
extension KVMFace {
    /// Writing this register may have made `readyPageVector` have something.
    public static func isPageReadyRegister(_ index: UInt32) -> Bool {
        switch index {
        case AsyncFaultRegister.enable, AsyncFaultRegister.interrupt,
            AsyncFaultRegister.acknowledge:
            true
        default: false
        }
    }

    /// The vCPU needs a page that is not there. On its worker.
    ///
    /// - Parameter page: what tells pages apart, as the guest frame number does.
    public func pageNotPresent(
        _ processor: VCPUIndex, page: UInt64, _ conditions: AsyncFaultConditions
    ) -> AsyncFaultAnswer {
        guard let own = self.processor(processor) else { return .halt }
        guard let flags = notPresentFlags(own, conditions),
            let token = own.asyncFaults.withLock({
                $0.add(page: page, processor: processor.rawValue)
            })
        else {
            own.counters.add(.asyncFaultsHalted)
            return .halt
        }
        memory.atomicStore(flags, UInt32(1))
        own.counters.add(.asyncFaultsInjected)
        return .notPresent(token: token)
    }

    /// The word that announces a fault; nil: the guest cannot take one now.
    ///
    /// Linux panics if it gets one in its kernel or with interrupts off, and cannot tell it from a
    /// fault of its own before paging is on.
    private func notPresentFlags(
        _ own: ProcessorFace, _ conditions: AsyncFaultConditions
    ) -> GuestPhysicalAddress? {
        let register = own.asyncFaultEnable.load(ordering: .relaxed)
        guard AsyncFaultRegister.isEnabled(register), vector(own) != nil,
            conditions.privilegeLevel == 3, conditions.interruptsEnabled,
            conditions.pagingEnabled, !conditions.eventPending
        else { return nil }
        let flags = GuestPhysicalAddress(
            AsyncFaultRegister.area(register) &+ AsyncFaultArea.flags)
        // Not 0: the last one is still on its way into the guest.
        return memory.atomicLoad(flags, as: UInt32.self) == 0 ? flags : nil
    }

    /// What a local APIC takes: vectors below 16 are errors to it.
    private func vector(_ own: ProcessorFace) -> UInt8? {
        let vector = UInt8(
            truncatingIfNeeded: own.asyncFaultInterrupt.load(ordering: .relaxed))
        return vector >= 16 ? vector : nil
    }

    /// The page of the token has arrived. Any thread; a token that was dropped or told before is
    /// ignored.
    ///
    /// - Returns: the vCPU has something to deliver and must look (`readyPageVector`).
    public func pageIsReady(_ processor: VCPUIndex, token: UInt32) -> Bool {
        guard let own = self.processor(processor) else { return false }
        return own.asyncFaults.withLock { faults in
            guard faults.arrived(token) else { return false }
            own.hasReadyPages.store(true, ordering: .releasing)
            return true
        }
    }

    /// Gives the guest the token of one page that is there, if it has taken the last one. On the
    /// vCPU's worker: after `pageIsReady`, after a write of `isPageReadyRegister`, after the local
    /// APIC was software-enabled, and after `restore`. Without anything to tell, a load and a branch.
    ///
    /// - Parameter localAPICIsEnabled: software-enabled; an interrupt sent to one that is not is lost,
    ///   and the guest would never take the token.
    /// - Returns: the vector to raise, fixed and edge-triggered; nil: nothing to deliver now.
    public func readyPageVector(_ processor: VCPUIndex, localAPICIsEnabled: Bool) -> UInt8? {
        guard let own = self.processor(processor), own.hasReadyPages.load(ordering: .acquiring),
            localAPICIsEnabled, let vector = vector(own)
        else { return nil }
        let register = own.asyncFaultEnable.load(ordering: .relaxed)
        guard AsyncFaultRegister.isEnabled(register) else { return nil }
        let slot = GuestPhysicalAddress(
            AsyncFaultRegister.area(register) &+ AsyncFaultArea.token)
        guard memory.atomicLoad(slot, as: UInt32.self) == 0 else { return nil }
        let token = own.asyncFaults.withLock { faults in
            let token = faults.next()
            if !faults.isReady { own.hasReadyPages.store(false, ordering: .relaxed) }
            return token
        }
        guard let token else { return nil }
        memory.atomicStore(slot, token)
        own.counters.add(
            token == AsyncFaultQueue.wakeAll ? .asyncFaultWakeAlls : .asyncFaultsReady)
        return vector
    }

    // MARK: Registers

    /// Nil: not one of these.
    func readAsyncFault(_ index: UInt32, _ own: ProcessorFace) -> UInt64? {
        switch index {
        case AsyncFaultRegister.enable: own.asyncFaultEnable.load(ordering: .relaxed)
        case AsyncFaultRegister.interrupt: own.asyncFaultInterrupt.load(ordering: .relaxed)
        case AsyncFaultRegister.acknowledge: 0
        default: nil
        }
    }

    /// False: not one of these, or a value that KVM refuses (kvm_pv_enable_async_pf,
    /// kvm_pv_enable_async_pf_int).
    func writeAsyncFault(_ index: UInt32, _ value: UInt64, _ own: ProcessorFace) -> Bool {
        switch index {
        case AsyncFaultRegister.enable:
            guard isAsyncFaultEnable(value) else { return false }
            dropAsyncFaults(own)
            own.asyncFaultEnable.store(value, ordering: .relaxed)
            guard AsyncFaultRegister.isEnabled(value) else { return true }
            // The guest is to have zeroed the area, and Linux does not: an interrupt that came when it
            // had turned the interface off has left its token, and nothing would ever come after it.
            let area = GuestPhysicalAddress(AsyncFaultRegister.area(value))
            memory.atomicStore(area.advanced(by: AsyncFaultArea.flags), UInt32(0))
            memory.atomicStore(area.advanced(by: AsyncFaultArea.token), UInt32(0))
            wakeAll(own)
            return true
        case AsyncFaultRegister.interrupt:
            guard value >> 8 == 0 else { return false }
            own.asyncFaultInterrupt.store(value, ordering: .relaxed)
            return true
        case AsyncFaultRegister.acknowledge:
            // KVM looks at nothing but bit 0.
            if value & 1 != 0 { own.counters.add(.asyncFaultsAcknowledged) }
            return true
        default:
            return false
        }
    }

    func isAsyncFaultEnable(_ value: UInt64) -> Bool {
        value & AsyncFaultRegister.refused == 0
            && (!AsyncFaultRegister.isEnabled(value)
                || memory.contains(AsyncFaultRegister.area(value), AsyncFaultArea.byteCount))
    }

    /// Tokens that come later are ignored.
    func dropAsyncFaults(_ own: ProcessorFace) {
        let dropped = own.asyncFaults.withLock { faults in
            own.hasReadyPages.store(false, ordering: .relaxed)
            return faults.drop()
        }
        own.counters.add(.asyncFaultsDropped, UInt64(dropped))
    }

    /// Whoever waits on the vCPU for a token that will not come is woken, and faults again. KVM does so
    /// whenever the interface is enabled, for guests that come from elsewhere.
    func wakeAll(_ own: ProcessorFace) {
        own.asyncFaults.withLock { faults in
            faults.wakeAllFirst()
            own.hasReadyPages.store(true, ordering: .releasing)
        }
    }
}
