import Foundation
import Synchronization
import Testing
import VirtualCPU
import Vocabulary

@testable import Machine
@testable import Scheduler

/// The runner, driven by scripted exits, without a CPU.
@Suite struct VCPURunnerTests {
    /// A runner with everything around it, on a worker of its own.
    final class Bench: Sendable {
        /// How the runner ended.
        private final class Outcome: Sendable {
            let ending = Mutex<VCPURunner.Ending?>(nil)
            let isThere = DispatchSemaphore(value: 0)
        }

        let engine: ScriptedEngine
        let surroundings = ScriptedSurroundings()
        let pending = PendingEvents()
        let runner: VCPURunner
        private let group: VCPUGroup
        private let scheduler: VCPUScheduler
        private let outcome = Outcome()

        init(_ script: [VMExit], waitsForStartUp: Bool = false, nothingCanWake: Bool = true) throws
        {
            engine = ScriptedEngine(script)
            scheduler = VCPUScheduler()
            group = try VCPUGroup(scheduler, pending: [pending])
            runner = VCPURunner(
                index: VCPUIndex(rawValue: 0), engine: engine, surroundings: surroundings,
                pending: pending, waitsForStartUp: waitsForStartUp,
                nothingCanWake: { _ in nothingCanWake }, sleepsDeeply: { _ in },
                hasEnded: { [outcome] _, ending in
                    outcome.ending.withLock { $0 = ending }
                    outcome.isThere.signal()
                })
        }

        deinit { scheduler.stop() }

        /// Lets it run to its end.
        func run() throws -> VCPURunner.Ending {
            try group.start([runner])
            outcome.isThere.wait()
            return try #require(outcome.ending.withLock { $0 })
        }

        var statistics: VCPUSchedulingStatistics { group.statistics[0] }

        /// Raises `events` from another thread after a while.
        func later(_ events: PendingEvents.Events, after seconds: Double = 0.03) {
            Thread.detachNewThread { [self] in
                Thread.sleep(forTimeInterval: seconds)
                pending.raise(events)
                group.wake(0)
            }
        }

        /// What another vCPU's hypercall does.
        func kick() {
            surroundings.kick.set()
            pending.raise(.kick)
            group.wake(0)
        }

        func kickLater() {
            Thread.detachNewThread { [self] in
                Thread.sleep(forTimeInterval: 0.03)
                kick()
            }
        }
    }

    @Test func exitsAreAnswered() throws {
        let bench = try Bench([
            .portRead(port: PortNumber(0x60), width: 1),
            .portWrite(port: PortNumber(0x61), width: 2, value: 9),
            .mmioRead(address: GuestPhysicalAddress(0x1000), width: 8),
            .mmioWrite(address: GuestPhysicalAddress(0x2000), width: 4, value: 8),
            .msrRead(index: 0x1b), .msrRead(index: 0x99),
            .msrWrite(index: 0x1b, value: 1), .msrWrite(index: 0x99, value: 1),
            .counterAdjusted(12),
            .taskPriorityRead, .taskPriorityWrite(7), .hypercall, .shutdown,
        ])
        #expect(try bench.run() == .tripleFault)
        #expect(
            bench.engine.calls.filter { $0 != "run" } == [
                "read 97", "read 4098", "msr 77", "msrFault", "msrWrite", "msrFault",
                "msrWrite", "msr 3",
                "hypercall 5",
            ])
        #expect(bench.surroundings.writes == ["port 97 2 9", "memory 8192 4 8", "counter 12"])
        #expect(bench.surroundings.taskPriority == 7)
        #expect(bench.runner.report.exits[.msrRead] == 2)
        #expect(bench.runner.report.exits[.shutdown] == 1)
    }

    @Test func haltSleepsUntilAnInterrupt() throws {
        let bench = try Bench([.halt, .shutdown])
        bench.surroundings.interrupts = [0x41]
        let start = ContinuousClock.now
        bench.later(.interrupt)
        #expect(try bench.run() == .tripleFault)
        #expect(ContinuousClock.now - start >= .milliseconds(25))
        #expect(bench.engine.calls == ["run", "inject 65", "run"])
    }

    @Test func anInterruptBeforeTheHaltIsNotLost() throws {
        let bench = try Bench([.halt, .shutdown])
        bench.surroundings.interrupts = [0x41]
        bench.engine.onRun = { [pending = bench.pending] run in
            if run == 1 { pending.raise(.interrupt) }
        }
        #expect(try bench.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "inject 65", "run"])
    }

    @Test func anAnnouncedInterruptThatIsNotThereDoesNotWake() throws {
        let bench = try Bench([.halt, .shutdown])
        bench.pending.raise(.interrupt)
        bench.later(.leave)
        #expect(try bench.run() == .left)
        #expect(bench.engine.calls == ["run"])
    }

    @Test func interruptsWaitWhileTheyAreOff() throws {
        let bench = try Bench([.eventsPending, .shutdown])
        bench.engine.interruptsEnabled = false
        bench.engine.onRun = { [engine = bench.engine] run in
            if run == 1 { engine.interruptsEnabled = true }
        }
        bench.surroundings.interrupts = [0x30]
        bench.pending.raise(.interrupt)
        #expect(try bench.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "inject 48", "run"])
    }

    @Test func haltWithInterruptsOffEnds() throws {
        let bench = try Bench([.halt])
        bench.engine.interruptsEnabled = false
        #expect(try bench.run() == .haltedForEver)
    }

    @Test func haltWithInterruptsOffWaitsForAnNMI() throws {
        let bench = try Bench([.halt, .shutdown], nothingCanWake: false)
        bench.engine.interruptsEnabled = false
        bench.surroundings.interrupts = [0x30]
        bench.pending.raise(.interrupt)
        bench.later(.nonMaskableInterrupt)
        #expect(try bench.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "nmi", "run"])
        #expect(bench.pending.current.contains(.interrupt))
    }

    @Test func aKickEndsAHaltWithInterruptsOff() throws {
        let bench = try Bench([.halt, .shutdown], nothingCanWake: false)
        bench.engine.interruptsEnabled = false
        bench.surroundings.interrupts = [0x30]
        bench.pending.raise(.interrupt)
        bench.kickLater()
        #expect(try bench.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "run"])
        #expect(bench.pending.current.contains(.interrupt), "it waits for the guest")
        #expect(bench.surroundings.schedule == ["in", "out", "in"])
    }

    @Test func aKickEndsAHaltWithInterruptsOn() throws {
        let bench = try Bench([.halt, .shutdown])
        bench.kickLater()
        #expect(try bench.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "run"])
    }

    @Test(arguments: [true, false])
    func aKickBeforeTheHaltIsNotLost(interruptsEnabled: Bool) throws {
        let bench = try Bench([.pause, .pause, .halt, .halt, .shutdown], nothingCanWake: false)
        bench.engine.interruptsEnabled = interruptsEnabled
        bench.engine.onRun = { [bench] run in if run == 1 { bench.kick() } }
        bench.later(.leave)
        #expect(try bench.run() == .left, "the first HLT goes by, the second halts")
        #expect(bench.engine.calls == ["run", "run", "run", "run"])
    }

    @Test func aKickWithoutCauseDoesNotEndAHalt() throws {
        let bench = try Bench([.halt, .shutdown], nothingCanWake: false)
        bench.engine.interruptsEnabled = false
        bench.pending.raise(.kick)
        bench.later(.kick)
        bench.later(.leave, after: 0.06)
        #expect(try bench.run() == .left)
        #expect(bench.engine.calls == ["run"])
    }

    @Test func anInterruptThatEndsAHaltUsesTheKickUp() throws {
        let bench = try Bench([.halt, .halt, .shutdown])
        bench.surroundings.interrupts = [0x30]
        // Noted when the vCPU has looked and halted already.
        bench.surroundings.onInterrupt = { $0.kick.set() }
        bench.engine.onRun = { [pending = bench.pending] run in
            if run == 1 { pending.raise(.interrupt) }
        }
        bench.later(.leave)
        #expect(try bench.run() == .left)
        #expect(bench.engine.calls == ["run", "inject 48", "run"])
    }

    @Test func aKickKeepsTheGuestFromBeingOver() throws {
        let (first, second) = (PendingEvents(), PendingEvents())
        let ensemble = VCPUEnsemble(
            pending: [first, second],
            group: try VCPUGroup(VCPUScheduler(), pending: [first, second]))
        ensemble.sleepsDeeply(true)
        ensemble.sleepsDeeply(true)
        #expect(ensemble.nothingCanWake(VCPUIndex(0)))
        second.raise(.kick)
        #expect(!ensemble.nothingCanWake(VCPUIndex(0)))
    }

    @Test func aFlushThatWasLeftInTheGuestsMemoryIsDone() throws {
        let bench = try Bench([.halt, .shutdown])
        bench.surroundings.flushes = [false, true]
        bench.surroundings.interrupts = [0x30]
        bench.later(.interrupt)
        #expect(try bench.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "flush", "inject 48", "run"])
        #expect(bench.surroundings.schedule == ["in", "out", "in"])
    }

    @Test func aFlushThatIsAskedForIsDone() throws {
        let bench = try Bench([.eventsPending, .shutdown])
        bench.engine.onRun = { [pending = bench.pending] run in
            if run == 1 { pending.raise(.flushTLB) }
        }
        #expect(try bench.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "flush", "run"])
        #expect(bench.pending.current.isEmpty)
    }

    @Test func anApplicationProcessorWaitsForItsStart() throws {
        let bench = try Bench([.shutdown], waitsForStartUp: true, nothingCanWake: false)
        bench.surroundings.startUps = [.initialize, .startUp(vector: 0x9a), .startUp(vector: 1)]
        bench.later(.initialize)
        #expect(try bench.run() == .tripleFault)
        #expect(bench.engine.calls == ["reset", "startUp 154", "run"])
    }

    @Test func theBootstrapProcessorGoesOnAtTheResetVectorAfterINIT() throws {
        let bench = try Bench([.halt, .shutdown])
        bench.surroundings.startUps = [.initialize, .startUp(vector: 1)]
        bench.later(.initialize)
        #expect(try bench.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "reset", "run"])
    }

    @Test func leaveEndsARunningGuest() throws {
        let bench = try Bench([])
        bench.later(.leave)
        #expect(try bench.run() == .left)
        #expect(bench.engine.calls.count > 1)
    }

    @Test func aJumpIntoAHoleEndsWithAReport() throws {
        let bench = try Bench([
            .portWrite(port: PortNumber(0x80), width: 1, value: 1),
            .portWrite(port: PortNumber(0x80), width: 1, value: 1),
            .fetchOutsideMemory(GuestPhysicalAddress(0xdead_0000)),
        ])
        let ending = try bench.run()
        #expect(ending == .fetchOutsideMemory(GuestPhysicalAddress(0xdead_0000)))
        let report = bench.runner.postMortem(
            .fetchOutsideMemory(VCPUIndex(rawValue: 0), GuestPhysicalAddress(0xdead_0000)))
        let text = report.description
        #expect(text.contains("jumped to 0xdead0000"))
        #expect(text.contains("rip 0x000000000000fff0"))
        #expect(text.contains("port write 0x80 width 1 value 0x1 (2 times)"))
    }

    @Test func aPauseLoopEndsTheTurn() throws {
        let bench = try Bench([.pause, .pause, .shutdown])
        #expect(try bench.run() == .tripleFault)
        #expect(bench.statistics.pauseLoops == 2)
        #expect(bench.statistics.yieldsAttempted == 2)
    }

    @Test func budgetsFollowTheEnginesSpeed() {
        var rate = InstructionRate()
        // 400 instructions a microsecond.
        for _ in 0..<100 {
            let budget = rate.budget(nanoseconds: 500_000)
            rate.spent(budget, nanoseconds: UInt64(budget) * 1000 / 400)
        }
        #expect((380...420).contains(rate.instructionsPerMicrosecond))
        #expect(rate.budget(nanoseconds: 100_000) <= 42_000)
        #expect(rate.budget(nanoseconds: .max) == rate.budget(nanoseconds: 500_000))
        #expect(rate.budget(nanoseconds: 0) == InstructionRate.leastBudget)
        // The host took the processor away: that says little.
        rate.spent(1000, nanoseconds: .max)
        #expect(rate.instructionsPerMicrosecond > 300)
        rate.spent(4_000_000, nanoseconds: 0)
        #expect(rate.instructionsPerMicrosecond < 700)
    }

    @Test func sentInterruptsAreRemembered() {
        var sent = SentInterrupts<Int>()
        #expect(!sent.contains { $0 == 0 })
        for command in 0..<6 { sent.insert(command) }
        #expect((2..<6).allSatisfy { command in sent.contains { $0 == command } })
        #expect(!sent.contains { $0 < 2 })
    }

    @Test func theHistoryKeepsTheLastSixteen() {
        var history = ExitHistory()
        for index in 0..<40 as Range<UInt32> { history.record(.msrRead(index: index)) }
        #expect(history.lastExits.count == 16)
        #expect(history.lastExits.first?.exit == .msrRead(index: 24))
        #expect(history.lastExits.last?.exit == .msrRead(index: 39))
        #expect(history.counts[.msrRead] == 40)
    }
}
