internal import Clocks
public import GuestMemory
internal import HostIO
public import VirtualCPU
public import Vocabulary

/// The KVM paravirtual interface of one machine: CPUID leaves, kvmclock and wall clock
/// (Linux Documentation/virt/kvm/x86/{cpuid,msr,hypercalls}.rst).
///
/// Any vCPU thread.
public final class KVMFace: MachinePart {
    /// Where the leaves start.
    public static let leafBase: UInt32 = 0x4000_0000

    /// Features of leaf 0x40000001, EAX.
    private static let clockSource: UInt32 = 1 << 0
    private static let noIODelay: UInt32 = 1 << 1
    private static let clockSource2: UInt32 = 1 << 3
    private static let stableClockSource: UInt32 = 1 << 24

    public let name = "kvm-face"
    let memory: GuestMemory
    let frequency: UInt64
    let registers: RankedLock<Registers>
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

    /// Leaves 0x40000000 and 0x40000001; nil for others.
    public static func cpuid(_ leaf: UInt32) -> CPUIDResult? {
        switch leaf {
        case leafBase:
            CPUIDResult(eax: leafBase + 1, ebx: 0x4b4d_564b, ecx: 0x564b_4d56, edx: 0x4d)
        case leafBase + 1:
            CPUIDResult(eax: clockSource | noIODelay | clockSource2 | stableClockSource)
        default: nil
        }
    }

    /// RAX of a hypercall: none is known yet.
    public static let unknownHypercall = UInt64(bitPattern: -1000)
}
