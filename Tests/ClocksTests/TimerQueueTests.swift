import Synchronization
import Testing
import Vocabulary

@testable import Clocks

@Suite struct TimerQueueTests {
    final class Log: Sendable {
        let entries = Mutex<[String]>([])
        func action(_ name: String) -> @Sendable () -> Void {
            { [self] in entries.withLock { $0.append(name) } }
        }
        var all: [String] { entries.withLock { $0 } }
    }

    let log = Log()

    private func fire(_ timers: inout Timers, _ now: UInt64) -> [String] {
        let before = log.all.count
        for action in timers.takeDue(now: now) { action() }
        return Array(log.all[before...])
    }

    @Test func deadlinesOrderActions() {
        var timers = Timers()
        let ids = ["a", "b", "c", "d"].map { timers.add(log.action($0)) }
        for (id, deadline) in zip(ids, [30, 10, 20, 10] as [UInt64]) {
            _ = timers.set(id, deadline)
        }
        #expect(timers.prepareSleep(true) == 10)
        #expect(fire(&timers, 9) == [])
        #expect(fire(&timers, 25) == ["b", "d", "c"])
        #expect(fire(&timers, 25) == [], "once")
        #expect(timers.prepareSleep(true) == 30)
        #expect(fire(&timers, 1000) == ["a"])
        #expect(timers.prepareSleep(true) == .max)
        #expect(timers.firedCount == 4)
        #expect(timers.lateness == 970)
    }

    @Test func settingAgainReplacesAndNilCancels() {
        var timers = Timers()
        let (a, b) = (timers.add(log.action("a")), timers.add(log.action("b")))
        _ = timers.set(a, 10)
        _ = timers.set(a, 50)
        _ = timers.set(b, 20)
        _ = timers.set(b, nil)
        #expect(fire(&timers, 49) == [])
        #expect(fire(&timers, 50) == ["a"])
    }

    @Test func onlyAnEarlierDeadlineWakes() {
        var timers = Timers()
        let (a, b) = (timers.add {}, timers.add {})
        func wakes(_ id: TimerQueue.TimerID, _ deadline: UInt64?) -> Bool {
            timers.set(id, deadline)
        }
        #expect(!wakes(a, 100), "awake")
        _ = timers.prepareSleep(true)
        #expect(!wakes(b, 100))
        #expect(!wakes(b, nil))
        #expect(wakes(b, 99))
        _ = timers.prepareSleep(false)
        #expect(!wakes(b, 1), "it looks again by itself")
    }

    @Test(.timeLimit(.minutes(1))) func theThreadRunsWhatIsDue() throws {
        let queue = try TimerQueue()
        let clock = HostClock()
        let count = Atomic<Int>(0)
        let early = Atomic<Int>(0)
        final class Slot: Sendable { let id = Mutex<(TimerQueue.TimerID, UInt64)?>(nil) }
        let slot = Slot()
        let never = queue.makeTimer { early.wrappingAdd(1, ordering: .relaxed) }
        let timer = queue.makeTimer { [slot] in
            guard let (id, deadline) = slot.id.withLock({ $0 }) else { return }
            if clock.now.nanoseconds < deadline { early.wrappingAdd(1, ordering: .relaxed) }
            // Sets itself again, from the queue's thread.
            if count.wrappingAdd(1, ordering: .releasing).newValue < 20 {
                let next = clock.now.nanoseconds + 200_000
                slot.id.withLock { $0 = (id, next) }
                queue.set(id, Instant(nanoseconds: next))
            }
        }
        slot.id.withLock { $0 = (timer, 1) }
        queue.set(never, clock.now.advanced(by: 3_600_000_000_000))
        try queue.start()
        queue.set(timer, Instant(nanoseconds: 1))
        while count.load(ordering: .acquiring) < 20 { _ = clock.now }
        queue.set(never, nil)
        queue.stop()
        let wrong = early.load(ordering: .relaxed)
        #expect(wrong == 0)
        #expect(queue.metrics["fired"] == 20)
    }
}
