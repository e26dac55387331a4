import HostIO
import Synchronization
import Testing
import VirtualCPU
import Vocabulary

@testable import Scheduler

/// Who gets how much, on a clock of the test's own.
@Suite struct FairnessTests {
    static let second: UInt64 = 1_000_000_000

    @Test(arguments: [(100, 100), (100, 300), (1, 10), (10_000, 5_000)])
    func machinesShareByWeight(weights: (Int, Int)) throws {
        let bench = Bench(workers: 2)
        let groups = try [weights.0, weights.1].map { weight in
            try bench.group(8) { $0.weight = weight }
        }
        let bodies = [[ScriptedBody].busy(8), .busy(8)]
        for (group, bodies) in zip(groups, bodies) { bench.start(group, bodies) }
        bench.run(10 * Self.second)
        let all = bodies[0].ran + bodies[1].ran
        #expect(isNear(all, 20 * Self.second, within: 0.001), "no core is idle")
        let wanted = all * UInt64(weights.0) / UInt64(weights.0 + weights.1)
        #expect(isNear(bodies[0].ran, wanted, within: 0.03), "\(bodies[0].ran) of \(all)")
        for body in bodies[0] {
            #expect(isNear(body.ran, bodies[0].ran / 8, within: 0.05), "\(bodies[0].map(\.ran))")
        }
    }

    @Test func theNumberOfProcessorsIsNoWeight() throws {
        let bench = Bench(workers: 2)
        let (small, large) = ([ScriptedBody].busy(2), [ScriptedBody].busy(16))
        bench.start(try bench.group(2), small)
        bench.start(try bench.group(16), large)
        bench.run(5 * Self.second)
        #expect(isNear(small.ran, large.ran, within: 0.03), "\(small.ran) \(large.ran)")
    }

    @Test(arguments: [3, 5, 7])
    func oddNumbersShareTwoWorkers(count: Int) throws {
        let bench = Bench(workers: 2)
        let bodies = [ScriptedBody].busy(count)
        let group = try bench.group(count)
        bench.start(group, bodies)
        bench.run(3 * Self.second)
        for body in bodies {
            #expect(
                isNear(body.ran, 6 * Self.second / UInt64(count), within: 0.03),
                "\(bodies.map(\.ran))")
        }
    }

    @Test(arguments: [1, 2, 4])
    func balancedWorkersKeepTheirTasks(workers: Int) throws {
        let bench = Bench(workers: workers)
        let group = try bench.group(workers * 4)
        bench.start(group, .busy(workers * 4))
        bench.run(2 * Self.second)
        let moves = group.statistics.reduce(0) { $0 + $1.migrations }
        let slices = group.statistics.reduce(0) { $0 + $1.slices }
        #expect(moves * 20 <= slices, "\(moves) moves in \(slices) slices")
    }

    @Test(arguments: [0.5, 0.1, 1.25])
    func theCapHolds(limit: Double) throws {
        let bench = Bench(workers: 2)
        let (capped, free) = ([ScriptedBody].busy(4), [ScriptedBody].busy(2))
        bench.start(try bench.group(4) { $0.limit = limit }, capped)
        bench.run(2 * Self.second)
        let alone = capped.ran
        #expect(isNear(alone, UInt64(limit * 2e9), within: 0.03), "\(alone)")
        bench.start(try bench.group(2), free)
        bench.run(4 * Self.second)
        let wanted = min(limit, 1) * 4e9
        #expect(isNear(capped.ran - alone, UInt64(wanted), within: 0.03), "\(capped.ran - alone)")
        #expect(isNear(capped.ran - alone + free.ran, 8 * Self.second, within: 0.01))
    }

    @Test func unusedTimeUnderTheCapIsNotSaved() {
        let bandwidth = CPUBandwidth(cores: 0.5, now: Instant(nanoseconds: 0))
        let later = Instant(nanoseconds: 100 * CPUBandwidth.period)
        #expect(bandwidth.remaining(now: later) == Int64(CPUBandwidth.period / 2))
        bandwidth.charge(CPUBandwidth.period)
        #expect(bandwidth.remaining(now: later) < 0)
        let next = bandwidth.nextPeriod(after: later)
        #expect(next > later)
        #expect(bandwidth.remaining(now: next) == 0, "the debt is paid first")
    }

    @Test func affinityIsKept() throws {
        let bench = Bench(workers: 2)
        let (bound, free) = ([ScriptedBody].busy(3), [ScriptedBody].busy(1))
        let group = try bench.group(3) { $0.affinity = [1] }
        bench.start(group, bound)
        bench.start(try bench.group(1), free)
        bench.run(Self.second) { _ in
            #expect(bench.scheduler.workers[0].queue.withLock { $0.running?.task.group !== group })
        }
        #expect(isNear(bound.ran, Self.second, within: 0.01), "\(bound.ran)")
        #expect(isNear(free.ran, Self.second, within: 0.01), "\(free.ran)")
        #expect(throws: XError.self) { try bench.group(1) { $0.affinity = [7] } }
        #expect(throws: XError.self) { try bench.group(1) { $0.affinity = [] } }
    }

    @Test func whoSleptPreemptsAtOnceAndGetsNoMoreThanItsShare() throws {
        let bench = Bench(workers: 1)
        let hogs = [ScriptedBody].busy(4)
        bench.start(try bench.group(4), hogs)
        let sleeper = ScriptedBody(burst: 200_000, .blocked(until: .interrupt))
        let group = try bench.group(1)
        bench.start(group, [sleeper])
        bench.run(2 * Self.second) { now in
            if now % 10_000_000 < 1_000_000 {
                group.tasks[0].pending.raise(.interrupt)
                group.wake(0)
            }
        }
        let counted = group.statistics[0]
        #expect(counted.wakeUps >= 100, "\(counted)")
        #expect(counted.longestWakeUpNanoseconds <= 2_000_000, "\(counted)")
        // It sleeps for long, wants all it can get, and then shares as if it had never slept.
        sleeper.burst = .max
        group.tasks[0].pending.raise(.interrupt)
        group.wake(0)
        let before = (sleeper.ran, hogs.ran)
        bench.run(2 * Self.second)
        #expect(isNear(sleeper.ran - before.0, hogs.ran - before.1, within: 0.03))
    }

    @Test func aHaltedProcessorIsInNoQueue() throws {
        let bench = Bench(workers: 2)
        let group = try bench.group(2)
        bench.start(
            group, (0..<2).map { _ in ScriptedBody(burst: 1000, .blocked(until: .interrupt)) })
        bench.run(10_000_000)
        #expect(group.runnableCount.load(ordering: .relaxed) == 0)
        #expect(bench.scheduler.workers.allSatisfy { $0.count == 0 })
        #expect(
            bench.scheduler.workers.allSatisfy {
                bench.scheduler.next(on: $0, now: bench.time.instant) == nil
            })
        // An event that it does not wait for leaves it alone, one that it waits for does not.
        group.tasks[1].pending.raise(.codeChanged)
        group.wake(1)
        #expect(group.tasks[1].phase.load(ordering: .relaxed) == .blocked)
        group.tasks[1].pending.raise(.interrupt)
        group.wake(1)
        #expect(group.tasks[1].phase.load(ordering: .relaxed) == .queued)
    }

    @Test func anEventBeforeTheHaltIsNotLost() throws {
        let bench = Bench(workers: 1)
        let group = try bench.group(1)
        let body = ScriptedBody(burst: 1000, .blocked(until: .interrupt))
        bench.start(group, [body])
        let worker = bench.scheduler.workers[0]
        let assignment = try #require(bench.scheduler.next(on: worker, now: bench.time.instant))
        group.tasks[0].pending.raise(.interrupt)
        group.wake(0)
        bench.scheduler.finish(
            assignment, on: worker, TurnEnd(.blocked(until: .interrupt), inKernel: true),
            started: bench.time.instant, ran: 1000, now: bench.time.instant)
        #expect(bench.scheduler.next(on: worker, now: bench.time.instant)?.task === group.tasks[0])
        #expect(body.log == ["in", "out", "in"])
        bench.scheduler.finish(
            assignment, on: worker, TurnEnd(.ended, inKernel: true), started: bench.time.instant,
            ran: 1000, now: bench.time.instant)
        #expect(body.hasEnded)
        #expect(bench.scheduler.next(on: worker, now: bench.time.instant) == nil)
    }

    @Test func virtualTimeWraps() {
        let late = VirtualTime(units: .max - 5)
        #expect(late < late.advanced(by: 10))
        #expect(late.advanced(by: 10).units == 4)
        #expect(VirtualTime.cost(of: .max, weight: 1, runnableCount: 255) == 1 << 62)
        #expect(VirtualTime.cost(of: 1000, weight: 200, runnableCount: 4) == 2000)
    }

    @Test func quotasOfControlGroups() {
        #expect(HostCores.quota(of: "150000 100000\n") == 1.5)
        #expect(HostCores.quota(of: "max 100000\n") == nil)
        #expect(HostCores.quota(of: "") == nil)
        #expect(!HostCores.forWorkers.isEmpty)
    }
}
