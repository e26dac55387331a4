public import GuestMemory
public import Vocabulary

/// pvclock_vcpu_time_info and pvclock_wall_clock (Linux arch/x86/include/asm/pvclock-abi.h): what guests
/// compute their clocks from, alike for KVM and for Xen.
public enum ClockPage {
    /// Bytes of pvclock_vcpu_time_info.
    public static let byteCount = 32
    /// Bytes of pvclock_wall_clock.
    public static let wallClockByteCount = 12
    /// PVCLOCK_TSC_STABLE_BIT: the vCPUs' pages and counters agree.
    public static let stable: UInt8 = 1
    /// PVCLOCK_GUEST_STOPPED: the guest did not run for a while, which is no lock-up.
    public static let stopped: UInt8 = 2

    /// Writes the page: version 0, counter 8, system time 16, multiplier 24, shift 28, flags 29.
    ///
    /// - Parameter page: of RAM, aligned to 4 bytes.
    public static func publish(
        _ page: GuestPhysicalAddress, in memory: GuestMemory, counter: UInt64, nanoseconds: UInt64,
        scale: ClockScale, flags: UInt8
    ) {
        update(page, in: memory) {
            memory.write(page.advanced(by: 8), integer: counter)
            memory.write(page.advanced(by: 16), integer: nanoseconds)
            memory.write(page.advanced(by: 24), integer: scale.multiplier)
            memory.write(page.advanced(by: 28), integer: UInt8(bitPattern: scale.shift))
            memory.write(page.advanced(by: 29), integer: flags)
        }
    }

    /// Writes the wall-clock time, in nanoseconds since 1970, at which the machine's clock was 0: version
    /// 0, seconds 4, nanoseconds 8.
    public static func publishWallClock(
        _ page: GuestPhysicalAddress, in memory: GuestMemory, boot: UInt64
    ) {
        update(page, in: memory) {
            memory.write(
                page.advanced(by: 4), integer: UInt32(truncatingIfNeeded: boot / 1_000_000_000))
            memory.write(
                page.advanced(by: 8), integer: UInt32(truncatingIfNeeded: boot % 1_000_000_000))
        }
    }

    /// Readers look again while the version is odd or has changed: it is odd while `body` writes and
    /// the next even one afterwards.
    private static func update(
        _ page: GuestPhysicalAddress, in memory: GuestMemory, _ body: () -> Void
    ) {
        let old = memory.atomicLoad(page, as: UInt32.self) ?? 0
        let odd = old | 1
        memory.atomicStore(page, odd)
        body()
        memory.atomicStore(page, odd &+ 1)
    }
}
