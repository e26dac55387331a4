public import Bus
internal import Clocks
internal import Synchronization
internal import Vocabulary

extension SystemControlPort {
    public func read(offset: UInt64, width: AccessWidth) -> UInt64 {
        counters.countRead()
        let refresh: UInt64 = clock.now.nanoseconds / Self.refreshPeriod & 1 == 0 ? 0 : 0x10
        return UInt64(control.load(ordering: .relaxed)) | (timer.gate2 ? 1 : 0) | refresh
            | (timer.output2 ? 0x20 : 0)
    }

    public func write(offset: UInt64, width: AccessWidth, value: UInt64) {
        counters.countWrite()
        control.store(UInt8(truncatingIfNeeded: value & 0xe), ordering: .relaxed)
        timer.setGate2(value & 1 != 0)
    }
}
