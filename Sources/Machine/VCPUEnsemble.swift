import Foundation
internal import HostIO
import Scheduler
import Synchronization
import VirtualCPU
import Vocabulary

/// The vCPUs of a machine: starts them, stops them, knows why they ended.
///
/// Owner: the machine. Any thread.
final class VCPUEnsemble: Sendable {
    private struct Life {
        var lifecycle = Lifecycle.created
        /// Why the vCPUs are asked to leave; nil while nobody asked.
        var reason: StopReason?
        var postMortem: PostMortem?
        var started: Instant?
        var ended: Instant?
        var runningCount = 0

        func seconds(to instant: Instant) -> Double? {
            started.map { Double(instant.nanoseconds &- $0.nanoseconds) * 1e-9 }
        }
    }

    private let life = RankedLock(Life(), owner: "machine", rank: .machine)
    /// Left when the last vCPU has ended.
    private let end = DispatchGroup()
    /// vCPUs that only an NMI, INIT or start-up can wake.
    private let deepSleepers = Atomic<Int>(0)
    /// vCPUs that stand still.
    private let parkedCount = Atomic<Int>(0)
    private let pending: [PendingEvents]
    private let group: VCPUGroup
    private let asked: @Sendable () -> Void

    /// - Parameters:
    ///   - pending: one word for each vCPU of the group.
    ///   - asked: the vCPUs are asked to leave, and must not wait for what is far away. Any thread, whatever
    ///     locks it holds, each time.
    init(
        pending: [PendingEvents], group: VCPUGroup, asked: @escaping @Sendable () -> Void = {}
    ) {
        self.pending = pending
        self.group = group
        self.asked = asked
    }

    var lifecycle: Lifecycle { life.withLock { $0.lifecycle } }
    var postMortem: PostMortem? { life.withLock { $0.postMortem } }

    /// When it was started; nil: it was not.
    var started: Instant? { life.withLock { $0.started } }

    /// Seconds from the start to the end, or to now.
    var seconds: Double {
        life.withLock { life in
            life.seconds(to: life.ended ?? HostThread.monotonicNow) ?? 0
        }
    }

    /// Seconds from the start to `instant`; nil: it was not started.
    func seconds(to instant: Instant) -> Double? { life.withLock { $0.seconds(to: instant) } }

    /// What the scheduler counted for each vCPU.
    var scheduling: [VCPUSchedulingStatistics] { group.statistics }

    /// Lets each runner run. Once.
    func start(_ runners: [VCPURunner]) throws(XError) {
        let first = life.withLock { life in
            guard life.lifecycle == .created else { return false }
            life.lifecycle = .running
            life.started = HostThread.monotonicNow
            life.runningCount = runners.count
            return true
        }
        guard first else { return }
        end.enter()
        try group.start(runners)
    }

    /// Asks every vCPU to leave; the first reason given is the machine's. Returns at once.
    func stop(_ reason: StopReason) {
        life.withLock { life in
            if life.reason == nil { life.reason = reason }
            // Never started: nobody is there to end it.
            if life.lifecycle == .created { life.lifecycle = .stopped(reason) }
        }
        asked()
        for (number, pending) in pending.enumerated() {
            pending.raise(.leave)
            group.wake(number)
        }
    }

    // MARK: Standing still

    /// A vCPU begins or ends to stand still.
    func parks(_ parks: Bool) {
        if parks {
            parkedCount.add(1, ordering: .sequentiallyConsistent)
        } else {
            parkedCount.subtract(1, ordering: .sequentiallyConsistent)
        }
    }

    /// Has every vCPU stand still between two instructions. False: they did not in so many seconds, or
    /// the machine does not run; they go on.
    func park(seconds: Double) -> Bool {
        ask(.park)
        let deadline = HostThread.monotonicNow.nanoseconds &+ UInt64(seconds * 1e9)
        while parkedCount.load(ordering: .sequentiallyConsistent)
            < life.withLock({ $0.lifecycle == .running ? $0.runningCount : .max })
        {
            guard HostThread.monotonicNow.nanoseconds < deadline, lifecycle == .running else {
                unpark()
                return false
            }
            HostThread.sleep(nanoseconds: 200_000)
        }
        return true
    }

    /// They go on.
    func unpark() { ask(.unpark) }

    private func ask(_ event: PendingEvents.Events) {
        for (number, pending) in pending.enumerated() {
            pending.raise(event)
            group.wake(number)
        }
    }

    /// Waits until every vCPU has ended, at most `seconds` (nil: as long as it takes). Nil when the
    /// time is up.
    func wait(seconds: Double?) -> StopReason? {
        if case .stopped(let reason) = lifecycle { return reason }
        if let seconds {
            guard end.wait(timeout: .now() + seconds) == .success else { return nil }
        } else {
            end.wait()
        }
        if case .stopped(let reason) = lifecycle { return reason }
        return nil
    }

    /// Whether the guest is over: no vCPU runs or takes interrupts, and none has been asked for
    /// anything. Called by a vCPU that is about to wait for NMI, INIT or start-up.
    func nothingCanWake(_ index: VCPUIndex) -> Bool {
        guard deepSleepers.load(ordering: .sequentiallyConsistent) == pending.count else {
            return false
        }
        return pending.allSatisfy {
            $0.current.isDisjoint(with: [.initialize, .nonMaskableInterrupt, .kick, .leave])
        }
    }

    /// A vCPU begins or ends to wait for NMI, INIT or start-up.
    func sleepsDeeply(_ sleeps: Bool) {
        if sleeps {
            deepSleepers.add(1, ordering: .sequentiallyConsistent)
        } else {
            deepSleepers.subtract(1, ordering: .sequentiallyConsistent)
        }
    }

    /// A vCPU runs no more.
    func finish(_ runner: VCPURunner, _ ending: VCPURunner.Ending) {
        let reason: StopReason? =
            switch ending {
            case .left: nil
            case .tripleFault: .tripleFault(runner.index)
            case .haltedForEver: .haltedForEver(runner.index)
            case .fetchOutsideMemory(let address): .fetchOutsideMemory(runner.index, address)
            }
        if let reason {
            let report = runner.postMortem(reason)
            life.withLock { life in
                if life.postMortem == nil, life.reason == nil { life.postMortem = report }
            }
            stop(reason)
        }
        let last = life.withLock { life in
            life.runningCount -= 1
            guard life.runningCount == 0 else { return false }
            life.ended = HostThread.monotonicNow
            life.lifecycle = .stopped(life.reason ?? .requested)
            return true
        }
        if last { end.leave() }
    }
}
