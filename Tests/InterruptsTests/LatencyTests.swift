import Foundation
import HostIO
import TestSupport
import Testing
import Vocabulary

@testable import Interrupts

@Suite struct LatencyTests {
    let apics = ScriptedAPICs(count: 2)

    private func latencies(_ index: Int) -> [InterruptSource: InterruptLatencies.Summary] {
        var sum = InterruptLatencies()
        apics[index].addLatencies(to: &sum)
        return Dictionary(uniqueKeysWithValues: sum.summaries.map { ($0.source, $0.summary) })
    }

    private func end(_ index: Int) { apics.write(index, 0x0b0, 0) }

    /// Within the two digits that are kept.
    private func expect(_ value: UInt64?, near expected: UInt64) {
        let value = value ?? 0
        #expect(value >= expected && value <= expected + expected / 50 + 64, "\(value)")
    }

    @Test func aLineCountsFromTheHostsEvent() {
        let controller = apics.controller
        controller.ioAPIC.write(0, 0x10 + 4 * 2)
        controller.ioAPIC.write(0x10, 0x44)
        let event = apics.clock.now
        apics.clock.advance(nanoseconds: 5_000)
        controller.setLine(4, asserted: true, since: event)
        apics.clock.advance(nanoseconds: 7_000)
        // The same interrupt again before it is taken: the first event counts.
        controller.setLine(4, asserted: false)
        controller.setLine(4, asserted: true)
        #expect(apics[0].acknowledge() == 0x44)
        let summary = latencies(0)[.line(4)]
        #expect(summary?.count == 1)
        expect(summary?.max, near: 12_000)
        end(0)
        controller.setLine(4, asserted: false)
        controller.setLine(4, asserted: true)
        #expect(apics[0].acknowledge() == 0x44)
        #expect(latencies(0)[.line(4)]?.count == 2)
        #expect(latencies(1).isEmpty)
    }

    @Test func aTimerCountsFromItsDeadline() {
        apics.write(0, 0x320, 0x4_0032)
        apics[0].deadline = 2_000_000
        apics.advance(1_300_000)
        apics.clock.advance(nanoseconds: 100_000)
        #expect(apics[0].acknowledge() == 0x32)
        expect(latencies(0)[.timer]?.p50, near: 400_000)
    }

    @Test func otherProcessorsCountFromTheCommand() {
        apics.write(0, 0x310, 1 << 24)
        apics.write(0, 0x300, 0x55)
        apics.clock.advance(nanoseconds: 3_000)
        #expect(apics[1].acknowledge() == 0x55)
        expect(latencies(1)[.processor]?.p999, near: 3_000)
        #expect(latencies(0).isEmpty)
    }

    @Test func aResetForgetsWhatWaited() {
        apics.controller.send(messageAddress: 0xfee0_0000, data: 0x66)
        apics[0].request(.initialize)
        _ = apics[0].takeStartUpRequests()
        _ = apics[0].write(0x0f0, 0x1ff)
        apics[0].request(vector: 0x66, level: false)
        #expect(apics[0].acknowledge() == 0x66)
        #expect(latencies(0).isEmpty)
    }

    @Test func percentilesAndMerging() {
        var first = InterruptLatencies()
        for value in 1...900 as ClosedRange<UInt64> { first.record(.timer, value * 1000) }
        var second = InterruptLatencies()
        for value in 901...1000 as ClosedRange<UInt64> { second.record(.timer, value * 1000) }
        second.record(.message, .max)
        second.record(.unknown, 1)
        second.record(InterruptSource(rawValue: 255), 1)
        first.add(second)
        let summaries = first.summaries
        #expect(summaries.map(\.source) == [.timer, .message])
        #expect(summaries[0].summary.count == 1000)
        expect(summaries[0].summary.p50, near: 500_000)
        expect(summaries[0].summary.p99, near: 990_000)
        expect(summaries[0].summary.p999, near: 999_000)
        #expect(summaries[1].summary.max >= 1 << 36, "the slowest count as the slowest")
    }

    /// What recording one costs: `MARTLET_MEASURE=1 swift test --filter recordingCost`.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["MARTLET_MEASURE"] != nil))
    func recordingCost() {
        var latencies = InterruptLatencies()
        latencies.record(.timer, 1)
        let rounds = 5_000_000 as UInt64
        let best = (0..<5).map { _ in
            ContinuousClock().measure {
                for round in 0..<rounds { latencies.record(.timer, round &* 977 & 0xf_ffff) }
            }
        }.min()
        #expect(latencies.summaries[0].summary.count == 5 * rounds + 1)
        print("one latency recorded:", (best ?? .zero) / Int(rounds))
    }

    @Test func aTimerThatFindsTheRegistersInUseSaysSo() {
        apics.write(0, 0x320, 0x4_0032)
        apics[0].deadline = 2_000_000
        apics.clock.advance(nanoseconds: 5_000_000)
        apics[0].registers.withLock { _ in #expect(!apics[0].timerExpired()) }
        #expect(apics[0].acknowledge() == nil)
        #expect(apics[0].timerExpired())
        #expect(apics[0].acknowledge() == 0x32)
    }
}
