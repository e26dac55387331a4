import Testing
import VirtualCPU
import Vocabulary

@testable import Machine

/// A vCPU that has touched a page which is absent.
struct AbsentPageRunnerTests {
    private static let absent = VMExit.pageAbsent(GuestPhysicalAddress(0x5000))

    @Test func itWaitsForThePage() throws {
        let bench = try VCPURunnerTests.Bench([Self.absent, .shutdown])
        bench.surroundings.absentPage = .wait
        bench.later(.pageReady)
        #expect(try bench.run() == .tripleFault)
        #expect(bench.surroundings.writes == ["absent 20480"])
        #expect(bench.surroundings.readyPages == 1)
        #expect(bench.engine.calls == ["run", "run"])
    }

    @Test func anInterruptComesFirst() throws {
        let bench = try VCPURunnerTests.Bench([Self.absent, .shutdown])
        bench.surroundings.absentPage = .wait
        bench.surroundings.interrupts = [0x30]
        bench.later(.interrupt)
        #expect(try bench.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "inject 48", "run"])
        #expect(bench.surroundings.readyPages == 0)
    }

    /// It waits for the page alone: an interrupt stays where it is.
    @Test func withInterruptsOffItGoesOnWithThePage() throws {
        let bench = try VCPURunnerTests.Bench([Self.absent, .shutdown])
        bench.surroundings.absentPage = .wait
        bench.surroundings.interrupts = [0x30]
        bench.engine.interruptsEnabled = false
        bench.pending.raise(.interrupt)
        bench.later(.pageReady)
        #expect(try bench.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "run"])
    }

    @Test func theGuestIsTold() throws {
        let bench = try VCPURunnerTests.Bench([Self.absent, .shutdown])
        bench.surroundings.absentPage = .notPresent(token: 0x1003)
        #expect(try bench.run() == .tripleFault)
        #expect(bench.engine.pageFaults == [0x1003])
    }

    /// The guest has put its task to sleep, and its processor with it: it hears of the page at once.
    @Test func aHaltedGuestIsToldOfThePage() throws {
        let bench = try VCPURunnerTests.Bench([.halt, .shutdown])
        bench.surroundings.onReadyPages = {
            [surroundings = bench.surroundings, pending = bench.pending] in
            surroundings.interrupts = [0xec]
            pending.raise(.interrupt)
        }
        bench.later(.pageReady)
        #expect(try bench.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "inject 236", "run"])
    }

    @Test func whatIsThereIsNotWaitedFor() throws {
        let bench = try VCPURunnerTests.Bench([Self.absent, Self.absent, .shutdown])
        #expect(try bench.run() == .tripleFault)
        #expect(bench.engine.calls == ["run", "run", "run"])
    }

    /// An event in the midst of its delivery is no state to stand still in.
    @Test func itDoesNotParkWithinADelivery() throws {
        let bench = try VCPURunnerTests.Bench([Self.absent, .shutdown])
        bench.surroundings.absentPage = .wait
        bench.engine.isDelivering = true
        bench.pending.raise(.park)
        bench.engine.onRun = { [engine = bench.engine] in if $0 == 2 { engine.isDelivering = false }
        }
        bench.later(.pageReady)
        #expect(try bench.run() == .tripleFault)
    }
}
