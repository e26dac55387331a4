internal import Clocks
public import GuestMemory
internal import HostIO
internal import Synchronization
public import VirtualCPU
public import Vocabulary

/// The Xen interface of one machine, as a PVH guest finds it (xen/include/public, docs/misc/pvh.pandoc):
/// CPUID leaves, hypercalls, shared info, event channels, grant table, clock and run state. It knows
/// neither interrupt controllers nor the scheduler: what a hypercall asks of them is a value,
/// `XenEffect`, and what the scheduler does to a vCPU it is told by `scheduledOut` and `scheduledIn`.
///
/// What Xen maps into a guest lies here in the guest's own memory, at the page the guest has named: the
/// shared info, the grant frames. So there is nothing to map, and a guest that names RAM it uses
/// harms itself.
///
/// Any thread; what concerns one vCPU, on the thread that runs it.
public final class XenFace: MachinePart {
    /// What a face needs of the machine.
    public struct Surroundings: Sendable {
        /// The guest's time-stamp counter now.
        public var counter: @Sendable () -> UInt64
        /// Nanoseconds on the machine's clock, which the guest's boot starts.
        public var monotonic: @Sendable () -> UInt64
        /// Nanoseconds since 1970.
        public var wallClock: @Sendable () -> UInt64
        /// An interrupt of this vector through the vCPU's local APIC; nil: the vCPU is to ask
        /// `directVector` when it can take an interrupt.
        public var interrupt: @Sendable (VCPUIndex, UInt8?) -> Void
        /// Wakes a vCPU for a kick, which has been noted.
        public var kick: @Sendable (VCPUIndex) -> Void
        /// Has `timerExpired` called at this time of the machine's clock; nil cancels.
        public var setTimer: @Sendable (VCPUIndex, UInt64?) -> Void
        /// Has `pollExpired` called; the same.
        public var setPollTimer: @Sendable (VCPUIndex, UInt64?) -> Void

        public init(
            counter: @escaping @Sendable () -> UInt64,
            monotonic: @escaping @Sendable () -> UInt64,
            wallClock: @escaping @Sendable () -> UInt64,
            interrupt: @escaping @Sendable (VCPUIndex, UInt8?) -> Void,
            kick: @escaping @Sendable (VCPUIndex) -> Void,
            setTimer: @escaping @Sendable (VCPUIndex, UInt64?) -> Void,
            setPollTimer: @escaping @Sendable (VCPUIndex, UInt64?) -> Void
        ) {
            self.counter = counter
            self.monotonic = monotonic
            self.wallClock = wallClock
            self.interrupt = interrupt
            self.kick = kick
            self.setTimer = setTimer
            self.setPollTimer = setPollTimer
        }
    }

    public let name = "xen-face"
    public let domain: DomainID
    /// The machine's UUID, 16 bytes.
    public let identifier: [UInt8]
    public let eventChannels: EventChannels
    public let grantTable: GrantTable
    public let memory: GuestMemory
    /// What XENMEM_memory_map says.
    let memoryMap: [MapEntry]
    let frequency: UInt64
    let surroundings: Surroundings
    /// In the order of the vCPUs; never changed.
    let processors: [XenProcessor]
    let parameters: RankedLock<Parameters>
    let clock: RankedLock<Clock>
    /// VMASST_TYPE_runstate_update_flag.
    let marksRunstateUpdates = Atomic<Bool>(false)
    /// The vector of HVM_PARAM_CALLBACK_IRQ, which is injected without a local APIC; 0: none.
    let callback: CallbackVector
    let hypercalls = HypercallCounters()

    /// A range of the guest's memory map.
    public struct MapEntry: Sendable, Equatable {
        public var start: UInt64
        public var byteCount: UInt64
        /// Of E820: 1 RAM, 2 reserved.
        public var type: UInt32

        public init(start: UInt64, byteCount: UInt64, type: UInt32) {
            self.start = start
            self.byteCount = byteCount
            self.type = type
        }
    }

    /// - Parameters:
    ///   - memoryMap: as the start info of the boot has it.
    ///   - domain: the guest's own number.
    ///   - frequency: of the guest's time-stamp counter, in hertz.
    public init(
        memory: GuestMemory, memoryMap: [MapEntry] = [], processorCount: Int, frequency: UInt64,
        identifier: [UInt8], domain: DomainID = DomainID(1), surroundings: Surroundings
    ) {
        self.memory = memory
        self.memoryMap = memoryMap
        self.domain = domain
        self.identifier = Array((identifier + [UInt8](repeating: 0, count: 16)).prefix(16))
        self.frequency = max(1, frequency)
        self.surroundings = surroundings
        let now = surroundings.monotonic()
        let processors = (0..<processorCount).map { XenProcessor($0, now: now) }
        self.processors = processors
        let callback = CallbackVector()
        self.callback = callback
        eventChannels = EventChannels(
            domain: domain, memory: memory, processors: processors,
            surroundings: EventChannels.Surroundings(
                upcall: { vcpu in
                    let index = Int(clamping: vcpu.rawValue)
                    guard index < processors.count else { return }
                    let vector = processors[index].upcallVector.load(ordering: .acquiring)
                    if vector != 0 {
                        surroundings.interrupt(vcpu, vector)
                    } else if callback.value != 0 {
                        surroundings.interrupt(vcpu, nil)
                    }
                }, kick: surroundings.kick))
        grantTable = GrantTable(memory: memory)
        parameters = RankedLock(Parameters(), owner: "xen-parameters", rank: .device)
        clock = RankedLock(
            Clock(
                origin: .take(counter: surroundings.counter, nanoseconds: surroundings.monotonic),
                scale: ClockScale(frequency: max(1, frequency)),
                adjustments: [UInt64](repeating: 0, count: processorCount)),
            owner: "xen-clock", rank: .device)
    }

    /// Nil: there is no such vCPU.
    func processor(_ index: VCPUIndex) -> XenProcessor? {
        let slot = Int(clamping: index.rawValue)
        return slot < processors.count ? processors[slot] : nil
    }

    /// INIT of a vCPU.
    public func initialize(_ processor: VCPUIndex) {
        self.processor(processor)?.initialize()
        surroundings.setTimer(processor, nil)
        surroundings.setPollTimer(processor, nil)
    }

    // MARK: CPUID

    /// Where the leaves start.
    public static let leafBase: UInt32 = 0x4000_0000

    /// Leaves 0x40000000 to 0x40000005 (xen/include/public/arch-x86/cpuid.h); nil for others.
    ///
    /// - Parameter incarnation: how often the domain has gone on elsewhere: "guest tsc incarnation".
    public static func cpuid(
        _ leaf: UInt32, _ subleaf: UInt32, vcpu: UInt32, frequency: UInt64,
        incarnation: UInt32 = 0, domain: DomainID = DomainID(1)
    ) -> CPUIDResult? {
        switch leaf {
        case leafBase:
            CPUIDResult(
                eax: leafBase + 5, ebx: 0x566e_6558, ecx: 0x6558_4d4d, edx: 0x4d4d_566e)
        case leafBase + 1: CPUIDResult(eax: XenVersion.number)
        case leafBase + 2: CPUIDResult(eax: 1, ebx: hypercallPageRegister)
        case leafBase + 3:
            // The counter is the host's, not emulated and never of another rate.
            switch subleaf {
            case 0:
                CPUIDResult(
                    eax: 2, ebx: 2, ecx: UInt32(clamping: frequency / 1000), edx: incarnation)
            case 2: CPUIDResult(eax: UInt32(clamping: frequency / 1000))
            default: CPUIDResult()
            }
        case leafBase + 4:
            // VCPU_ID_PRESENT, DOMID_PRESENT, UPCALL_VECTOR.
            CPUIDResult(
                eax: 1 << 3 | 1 << 4 | 1 << 6, ebx: vcpu, ecx: UInt32(domain.rawValue))
        case leafBase + 5: CPUIDResult()
        default: nil
        }
    }

    /// The register that older kernels write the address of their hypercall page to.
    public static let hypercallPageRegister: UInt32 = 0x4000_0000

    /// WRMSR. False: not one of ours, or the page is no RAM.
    public func write(_ index: UInt32, _ value: UInt64) -> Bool {
        guard index == Self.hypercallPageRegister else { return false }
        let page = value & ~0xfff
        guard value & 0xfff == 0, memory.contains(page, 4096) else { return false }
        // MOV EAX, number; VMCALL; RET. 32 bytes each.
        var code = [UInt8](repeating: 0xcc, count: 4096)
        for number in 0..<128 {
            let stub: [UInt8] = [0xb8, UInt8(number), 0, 0, 0, 0x0f, 0x01, 0xc1, 0xc3]
            code.replaceSubrange(number * 32..<(number * 32 + stub.count), with: stub)
        }
        return memory.write(GuestPhysicalAddress(page), code)
    }

    /// The vector that the vCPU takes now without its local APIC knowing, if it has events and the guest
    /// wants them that way.
    public func directVector(_ index: VCPUIndex) -> UInt8? {
        let vector = callback.value
        guard vector != 0, let processor = processor(index),
            processor.upcallVector.load(ordering: .relaxed) == 0
        else { return nil }
        let information = processor.information.load(ordering: .acquiring)
        guard information != 0,
            memory.atomicLoad(GuestPhysicalAddress(information), as: UInt8.self) ?? 0 != 0
        else { return nil }
        return vector
    }
}

/// A vector that all threads read.
final class CallbackVector: Sendable {
    private let word = Atomic<UInt8>(0)

    var value: UInt8 {
        get { word.load(ordering: .acquiring) }
        set { word.store(newValue, ordering: .releasing) }
    }
}

/// What this says it is.
enum XenVersion {
    static let major: UInt32 = 4
    static let minor: UInt32 = 17
    static let number = major << 16 | minor
}
