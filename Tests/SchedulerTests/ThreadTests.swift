import HostIO
import Synchronization
import Testing
import VirtualCPU
import Vocabulary

@testable import Scheduler

/// The workers' real threads. Nothing here depends on how long something takes.
@Suite struct ThreadTests {
    /// Hands a token round: each vCPU waits for its event, wakes the next, and halts again.
    final class Relay: VCPUBody, @unchecked Sendable {
        let number: Int
        let rounds: Int
        let group: () -> VCPUGroup?
        /// Plain, on purpose: whoever runs the vCPU must see what the last worker wrote.
        var count = 0
        let isOver = Atomic<Bool>(false)
        let runners = Atomic<Int>(0)
        let collisions: Collisions

        init(
            _ number: Int, rounds: Int, _ collisions: Collisions,
            _ group: @escaping () -> VCPUGroup?
        ) {
            self.number = number
            self.rounds = rounds
            self.group = group
            self.collisions = collisions
        }

        func run(_ turn: Turn) -> TurnEnd {
            // Two workers at once would be seen here.
            if runners.add(1, ordering: .relaxed).newValue != 1 { collisions.report() }
            defer { runners.subtract(1, ordering: .relaxed) }
            guard let group = group() else { return TurnEnd(.ended, inKernel: true) }
            let pending = group.tasks[number].pending
            pending.clear(.reschedule)
            if pending.current.contains(.leave) { return TurnEnd(.ended, inKernel: true) }
            guard pending.current.contains(.interrupt) else {
                return TurnEnd(.blocked(until: [.interrupt, .leave]), inKernel: true)
            }
            pending.clear(.interrupt)
            count += 1
            let next = (number + 1) % group.tasks.count
            group.tasks[next].pending.raise(.interrupt)
            group.wake(next)
            if count >= rounds {
                for (index, task) in group.tasks.enumerated() {
                    task.pending.raise(.leave)
                    group.wake(index)
                }
            }
            return TurnEnd(count % 3 == 0 ? .spun : .expired, inKernel: count % 2 == 0)
        }

        func scheduledIn(stolenNanoseconds: UInt64) {}
        func scheduledOut(preempted: Bool) {}
        func hasInterrupted(_ other: VCPUIndex) -> Bool { other.rawValue % 2 == 0 }
        func ended() { isOver.store(true, ordering: .releasing) }
    }

    final class Collisions: Sendable {
        let count = Atomic<Int>(0)
        func report() { count.add(1, ordering: .relaxed) }
    }

    /// A place for what the bodies need before it is there.
    final class Holder: @unchecked Sendable {
        var group: VCPUGroup?
    }

    @Test(.timeLimit(.minutes(2)), arguments: [1, 2, 4])
    func noWakeUpIsLost(workers: Int) async throws {
        let scheduler = VCPUScheduler(cores: Array(repeating: 0, count: workers)) {
            HostThread.monotonicNow
        }
        defer { scheduler.stop() }
        let holder = Holder()
        let group = try VCPUGroup(scheduler, pending: (0..<9).map { _ in PendingEvents() })
        holder.group = group
        let collisions = Collisions()
        let bodies = (0..<9).map { number in
            Relay(number, rounds: 3000, collisions) { holder.group }
        }
        try group.start(bodies)
        // Two tokens, so that workers wake each other's vCPUs.
        for number in [0, 4] {
            group.tasks[number].pending.raise(.interrupt)
            group.wake(number)
        }
        while !bodies.allSatisfy({ $0.isOver.load(ordering: .acquiring) }) {
            try await Task.sleep(for: .milliseconds(1))
        }
        #expect(collisions.count.load(ordering: .relaxed) == 0)
        #expect(bodies.map(\.count).max() == 3000)
        #expect(group.runnableCount.load(ordering: .relaxed) == 0)
    }

    /// Computes until its turn is over, or until it is told to end.
    final class Busy: VCPUBody, @unchecked Sendable {
        let pending = PendingEvents()
        let isOver = Atomic<Bool>(false)

        func run(_ turn: Turn) -> TurnEnd {
            pending.clear(.reschedule)
            while HostThread.monotonicNow < turn.deadline {
                if pending.current.contains(.leave) { return TurnEnd(.ended, inKernel: false) }
                if pending.current.contains(.reschedule) { break }
            }
            return TurnEnd(.expired, inKernel: false)
        }

        func scheduledIn(stolenNanoseconds: UInt64) {}
        func scheduledOut(preempted: Bool) {}
        func hasInterrupted(_ other: VCPUIndex) -> Bool { false }
        func ended() { isOver.store(true, ordering: .releasing) }
    }

    /// Shares of processor time, whatever of it the host gives.
    @Test(.timeLimit(.minutes(2)), arguments: [100, 300])
    func machinesShareTheHost(weight: Int) async throws {
        let scheduler = VCPUScheduler()
        defer { scheduler.stop() }
        var groups: [VCPUGroup] = []
        var all: [Busy] = []
        for weight in [100, weight] {
            var settings = VCPUGroup.Settings()
            settings.weight = weight
            let bodies = (0..<8).map { _ in Busy() }
            let group = try VCPUGroup(
                scheduler, pending: bodies.map(\.pending), settings: settings)
            try group.start(bodies)
            groups.append(group)
            all += bodies
        }
        func used(_ group: VCPUGroup) -> UInt64 {
            group.statistics.reduce(0) { $0 + $1.runNanoseconds }
        }
        // Three seconds of one core.
        while used(groups[0]) + used(groups[1]) < 3_000_000_000 {
            try await Task.sleep(for: .milliseconds(10))
        }
        let (first, second) = (used(groups[0]), used(groups[1]))
        let wanted = (first + second) * UInt64(weight) / UInt64(100 + weight)
        #expect(isNear(second, wanted, within: 0.03), "\(first) and \(second)")
        for body in all { body.pending.raise(.leave) }
        while !all.allSatisfy({ $0.isOver.load(ordering: .acquiring) }) {
            try await Task.sleep(for: .milliseconds(1))
        }
    }
}
