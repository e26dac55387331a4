internal import Synchronization
import VirtualCPU
import Vocabulary

/// What a worker does between two turns.
extension VCPUScheduler {
    /// What the worker runs next; nil: nothing.
    func next(on worker: Worker, now: Instant) -> Assignment? {
        let carry = worker.carry
        worker.carry = .nothing
        switch carry {
        case .nothing: return choose(on: worker, after: nil, now)
        case .previous(let task): return choose(on: worker, after: task, now)
        case .resume(let assignment): return assignment
        case .handOver(let giver, let receiver):
            putBack(giver, on: worker, now)
            bringOn(receiver.task, worker, now)
            announce(receiver, on: worker, now)
            return receiver
        }
    }

    /// Accounts for a turn and decides what becomes of the task.
    ///
    /// - Parameters:
    ///   - ran: processor time, in nanoseconds.
    func finish(
        _ assignment: Assignment, on worker: Worker, _ end: TurnEnd, started: Instant, ran: UInt64,
        now: Instant
    ) {
        let task = assignment.task
        let group = task.group
        var assignment = assignment
        assignment.time = assignment.time.advanced(by: group.cost(of: ran))
        group.bandwidth?.charge(ran)
        if let payer = assignment.payer {
            payer.debt.add(group.cost(of: ran), ordering: .relaxed)
        } else {
            task.virtualTime = task.virtualTime.advanced(by: group.cost(of: ran))
        }
        task.payDebt()
        task.counters.ran(ran)
        let wall = now.nanoseconds &- min(started.nanoseconds, now.nanoseconds)
        // The host ran something else meanwhile.
        if wall > ran {
            task.stolen &+= wall &- ran
            task.counters.waited(wall &- ran)
        }
        task.wasInKernel.store(end.inKernel, ordering: .relaxed)
        let spun = end.reason == .spun
        if spun, !(end.keptSpinning && task.isSpinning.load(ordering: .relaxed)) {
            task.spinningSince.store(now.nanoseconds, ordering: .relaxed)
        }
        task.isSpinning.store(spun, ordering: .relaxed)
        group.recorder?.turn(
            of: task.index, on: worker.number, from: started, to: now, end)
        switch end.reason {
        case .expired: worker.carry = .previous(task)
        case .ended: task.end()
        case .blocked(let events):
            takeOff(task, preempted: false, now)
            if task.block(until: events) {
                task.isWoken = true
                worker.carry = .previous(task)
            }
        case .spun:
            task.counters.countPauseLoop()
            worker.carry = handOver(assignment, on: worker, to: nil, end.inKernel, now)
        case .yielded(let receiver):
            worker.carry = handOver(assignment, on: worker, to: receiver, end.inKernel, now)
        }
    }

    // MARK: Choice

    private func choose(on worker: Worker, after previous: VCPUTask?, _ now: Instant) -> Assignment?
    {
        var previous = previous
        if let task = previous, task.group.isHeld(now) {
            takeOff(task, preempted: true, now)
            task.phase.store(.queued, ordering: .sequentiallyConsistent)
            worker.withQueue { $0.hold(task) }
            previous = nil
        }
        let own = worker.withQueue { queue in
            queue.release(now: now)
            if previous == nil { queue.running = nil }
            return Self.take(from: &queue, now, before: previous?.virtualTime)
        }
        var chosen = own
        if let stolen = steal(for: worker, insteadOf: own ?? previous, now) {
            if let own {
                own.phase.store(.queued, ordering: .sequentiallyConsistent)
                worker.withQueue { $0.insert(own) }
            }
            chosen = stolen
        }
        if chosen != nil, let previous { putBack(previous, on: worker, now) }
        guard let task = chosen ?? previous else { return nil }
        bringOn(task, worker, now)
        let end = now.advanced(by: slice(of: task, now))
        let assignment = Assignment(
            task: task, sliceEnd: end, latestEnd: end.advanced(by: task.group.settings.boost),
            time: task.virtualTime)
        announce(assignment, on: worker, now)
        return assignment
    }

    private static func take(
        from queue: inout RunQueue, _ now: Instant, before limit: VirtualTime?,
        for thief: Int? = nil
    ) -> VCPUTask? {
        let task = queue.takeFirst(now: now, before: limit, for: thief)
        task?.phase.store(.running, ordering: .sequentiallyConsistent)
        return task
    }

    /// The one that is furthest behind in the other queues, if it is so by more than a slice: that
    /// keeps all vCPUs close together without moving them all the time.
    private func steal(for worker: Worker, insteadOf own: VCPUTask?, _ now: Instant) -> VCPUTask? {
        var victim: (worker: Worker, time: VirtualTime)?
        for other in workers where other !== worker && other.count > 0 {
            let time = other.minimum
            if victim.map({ time < $0.time }) ?? true { victim = (other, time) }
        }
        guard let victim else { return nil }
        let limit = own.map {
            $0.virtualTime.reduced(by: $0.group.cost(of: $0.group.settings.slice))
        }
        if let limit, !(victim.time < limit) { return nil }
        let task = victim.worker.withQueue {
            Self.take(from: &$0, now, before: limit, for: worker.number)
        }
        guard let task else { return nil }
        let reach = task.group.cost(of: task.group.settings.slice) &* Self.longestLead
        worker.withQueue { queue in
            // A queue with nothing in it has no time of its own.
            if own == nil { queue.raiseFloor(to: task.virtualTime) }
            queue.bring(task, credit: reach, lead: reach)
        }
        return task
    }

    private func slice(of task: VCPUTask, _ now: Instant) -> UInt64 {
        let slice = task.group.settings.slice
        guard let bandwidth = task.group.bandwidth else { return slice }
        return min(slice, UInt64(clamping: max(100_000, bandwidth.remaining(now: now))))
    }

    // MARK: Coming and going

    /// Lets those who wake others know what the worker runs.
    private func announce(_ assignment: Assignment, on worker: Worker, _ now: Instant) {
        let task = assignment.task
        worker.withQueue {
            $0.running = RunQueue.Running(
                task: task, since: now, time: assignment.time,
                protectedUntil: assignment.protectedUntil)
        }
    }

    private func bringOn(_ task: VCPUTask, _ worker: Worker, _ now: Instant) {
        if task.home.exchange(worker.number, ordering: .relaxed) != worker.number {
            task.counters.countMigration()
        }
        guard !task.isScheduledIn else { return }
        let wait = now.nanoseconds &- min(task.readySince.nanoseconds, now.nanoseconds)
        task.counters.waited(wait)
        if task.isWoken { task.counters.wokeUp(after: wait) }
        task.isWoken = false
        task.counters.countSlice()
        task.isScheduledIn = true
        task.body?.scheduledIn(stolenNanoseconds: task.stolen &+ wait)
        task.stolen = 0
    }

    private func takeOff(_ task: VCPUTask, preempted: Bool, _ now: Instant) {
        task.readySince = now
        guard task.isScheduledIn else { return }
        task.isScheduledIn = false
        if preempted { task.counters.countPreemption() }
        task.body?.scheduledOut(preempted: preempted)
    }

    private func putBack(_ task: VCPUTask, on worker: Worker, _ now: Instant) {
        takeOff(task, preempted: true, now)
        task.phase.store(.queued, ordering: .sequentiallyConsistent)
        worker.withQueue { $0.insert(task) }
        alertIdle(for: task.group)
    }

    // MARK: Directed yield

    /// What a worker does whose vCPU wants to give its slice away: to `wanted`, or to the best.
    private func handOver(
        _ assignment: Assignment, on worker: Worker, to wanted: VCPUIndex?, _ inKernel: Bool,
        _ now: Instant
    ) -> Worker.Carry {
        let giver = assignment.task
        let group = giver.group
        // Nothing is left of the slice to give: others have their turn, who may well be the ones that
        // everybody here waits for.
        guard group.settings.directedYield, now < assignment.sliceEnd, !group.isHeld(now) else {
            return goOn(assignment, now)
        }
        let found = wanted.map { named($0, besides: giver) } ?? receiver(for: giver, inKernel)
        guard let (receiver, rank) = found, take(receiver, for: worker) else {
            giver.counters.countYield(isDone: false)
            return goOn(assignment, now)
        }
        giver.counters.countYield(isDone: true)
        receiver.counters.countReceivedSlice()
        receiver.passedOverCount.store(0, ordering: .relaxed)
        group.lastReceiver.store(receiver.number, ordering: .relaxed)
        group.recorder?.yield(
            from: giver.index, to: receiver.index, on: worker.number, at: now)
        var given = assignment
        given.task = receiver
        // Who gave a slice away has had it. Would the receiver pay, then those that spin would stay
        // behind all others, and get one slice after the other to hand round among themselves. So it
        // is the giver's time, too, that wake-ups are compared with.
        given.payer = given.payer ?? giver
        if rank != .spinning {
            // Long enough to come out of the lock, whatever is left of the slice.
            given.protectedUntil = min(now.advanced(by: group.settings.boost), given.latestEnd)
            given.sliceEnd = max(given.sliceEnd, given.protectedUntil)
        }
        return .handOver(giver: giver, receiver: given)
    }

    private func goOn(_ assignment: Assignment, _ now: Instant) -> Worker.Carry {
        now < assignment.sliceEnd ? .resume(assignment) : .previous(assignment.task)
    }

    private func named(_ index: VCPUIndex, besides giver: VCPUTask) -> (VCPUTask, YieldPolicy.Rank)?
    {
        let number = Int(clamping: index.rawValue)
        guard number < giver.group.tasks.count, number != giver.number else { return nil }
        return (giver.group.tasks[number], .answersSpinner)
    }

    private func receiver(for spinner: VCPUTask, _ inKernel: Bool) -> (VCPUTask, YieldPolicy.Rank)?
    {
        let tasks = spinner.group.tasks
        let last = spinner.group.lastReceiver.load(ordering: .relaxed)
        var best: (VCPUTask, YieldPolicy.Rank)?
        var earliest = UInt64.max
        for step in 1...tasks.count {
            let other = tasks[(last &+ step) % tasks.count]
            guard other !== spinner, other.phase.load(ordering: .relaxed) == .queued else {
                continue
            }
            switch YieldPolicy.judge(candidate(other, for: spinner), spinnerInKernel: inKernel) {
            case .no: break
            case .passOver: other.passedOverCount.add(1, ordering: .relaxed)
            case .take(let rank):
                if rank == .answersSpinner { return (other, rank) }
                let since = rank == .spinning ? other.spinningSince.load(ordering: .relaxed) : 0
                if best.map({ (rank, since) < ($0.1, earliest) }) ?? true {
                    best = (other, rank)
                    earliest = since
                }
            }
        }
        return best
    }

    private func candidate(_ task: VCPUTask, for spinner: VCPUTask) -> YieldPolicy.Candidate {
        var result = YieldPolicy.Candidate()
        result.isReady = true
        result.wasInKernel = task.wasInKernel.load(ordering: .relaxed)
        result.isSpinning = task.isSpinning.load(ordering: .relaxed)
        result.passedOverCount = task.passedOverCount.load(ordering: .relaxed)
        result.spinsLonger =
            task.spinningSince.load(ordering: .relaxed)
            < spinner.spinningSince.load(ordering: .relaxed)
        result.hasInterrupt =
            !task.pending.current.isDisjoint(with: [.interrupt, .nonMaskableInterrupt])
        if result.hasInterrupt {
            result.wasInterruptedBySpinner = spinner.body?.hasInterrupted(task.index) ?? false
        }
        return result
    }

    /// Takes a task out of whatever queue it is in. False: it is in none.
    private func take(_ task: VCPUTask, for worker: Worker) -> Bool {
        if let allowed = task.group.workers, !allowed.contains(worker.number) { return false }
        guard task.phase.load(ordering: .relaxed) == .queued else { return false }
        let home = workers[task.home.load(ordering: .relaxed)]
        // An idle worker has been woken for it and runs it at once.
        if home !== worker, home.wakesUp { return false }
        return home.withQueue { queue in
            guard queue.take(task) else { return false }
            task.phase.store(.running, ordering: .sequentiallyConsistent)
            return true
        }
    }
}
