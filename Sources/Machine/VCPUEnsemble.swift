import Foundation
import Glibc
internal import HostIO
import Synchronization
import VirtualCPU
import Vocabulary

/// The vCPUs of a machine and their threads: starts them, stops them, knows why they ended.
///
/// Owner: the machine. Any thread.
final class VCPUEnsemble: Sendable {
    private struct Life {
        var lifecycle = Lifecycle.created
        /// Why the vCPUs are asked to leave; nil while nobody asked.
        var reason: StopReason?
        var postMortem: PostMortem?
        var started: ContinuousClock.Instant?
        var ended: ContinuousClock.Instant?
        var runningThreads = 0
        var processorNanoseconds: UInt64 = 0
    }

    private let life = RankedLock(Life(), owner: "machine", rank: .machine)
    /// Left when the last vCPU thread has ended.
    private let end = DispatchGroup()
    /// vCPUs that only an NMI, INIT or start-up can wake.
    private let deepSleepers = Atomic<Int>(0)
    private let pending: [PendingEvents]
    private let gates: [WakeGate]

    /// One word and one gate for each vCPU.
    init(pending: [PendingEvents], gates: [WakeGate]) {
        self.pending = pending
        self.gates = gates
    }

    var lifecycle: Lifecycle { life.withLock { $0.lifecycle } }
    var postMortem: PostMortem? { life.withLock { $0.postMortem } }

    /// Seconds from the start to the end, or to now.
    var seconds: Double {
        life.withLock { life in
            guard let started = life.started else { return 0 }
            return (life.ended ?? .now).duration(to: started).seconds.magnitude
        }
    }

    /// CPU time of the vCPU threads that have ended, in seconds.
    var processorSeconds: Double {
        life.withLock { Double($0.processorNanoseconds) / 1e9 }
    }

    /// Starts a thread for each runner. Once.
    func start(_ runners: [VCPURunner]) {
        let first = life.withLock { life in
            guard life.lifecycle == .created else { return false }
            life.lifecycle = .running
            life.started = .now
            life.runningThreads = runners.count
            return true
        }
        guard first else { return }
        end.enter()
        for runner in runners {
            let thread = Thread { [self] in
                finish(runner, runner.run())
            }
            thread.name = "vcpu\(runner.index.rawValue)"
            thread.stackSize = 8 << 20
            thread.start()
        }
    }

    /// Asks every vCPU to leave; the first reason given is the machine's. Returns at once.
    func stop(_ reason: StopReason) {
        life.withLock { life in
            if life.reason == nil { life.reason = reason }
            // Never started: nobody is there to end it.
            if life.lifecycle == .created { life.lifecycle = .stopped(reason) }
        }
        for (pending, gate) in zip(pending, gates) {
            pending.raise(.leave)
            gate.wake()
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

    private func finish(_ runner: VCPURunner, _ ending: VCPURunner.Ending) {
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
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        let spent = UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
        let last = life.withLock { life in
            life.processorNanoseconds &+= spent
            life.runningThreads -= 1
            guard life.runningThreads == 0 else { return false }
            life.ended = .now
            life.lifecycle = .stopped(life.reason ?? .requested)
            return true
        }
        if last { end.leave() }
    }
}

extension Duration {
    /// In seconds.
    var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
