internal import Clocks
public import GuestMemory
internal import HostIO
public import VirtualCPU
public import Vocabulary

/// The KVM paravirtual interface of one machine: CPUID leaves, kvmclock and wall clock
/// (Linux Documentation/virt/kvm/x86/{cpuid,msr,hypercalls}.rst).
///
/// Any vCPU thread.
public final class KVMFace: Sendable {
    /// Where the leaves start.
    public static let leafBase: UInt32 = 0x4000_0000

    /// Features of leaf 0x40000001, EAX.
    private static let clockSource: UInt32 = 1 << 0
    private static let noIODelay: UInt32 = 1 << 1
    private static let clockSource2: UInt32 = 1 << 3
    private static let stableClockSource: UInt32 = 1 << 24

    private let memory: GuestMemory
    private let frequency: UInt64
    /// The guest's time-stamp counter and the monotonic time that belong together.
    private let origin: (counter: UInt64, nanoseconds: UInt64)
    private let systemTime: RankedLock<[UInt64]>
    private let counter: @Sendable () -> UInt64
    private let monotonic: @Sendable () -> UInt64
    private let wallClock: @Sendable () -> UInt64

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
        self.frequency = frequency
        self.counter = counter
        self.monotonic = monotonic
        self.wallClock = wallClock
        origin = (counter(), monotonic())
        systemTime = RankedLock(
            [UInt64](repeating: 0, count: processorCount), owner: "kvm-face", rank: .device)
    }

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

    /// RDMSR. Nil: not one of ours.
    public func read(_ index: UInt32, _ processor: VCPUIndex) -> UInt64? {
        switch index {
        case 0x4b56_4d01, 0x12:
            systemTime.withLock { values in
                let slot = Int(processor.rawValue)
                return slot < values.count ? values[slot] : 0
            }
        case 0x4b56_4d00, 0x11: 0
        default: nil
        }
    }

    /// WRMSR. False: not one of ours, or refused.
    public func write(_ index: UInt32, _ value: UInt64, _ processor: VCPUIndex) -> Bool {
        switch index {
        case 0x4b56_4d01, 0x12:
            systemTime.withLock { values in
                let slot = Int(processor.rawValue)
                if slot < values.count { values[slot] = value }
            }
            if value & 1 != 0 { publishSystemTime(GuestPhysicalAddress(value & ~1)) }
            return true
        case 0x4b56_4d00, 0x11:
            publishWallClock(GuestPhysicalAddress(value))
            return true
        default: return false
        }
    }

    /// pvclock_vcpu_time_info: 32 bytes. The counter never drifts from the host's clock by more than
    /// the host's own, so the page is written once.
    private func publishSystemTime(_ address: GuestPhysicalAddress) {
        let (multiplier, shift) = Self.scale(frequency)
        let now = counter()
        let time = monotonic()
        _ = memory.write(address, integer: UInt32(1))
        _ = memory.write(address.advanced(by: 8), integer: now)
        _ = memory.write(address.advanced(by: 16), integer: time)
        _ = memory.write(address.advanced(by: 24), integer: multiplier)
        _ = memory.write(address.advanced(by: 28), integer: UInt8(bitPattern: shift))
        // TSC_STABLE: the vCPUs' pages agree.
        _ = memory.write(address.advanced(by: 29), integer: UInt8(1))
        _ = memory.write(address, integer: UInt32(2))
    }

    /// pvclock_wall_clock: the wall-clock time at which the machine's clock was 0.
    private func publishWallClock(_ address: GuestPhysicalAddress) {
        let boot = wallClock() &- monotonic()
        _ = memory.write(address, integer: UInt32(1))
        _ = memory.write(
            address.advanced(by: 4), integer: UInt32(truncatingIfNeeded: boot / 1_000_000_000))
        _ = memory.write(
            address.advanced(by: 8), integer: UInt32(truncatingIfNeeded: boot % 1_000_000_000))
        _ = memory.write(address, integer: UInt32(2))
    }

    /// Multiplier and shift so that nanoseconds = ((ticks << shift) * multiplier) >> 32.
    static func scale(_ frequency: UInt64) -> (UInt32, Int8) {
        var shift: Int8 = 0
        var base = max(1, frequency)
        var target: UInt64 = 1_000_000_000
        while base > target * 2 || base >> 32 != 0 {
            base >>= 1
            shift -= 1
        }
        while base <= target {
            if target & 0x8000_0000 != 0 {
                target >>= 1
            } else {
                base <<= 1
            }
            shift += 1
        }
        return (UInt32(truncatingIfNeeded: (target << 32) / base), shift)
    }

    /// RAX of a hypercall: none is known yet.
    public static let unknownHypercall = UInt64(bitPattern: -1000)
}
