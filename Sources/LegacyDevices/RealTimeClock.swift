public import Bus
internal import HostIO

/// The real-time clock and its 128 bytes of memory, MC146818: index at offset 0, data at offset 1.
/// Time is the host's, in UTC. Interrupts are not offered: the guest has better timers.
public final class RealTimeClock: Device, Sendable {
    public let name = "rtc"
    private struct State {
        var index: UInt8 = 0
        var memory = [UInt8](repeating: 0, count: 128)
        /// What the guest has set its clock ahead, in seconds.
        var registerB: UInt8 = 2
    }
    private let state = RankedLock(State(), owner: "rtc", rank: .device)
    private let wallClock: @Sendable () -> UInt64

    /// - Parameter wallClock: nanoseconds since 1970.
    public init(wallClock: @escaping @Sendable () -> UInt64) {
        self.wallClock = wallClock
    }

    public func read(offset: UInt64, width: AccessWidth) -> UInt64 {
        if offset == 0 { return 0xff }
        let now = wallClock()
        return state.withLock { state in
            let isBinary = state.registerB & 4 != 0
            let is24Hour = state.registerB & 2 != 0
            func coded(_ value: UInt64) -> UInt64 {
                isBinary ? value : value / 10 * 16 + value % 10
            }
            let date = CivilDate(secondsSince1970: now / 1_000_000_000)
            switch state.index {
            case 0: return coded(date.second)
            case 2: return coded(date.minute)
            case 4:
                if is24Hour { return coded(date.hour) }
                let hour = date.hour % 12 == 0 ? 12 : date.hour % 12
                return coded(hour) | (date.hour >= 12 ? 0x80 : 0)
            case 6: return coded(date.weekday)
            case 7: return coded(date.day)
            case 8: return coded(date.month)
            case 9: return coded(date.year % 100)
            case 0x32: return coded(date.year / 100)
            case 0x0a: return 0x26
            case 0x0b: return UInt64(state.registerB)
            case 0x0c: return 0
            case 0x0d: return 0x80
            default: return UInt64(state.memory[Int(state.index & 0x7f)])
            }
        }
    }

    public func write(offset: UInt64, width: AccessWidth, value: UInt64) {
        let byte = UInt8(truncatingIfNeeded: value)
        state.withLock { state in
            if offset == 0 {
                state.index = byte & 0x7f
            } else if state.index == 0x0b {
                state.registerB = byte & 0x7f
            } else if state.index >= 0x0e, state.index != 0x32 {
                state.memory[Int(state.index)] = byte
            }
        }
    }
}

/// A date of the Gregorian calendar in UTC.
private struct CivilDate {
    let year, month, day, hour, minute, second: UInt64
    /// 1 Sunday to 7 Saturday.
    let weekday: UInt64

    init(secondsSince1970 seconds: UInt64) {
        let days = seconds / 86_400
        let rest = seconds % 86_400
        hour = rest / 3600
        minute = rest / 60 % 60
        second = rest % 60
        weekday = (days + 4) % 7 + 1
        // Years that begin in March, in eras of 400 years.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let part = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * part + 2) / 5 + 1
        month = part < 10 ? part + 3 : part - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }
}
