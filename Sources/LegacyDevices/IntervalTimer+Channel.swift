extension IntervalTimer {
    /// One counter of the 8254, as a function of the ticks that have passed: nothing runs while
    /// nobody looks (Intel 8254 data sheet, mode definitions).
    struct Channel: Codable, Sendable, Equatable {
        /// 0 to 5.
        private(set) var mode: UInt8 = 0
        private(set) var isBCD = false
        /// 1 low byte, 2 high byte, 3 low byte then high byte.
        private(set) var access: UInt8 = 3
        private(set) var gate = true
        /// The counting element has a count and runs, apart from the gate.
        private(set) var isCounting = false
        /// What the counting element was loaded with, 1 to 65536.
        private(set) var count: UInt32 = 0x1_0000
        /// A count has been written since the mode was set.
        private var hasCount = false
        /// A written count that waits for the end of the period, or for a trigger.
        private var next: UInt32?
        /// The tick at which `next` is loaded, in modes 2 and 3.
        private var nextAt: UInt64 = 0
        /// `next` is loaded as OUT falls: mode 3, in the first half of a period.
        private var nextStartsLow = false
        /// The tick from which `elapsed` counts on.
        private var start: UInt64 = 0
        /// Ticks counted before `start`.
        private var counted: UInt64 = 0
        private var writtenLow: UInt8?
        private var readsHigh = false
        private var latchedCount: UInt16?
        private var latchedStatus: UInt8?
        private var hasNullCount = true

        private var modulus: UInt32 { isBCD ? 10_000 : 0x1_0000 }

        /// Modes 1 and 5 count on without their gate.
        private var isRunning: Bool { isCounting && (gate || mode == 1 || mode == 5) }

        private func elapsed(_ now: UInt64) -> UInt64 {
            counted &+ (isRunning ? now &- start : 0)
        }

        // MARK: Time

        /// Loads the count that waited for the end of the period.
        mutating func settle(_ now: UInt64) {
            guard let next, mode == 2 || mode == 3, isRunning, now >= nextAt else { return }
            load(next, at: nextAt)
            if nextStartsLow { counted = (UInt64(count) + 1) / 2 }
        }

        private mutating func load(_ value: UInt32, at tick: UInt64) {
            count = value
            next = nil
            start = tick
            counted = 0
            isCounting = true
            hasNullCount = false
        }

        /// The level of OUT.
        func output(_ now: UInt64) -> Bool {
            let elapsed = elapsed(now)
            let count = UInt64(count)
            switch mode {
            case 0: return isCounting && elapsed >= count
            case 1: return !isCounting || elapsed >= count
            case 2: return !isRunning || count == 1 || elapsed % count != count - 1
            case 3: return !isRunning || elapsed % count < (count + 1) / 2
            default: return !isCounting || elapsed != count
            }
        }

        /// The first tick after `now` at which OUT rises if nobody writes; nil: it does not.
        func nextRise(after now: UInt64) -> UInt64? {
            guard isRunning else { return nil }
            let elapsed = elapsed(now)
            let count = UInt64(count)
            switch mode {
            case 0, 1: return elapsed < count ? now &+ (count - elapsed) : nil
            case 2, 3:
                if let next {
                    return nextStartsLow ? nextAt &+ UInt64(next) / 2 : nextAt
                }
                return now &+ (count - elapsed % count)
            default: return elapsed <= count ? now &+ (count + 1 - elapsed) : nil
            }
        }

        /// The counting element.
        private func value(_ now: UInt64) -> UInt32 {
            let elapsed = elapsed(now)
            let period = UInt64(count)
            switch mode {
            case 2: return UInt32(truncatingIfNeeded: period - elapsed % period)
            case 3:
                // Counts by two, twice a period; the first half of an odd count is one tick longer.
                let position = elapsed % period
                let half = (period + 1) / 2
                let even = period & ~1
                let steps = position < half ? position : position - half
                return UInt32(truncatingIfNeeded: even - min(even, 2 * steps))
            default:
                let wrapped = elapsed % UInt64(modulus)
                return UInt32(
                    truncatingIfNeeded: (period + UInt64(modulus) - wrapped) % UInt64(modulus))
            }
        }

        /// Goes over from ticks that began before to others: `now` was `old` and is `new`.
        mutating func rebase(_ old: UInt64, to new: UInt64) {
            if isRunning { counted = counted &+ (old &- start) }
            start = new
            nextAt = nextAt &- old &+ new
        }

        // MARK: Gate

        mutating func setGate(_ on: Bool, _ now: UInt64) {
            guard on != gate else { return }
            settle(now)
            let counts = elapsed(now)
            gate = on
            switch mode {
            case 1, 5:
                if on, hasCount { load(next ?? count, at: now) }
            case 2, 3:
                if on, hasCount { load(next ?? count, at: now) }
                if !on { counted = counts }
            default:
                counted = counts
                start = now
            }
        }

        // MARK: Registers

        /// The control word's bits 5:0, with access bits not 0.
        mutating func setMode(_ control: UInt8) {
            let mode = (control >> 1) & 7
            self = Channel(gate: gate, mode: mode > 5 ? mode & 3 : mode, control: control)
        }

        init() {}

        private init(gate: Bool, mode: UInt8, control: UInt8) {
            self.gate = gate
            self.mode = mode
            access = (control >> 4) & 3
            isBCD = control & 1 != 0
        }

        mutating func latchCount(_ now: UInt64) {
            settle(now)
            if latchedCount == nil { latchedCount = coded(value(now)) }
        }

        mutating func latchStatus(_ now: UInt64) {
            settle(now)
            guard latchedStatus == nil else { return }
            latchedStatus =
                (output(now) ? 0x80 : 0) | (hasNullCount ? 0x40 : 0) | access << 4 | mode << 1
                | (isBCD ? 1 : 0)
        }

        mutating func read(_ now: UInt64) -> UInt8 {
            settle(now)
            if let status = latchedStatus {
                latchedStatus = nil
                return status
            }
            let value = latchedCount ?? coded(value(now))
            let high = access == 2 || access == 3 && readsHigh
            if access == 3 { readsHigh.toggle() }
            if access != 3 || !readsHigh { latchedCount = nil }
            return UInt8(truncatingIfNeeded: high ? value >> 8 : value)
        }

        mutating func write(_ byte: UInt8, _ now: UInt64) {
            settle(now)
            switch access {
            case 1: setCount(UInt16(byte), now)
            case 2: setCount(UInt16(byte) << 8, now)
            default:
                guard let low = writtenLow else {
                    writtenLow = byte
                    // The first byte stops mode 0 until the second.
                    if mode == 0 { isCounting = false }
                    hasNullCount = true
                    return
                }
                writtenLow = nil
                setCount(UInt16(byte) << 8 | UInt16(low), now)
            }
        }

        private mutating func setCount(_ raw: UInt16, _ now: UInt64) {
            let decoded = decoded(raw)
            let value = decoded == 0 ? modulus : decoded
            hasCount = true
            hasNullCount = true
            switch mode {
            case 1, 5: next = value
            case 2, 3:
                guard isCounting else { return load(value, at: now) }
                // In mode 3 at the end of the half period.
                let period = UInt64(count)
                let position = elapsed(now) % period
                let half = (period + 1) / 2
                next = value
                nextStartsLow = mode == 3 && position < half
                nextAt = now &+ ((nextStartsLow ? half : period) - position)
            default:
                load(value, at: now)
            }
        }

        private func coded(_ value: UInt32) -> UInt16 {
            guard isBCD else { return UInt16(truncatingIfNeeded: value) }
            let digits = value % 10_000
            return UInt16(
                truncatingIfNeeded: (digits / 1000) << 12 | (digits / 100 % 10) << 8
                    | (digits / 10 % 10) << 4 | digits % 10)
        }

        private func decoded(_ raw: UInt16) -> UInt32 {
            guard isBCD else { return UInt32(raw) }
            let value = UInt32(raw)
            let digits =
                (value >> 12) * 1000 + (value >> 8 & 0xf) * 100 + (value >> 4 & 0xf) * 10
                + (value & 0xf)
            return min(digits, 9999)
        }

        /// What a damaged state must not break: counts are 1 to the modulus, modes 0 to 5.
        var isSound: Bool {
            mode <= 5 && access >= 1 && access <= 3 && count >= 1 && count <= 0x1_0000
                && (next.map { $0 >= 1 && $0 <= 0x1_0000 } ?? true)
        }
    }
}
