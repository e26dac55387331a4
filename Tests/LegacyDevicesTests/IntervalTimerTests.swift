import TestSupport
import Testing
import Vocabulary

@testable import LegacyDevices

/// The 8254 by scripted port access.
@Suite struct IntervalTimerTests {
    /// A timer on a clock that the test moves, tick by tick.
    struct Bench {
        let clock = FakeClock(nanoseconds: 0)
        let sink = RecordingSink()
        let alarm = ScriptedAlarm()
        let timer: IntervalTimer

        init(at nanoseconds: UInt64 = 0) {
            clock.advance(nanoseconds: nanoseconds)
            timer = IntervalTimer(
                clock: clock, interrupts: sink, setDeadline: { [alarm] in alarm.set($0) })
        }

        func write(_ port: UInt64, _ value: UInt64) {
            timer.write(offset: port, width: 1, value: value)
        }

        func read(_ port: UInt64) -> UInt64 { timer.read(offset: port, width: 1) }

        /// Loads counter `index`: low byte, high byte.
        func load(_ index: UInt64, mode: UInt64, _ count: UInt64, bcd: UInt64 = 0) {
            write(3, index << 6 | 0x30 | mode << 1 | bcd)
            write(index, count & 0xff)
            write(index, count >> 8)
        }

        /// To the first instant of a tick, with the alarms on the way.
        func go(to tick: UInt64) {
            let (high, low) = tick.multipliedFullWidth(by: 1_000_000_000)
            let instant = IntervalTimer.frequency.dividingFullWidth((high, low)).quotient + 1
            alarm.advance(clock, instant - clock.now.nanoseconds) { timer.timerExpired() }
        }

        func latched(_ index: UInt64) -> UInt64 {
            write(3, index << 6)
            return read(index) | read(index) << 8
        }

        /// OUT by the read-back command.
        func output(_ index: UInt64) -> Bool {
            write(3, 0xe0 | 2 << index)
            return read(index) & 0x80 != 0
        }
    }

    @Test func mode0CountsOnce() {
        let bench = Bench()
        bench.load(0, mode: 0, 100)
        #expect(!bench.output(0))
        bench.go(to: 40)
        #expect(bench.latched(0) == 60)
        bench.go(to: 99)
        #expect(bench.sink.riseCount(2) == 0)
        bench.go(to: 130)
        #expect(bench.sink.riseCount(2) == 1)
        #expect(bench.output(0))
        #expect(bench.latched(0) == 0x1_0000 - 30, "it counts on")
        bench.go(to: 70_000)
        #expect(bench.sink.riseCount(2) == 1)
    }

    @Test func mode0StopsBetweenTheBytes() {
        let bench = Bench()
        bench.load(0, mode: 0, 100)
        bench.go(to: 10)
        bench.write(0, 50)
        bench.go(to: 500)
        #expect(bench.sink.riseCount(2) == 0)
        bench.write(0, 0)
        bench.go(to: 549)
        #expect(!bench.output(0))
        bench.go(to: 551)
        #expect(bench.output(0))
        #expect(bench.sink.riseCount(2) == 1)
    }

    @Test func mode1IsTriggeredByTheGate() {
        let bench = Bench()
        bench.timer.setGate2(false)
        bench.load(2, mode: 1, 200)
        #expect(bench.output(2))
        bench.go(to: 1000)
        bench.timer.setGate2(true)
        #expect(!bench.output(2))
        bench.timer.setGate2(false)
        bench.go(to: 1150)
        #expect(bench.latched(2) == 50)
        bench.timer.setGate2(true)
        bench.go(to: 1300)
        #expect(!bench.output(2), "triggered again")
        bench.go(to: 1351)
        #expect(bench.output(2))
    }

    @Test func mode2Repeats() {
        let bench = Bench()
        bench.load(0, mode: 2, 1000)
        #expect(bench.sink.riseCount(2) == 1, "OUT is high from now on")
        bench.go(to: 999)
        #expect(!bench.output(0), "low for one tick")
        #expect(bench.latched(0) == 1)
        bench.go(to: 1000)
        #expect(bench.output(0))
        #expect(bench.latched(0) == 1000)
        bench.go(to: 10_500)
        #expect(bench.sink.riseCount(2) == 11)
        // A new count waits for the end of the period.
        bench.write(0, 100)
        bench.write(0, 0)
        #expect(bench.latched(0) == 500)
        bench.go(to: 11_000)
        #expect(bench.latched(0) == 100)
        bench.go(to: 11_250)
        #expect(bench.sink.riseCount(2) == 14)
    }

    @Test func mode2StopsWithItsGate() {
        let bench = Bench()
        bench.load(2, mode: 2, 1000)
        bench.go(to: 300)
        bench.timer.setGate2(false)
        bench.go(to: 5000)
        #expect(bench.latched(2) == 700)
        #expect(bench.output(2))
        bench.timer.setGate2(true)
        #expect(bench.latched(2) == 1000, "the gate loads")
    }

    @Test func mode3IsASquareWave() {
        let bench = Bench()
        bench.load(0, mode: 3, 1000)
        bench.go(to: 100)
        #expect(bench.latched(0) == 800, "by two")
        #expect(bench.output(0))
        bench.go(to: 600)
        #expect(bench.latched(0) == 800)
        #expect(!bench.output(0))
        bench.go(to: 3001)
        #expect(bench.sink.riseCount(2) == 4)
        bench.load(2, mode: 3, 5)
        var high = 0
        for tick in 3001..<3006 as Range<UInt64> {
            bench.go(to: tick)
            if bench.output(2) { high += 1 }
        }
        #expect(high == 3, "the longer half of an odd count is high")
    }

    @Test func mode3TakesANewCountAfterHalfAPeriod() {
        let bench = Bench()
        bench.load(0, mode: 3, 1000)
        bench.go(to: 100)
        bench.write(0, 200)
        bench.write(0, 0)
        bench.go(to: 499)
        #expect(bench.output(0))
        bench.go(to: 500)
        #expect(!bench.output(0))
        bench.go(to: 601)
        #expect(bench.output(0), "half of 200 after 500")
        #expect(bench.sink.riseCount(2) == 2)
        bench.go(to: 801)
        #expect(bench.sink.riseCount(2) == 3)
    }

    @Test func mode4Strobes() {
        let bench = Bench()
        bench.load(0, mode: 4, 100)
        bench.go(to: 99)
        #expect(bench.output(0))
        bench.go(to: 100)
        #expect(!bench.output(0))
        bench.go(to: 101)
        #expect(bench.output(0))
        bench.go(to: 1000)
        #expect(bench.sink.riseCount(2) == 2, "when the mode was set, and after the strobe")
    }

    @Test func mode5StrobesAfterATrigger() {
        let bench = Bench()
        bench.timer.setGate2(false)
        bench.load(2, mode: 5, 100)
        bench.go(to: 150)
        bench.timer.setGate2(true)
        bench.go(to: 250)
        #expect(!bench.output(2))
        bench.go(to: 251)
        #expect(bench.output(2))
    }

    @Test func latchesKeepAndReadBackTells() {
        let bench = Bench()
        bench.load(2, mode: 0, 0x1234)
        bench.timer.setGate2(true)
        bench.write(3, 0x80)
        bench.go(to: 0x234)
        bench.write(3, 0x80)
        #expect(bench.read(2) == 0x34, "the first latch stays")
        #expect(bench.read(2) == 0x12)
        #expect(bench.read(2) | bench.read(2) << 8 == 0x1000)
        // Status and count: the status comes first.
        bench.write(3, 0xc8)
        #expect(bench.read(2) == 0x30)
        #expect(bench.read(2) == 0x00)
        #expect(bench.read(2) == 0x10)
        bench.write(3, 0xb4)
        bench.write(3, 0xe8)
        #expect(bench.read(2) == 0xf4, "null count")
        #expect(bench.read(3) == 0xff)
    }

    @Test func oneByteAccess() {
        let bench = Bench()
        bench.write(3, 0x54)
        bench.write(1, 200)
        bench.go(to: 50)
        #expect(bench.read(1) == 150)
        #expect(bench.read(1) == 150)
        bench.write(3, 0x64)
        bench.write(1, 2)
        bench.go(to: 60)
        #expect(bench.read(1) == 1)
    }

    @Test func decimalCounts() {
        let bench = Bench()
        bench.load(0, mode: 2, 0x1000, bcd: 1)
        bench.go(to: 1)
        #expect(bench.latched(0) == 0x0999)
        bench.load(2, mode: 2, 0, bcd: 1)
        bench.go(to: 2)
        #expect(bench.latched(2) == 0x9999)
        bench.load(2, mode: 2, 0xffff, bcd: 1)
        #expect(bench.latched(2) <= 0x9999)
    }

    @Test func aTinyPeriodDoesNotStorm() {
        let bench = Bench()
        bench.load(0, mode: 2, 1)
        let start = bench.sink.riseCount(2)
        bench.go(to: IntervalTimer.frequency / 100)
        let rises = bench.sink.riseCount(2) - start
        #expect(rises > 100)
        #expect(rises <= 500, "20 us apart at least")
    }

    @Test func stateInTheMiddleOfEachMode() throws {
        for mode in 0..<6 as Range<UInt64> {
            let old = Bench(at: 123_456)
            let new = Bench(at: 987_654_321)
            old.timer.setGate2(false)
            old.load(0, mode: mode, 5000)
            old.load(2, mode: mode, 300)
            old.timer.setGate2(true)
            old.go(to: 400)
            if mode == 2 || mode == 3 {
                old.write(0, 0x10)
                old.write(0, 0x27)
            }
            old.write(0, 1)
            old.write(3, 0x80)
            _ = old.read(2)
            try handOver(from: old.timer, to: new.timer)
            let first = (old.clock.now.nanoseconds, new.clock.now.nanoseconds)
            var seen = (old.sink.riseCount(2), new.sink.riseCount(2))
            for step in 0..<60 {
                if step == 1 {
                    old.write(0, 0x30)
                    new.write(0, 0x30)
                }
                // Whole ticks: both stand at the same place within one.
                let move = UInt64(Double(step * 97) * 1e9 / Double(IntervalTimer.frequency)) + 400
                for (bench, origin) in [(old, first.0), (new, first.1)] {
                    let target = origin + move
                    if target > bench.clock.now.nanoseconds {
                        bench.alarm.advance(bench.clock, target - bench.clock.now.nanoseconds) {
                            bench.timer.timerExpired()
                        }
                    }
                }
                #expect(old.output(0) == new.output(0), "mode \(mode) step \(step)")
                let values = (old.latched(2), new.latched(2))
                #expect(
                    values.0 &- values.1 &+ 1 <= 2, "mode \(mode) step \(step): \(values)")
            }
            seen = (old.sink.riseCount(2) - seen.0, new.sink.riseCount(2) - seen.1)
            #expect(abs(seen.0 - seen.1) <= 1, "mode \(mode): \(seen)")
        }
    }

    @Test func aDamagedStateIsRefused() {
        let bench = Bench()
        var state = bench.timer.captureState()
        state.channels.removeLast()
        #expect(throws: (any Error).self) { try bench.timer.restore(state) }
    }

    @Test func port61() throws {
        let bench = Bench()
        let port = SystemControlPort(timer: bench.timer, clock: bench.clock)
        func value() -> UInt64 { port.read(offset: 0, width: 1) }
        #expect(value() & 0xcf == 0)
        bench.load(2, mode: 0, 100)
        bench.go(to: 500)
        #expect(bench.latched(2) == 100, "the gate is closed")
        port.write(offset: 0, width: 1, value: 0xff)
        #expect(value() & 0xef == 0x0f)
        bench.go(to: 601)
        #expect(value() & 0x2f == 0x2f)
        // Refresh toggles.
        var toggles = 0
        var last = value() & 0x10
        for _ in 0..<100 {
            bench.clock.advance(nanoseconds: 5000)
            if value() & 0x10 != last { toggles += 1 }
            last = value() & 0x10
        }
        #expect(toggles == 33)
        let other = Bench()
        let copy = SystemControlPort(timer: other.timer, clock: other.clock)
        try handOver(from: bench.timer, to: other.timer)
        try handOver(from: port, to: copy)
        #expect(copy.read(offset: 0, width: 1) & 0x2f == 0x2f)
    }
}
