public import Bus

extension RealTimeClock {
    public func read(offset: UInt64, width: AccessWidth) -> UInt64 {
        counters.countRead()
        if offset == 0 { return 0xff }
        return access { registers, now in UInt64(registers.read(now)) }
    }

    public func write(offset: UInt64, width: AccessWidth, value: UInt64) {
        counters.countWrite()
        let byte = UInt8(truncatingIfNeeded: value)
        access { registers, now in
            if offset == 0 {
                // Bit 7 would mask NMIs.
                registers.index = byte & 0x7f
            } else {
                registers.write(byte, now)
            }
        }
    }

    /// The registers and the memory (MC146818A data sheet).
    struct Registers: Codable, Sendable, Equatable {
        var index: UInt8 = 0
        /// 128 bytes; those of the clock are not used, those of the alarm are 1, 3 and 5.
        var memory = [UInt8](repeating: 0, count: 128)
        /// Divider 6:4, rate 3:0. The divider is on.
        var registerA: UInt8 = 0x26
        var registerB: UInt8 = 2
        var flags: UInt8 = 0
        /// The guest's clock minus the host's, in nanoseconds modulo 2^64.
        var offset: UInt64 = 0
        /// While SET is on: the clock's registers as they stand, at their indices.
        var standing: [UInt8]?
        /// The guest's time up to which the flags are right.
        var advancedTo: UInt64

        static let set: UInt8 = 0x80
        static let periodic: UInt8 = 0x40
        static let alarm: UInt8 = 0x20
        static let update: UInt8 = 0x10
        static let second: UInt64 = 1_000_000_000
        static let century: UInt8 = 0x32
        static let clockIndices: [UInt8] = [0, 2, 4, 6, 7, 8, 9, century]
        /// Nanoseconds before an update in which UIP is on.
        static let updateNotice: UInt64 = 244_000

        init(now: UInt64) { advancedTo = now }

        private var isBinary: Bool { registerB & 4 != 0 }
        private var is24Hour: Bool { registerB & 2 != 0 }
        private var runs: Bool { (registerA >> 4) & 7 == 2 && standing == nil }

        var isInterrupting: Bool { flags & registerB & 0x70 != 0 }

        // MARK: Time

        /// Nanoseconds between periodic interrupts; nil: there are none.
        private var period: UInt64? {
            guard (registerA >> 4) & 7 == 2 else { return nil }
            let rate = UInt64(registerA & 0xf)
            if rate == 0 { return nil }
            // 1 and 2 are those of 8 and 9.
            let shift = (rate <= 2 ? rate + 7 : rate) - 1
            return (Self.second << shift) >> 15
        }

        /// Sets the flags of what has happened until the host's time `now`.
        mutating func advance(to now: UInt64) {
            let time = now &+ offset
            let last = advancedTo
            advancedTo = time
            // The host's clock may have been set back.
            guard time > last else { return }
            if let period, time / period != last / period { flags |= Self.periodic }
            guard runs, time / Self.second != last / Self.second else { return }
            flags |= Self.update
            if let next = nextAlarm(after: last / Self.second), next <= time / Self.second {
                flags |= Self.alarm
            }
        }

        /// Nanoseconds until the next interrupt that is enabled and not flagged; nil: none comes.
        func nanosecondsToEvent(_ now: UInt64) -> UInt64? {
            let time = now &+ offset
            let wanted = registerB & ~flags
            var next: UInt64?
            func consider(_ instant: UInt64) { next = min(next ?? .max, instant) }
            if wanted & Self.periodic != 0, let period {
                consider((time / period &+ 1) &* period)
            }
            if runs, wanted & Self.update != 0 {
                consider((time / Self.second &+ 1) &* Self.second)
            }
            if runs, wanted & Self.alarm != 0, let alarm = nextAlarm(after: time / Self.second) {
                consider(alarm &* Self.second)
            }
            return next.map { $0 > time ? $0 - time : 0 }
        }

        /// The first second after `second` that fits the alarm registers; bytes from 0xc0 on fit all.
        private func nextAlarm(after second: UInt64) -> UInt64? {
            func wanted(_ index: Int, _ decode: (UInt8) -> UInt64) -> UInt64? {
                memory[index] >= 0xc0 ? nil : decode(memory[index])
            }
            let seconds = wanted(1, decoded)
            let minutes = wanted(3, decoded)
            let hours = wanted(5, decodedHour)
            var candidate = second &+ 1
            // A day and one more hour at most, by hours, then minutes, then seconds.
            for _ in 0..<150 {
                if let hours, candidate / 3600 % 24 != hours {
                    candidate = (candidate / 3600 &+ 1) &* 3600
                } else if let minutes, candidate / 60 % 60 != minutes {
                    candidate = (candidate / 60 &+ 1) &* 60
                } else if let seconds, candidate % 60 != seconds {
                    candidate &+= 1
                } else {
                    return candidate
                }
            }
            return nil
        }

        // MARK: Formats

        private func coded(_ value: UInt64) -> UInt8 {
            UInt8(truncatingIfNeeded: isBinary ? value : value / 10 * 16 + value % 10)
        }

        private func decoded(_ byte: UInt8) -> UInt64 {
            UInt64(isBinary ? byte : (byte >> 4) &* 10 &+ (byte & 0xf))
        }

        private func codedHour(_ hour: UInt64) -> UInt8 {
            if is24Hour { return coded(hour) }
            return coded((hour + 11) % 12 + 1) | (hour >= 12 ? 0x80 : 0)
        }

        private func decodedHour(_ byte: UInt8) -> UInt64 {
            if is24Hour { return decoded(byte) }
            return decoded(byte & 0x7f) % 12 + (byte & 0x80 != 0 ? 12 : 0)
        }

        /// A register of the clock at the guest's time `time`.
        private func clockRegister(_ index: UInt8, _ time: UInt64) -> UInt8 {
            let date = CivilDate(secondsSince1970: time / Self.second)
            switch index {
            case 0: return coded(date.second)
            case 2: return coded(date.minute)
            case 4: return codedHour(date.hour)
            case 6: return coded(date.weekday)
            case 7: return coded(date.day)
            case 8: return coded(date.month)
            case 9: return coded(date.year % 100)
            default: return coded(date.year / 100)
            }
        }

        private func snapshot(_ time: UInt64) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: 128)
            for index in Self.clockIndices { bytes[Int(index)] = clockRegister(index, time) }
            return bytes
        }

        /// Makes the guest's clock show `bytes` at the host's time `now`.
        private mutating func setClock(_ bytes: [UInt8], _ now: UInt64) {
            var date = CivilDate()
            date.second = decoded(bytes[0])
            date.minute = decoded(bytes[2])
            date.hour = decodedHour(bytes[4])
            date.day = decoded(bytes[7])
            date.month = decoded(bytes[8])
            date.year = decoded(bytes[Int(Self.century)]) * 100 + decoded(bytes[9])
            let part = (now &+ offset) % Self.second
            let time = date.secondsSince1970 &* Self.second &+ part
            offset = time &- now
            advancedTo = time
        }

        // MARK: Registers

        mutating func read(_ now: UInt64) -> UInt8 {
            let time = now &+ offset
            switch index {
            case _ where Self.clockIndices.contains(index):
                return standing?[Int(index)] ?? clockRegister(index, time)
            case 0x0a:
                let updates = runs && time % Self.second >= Self.second - Self.updateNotice
                return registerA | (updates ? 0x80 : 0)
            case 0x0b: return registerB
            case 0x0c:
                let value = flags | (isInterrupting ? 0x80 : 0)
                flags = 0
                return value
            // The battery is good.
            case 0x0d: return 0x80
            default: return memory[Int(index & 0x7f)]
            }
        }

        mutating func write(_ byte: UInt8, _ now: UInt64) {
            switch index {
            case _ where Self.clockIndices.contains(index):
                if standing != nil {
                    standing?[Int(index)] = byte
                } else {
                    var bytes = snapshot(now &+ offset)
                    bytes[Int(index)] = byte
                    setClock(bytes, now)
                }
            case 0x0a: registerA = byte & 0x7f
            case 0x0b: writeB(byte, now)
            case 0x0c, 0x0d: break
            default: memory[Int(index & 0x7f)] = byte
            }
        }

        private mutating func writeB(_ byte: UInt8, _ now: UInt64) {
            // SET stops the clock, and takes the update interrupt with it.
            let new = byte & Self.set != 0 ? byte & ~Self.update : byte
            if new & Self.set != 0 {
                registerB = new
                if standing == nil { standing = snapshot(now &+ offset) }
                return
            }
            registerB = new
            if let bytes = standing {
                standing = nil
                setClock(bytes, now)
            }
        }
    }
}
