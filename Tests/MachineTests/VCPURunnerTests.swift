import Foundation
import Testing
import VirtualCPU
import Vocabulary

@testable import Machine

/// The runner, driven by scripted exits, without a CPU.
@Suite struct VCPURunnerTests {
    /// A runner with everything around it.
    struct Bench {
        let engine: ScriptedEngine
        let surroundings = ScriptedSurroundings()
        let pending = PendingEvents()
        let gate: WakeGate
        let runner: VCPURunner

        init(_ script: [VMExit], waitsForStartUp: Bool = false, nothingCanWake: Bool = true) {
            engine = ScriptedEngine(script)
            gate = WakeGate(pending)
            runner = VCPURunner(
                index: VCPUIndex(rawValue: 0), engine: engine, surroundings: surroundings,
                pending: pending, gate: gate, waitsForStartUp: waitsForStartUp,
                nothingCanWake: { _ in nothingCanWake }, sleepsDeeply: { _ in })
        }

        /// Raises `events` from another thread after a while.
        func later(_ events: PendingEvents.Events, after seconds: Double = 0.03) {
            let (pending, gate) = (pending, gate)
            Thread.detachNewThread {
                Thread.sleep(forTimeInterval: seconds)
                pending.raise(events)
                gate.wake()
            }
        }

        /// What another vCPU's hypercall does.
        func kick() {
            surroundings.kick.set()
            pending.raise(.kick)
            gate.wake()
        }

        func kickLater() {
            let kick = surroundings.kick
            Thread.detachNewThread { [pending, gate] in
                Thread.sleep(forTimeInterval: 0.03)
                kick.set()
                pending.raise(.kick)
                gate.wake()
            }
        }
    }

    @Test func exitsAreAnswered() {
        let bench = Bench([
            .portRead(port: PortNumber(0x60), width: 1),
            .portWrite(port: PortNumber(0x61), width: 2, value: 9),
            .mmioRead(address: GuestPhysicalAddress(0x1000), width: 8),
            .mmioWrite(address: GuestPhysicalAddress(0x2000), width: 4, value: 8),
            .msrRead(index: 0x1b), .msrRead(index: 0x99),
            .msrWrite(index: 0x1b, value: 1), .msrWrite(index: 0x99, value: 1),
            .counterAdjusted(12),
            .taskPriorityRead, .taskPriorityWrite(7), .hypercall, .shutdown,
        ])
        #expect(bench.runner.run() == .tripleFault)
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

    @Test func haltSleepsUntilAnInterrupt() {
        let bench = Bench([.halt, .shutdown])
        bench.surroundings.interrupts = [0x41]
        bench.later(.interrupt)
        let start = ContinuousClock.now
        #expect(bench.runner.run() == .tripleFault)
        #expect(ContinuousClock.now - start >= .milliseconds(25))
        #expect(bench.engine.calls == ["run", "inject 65", "run"])
    }

    @Test func anInterruptBeforeTheHaltIsNotLost() {
        let bench = Bench([.halt, .shutdown])
        bench.surroundings.interrupts = [0x41]
        bench.engine.onRun = { [pending = bench.pending] run in
            if run == 1 { pending.raise(.interrupt) }
        }
        #expect(bench.runner.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "inject 65", "run"])
    }

    @Test func anAnnouncedInterruptThatIsNotThereDoesNotWake() {
        let bench = Bench([.halt, .shutdown])
        bench.pending.raise(.interrupt)
        bench.later(.leave)
        #expect(bench.runner.run() == .left)
        #expect(bench.engine.calls == ["run"])
    }

    @Test func interruptsWaitWhileTheyAreOff() {
        let bench = Bench([.eventsPending, .shutdown])
        bench.engine.interruptsEnabled = false
        bench.engine.onRun = { [engine = bench.engine] run in
            if run == 1 { engine.interruptsEnabled = true }
        }
        bench.surroundings.interrupts = [0x30]
        bench.pending.raise(.interrupt)
        #expect(bench.runner.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "inject 48", "run"])
    }

    @Test func haltWithInterruptsOffEnds() {
        let bench = Bench([.halt])
        bench.engine.interruptsEnabled = false
        #expect(bench.runner.run() == .haltedForEver)
    }

    @Test func haltWithInterruptsOffWaitsForAnNMI() {
        let bench = Bench([.halt, .shutdown], nothingCanWake: false)
        bench.engine.interruptsEnabled = false
        bench.surroundings.interrupts = [0x30]
        bench.pending.raise(.interrupt)
        bench.later(.nonMaskableInterrupt)
        #expect(bench.runner.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "nmi", "run"])
        #expect(bench.pending.current.contains(.interrupt))
    }

    @Test func aKickEndsAHaltWithInterruptsOff() {
        let bench = Bench([.halt, .shutdown], nothingCanWake: false)
        bench.engine.interruptsEnabled = false
        bench.surroundings.interrupts = [0x30]
        bench.pending.raise(.interrupt)
        bench.kickLater()
        #expect(bench.runner.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "run"])
        #expect(bench.pending.current.contains(.interrupt), "it waits for the guest")
        #expect(bench.surroundings.schedule == ["out", "in"])
    }

    @Test func aKickEndsAHaltWithInterruptsOn() {
        let bench = Bench([.halt, .shutdown])
        bench.kickLater()
        #expect(bench.runner.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "run"])
    }

    @Test(arguments: [true, false])
    func aKickBeforeTheHaltIsNotLost(interruptsEnabled: Bool) {
        let bench = Bench([.pause, .pause, .halt, .halt, .shutdown], nothingCanWake: false)
        bench.engine.interruptsEnabled = interruptsEnabled
        bench.engine.onRun = { [bench] run in if run == 1 { bench.kick() } }
        bench.later(.leave)
        #expect(bench.runner.run() == .left, "the first HLT goes by, the second halts")
        #expect(bench.engine.calls == ["run", "run", "run", "run"])
    }

    @Test func aKickWithoutCauseDoesNotEndAHalt() {
        let bench = Bench([.halt, .shutdown], nothingCanWake: false)
        bench.engine.interruptsEnabled = false
        bench.pending.raise(.kick)
        bench.later(.kick)
        bench.later(.leave, after: 0.06)
        #expect(bench.runner.run() == .left)
        #expect(bench.engine.calls == ["run"])
    }

    @Test func anInterruptThatEndsAHaltUsesTheKickUp() {
        let bench = Bench([.halt, .halt, .shutdown])
        bench.surroundings.interrupts = [0x30]
        // Noted when the vCPU has looked and halted already.
        bench.surroundings.onInterrupt = { $0.kick.set() }
        bench.engine.onRun = { [pending = bench.pending] run in
            if run == 1 { pending.raise(.interrupt) }
        }
        bench.later(.leave)
        #expect(bench.runner.run() == .left)
        #expect(bench.engine.calls == ["run", "inject 48", "run"])
    }

    @Test func aKickKeepsTheGuestFromBeingOver() {
        let (first, second) = (PendingEvents(), PendingEvents())
        let ensemble = VCPUEnsemble(
            pending: [first, second], gates: [WakeGate(first), WakeGate(second)])
        ensemble.sleepsDeeply(true)
        ensemble.sleepsDeeply(true)
        #expect(ensemble.nothingCanWake(VCPUIndex(0)))
        second.raise(.kick)
        #expect(!ensemble.nothingCanWake(VCPUIndex(0)))
    }

    @Test func aFlushThatWasLeftInTheGuestsMemoryIsDone() {
        let bench = Bench([.budgetSpent, .budgetSpent, .halt, .shutdown])
        bench.surroundings.flushes = [false, true, true]
        bench.surroundings.interrupts = [0x30]
        bench.engine.onRun = { [bench] run in if run == 3 { bench.later(.interrupt) } }
        #expect(bench.runner.run() == .tripleFault)
        #expect(
            bench.engine.calls == ["run", "run", "flush", "run", "flush", "inject 48", "run"])
        #expect(bench.surroundings.schedule == ["in", "in", "out", "in"])
    }

    @Test func stolenTimeIsHandedOverOnce() {
        var stolen = StolenTime()
        stolen.start()
        for _ in 0..<3 { stolen.count() }
        _ = stolen.take()
        #expect(stolen.take() == 0)
    }

    @Test func aFlushThatIsAskedForIsDone() {
        let bench = Bench([.eventsPending, .shutdown])
        bench.engine.onRun = { [pending = bench.pending] run in
            if run == 1 { pending.raise(.flushTLB) }
        }
        #expect(bench.runner.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "flush", "run"])
        #expect(bench.pending.current.isEmpty)
    }

    @Test func anApplicationProcessorWaitsForItsStart() {
        let bench = Bench([.shutdown], waitsForStartUp: true, nothingCanWake: false)
        bench.surroundings.startUps = [.initialize, .startUp(vector: 0x9a), .startUp(vector: 1)]
        bench.later(.initialize)
        #expect(bench.runner.run() == .tripleFault)
        #expect(bench.engine.calls == ["reset", "startUp 154", "run"])
    }

    @Test func theBootstrapProcessorGoesOnAtTheResetVectorAfterINIT() {
        let bench = Bench([.halt, .shutdown])
        bench.surroundings.startUps = [.initialize, .startUp(vector: 1)]
        bench.later(.initialize)
        #expect(bench.runner.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "reset", "run"])
    }

    @Test func leaveEndsARunningGuest() {
        let bench = Bench([])
        bench.later(.leave)
        #expect(bench.runner.run() == .left)
        #expect(bench.engine.calls.count > 1)
    }

    @Test func aJumpIntoAHoleEndsWithAReport() {
        let bench = Bench([
            .portWrite(port: PortNumber(0x80), width: 1, value: 1),
            .portWrite(port: PortNumber(0x80), width: 1, value: 1),
            .fetchOutsideMemory(GuestPhysicalAddress(0xdead_0000)),
        ])
        let ending = bench.runner.run()
        #expect(ending == .fetchOutsideMemory(GuestPhysicalAddress(0xdead_0000)))
        let report = bench.runner.postMortem(
            .fetchOutsideMemory(VCPUIndex(rawValue: 0), GuestPhysicalAddress(0xdead_0000)))
        let text = report.description
        #expect(text.contains("jumped to 0xdead0000"))
        #expect(text.contains("rip 0x000000000000fff0"))
        #expect(text.contains("port write 0x80 width 1 value 0x1 (2 times)"))
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
