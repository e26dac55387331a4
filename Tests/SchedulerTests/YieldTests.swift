import HostIO
import Synchronization
import Testing
import VirtualCPU
import Vocabulary

@testable import Scheduler

/// To whom a spinning vCPU gives its slice.
@Suite struct YieldTests {
    typealias Candidate = YieldPolicy.Candidate

    @Test func onlyThePreemptedInTheKernelAreOfUse() {
        var candidate = Candidate()
        candidate.wasInKernel = true
        #expect(YieldPolicy.judge(candidate, spinnerInKernel: true) == .no)
        candidate.isReady = true
        #expect(YieldPolicy.judge(candidate, spinnerInKernel: true) == .take(.kernel))
        candidate.wasInKernel = false
        #expect(YieldPolicy.judge(candidate, spinnerInKernel: true) == .no)
        #expect(YieldPolicy.judge(candidate, spinnerInKernel: false) == .take(.user))
        candidate.hasInterrupt = true
        #expect(YieldPolicy.judge(candidate, spinnerInKernel: true) == .take(.user))
    }

    @Test func whoOwesAnAnswerComesFirst() {
        var candidate = Candidate(isReady: true, isSpinning: true)
        candidate.hasInterrupt = true
        candidate.wasInterruptedBySpinner = true
        #expect(YieldPolicy.judge(candidate, spinnerInKernel: true) == .take(.answersSpinner))
        candidate.hasInterrupt = false
        #expect(YieldPolicy.judge(candidate, spinnerInKernel: true) == .no)
    }

    @Test func spinnersAreTakenWhenTheyWerePassedOver() {
        var candidate = Candidate(isReady: true, wasInKernel: true, isSpinning: true)
        #expect(YieldPolicy.judge(candidate, spinnerInKernel: true) == .passOver)
        candidate.passedOverCount = YieldPolicy.patience
        #expect(YieldPolicy.judge(candidate, spinnerInKernel: true) == .take(.spinning))
        candidate.passedOverCount = 0
        candidate.spinsLonger = true
        #expect(YieldPolicy.judge(candidate, spinnerInKernel: true) == .take(.spinning))
    }

    @Test func theFirstInTheQueueGetsTheSlice() throws {
        let scene = try Scene(5)
        for (number, task) in scene.group.tasks.enumerated() {
            task.wasInKernel.store(true, ordering: .relaxed)
            task.isSpinning.store(true, ordering: .relaxed)
            task.spinningSince.store(UInt64(10 + (number + 3) % 5), ordering: .relaxed)
        }
        let turn = try scene.begin()
        let start = scene.bench.time.instant
        // It began to spin just now, the others before.
        scene.bench.time.now += 10_000
        scene.bench.scheduler.finish(
            turn, on: scene.worker, TurnEnd(.spun, inKernel: true), started: start, ran: 10_000,
            now: scene.bench.time.instant)
        let first = try scene.begin()
        let expected = turn.task.number == 2 ? 3 : 2
        #expect(first.task.number == expected)
        // The one that spins longest keeps its slice: nobody who waits behind it is of use.
        scene.bench.scheduler.finish(
            first, on: scene.worker, TurnEnd(.spun, inKernel: true, keptSpinning: true),
            started: scene.bench.time.instant, ran: 10_000, now: scene.bench.time.instant)
        #expect(try scene.begin().task === first.task)
    }

    /// One worker, vCPU 0 on it; the others wait.
    struct Scene {
        let bench = Bench(workers: 1)
        let group: VCPUGroup
        let bodies: [ScriptedBody]
        let worker: Worker

        init(_ count: Int, _ change: (inout VCPUGroup.Settings) -> Void = { _ in }) throws {
            group = try bench.group(count, change)
            bodies = .busy(count)
            worker = bench.scheduler.workers[0]
            bench.start(group, bodies)
            // Each has run once, in user mode.
            for _ in 0..<count { _ = try end(begin(), .expired, inKernel: false) }
        }

        func begin() throws -> Assignment {
            try #require(bench.scheduler.next(on: worker, now: bench.time.instant))
        }

        func end(_ assignment: Assignment, _ why: TurnEnd.Reason, inKernel: Bool) throws -> Int {
            let start = bench.time.instant
            bench.time.now += 1_000_000
            bench.scheduler.finish(
                assignment, on: worker, TurnEnd(why, inKernel: inKernel), started: start,
                ran: 1_000_000, now: bench.time.instant)
            return assignment.task.number
        }
    }

    @Test func theSpinnerGivesItsSliceToTheLockHolder() throws {
        let scene = try Scene(4)
        let turn = try scene.begin()
        let spinner = turn.task.number
        let holder = scene.group.tasks[(spinner + 2) % 4]
        holder.wasInKernel.store(true, ordering: .relaxed)
        _ = try scene.end(turn, .spun, inKernel: true)
        let given = try scene.begin()
        #expect(given.task === holder)
        #expect(given.sliceEnd >= turn.sliceEnd, "the rest of the slice")
        #expect(given.sliceEnd.nanoseconds >= scene.bench.time.now + 1_000_000, "the boost")
        #expect(given.protectedUntil > scene.bench.time.instant)
        #expect(scene.bodies[spinner].log.suffix(2) == ["in", "preempted"])
        let counted = scene.group.statistics
        #expect(counted[spinner].yieldsDone == 1)
        #expect(counted[spinner].pauseLoops == 1)
        #expect(counted[holder.number].yieldsReceived == 1)
    }

    @Test func theBoostOutlastsAWakeUp() throws {
        let scene = try Scene(4)
        let sleeper = try scene.bench.group(1) { $0.weight = 10_000 }
        let body = ScriptedBody(burst: 1000, .blocked(until: .interrupt))
        scene.bench.start(sleeper, [body])
        let first = try scene.begin()
        #expect(first.task.group === sleeper)
        _ = try scene.end(first, .blocked(until: .interrupt), inKernel: true)
        scene.group.tasks[3].wasInKernel.store(true, ordering: .relaxed)
        _ = try scene.end(scene.begin(), .spun, inKernel: true)
        let boosted = try scene.begin()
        #expect(boosted.task.number == 3)
        func wake() -> Bool {
            boosted.task.pending.clear(.reschedule)
            sleeper.tasks[0].pending.raise(.interrupt)
            sleeper.wake(0)
            return boosted.task.pending.current.contains(.reschedule)
        }
        scene.bench.time.now += 500_000
        #expect(!wake())
        // Without the boost it would have been.
        let isThere = scene.worker.withQueue { queue in
            queue.running?.protectedUntil = Instant(nanoseconds: 0)
            return queue.take(sleeper.tasks[0])
        }
        #expect(isThere)
        sleeper.tasks[0].phase.store(.blocked, ordering: .relaxed)
        scene.bench.time.now += 20_000_000
        #expect(wake())
    }

    /// A slice is that of whoever gave it: a receiver that is far behind has no more right to it.
    @Test func wakeUpsAreComparedWithTheGiver() throws {
        let scene = try Scene(4)
        let sleeper = try scene.bench.group(1) { $0.weight = 10_000 }
        scene.bench.start(sleeper, [ScriptedBody(burst: 1000, .blocked(until: .interrupt))])
        let first = try scene.begin()
        #expect(first.task.group === sleeper)
        _ = try scene.end(first, .blocked(until: .interrupt), inKernel: true)
        let turn = try scene.begin()
        let holder = scene.group.tasks[(turn.task.number + 1) % 4]
        let wasThere = scene.worker.withQueue { queue in
            guard queue.take(holder) else { return false }
            holder.virtualTime = holder.virtualTime.reduced(by: 1_000_000_000)
            queue.insert(holder)
            return true
        }
        #expect(wasThere)
        holder.wasInKernel.store(true, ordering: .relaxed)
        _ = try scene.end(turn, .spun, inKernel: true)
        let given = try scene.begin()
        #expect(given.task === holder)
        scene.bench.time.now += 2_000_000
        sleeper.tasks[0].pending.raise(.interrupt)
        sleeper.wake(0)
        #expect(holder.pending.current.contains(.reschedule))
    }

    /// Each hands its slice to the one that computes, and still has its turn of slices.
    @Test func whoGivesASlicePaysForIt() throws {
        let bench = Bench(workers: 2)
        let bodies = (0..<8).map { _ in ScriptedBody(burst: 50_000, .spun, inKernel: true) }
        bodies[7].burst = .max
        bodies[7].why = .expired
        let group = try bench.group(8)
        let others = [ScriptedBody].busy(8)
        bench.start(group, bodies)
        bench.start(try bench.group(8), others)
        bench.run(4_000_000_000)
        #expect(isNear(bodies.ran, others.ran, within: 0.03), "\(bodies.ran) \(others.ran)")
        // By its own slices alone it would get 0.5 seconds.
        #expect(bodies[7].ran > 2_000_000_000, "\(bodies.map(\.ran))")
    }

    @Test func withNobodyToHelpItGoesOnWithItsSlice() throws {
        let scene = try Scene(3)
        let turn = try scene.begin()
        _ = try scene.end(turn, .spun, inKernel: true)
        let again = try scene.begin()
        #expect(again.task === turn.task)
        #expect(again.sliceEnd == turn.sliceEnd)
        #expect(turn.task.counters.values.yieldsAttempted == 1)
        #expect(turn.task.counters.values.yieldsDone == 0)
        scene.bench.time.now += 10_000_000
        _ = try scene.end(again, .spun, inKernel: true)
        #expect(try scene.begin().task !== turn.task, "its slice is over")
    }

    @Test func spinnersGoRound() throws {
        let scene = try Scene(4)
        for task in scene.group.tasks { task.wasInKernel.store(true, ordering: .relaxed) }
        for task in scene.group.tasks { task.isSpinning.store(true, ordering: .relaxed) }
        // The first look passes over all of them, the next takes one, and so on.
        var order: [Int] = []
        for _ in 0..<60 {
            let turn = try scene.begin()
            order.append(turn.task.number)
            _ = try scene.end(turn, .spun, inKernel: true)
        }
        #expect(Set(order) == [0, 1, 2, 3], "\(order)")
    }

    /// Spinners that keep each other going would keep out the one they all wait for.
    @Test func aSliceThatIsHandedOnEnds() throws {
        let scene = try Scene(6)
        for task in scene.group.tasks.prefix(5) {
            task.wasInKernel.store(true, ordering: .relaxed)
            task.isSpinning.store(true, ordering: .relaxed)
            task.passedOverCount.store(1000, ordering: .relaxed)
        }
        // vCPU 5 was preempted in user mode: no spinner in the kernel gives it anything.
        let started = scene.bench.time.now
        while true {
            let turn = try scene.begin()
            if turn.task.number == 5 { break }
            _ = try scene.end(turn, .spun, inKernel: true)
            if scene.bench.time.now > started + 100_000_000 { break }
        }
        #expect(scene.bench.time.now <= started + 50_000_000)
    }

    @Test func theReceiverOfAnInterruptComesFirst() throws {
        let scene = try Scene(4)
        let turn = try scene.begin()
        let spinner = turn.task.number
        let (locking, answering) = ((spinner + 1) % 4, (spinner + 2) % 4)
        scene.group.tasks[locking].wasInKernel.store(true, ordering: .relaxed)
        scene.group.tasks[answering].pending.raise(.interrupt)
        scene.bodies[spinner].interrupted = [UInt32(answering)]
        _ = try scene.end(turn, .spun, inKernel: true)
        #expect(try scene.begin().task.number == answering)
    }

    @Test func theGuestNamesAReceiver() throws {
        let scene = try Scene(4)
        let turn = try scene.begin()
        let wanted = (turn.task.number + 2) % 4
        _ = try scene.end(turn, .yielded(to: VCPUIndex(UInt32(wanted))), inKernel: true)
        let given = try scene.begin()
        #expect(given.task.number == wanted)
        // Itself, and some that are not there: nothing happens.
        for wrong in [UInt32(wanted), 4, .max] {
            _ = try scene.end(given, .yielded(to: VCPUIndex(wrong)), inKernel: true)
            #expect(try scene.begin().task === given.task)
        }
    }

    @Test func offIsOff() throws {
        let scene = try Scene(3) { $0.directedYield = false }
        let turn = try scene.begin()
        scene.group.tasks[(turn.task.number + 2) % 3].wasInKernel.store(true, ordering: .relaxed)
        _ = try scene.end(turn, .spun, inKernel: true)
        #expect(try scene.begin().task === turn.task)
        #expect(turn.task.counters.values.yieldsAttempted == 0)
    }

    @Test func theReceiverIsTakenFromAnotherWorker() throws {
        let bench = Bench(workers: 2)
        let group = try bench.group(6)
        bench.start(group, .busy(6))
        let workers = bench.scheduler.workers
        let turns = try workers.map {
            try #require(bench.scheduler.next(on: $0, now: bench.time.instant))
        }
        let other = try #require(
            group.tasks.first {
                $0.phase.load(ordering: .relaxed) == .queued
                    && $0.home.load(ordering: .relaxed) == 1
            })
        other.wasInKernel.store(true, ordering: .relaxed)
        bench.scheduler.finish(
            turns[0], on: workers[0], TurnEnd(.spun, inKernel: true), started: bench.time.instant,
            ran: 1000, now: bench.time.instant)
        let given = try #require(bench.scheduler.next(on: workers[0], now: bench.time.instant))
        #expect(given.task === other)
        #expect(other.counters.values.migrations == 1)
    }
}
