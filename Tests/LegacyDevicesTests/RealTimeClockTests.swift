import TestSupport
import Testing
import Vocabulary

@testable import LegacyDevices

/// The MC146818 by scripted port access.
@Suite struct RealTimeClockTests {
    /// A clock whose wall time is the fake clock's plus `epoch`.
    struct Bench {
        let clock = FakeClock(nanoseconds: 500_000_000)
        let sink = RecordingSink()
        let alarm = ScriptedAlarm()
        let rtc: RealTimeClock

        /// 2024-02-29 23:59:58.5 UTC, a Thursday.
        init(epoch: UInt64 = 1_709_251_198) {
            rtc = RealTimeClock(
                clock: clock,
                wallClock: { [clock] in epoch * 1_000_000_000 + clock.now.nanoseconds },
                interrupts: sink, setDeadline: { [alarm] in alarm.set($0) })
        }

        func read(_ index: UInt64) -> UInt64 {
            rtc.write(offset: 0, width: 1, value: index)
            return rtc.read(offset: 1, width: 1)
        }

        func write(_ index: UInt64, _ value: UInt64) {
            rtc.write(offset: 0, width: 1, value: index)
            rtc.write(offset: 1, width: 1, value: value)
        }

        func advance(_ nanoseconds: UInt64) {
            alarm.advance(clock, nanoseconds) { rtc.timerExpired() }
        }

        var time: [UInt64] { [0x32, 9, 8, 7, 6, 4, 2, 0].map(read) }
    }

    @Test func showsTheDate() {
        let bench = Bench()
        #expect(bench.time == [0x20, 0x24, 2, 0x29, 5, 0x23, 0x59, 0x58])
        bench.advance(2_000_000_000)
        #expect(bench.time == [0x20, 0x24, 3, 1, 6, 0, 0, 0])
        #expect(bench.read(0x0d) == 0x80)
        #expect(bench.read(0x0a) == 0x26)
    }

    @Test func binaryAndTwelveHours() {
        let bench = Bench()
        bench.write(0xb, 4)
        #expect(bench.read(4) == 0x8b, "11 p.m. in binary")
        bench.write(0xb, 6)
        #expect(bench.time == [20, 24, 2, 29, 5, 23, 59, 58])
        bench.write(0xb, 0)
        #expect(bench.read(4) == 0x91, "11 p.m. in decimal")
        bench.advance(2_000_000_000)
        #expect(bench.read(4) == 0x12, "midnight is 12 a.m.")
    }

    @Test func theGuestSetsItsClock() {
        let bench = Bench()
        bench.write(0xb, 0x82)
        bench.advance(10_000_000_000)
        #expect(bench.read(0) == 0x58, "SET stops it")
        for (index, value) in [(0, 0x30), (2, 0x15), (4, 0x08), (7, 0x31), (8, 0x12), (9, 0x99)]
            as [(UInt64, UInt64)]
        {
            bench.write(index, value)
        }
        bench.write(0x32, 0x19)
        bench.write(0xb, 2)
        #expect(bench.time == [0x19, 0x99, 0x12, 0x31, 6, 0x08, 0x15, 0x30])
        bench.advance(31_536_000_000_000_000)
        #expect(bench.read(9) == 0)
        bench.write(2, 0x44)
        #expect(bench.read(2) == 0x44, "without SET too")
        // Nonsense does no harm.
        for index in [0, 2, 4, 7, 8, 9, 0x32] as [UInt64] { bench.write(index, 0xff) }
        #expect(bench.time.count == 8)
    }

    @Test func updateInProgress() {
        let bench = Bench()
        #expect(bench.read(0xa) & 0x80 == 0)
        bench.advance(499_800_000)
        #expect(bench.read(0xa) & 0x80 != 0)
        bench.write(0xb, 0x82)
        #expect(bench.read(0xa) & 0x80 == 0, "not while SET")
        bench.write(0xb, 2)
        bench.advance(300_000)
        #expect(bench.read(0xa) & 0x80 == 0)
        #expect(bench.read(0) == 0x59)
    }

    @Test func updateInterrupt() {
        let bench = Bench()
        #expect(bench.alarm.deadline == nil)
        bench.write(0xb, 0x12)
        #expect(!bench.sink.isAsserted(8))
        bench.advance(500_000_000)
        #expect(bench.sink.isAsserted(8))
        #expect(bench.alarm.deadline == nil, "one is told at a time")
        #expect(bench.read(0xc) & 0xb0 == 0x90, "PF is set too, and does not matter")
        #expect(!bench.sink.isAsserted(8))
        #expect(bench.read(0xc) == 0)
        for _ in 0..<3 {
            bench.advance(1_000_000_000)
            _ = bench.read(0xc)
        }
        #expect(bench.sink.riseCount(8) == 4)
        // SET takes the update interrupt with it.
        bench.write(0xb, 0x92)
        #expect(bench.read(0xb) == 0x82)
    }

    @Test func periodicInterrupt() {
        let bench = Bench()
        // 1024 Hz.
        bench.write(0xb, 0x42)
        var seen = 0
        for _ in 0..<1024 {
            bench.advance(976_563)
            if bench.read(0xc) == 0xc0 { seen += 1 }
        }
        #expect(seen >= 1022)
        bench.write(0xa, 0x20)
        _ = bench.read(0xc)
        bench.advance(1_000_000_000)
        #expect(bench.read(0xc) & 0x40 == 0, "rate 0")
        // 2 Hz.
        bench.write(0xa, 0x2f)
        _ = bench.read(0xc)
        let before = bench.sink.riseCount(8)
        bench.advance(499_000_000)
        bench.advance(2_000_000)
        #expect(bench.sink.riseCount(8) == before + 1)
    }

    @Test func alarmInterrupt() {
        let bench = Bench()
        bench.write(1, 0x05)
        bench.write(3, 0x01)
        bench.write(5, 0x00)
        bench.write(0xb, 0x22)
        bench.advance(66_000_000_000)
        #expect(!bench.sink.isAsserted(8))
        bench.advance(1_000_000_000)
        #expect(bench.sink.isAsserted(8))
        #expect(bench.read(0xc) & 0xa0 == 0xa0)
        bench.advance(86_399_000_000_000)
        #expect(!bench.sink.isAsserted(8))
        bench.advance(1_000_000_000)
        #expect(bench.sink.isAsserted(8), "a day later")
    }

    @Test func alarmsThatFitMoreOften() {
        let bench = Bench()
        bench.write(1, 0x10)
        bench.write(3, 0xff)
        bench.write(5, 0xc0)
        bench.write(0xb, 0x22)
        for _ in 0..<5 {
            bench.advance(60_000_000_000)
            #expect(bench.read(0xc) & 0x20 != 0)
        }
        // A second that never comes.
        bench.write(1, 0x75)
        _ = bench.read(0xc)
        bench.advance(600_000_000_000)
        #expect(bench.read(0xc) & 0x20 == 0)
    }

    @Test func memoryIsKept() {
        let bench = Bench()
        bench.write(0x0f, 0x0a)
        bench.write(0x7f, 0x55)
        bench.write(0xff, 0x66)
        #expect(bench.read(0x0f) == 0x0a)
        #expect(bench.read(0x7f) == 0x66, "bit 7 is the NMI mask")
    }

    @Test func stateInTheMiddle() throws {
        let old = Bench()
        old.write(0xb, 0x62)
        old.write(1, 0x03)
        old.write(3, 0xff)
        old.write(5, 0xff)
        old.write(2, 0x11)
        old.write(0x20, 0x77)
        let new = Bench()
        try handOver(from: old.rtc, to: new.rtc)
        for _ in 0..<200 {
            old.advance(50_000_000)
            new.advance(50_000_000)
            #expect(old.time == new.time)
            #expect(old.sink.isAsserted(8) == new.sink.isAsserted(8))
            #expect(old.read(0xc) == new.read(0xc))
        }
        #expect(new.read(0x20) == 0x77)
        // Standing still, with an interrupt told.
        old.write(0xb, 0x42)
        old.advance(1_000_000)
        old.write(0xb, 0xc2)
        old.write(0, 0x42)
        let third = Bench()
        try handOver(from: old.rtc, to: third.rtc)
        #expect(third.sink.isAsserted(8))
        third.advance(5_000_000_000)
        #expect(third.read(0) == 0x42)
        var broken = old.rtc.captureState()
        broken.registers.memory = []
        #expect(throws: XError.self) { try third.rtc.restore(broken) }
    }

    @Test func datesOfCenturies() {
        for (seconds, year, month, day) in [
            (0, 1970, 1, 1), (951_782_400, 2000, 2, 29), (4_107_542_400, 2100, 3, 1),
            (253_402_300_799, 9999, 12, 31),
        ] as [(UInt64, UInt64, UInt64, UInt64)] {
            let date = CivilDate(secondsSince1970: seconds)
            #expect(date.year == year)
            #expect(date.month == month)
            #expect(date.day == day)
            #expect(date.secondsSince1970 == seconds)
        }
    }
}
