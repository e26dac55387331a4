import Foundation
import TestSupport
import Testing
import Vocabulary

@testable import Clocks

@Suite struct TimeStampCounterTests {
    @Test func startsWhereItIsTold() {
        let counter = TimeStampCounter(frequency: 2_445_424_000, startingAt: 0)
        let first = counter.now
        let second = counter.now
        #expect(first < 1 << 40)
        #expect(second >= first)
    }

    @Test func nanosecondsAreRoundedUp() {
        func wait(_ ticks: UInt64, _ frequency: UInt64) -> UInt64 {
            TimeStampCounter.nanoseconds(from: 1000, until: 1000 &+ ticks, frequency: frequency)
        }
        #expect(wait(0, 2_445_424_001) == 0)
        #expect(wait(1, 2_445_424_001) == 1)
        #expect(wait(2_445_424_001, 2_445_424_001) == 1_000_000_000)
        #expect(wait(3, 3_000_000_000) == 1)
        #expect(wait(4, 3_000_000_000) == 2)
        #expect(wait(.max - 1000, 1) == .max)
        #expect(TimeStampCounter.nanoseconds(from: 5, until: 4, frequency: 1) == 0)
        // An alarm set by it is never early: what is waited is at least the ticks.
        for ticks in stride(from: 1 as UInt64, to: 1 << 40, by: 7_654_321_987) {
            let nanoseconds = wait(ticks, 2_445_424_001)
            let (high, low) = nanoseconds.multipliedFullWidth(by: 2_445_424_001)
            let reached = UInt64(1_000_000_000).dividingFullWidth((high, low)).quotient
            #expect(reached >= ticks)
            #expect(reached - ticks <= 3)
        }
    }

    @Test func theTightestSampleCounts() {
        var looks = 0
        var counter: UInt64 = 0
        let sample = CounterSample.take(
            counter: {
                looks += 1
                // The fifth look at the clock is between two that are near.
                counter += looks == 10 ? 20 : 1000
                return counter
            }, nanoseconds: { UInt64(looks) })
        #expect(sample == CounterSample(counter: 9010, nanoseconds: 9))
    }

    @Test func frequencyIsExact() {
        let start = CounterSample(counter: .max - 5, nanoseconds: 1_000_000)
        let later = CounterSample(
            counter: start.counter &+ 122_271_200, nanoseconds: 1_000_000 + 50_000_000)
        #expect(start.frequency(to: later) == 2_445_424_000)
        #expect(start.frequency(to: start) == 1 || start.frequency(to: start) == 0 + 1)
        let third = CounterSample(counter: start.counter &+ 2, nanoseconds: 1_000_003)
        #expect(start.frequency(to: third) == 666_666_667, "rounded")
    }

    /// The measurement against the same clocks over more time. Bound by what a disturbed host may
    /// do to samples, not by the promise.
    @Test func theMeasurementAgreesWithALongerOne() {
        let start = CounterSample.now()
        let short = FrequencyMeasurement().finish()
        _ = FrequencyMeasurement().finish()
        let long = start.frequency(to: .now())
        let difference = max(short, long) - min(short, long)
        #expect(difference < long / 10_000)
    }

    /// How far a guest's clocks go from the host's: `MARTLET_MEASURE=1 swift test --filter drift`.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["MARTLET_MEASURE"] != nil))
    func drift() {
        for _ in 0..<5 {
            let start = CounterSample.now()
            let frequency = FrequencyMeasurement().finish()
            Thread.sleep(forTimeInterval: 10)
            let end = CounterSample.now()
            let host = end.nanoseconds - start.nanoseconds
            let guest = TimeStampCounter.nanoseconds(
                from: start.counter, until: end.counter, frequency: frequency)
            let difference = Double(guest) - Double(host)
            print("\(frequency) Hz: \(difference / Double(host) * 1e6) ppm over \(host) ns")
            #expect(abs(difference) < Double(host))
        }
    }

    @Test func stateGoesOn() throws {
        let old = TimeStampCounter(frequency: 2_000_000_000, startingAt: 1 << 50)
        let new = TimeStampCounter(frequency: 2_000_000_100, startingAt: 0)
        try handOver(from: old, to: new)
        #expect(new.now >= 1 << 50)
        #expect(new.now < 1 << 51)
        let other = TimeStampCounter(frequency: 2_001_000_000, startingAt: 0)
        let error = #expect(throws: XError.self) { try handOver(from: old, to: other) }
        #expect(error?.message.contains("2001000000 Hz") == true)
    }
}
