internal import Clocks
public import GuestMemory
internal import HostIO
internal import Synchronization
public import VirtualCPU
public import Vocabulary

/// The KVM paravirtual interface of one machine: CPUID leaves, kvmclock and wall clock, steal time,
/// asynchronous page faults, hypercalls (Linux Documentation/virt/kvm/x86/{cpuid,msr,hypercalls}.rst).
/// Its end-of-interrupt word is the local APIC's. It knows neither interrupt controllers nor the
/// scheduler nor where pages come from: what a hypercall asks of them is a value, `HypercallEffect`,
/// what the scheduler does to a vCPU it is told by `scheduledOut` and `scheduledIn`, and what becomes
/// of a page by `pageNotPresent` and `pageIsReady`.
///
/// Any thread; what concerns one vCPU, on the thread that runs it.
public final class KVMFace: MachinePart {
    /// Where the leaves start.
    public static let leafBase: UInt32 = 0x4000_0000

    /// Features of leaf 0x40000001, EAX.
    private static let features: UInt32 =
        1 << 0 /* CLOCKSOURCE */ | 1 << 1 /* NOP_IO_DELAY */ | 1 << 3 /* CLOCKSOURCE2 */
        | 1 << 4 /* ASYNC_PF */ | 1 << 5 /* STEAL_TIME */ | 1 << 6 /* PV_EOI */ | 1
        << 7 /* PV_UNHALT */
        | 1 << 9 /* PV_TLB_FLUSH */ | 1 << 11 /* PV_SEND_IPI */ | 1 << 12 /* POLL_CONTROL */
        | 1 << 13 /* PV_SCHED_YIELD */ | 1 << 14 /* ASYNC_PF_INT */
        | 1 << 24 /* CLOCKSOURCE_STABLE_BIT */

    public let name = "kvm-face"
    let memory: GuestMemory
    let frequency: UInt64
    /// What all vCPUs' clocks share; taken when a guest sets its clocks up, never to read them.
    let registers: RankedLock<Registers>
    /// In the order of the vCPUs; never changed.
    let processors: [ProcessorFace]
    private let counter: @Sendable () -> UInt64
    private let monotonic: @Sendable () -> UInt64
    let wallClock: @Sendable () -> UInt64

    /// - Parameters:
    ///   - frequency: of the guest's time-stamp counter, in hertz.
    ///   - counter: the guest's time-stamp counter now.
    ///   - monotonic: nanoseconds on the machine's clock, which the guest's boot starts.
    ///   - wallClock: nanoseconds since 1970.
    public init(
        memory: GuestMemory, processorCount: Int, frequency: UInt64,
        counter: @escaping @Sendable () -> UInt64, monotonic: @escaping @Sendable () -> UInt64,
        wallClock: @escaping @Sendable () -> UInt64
    ) {
        self.memory = memory
        self.frequency = max(1, frequency)
        self.counter = counter
        self.monotonic = monotonic
        self.wallClock = wallClock
        processors = (0..<processorCount).map { _ in ProcessorFace() }
        let origin = CounterSample.take(counter: counter, nanoseconds: monotonic)
        registers = RankedLock(
            Registers(
                systemTime: [UInt64](repeating: 0, count: processorCount),
                counterAdjustments: [UInt64](repeating: 0, count: processorCount), origin: origin,
                scale: ClockScale(frequency: max(1, frequency))),
            owner: "kvm-face", rank: .device)
    }

    /// The guest's counter and the machine's clock at one moment, now.
    var sample: CounterSample { .take(counter: counter, nanoseconds: monotonic) }

    /// Nil: there is no such vCPU.
    func processor(_ index: VCPUIndex) -> ProcessorFace? {
        let slot = Int(clamping: index.rawValue)
        return slot < processors.count ? processors[slot] : nil
    }

    /// INIT of a vCPU: the guest registers its clock and its areas anew (kvm_vcpu_reset).
    public func initialize(_ processor: VCPUIndex) {
        guard let own = self.processor(processor) else { return }
        own.initialize()
        dropAsyncFaults(own)
        let slot = Int(clamping: processor.rawValue)
        registers.withLock { $0.systemTime[slot] = 0 }
    }

    /// Leaves 0x40000000 and 0x40000001; nil for others. EDX of the second, the hints, is 0: vCPUs do
    /// not have processors of their own.
    public static func cpuid(_ leaf: UInt32) -> CPUIDResult? {
        switch leaf {
        case leafBase:
            CPUIDResult(eax: leafBase + 1, ebx: 0x4b4d_564b, ecx: 0x564b_4d56, edx: 0x4d)
        case leafBase + 1: CPUIDResult(eax: features)
        default: nil
        }
    }
}
