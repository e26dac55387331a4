import HostIO
import Synchronization
import Testing
import Vocabulary

@testable import Clocks

@Suite struct TimerQueueTests {
    final class Log: Sendable {
        let entries = Mutex<[String]>([])
        func action(_ name: String) -> @Sendable () -> Bool {
            { [self] in
                entries.withLock { $0.append(name) }
                return true
            }
        }
        var all: [String] { entries.withLock { $0 } }
    }

    let log = Log()

    private func fire(_ queue: TimerQueue, _ now: UInt64) -> [String] {
        let before = log.all.count
        _ = queue.fire(now: now)
        return Array(log.all[before...])
    }

    @Test func deadlinesOrderActions() {
        let queue = TimerQueue()
        let ids = ["a", "b", "c", "d"].map { queue.makeTimer(log.action($0)) }
        for (id, deadline) in zip(ids, [30, 10, 20, 10] as [UInt64]) {
            _ = queue.place(id, deadline)
        }
        #expect(queue.prepareSleep() == 10)
        #expect(fire(queue, 9) == [])
        #expect(fire(queue, 25) == ["b", "d", "c"])
        #expect(fire(queue, 25) == [], "once")
        #expect(queue.prepareSleep() == 30)
        #expect(fire(queue, 1000) == ["a"])
        #expect(queue.prepareSleep() == .max)
        #expect(queue.metrics["fired"] == 4)
        #expect(queue.metrics["longestLatenessNanoseconds"] == 970)
    }

    @Test func settingAgainReplacesAndNilCancels() {
        let queue = TimerQueue()
        let (a, b) = (queue.makeTimer(log.action("a")), queue.makeTimer(log.action("b")))
        _ = queue.place(a, 10)
        _ = queue.place(a, 50)
        _ = queue.place(b, 20)
        _ = queue.place(b, nil)
        #expect(fire(queue, 49) == [])
        #expect(fire(queue, 50) == ["a"])
    }

    @Test func onlyAnEarlierDeadlineWakes() {
        let queue = TimerQueue()
        let (a, b) = (queue.makeTimer { true }, queue.makeTimer { true })
        #expect(!queue.place(a, 100), "awake")
        _ = queue.prepareSleep()
        #expect(!queue.place(b, 100))
        #expect(!queue.place(b, nil))
        #expect(queue.place(b, 99))
        _ = queue.fire(now: 1)
        #expect(!queue.place(b, 2), "it looks again by itself")
    }

    /// An action that finds a lock taken keeps no other waiting, and is called again.
    @Test func aRefusedActionComesBack() {
        let queue = TimerQueue()
        let refuses = Atomic<Bool>(true)
        let timer = queue.makeTimer { [log] in
            if refuses.load(ordering: .relaxed) { return false }
            return log.action("late")()
        }
        let other = queue.makeTimer(log.action("other"))
        _ = queue.place(timer, 10)
        _ = queue.place(other, 11)
        #expect(fire(queue, 20) == ["other"])
        #expect(queue.prepareSleep() == 20 + TimerQueue.retryInterval)
        refuses.store(false, ordering: .relaxed)
        #expect(fire(queue, 20 + TimerQueue.retryInterval) == ["late"])
        #expect(queue.metrics["retries"] == 1)
    }

    @Test func aDeadlineSetMeanwhileWinsOverTheRetry() {
        let queue = TimerQueue()
        final class Slot: Sendable { let id = Mutex<TimerQueue.TimerID?>(nil) }
        let slot = Slot()
        let timer = queue.makeTimer {
            if let id = slot.id.withLock({ $0 }) { _ = queue.place(id, 7_000_000) }
            return false
        }
        slot.id.withLock { $0 = timer }
        _ = queue.place(timer, 10)
        _ = queue.fire(now: 20)
        #expect(queue.prepareSleep() == 7_000_000)
    }

    @Test(.timeLimit(.minutes(1))) func theThreadRunsWhatIsDue() throws {
        let queue = TimerQueue()
        let clock = HostClock()
        let count = Atomic<Int>(0)
        let early = Atomic<Int>(0)
        final class Slot: Sendable { let id = Mutex<(TimerQueue.TimerID, UInt64)?>(nil) }
        let slot = Slot()
        let never = queue.makeTimer {
            early.wrappingAdd(1, ordering: .relaxed)
            return true
        }
        let timer = queue.makeTimer { [slot] in
            guard let (id, deadline) = slot.id.withLock({ $0 }) else { return true }
            if clock.now.nanoseconds < deadline { early.wrappingAdd(1, ordering: .relaxed) }
            // Sets itself again, from the queue's thread.
            if count.wrappingAdd(1, ordering: .releasing).newValue < 20 {
                let next = clock.now.nanoseconds + 200_000
                slot.id.withLock { $0 = (id, next) }
                queue.set(id, Instant(nanoseconds: next))
            }
            return true
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

    /// Threads that set timers of their own, as vCPUs do: every deadline comes, none wait for a lock.
    @Test(.timeLimit(.minutes(1))) func manyThreadsSetTheirOwn() throws {
        let queue = TimerQueue(name: "many")
        final class Shot: Sendable { let count = Atomic<Int>(0) }
        let shots = (0..<4).map { _ in Shot() }
        let timers = shots.map { shot in
            queue.makeTimer {
                shot.count.wrappingAdd(1, ordering: .releasing)
                return true
            }
        }
        try queue.start()
        let threads = try zip(shots, timers).map { shot, timer in
            try HostThread.spawn(name: "setter") {
                let clock = HostClock()
                for round in 1...500 {
                    queue.set(timer, clock.now.advanced(by: UInt64(round % 7) * 10_000))
                    while shot.count.load(ordering: .acquiring) < round {
                        HostThread.sleep(nanoseconds: 1_000)
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        queue.stop()
        #expect(queue.metrics["fired"] == 2000)
        let lock = LockRegistry.statistics.first { $0.owner == "many" }
        #expect(lock?.contended == 0)
    }
}
