internal import KVMParavirt
internal import Paging
import VirtualCPU
import Vocabulary

/// What one vCPU does about pages that are absent.
///
/// Owner: the vCPU's surroundings; the vCPU's worker only.
final class VCPUPaging {
    private let pager: Pager
    private let policy: MachineConfiguration.PageFaults
    private let index: VCPUIndex
    /// Of a KVM guest, which can be told.
    private let face: KVMFace?
    private let pending: PendingEvents
    private let wake: @Sendable () -> Void

    /// - Parameter wake: the vCPU has an event and may sleep; any thread.
    init(
        _ pager: Pager, _ policy: MachineConfiguration.PageFaults, _ index: VCPUIndex,
        _ face: PlatformFace, _ pending: PendingEvents, wake: @escaping @Sendable () -> Void
    ) {
        self.pager = pager
        self.policy = policy
        self.index = index
        self.pending = pending
        self.wake = wake
        if policy == .async, case .kvm(let face) = face {
            self.face = face
        } else {
            self.face = nil
        }
    }

    func pageIsAbsent(_ address: GuestPhysicalAddress, _ engine: any CPUEngine) -> AbsentPageAnswer
    {
        let page = address.rawValue >> 12
        if policy == .block {
            _ = pager.bring(page: page)
            return .goOn
        }
        // Most are zeros, which cost nobody anything.
        if pager.takesAtOnce(page: page) { return .goOn }
        if let face,
            case .notPresent(let token) = face.pageNotPresent(index, page: page, conditions(engine))
        {
            let arrived: @Sendable () -> Void = { [index, pending, wake] in
                guard face.pageIsReady(index, token: token) else { return }
                pending.raise(.pageReady)
                wake()
            }
            // The guest takes the second word before the first, too.
            if pager.request(page: page, arrived: arrived) { arrived() }
            return .notPresent(token: token)
        }
        let isPresent = pager.request(page: page) { [pending, wake] in
            pending.raise(.pageReady)
            wake()
        }
        return isPresent ? .goOn : .wait
    }

    private func conditions(_ engine: any CPUEngine) -> AsyncFaultConditions {
        let isReady = engine.canTakeInterrupt
        return AsyncFaultConditions(
            privilegeLevel: engine.privilegeLevel, interruptsEnabled: isReady,
            pagingEnabled: true, eventPending: !isReady)
    }
}
