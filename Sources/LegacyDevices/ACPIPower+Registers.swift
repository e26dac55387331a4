public import Bus
internal import HostIO

extension ACPIPower {
    struct Registers: Sendable {
        /// PM1 status: bit 8 power button; written ones clear.
        var status: UInt16 = 0
        var enable: UInt16 = 0
        /// PM1 control: bit 0 SCI enable, 12:10 sleep type; 13 sleep enable reads as 0.
        var control: UInt16 = 1
        /// Added to the PM timer.
        var timerOffset: UInt64 = 0

        static let powerButton: UInt16 = 0x100
    }

    public func read(offset: UInt64, width: AccessWidth) -> UInt64 {
        counters.countRead()
        let ticks = ticks
        return registers.withLock { registers in
            let whole: UInt64 =
                switch offset & ~3 {
                case 0: UInt64(registers.status) | UInt64(registers.enable) << 16
                case 4: UInt64(registers.control)
                case 8: (ticks &+ registers.timerOffset) & 0xffff_ffff
                default: 0
                }
            let mask = width >= 4 ? UInt64(UInt32.max) : (1 &<< UInt64(max(width, 1) &* 8)) &- 1
            return whole >> ((offset & 3) &* 8) & mask
        }
    }

    public func write(offset: UInt64, width: AccessWidth, value: UInt64) {
        counters.countWrite()
        let sleeps = registers.withLock { registers -> Bool in
            var sleeps = false
            for index in 0..<UInt64(clamping: min(width, 4)) {
                let byte = UInt16(truncatingIfNeeded: value >> (index &* 8)) & 0xff
                switch offset &+ index {
                case 0: registers.status &= ~byte
                case 1: registers.status &= ~(byte << 8)
                case 2: registers.enable = registers.enable & 0xff00 | byte
                case 3: registers.enable = registers.enable & 0xff | byte << 8
                case 4: registers.control = registers.control & 0xff00 | byte & 1 | 1
                case 5:
                    registers.control = registers.control & 0xff | (byte & 0x1c) << 8
                    sleeps = byte & 0x20 != 0 && (byte >> 2) & 7 == Self.powerOffType
                default: break
                }
            }
            if offset < 4 { announce(registers) }
            return sleeps
        }
        if sleeps { request(.powerOff) }
    }
}
