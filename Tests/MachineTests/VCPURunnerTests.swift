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
        func later(_ events: PendingEvents.Events) {
            let (pending, gate) = (pending, gate)
            Thread.detachNewThread {
                Thread.sleep(forTimeInterval: 0.03)
                pending.raise(events)
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
