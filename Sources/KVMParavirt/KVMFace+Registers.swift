internal import Clocks
internal import GuestMemory
internal import HostIO
internal import Synchronization
public import Vocabulary

extension KVMFace {
    struct Registers: Sendable {
        /// MSR_KVM_SYSTEM_TIME_NEW of each vCPU: bit 0 enable, the rest is the address.
        var systemTime: [UInt64]
        /// What each vCPU's time-stamp counter shows above the machine's, modulo 2^64.
        var counterAdjustments: [UInt64]
        /// MSR_KVM_WALL_CLOCK_NEW as last written.
        var wallClock: UInt64 = 0
        /// The pair that all vCPUs' pages have: their clocks agree exactly.
        var origin: CounterSample
        let scale: ClockScale
        var published: UInt64 = 0
    }

    static let systemTimeRegisters: [UInt32] = [0x4b56_4d01, 0x12]
    static let wallClockRegisters: [UInt32] = [0x4b56_4d00, 0x11]
    private static let stealTimeRegister: UInt32 = 0x4b56_4d03
    /// MSR_KVM_PV_EOI_EN: `LocalAPIC.endOfInterruptWord` of the vCPU.
    public static let endOfInterruptRegister: UInt32 = 0x4b56_4d04
    private static let pollControlRegister: UInt32 = 0x4b56_4d05

    /// RDMSR. Nil: not one of ours.
    public func read(_ index: UInt32, _ processor: VCPUIndex) -> UInt64? {
        let slot = Int(clamping: processor.rawValue)
        if Self.systemTimeRegisters.contains(index) {
            return registers.withLock {
                $0.systemTime.indices.contains(slot) ? $0.systemTime[slot] : 0
            }
        }
        if Self.wallClockRegisters.contains(index) { return registers.withLock { $0.wallClock } }
        guard let own = self.processor(processor) else { return nil }
        switch index {
        case Self.stealTimeRegister: return own.stealTime.load(ordering: .relaxed)
        case Self.pollControlRegister: return own.pollControl.load(ordering: .relaxed)
        default: return readAsyncFault(index, own)
        }
    }

    /// WRMSR. False: not one of ours, or a reserved bit is set, or asynchronous page faults are to be
    /// told in an area that is no RAM; other areas that are none are taken and left alone. After a
    /// write of `isPageReadyRegister` the caller calls `readyPageVector`.
    public func write(_ index: UInt32, _ value: UInt64, _ processor: VCPUIndex) -> Bool {
        let slot = Int(clamping: processor.rawValue)
        if Self.systemTimeRegisters.contains(index) {
            registers.withLock { registers in
                guard registers.systemTime.indices.contains(slot) else { return }
                registers.systemTime[slot] = value
                publishSystemTime(slot, flags: 0, &registers)
            }
            return true
        }
        if Self.wallClockRegisters.contains(index) {
            registers.withLock { registers in
                registers.wallClock = value
                publishWallClock(value, registers)
            }
            return true
        }
        guard let own = self.processor(processor) else { return false }
        switch index {
        case Self.stealTimeRegister:
            // Bits 5:1 are reserved: the area is aligned to 64 bytes.
            guard value & 0x3e == 0 else { return false }
            startStealTime(own, value)
            return true
        case Self.pollControlRegister:
            guard value & ~1 == 0 else { return false }
            own.pollControl.store(value, ordering: .relaxed)
            return true
        default:
            return writeAsyncFault(index, value, own)
        }
    }

    /// The vCPU's counter shows `adjustment` more than the machine's from now on: the clocks that
    /// guests compute from the pages do not move.
    public func adjustCounter(by adjustment: UInt64, of processor: VCPUIndex) {
        let slot = Int(clamping: processor.rawValue)
        registers.withLock { registers in
            guard registers.counterAdjustments.indices.contains(slot) else { return }
            registers.counterAdjustments[slot] = adjustment
            // All of them: whether the counters agree is written in each.
            for slot in registers.systemTime.indices {
                publishSystemTime(slot, flags: 0, &registers)
            }
        }
    }

    // MARK: Pages

    /// Counter and clock run at one rate, so it is written once, and again when
    /// the guest writes a counter.
    func publishSystemTime(_ slot: Int, flags: UInt8, _ registers: inout Registers) {
        let value = registers.systemTime[slot]
        // The guest aligns it to 4 bytes; what is no RAM is left alone.
        guard value & 1 != 0, value & 2 == 0 else { return }
        let page = GuestPhysicalAddress(value & ~1)
        guard memory.contains(page.rawValue, ClockPage.byteCount) else { return }
        registers.published &+= 1
        let (origin, scale) = (registers.origin, registers.scale)
        let adjustment = registers.counterAdjustments[slot]
        let agree = registers.counterAdjustments.allSatisfy { $0 == adjustment }
        ClockPage.publish(
            page, in: memory, counter: origin.counter &+ adjustment,
            nanoseconds: origin.nanoseconds, scale: scale,
            flags: flags | (agree ? ClockPage.stable : 0))
    }

    func publishWallClock(_ value: UInt64, _ registers: Registers) {
        guard value & 3 == 0, memory.contains(value, ClockPage.wallClockByteCount) else { return }
        let page = GuestPhysicalAddress(value)
        let now = sample
        let running = registers.scale.nanoseconds(now.counter &- registers.origin.counter)
        let boot = wallClock() &- (registers.origin.nanoseconds &+ running)
        ClockPage.publishWallClock(page, in: memory, boot: boot)
    }
}
