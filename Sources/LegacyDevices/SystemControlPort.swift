public import Bus
public import Clocks
internal import Synchronization

/// System control port B, 0x61: bit 0 gate of counter 2, bit 1 speaker, bits 3:2 kept, bit 4
/// toggles with each refresh of memory, bit 5 output of counter 2. No parity or channel errors.
///
/// Any thread; no lock.
public final class SystemControlPort: Device {
    public let name = "port61"
    /// Bits 3:1; the gate is the timer's.
    let control = Atomic<UInt8>(0)
    let timer: IntervalTimer
    let clock: any Clock
    let counters = AccessCounters()

    public init(timer: IntervalTimer, clock: any Clock) {
        self.timer = timer
        self.clock = clock
        timer.setGate2(false)
    }

    /// Nanoseconds of a refresh cycle.
    static let refreshPeriod: UInt64 = 15_085
}
