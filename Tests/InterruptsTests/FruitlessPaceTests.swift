import HostIO
import Synchronization
import Testing
import Vocabulary

@testable import Interrupts

/// Event storms: who is called for nothing looks less often (XSA-332).
struct FruitlessPaceTests {
    @Test func whoIsCalledForNothingWaitsLongerAndLonger() {
        var pace = FruitlessPace()
        for _ in 0..<FruitlessPace.patience { #expect(pace.pause(after: false) == 0) }
        #expect(pace.pause(after: false) == FruitlessPace.shortest)
        #expect(pace.pause(after: false) == 2 * FruitlessPace.shortest)
        for _ in 0..<100 { _ = pace.pause(after: false) }
        #expect(pace.pause(after: false) == FruitlessPace.longest)
        #expect(pace.pause(after: true) == 0)
        #expect(pace.pause(after: false) == 0)
    }

    private final class Queue: Sendable {
        let waiting = Atomic<Int>(0)
        let calls = Atomic<Int>(0)
        let done = Atomic<Int>(0)

        func run() -> Bool {
            calls.add(1, ordering: .relaxed)
            let count = waiting.exchange(0, ordering: .relaxed)
            done.add(count, ordering: .relaxed)
            return count > 0
        }
    }

    /// A flood of signals makes a handful of calls; what comes behind it is done all the same.
    @Test func aFloodIsLookedAtSeldom() throws {
        let queue = Queue()
        let context = InterruptContext(
            .init(priority: { _ in .inherited }), device: "flood", queue: "flood",
            finding: { queue.run() })
        try context.start()
        let end = HostThread.monotonicNow.nanoseconds + 100_000_000
        var signals = 0
        while HostThread.monotonicNow.nanoseconds < end {
            context.signal()
            signals += 1
        }
        let calls = queue.calls.load(ordering: .relaxed)
        #expect(calls < 100, "of \(signals) signals")
        queue.waiting.store(3, ordering: .relaxed)
        context.signal()
        while queue.done.load(ordering: .relaxed) < 3 { HostThread.sleep(nanoseconds: 100_000) }
        context.stop()
        while !context.isIdleForEver { HostThread.sleep(nanoseconds: 100_000) }
    }
}
