internal import KVMParavirt
import Vocabulary
internal import Xen

/// The paravirtual interface that the guest finds.
enum PlatformFace: Sendable {
    case none
    case kvm(KVMFace)
    /// With what SCHEDOP_shutdown does, and RAX of it.
    case xen(XenFace, shutdown: @Sendable (ShutdownReason, VCPUIndex) -> UInt64)

    var isKVM: Bool {
        if case .kvm = self { return true }
        return false
    }

    /// RDMSR. Nil: not one of its registers.
    func read(_ index: UInt32, _ vcpu: VCPUIndex) -> UInt64? {
        switch self {
        case .none, .xen: nil
        case .kvm(let face): face.read(index, vcpu)
        }
    }

    /// WRMSR. False: not one of its registers, or it refuses the value.
    func write(_ index: UInt32, _ value: UInt64, _ vcpu: VCPUIndex) -> Bool {
        switch self {
        case .none: false
        case .kvm(let face): face.write(index, value, vcpu)
        case .xen(let face, _): face.write(index, value)
        }
    }

    func adjustCounter(by adjustment: UInt64, of vcpu: VCPUIndex) {
        switch self {
        case .none: break
        case .kvm(let face): face.adjustCounter(by: adjustment, of: vcpu)
        case .xen(let face, _): face.adjustCounter(by: adjustment, of: vcpu)
        }
    }

    func initialize(_ vcpu: VCPUIndex) {
        switch self {
        case .none: break
        case .kvm(let face): face.initialize(vcpu)
        case .xen(let face, _): face.initialize(vcpu)
        }
    }

    func takeKick(_ vcpu: VCPUIndex) -> Bool {
        switch self {
        case .none: false
        case .kvm(let face): face.takeKick(vcpu)
        case .xen(let face, _): face.takeKick(vcpu)
        }
    }

    /// The vector that the vCPU takes without its local APIC knowing.
    func directVector(_ vcpu: VCPUIndex) -> UInt8? {
        if case .xen(let face, _) = self { return face.directVector(vcpu) }
        return nil
    }

    /// The vCPU's local APIC may have been enabled.
    func remind(_ vcpu: VCPUIndex) {
        if case .xen(let face, _) = self { face.remind(vcpu) }
    }

    func scheduledOut(_ vcpu: VCPUIndex, preempted: Bool) {
        switch self {
        case .none: break
        case .kvm(let face): face.scheduledOut(vcpu, preempted: preempted)
        case .xen(let face, _): face.scheduledOut(vcpu, preempted: preempted)
        }
    }

    /// True: the TLB has to be flushed before it runs.
    func scheduledIn(_ vcpu: VCPUIndex, stolenNanoseconds: UInt64) -> Bool {
        switch self {
        case .none: return false
        case .kvm(let face):
            return face.scheduledIn(vcpu, stolenNanoseconds: stolenNanoseconds)
        case .xen(let face, _):
            face.scheduledIn(vcpu, stolenNanoseconds: stolenNanoseconds)
            return false
        }
    }
}
