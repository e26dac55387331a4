import Vocabulary

/// The tasks that wait for one worker, in the order of their virtual time. Without lock and clock.
struct RunQueue: Sendable {
    private struct Entry: Sendable {
        var time: VirtualTime
        var task: VCPUTask
    }

    /// What the worker runs, for those who wake somebody that could take its place.
    struct Running: Sendable {
        var task: VCPUTask
        var since: Instant
        /// Its virtual time then.
        var time: VirtualTime
        /// A boosted task is not preempted before.
        var protectedUntil: Instant
    }

    /// The next to run is the last.
    private var ready: [Entry] = []
    /// The cap of their VM is used up.
    private var held: [VCPUTask] = []
    /// The virtual time the queue has come to; never goes back. Who comes in is put near it.
    private(set) var floor = VirtualTime()
    var running: Running?

    var count: Int { ready.count }
    /// Those of them that any worker may run.
    private(set) var unboundCount = 0
    var heldCount: Int { held.count }
    /// The least virtual time of those that wait.
    var minimum: VirtualTime? { ready.last?.time }

    /// Of equal times the older entry runs first.
    mutating func insert(_ task: VCPUTask) {
        var low = 0
        var high = ready.count
        while low < high {
            let middle = (low + high) / 2
            if task.virtualTime < ready[middle].time { low = middle + 1 } else { high = middle }
        }
        ready.insert(Entry(time: task.virtualTime, task: task), at: low)
        if task.group.workers == nil { unboundCount += 1 }
    }

    private mutating func remove(at index: Int) -> VCPUTask {
        let task = ready.remove(at: index).task
        if task.group.workers == nil { unboundCount -= 1 }
        return task
    }

    mutating func hold(_ task: VCPUTask) { held.append(task) }

    /// Brings the virtual time of a task that comes from elsewhere near that of this queue: one that
    /// slept gets no more than `credit` for it, one that comes from a queue far ahead waits no longer
    /// than `lead`.
    func bring(_ task: VCPUTask, credit: UInt64, lead: UInt64) {
        let least = floor.reduced(by: credit)
        let most = floor.advanced(by: lead)
        if task.virtualTime < least { task.virtualTime = least }
        if most < task.virtualTime { task.virtualTime = most }
    }

    mutating func raiseFloor(to time: VirtualTime) {
        if floor < time { floor = time }
    }

    /// Takes the next to run; only one that is before `limit` and may run on `thief`, if given. Sets
    /// those aside whose VM has used up its time.
    mutating func takeFirst(
        now: Instant, before limit: VirtualTime? = nil, for thief: Int? = nil
    ) -> VCPUTask? {
        var index = ready.count - 1
        while index >= 0 {
            let entry = ready[index]
            if let limit, !(entry.time < limit) { return nil }
            if entry.task.group.isHeld(now) {
                held.append(remove(at: index))
            } else if entry.task.payDebt() {
                // It is where it was before it gave slices away.
                insert(remove(at: index))
                index = ready.count
            } else if let thief, let allowed = entry.task.group.workers, !allowed.contains(thief) {
                // Stays.
            } else {
                if thief == nil { raiseFloor(to: entry.time) }
                return remove(at: index)
            }
            index -= 1
        }
        return nil
    }

    /// Takes this one. False: it is not here.
    mutating func take(_ task: VCPUTask) -> Bool {
        guard let index = ready.lastIndex(where: { $0.task === task }) else { return false }
        task.payDebt()
        _ = remove(at: index)
        return true
    }

    /// Puts back those whose VM may run again; each is brought near the queue's time first.
    mutating func release(now: Instant) {
        guard !held.isEmpty else { return }
        var kept: [VCPUTask] = []
        for task in held {
            if task.group.isHeld(now) {
                kept.append(task)
            } else {
                bring(task, credit: 0, lead: task.group.cost(of: task.group.settings.slice))
                insert(task)
            }
        }
        held = kept
    }

    /// When the first of those set aside may run again.
    func nextRelease(after now: Instant) -> Instant? {
        held.compactMap { $0.group.bandwidth?.nextPeriod(after: now) }.min()
    }
}
