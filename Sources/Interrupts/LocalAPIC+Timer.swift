internal import HostIO
internal import Synchronization
internal import Vocabulary

extension LocalAPIC.Registers {
    var timerMode: TimerMode {
        switch (localVectors[Self.timerEntry] >> 17) & 3 {
        case 0: .oneShot
        case 1: .periodic
        default: .deadline
        }
    }

    /// 1 to 128.
    var timerDivisor: UInt32 {
        let code = divideConfiguration & 3 | (divideConfiguration >> 1) & 4
        return code == 7 ? 1 : 2 << code
    }

    /// Nanoseconds from the initial count to 0: the timer's input is 1 GHz. 0: it stands.
    var timerPeriod: UInt64 { UInt64(initialCount) &* UInt64(timerDivisor) }
}

extension LocalAPIC {
    /// Nanoseconds between two interrupts of the periodic timer at least, whatever the guest asks.
    static let shortestPeriod: UInt64 = 20_000

    /// IA32_TSC_DEADLINE.
    public var deadline: UInt64 {
        get { registers.withLock { $0.timerDeadline } }
        set {
            let vector: UInt8? = registers.withLock { registers in
                // In the other modes the register reads as 0 and ignores writes.
                guard registers.timerMode == .deadline else { return nil }
                registers.timerDeadline = newValue
                if newValue == 0 || rest(registers) > 0 {
                    setTimer(registers)
                    return nil
                }
                // Over already: no alarm need say so, and the next instruction sees the interrupt.
                setAlarm(nil)
                return expire(&registers)
            }
            if let vector { requestTimer(vector, due: timing.now()) }
        }
    }

    /// What the vCPU's time-stamp counter shows above the machine's, modulo 2^64. A deadline is
    /// one of that counter, so the alarm moves with it.
    public var counterAdjustment: UInt64 {
        get { registers.withLock { $0.counterAdjustment } }
        set {
            registers.withLock { registers in
                registers.counterAdjustment = newValue
                if registers.timerMode == .deadline { setTimer(registers) }
            }
        }
    }

    /// Nanoseconds until the deadline.
    private func rest(_ registers: Registers) -> UInt64 {
        timing.nanosecondsUntilCounter(registers.timerDeadline, registers.counterAdjustment)
    }

    /// A register of the timer has changed.
    func programTimer(_ offset: UInt32, _ registers: inout Registers) {
        if offset & 0xff0 == 0x320 {
            // Changing to or from deadline mode disarms the timer.
            registers.timerDeadline = 0
            if registers.timerMode == .deadline { registers.initialCount = 0 }
        } else {
            registers.timerStart = timing.now().nanoseconds
            registers.timerHasFired = false
        }
        setTimer(registers)
    }

    /// Sets the alarm, and remembers it: latencies count from there.
    private func setAlarm(_ deadline: Instant?) {
        alarm.store(deadline?.nanoseconds ?? 0, ordering: .relaxed)
        timing.setDeadline(deadline)
    }

    /// Sets the alarm to what the registers say. With the lock held.
    func setTimer(_ registers: Registers) {
        if registers.timerMode == .deadline {
            let due = registers.timerDeadline
            setAlarm(
                due == 0 ? nil : timing.now().advanced(by: rest(registers)))
            return
        }
        let period = registers.timerPeriod
        if period == 0 || registers.timerHasFired { return setAlarm(nil) }
        setAlarm(Instant(nanoseconds: registers.timerStart).advanced(by: period))
    }

    var currentCount: UInt32 {
        let now = timing.now().nanoseconds
        return registers.withLock { registers in
            guard registers.initialCount != 0, !registers.timerHasFired,
                registers.timerMode != .deadline
            else { return 0 }
            let elapsed = (now &- registers.timerStart) / UInt64(registers.timerDivisor)
            let count = UInt64(registers.initialCount)
            if registers.timerMode == .periodic {
                return UInt32(truncatingIfNeeded: count - elapsed % count)
            }
            return elapsed >= count ? 0 : UInt32(truncatingIfNeeded: count - elapsed)
        }
    }

    /// The deadline has come. Any thread, which waits for nobody: false, and nothing was done, if
    /// the vCPU has its registers in use.
    @discardableResult
    public func timerExpired() -> Bool {
        let due = alarm.load(ordering: .relaxed)
        // The next deadline is set under the lock: the vCPU may be setting another one.
        guard let vector = registers.withLockIfAvailable({ expire(&$0) }) else { return false }
        if let vector { requestTimer(vector, due: Instant(nanoseconds: due)) }
        return true
    }

    /// Before a write to the timer's entry that changes the mode: what is due in the old mode, so
    /// that the count goes on in the new one from where it stands. The vector to request.
    func settleTimer(_ entry: UInt32, _ registers: inout Registers) -> UInt8? {
        let change = entry ^ registers.localVectors[Registers.timerEntry]
        return change & 0x6_0000 != 0 ? expire(&registers) : nil
    }

    func requestTimer(_ vector: UInt8, due: Instant) {
        counters.add(.timer)
        request(vector: vector, level: false, origin: InterruptOrigin(.timer, at: due))
    }

    /// The vector to request, if the time has come and the entry is not masked.
    private func expire(_ registers: inout Registers) -> UInt8? {
        let now = timing.now()
        let entry = registers.localVectors[Registers.timerEntry]
        let vector = entry & Registers.masked == 0 ? UInt8(truncatingIfNeeded: entry) : nil
        if registers.timerMode == .deadline {
            let due = registers.timerDeadline
            guard due != 0 else { return nil }
            let rest = rest(registers)
            if rest > 0 {
                setAlarm(now.advanced(by: rest))
                return nil
            }
            registers.timerDeadline = 0
            return vector
        }
        let period = registers.timerPeriod
        guard period != 0, !registers.timerHasFired else { return nil }
        let start = registers.timerStart
        let end = Instant(nanoseconds: start).advanced(by: period)
        if now < end {
            setAlarm(end)
            return nil
        }
        guard registers.timerMode == .periodic else {
            registers.timerHasFired = true
            return vector
        }
        // A late thread skips periods rather than bunching them.
        registers.timerStart = start &+ (now.nanoseconds &- start) / period &* period
        setAlarm(
            Instant(nanoseconds: registers.timerStart).advanced(
                by: max(period, Self.shortestPeriod)))
        return vector
    }
}
