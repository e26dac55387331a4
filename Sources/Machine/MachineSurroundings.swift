internal import Bus
internal import Interrupts
internal import KVMParavirt
import VirtualCPU
import Vocabulary
internal import X86
internal import Xen

/// What the machine is to one vCPU.
///
/// Owner: the vCPU's runner; the vCPU's worker only.
final class MachineSurroundings: VCPUSurroundings {
    private let index: VCPUIndex
    private let bus: Bus
    private let apic: LocalAPIC
    private let controller: InterruptController
    private let face: PlatformFace
    private let paging: VCPUPaging?
    private var sent = SentInterrupts<SentInterrupt>()
    private var wish: HypercallWish?

    init(
        index: VCPUIndex, bus: Bus, apic: LocalAPIC, controller: InterruptController,
        face: PlatformFace, paging: VCPUPaging?
    ) {
        self.index = index
        self.bus = bus
        self.apic = apic
        self.controller = controller
        self.face = face
        self.paging = paging
    }

    func readPort(_ port: PortNumber, width: Int) -> UInt64 { bus.read(port, width: width) }

    func writePort(_ port: PortNumber, width: Int, value: UInt32) {
        bus.write(port, width: width, value: UInt64(value))
    }

    /// The offset in the local APIC's page, if it is mapped there.
    private func apicOffset(_ address: GuestPhysicalAddress) -> UInt32? {
        let base = apic.base
        guard base & 0xc00 == 0x800, address.rawValue & ~0xfff == base & 0x0000_ffff_ffff_f000
        else { return nil }
        return UInt32(truncatingIfNeeded: address.rawValue & 0xfff)
    }

    func readMemory(at address: GuestPhysicalAddress, width: Int) -> UInt64 {
        guard let offset = apicOffset(address) else { return bus.read(address, width: width) }
        return UInt64(apic.read(offset & 0xff0)) >> (UInt64(offset & 3) * 8)
    }

    func writeMemory(at address: GuestPhysicalAddress, width: Int, value: UInt64) {
        guard let offset = apicOffset(address) else {
            bus.write(address, width: width, value: value)
            return
        }
        if offset & 0xf == 0 {
            perform(apic.write(offset, UInt32(truncatingIfNeeded: value)))
            if offset == LocalAPIC.spuriousVectorRegister { remind() }
        }
    }

    /// The local APIC may have been enabled.
    private func remind() {
        face.remind(index)
        takeReadyPages()
    }

    private func perform(_ effect: LocalAPIC.Effect) {
        if case .command(let command) = effect { sent.insert(.command(command)) }
        controller.perform(effect)
    }

    func hasInterrupted(_ other: VCPUIndex) -> Bool {
        sent.contains { sent in
            switch sent {
            case .command(let command): controller.reaches(other, command)
            case .many(let many): many.contains(other)
            case .event(let target): target == other
            }
        }
    }

    func takeWish() -> HypercallWish? {
        defer { wish = nil }
        return wish
    }

    func readMSR(_ index: UInt32) -> UInt64? {
        switch index {
        case 0x1b: return apic.base
        case 0x6e0: return apic.deadline
        case 0x800...0x8ff: return apic.readX2(index)
        case KVMFace.endOfInterruptRegister where face.isKVM: return apic.endOfInterruptWord
        default: return face.read(index, self.index) ?? QuietRegister.read(index)
        }
    }

    func writeMSR(_ index: UInt32, value: UInt64) -> Bool {
        switch index {
        case 0x1b: return apic.setBase(value)
        case 0x6e0:
            apic.deadline = value
            return true
        case 0x800...0x8ff:
            guard let effect = apic.writeX2(index, value) else { return false }
            perform(effect)
            if index == LocalAPIC.spuriousVectorRegisterX2 { remind() }
            return true
        case KVMFace.endOfInterruptRegister where face.isKVM:
            return apic.setEndOfInterruptWord(value)
        default:
            if face.write(index, value, self.index) {
                if KVMFace.isPageReadyRegister(index) { takeReadyPages() }
                return true
            }
            return QuietRegister.write(index)
        }
    }

    func counterAdjusted(by adjustment: UInt64) {
        apic.counterAdjustment = adjustment
        face.adjustCounter(by: adjustment, of: index)
    }

    var taskPriority: UInt8 {
        get { apic.taskPriority }
        set { apic.taskPriority = newValue }
    }

    func hypercall(_ frame: HypercallFrame, in space: any LinearAddressSpace) -> UInt64 {
        switch face {
        case .none: return KVMFace.unknownHypercall
        case .kvm(let face):
            let outcome = face.hypercall(Hypercall(frame), from: index)
            return perform(outcome.effect) ?? outcome.result
        case .xen(let face, let shutdown):
            let outcome = face.hypercall(frame, from: index, in: space)
            switch outcome.effect {
            case .none: break
            case .yield: wish = .pass
            case .block, .poll: wish = .wait
            case .shutdown(let reason): return shutdown(reason, index)
            case .interrupted(let target, let wasPolling):
                sent.insert(.event(target))
                if wasPolling { wish = .yield(to: target) }
            case .nonMaskableInterrupt(let target):
                controller.sendNonMaskableInterrupt(to: target)
            }
            return outcome.result
        }
    }

    /// RAX, where the effect decides it.
    private func perform(_ effect: HypercallEffect) -> UInt64? {
        switch effect {
        case .none: return nil
        case .kick(let target):
            controller.kick(target)
            wish = .yield(to: target)
        case .yield(let target): wish = .yield(to: target)
        case .interprocessorInterrupts(let sent):
            self.sent.insert(.many(sent))
            return UInt64(
                controller.send(command: sent.command, to: sent.targets, from: sent.first))
        }
        return nil
    }

    func pageIsAbsent(_ address: GuestPhysicalAddress, _ engine: any CPUEngine) -> AbsentPageAnswer
    {
        paging?.pageIsAbsent(address, engine) ?? .goOn
    }

    func takeReadyPages() {
        guard case .kvm(let face) = face,
            let vector = face.readyPageVector(
                index, localAPICIsEnabled: apic.isSoftwareEnabled)
        else { return }
        apic.request(vector: vector, level: false)
    }

    func acknowledgeInterrupt() -> UInt8? {
        guard let vector = face.directVector(index) else { return apic.acknowledge() }
        // The local APIC's turn comes after it.
        apic.announce()
        return vector
    }

    func takeStartUpRequests() -> [StartUpRequest] {
        apic.takeStartUpRequests().map { [face, index] request -> StartUpRequest in
            switch request {
            case .initialize:
                face.initialize(index)
                return .initialize
            case .startUp(let vector): return .startUp(vector: vector)
            }
        }
    }

    func takeKick() -> Bool { face.takeKick(index) }

    func scheduledOut(preempted: Bool) { face.scheduledOut(index, preempted: preempted) }

    func scheduledIn(stolenNanoseconds: UInt64) -> Bool {
        face.scheduledIn(index, stolenNanoseconds: stolenNanoseconds)
    }
}

/// What a vCPU sent to others.
private enum SentInterrupt {
    case command(LocalAPIC.Command)
    case many(InterprocessorInterrupts)
    case event(VCPUIndex)
}

extension InterprocessorInterrupts {
    fileprivate func contains(_ vcpu: VCPUIndex) -> Bool {
        vcpu.rawValue >= first && vcpu.rawValue - first < 128
            && targets & 1 << UInt128(vcpu.rawValue - first) != 0
    }
}

/// Registers that Linux touches on every processor of the model's kind and that do nothing here.
private enum QuietRegister {
    static func read(_ index: UInt32) -> UInt64? {
        switch index {
        // IA32_PLATFORM_ID, machine-check capabilities and status, feature control.
        case 0x17, 0x179, 0x17a, 0x34: 0
        // No way to spill: the processor has none of the known flaws.
        case 0x10a: 0x0a00_e1eb
        default: nil
        }
    }

    static func write(_ index: UInt32) -> Bool {
        switch index {
        case 0x17a, 0x8b: true
        default: false
        }
    }
}

/// The machine's CPUID: the processor's model and the platform's leaves.
struct ProcessorModel: Sendable {
    var index: UInt32
    var count: UInt32
    var frequency: UInt64
    var platform: MachineConfiguration.Platform
    var model = CPUIDModel.martletV2
    /// How often the machine has gone on in another process.
    var incarnation: UInt32 = 0

    @Sendable
    func answer(_ leaf: UInt32, _ subleaf: UInt32) -> CPUIDResult {
        if leaf >= 0x4000_0000, leaf < 0x5000_0000 {
            let answer =
                switch platform {
                case .kvm: KVMFace.cpuid(leaf)
                case .xen:
                    XenFace.cpuid(
                        leaf, subleaf, vcpu: index, frequency: frequency, incarnation: incarnation)
                case .none: CPUIDResult?.none
                }
            return answer ?? CPUIDResult()
        }
        var context = CPUIDModel.Context()
        context.apicID = index
        context.processorCount = count
        context.tscFrequency = frequency
        let result = model.leaf(leaf, subleaf, context)
        return CPUIDResult(
            eax: result.eax, ebx: result.ebx, ecx: result.ecx, edx: result.edx)
    }
}
