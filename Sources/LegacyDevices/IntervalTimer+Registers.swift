public import Bus
internal import HostIO

extension IntervalTimer {
    public func read(offset: UInt64, width: AccessWidth) -> UInt64 {
        counters.countRead()
        return channels.withLock { state in
            let now = now
            switch offset {
            case 0: return UInt64(state.channels.0.read(now))
            case 1: return UInt64(state.channels.1.read(now))
            case 2: return UInt64(state.channels.2.read(now))
            // The control word cannot be read.
            default: return 0xff
            }
        }
    }

    public func write(offset: UInt64, width: AccessWidth, value: UInt64) {
        counters.countWrite()
        let byte = UInt8(truncatingIfNeeded: value)
        channels.withLock { state in
            let now = now
            announce(&state, now)
            switch offset {
            case 0: state.channels.0.write(byte, now)
            case 1: state.channels.1.write(byte, now)
            case 2: state.channels.2.write(byte, now)
            default: state.control(byte, now)
            }
            announce(&state, now)
            setAlarm(state, now)
        }
    }
}

extension IntervalTimer.Channels {
    /// Port 0x43: counter 7:6, access 5:4, mode 3:1, BCD 0.
    fileprivate mutating func control(_ byte: UInt8, _ now: UInt64) {
        switch byte >> 6 {
        case 0: Self.control(&channels.0, byte, now)
        case 1: Self.control(&channels.1, byte, now)
        case 2: Self.control(&channels.2, byte, now)
        default:
            // Read-back: 5 leaves the counts out, 4 the statuses, 3:1 are the counters.
            if byte & 2 != 0 { Self.readBack(&channels.0, byte, now) }
            if byte & 4 != 0 { Self.readBack(&channels.1, byte, now) }
            if byte & 8 != 0 { Self.readBack(&channels.2, byte, now) }
        }
    }

    private static func control(
        _ channel: inout IntervalTimer.Channel, _ byte: UInt8, _ now: UInt64
    ) {
        if byte & 0x30 == 0 { channel.latchCount(now) } else { channel.setMode(byte) }
    }

    private static func readBack(
        _ channel: inout IntervalTimer.Channel, _ byte: UInt8, _ now: UInt64
    ) {
        if byte & 0x20 == 0 { channel.latchCount(now) }
        if byte & 0x10 == 0 { channel.latchStatus(now) }
    }
}
