import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// When a loop of PAUSE leaves the engine.
@Suite struct PauseLoopTests {
    static let loop: UInt64 = 0x1000
    static let elsewhere: UInt64 = 0x1100

    /// 32-bit code: at `loop` PAUSE, `gap` times NOP and a jump back; at `elsewhere` PAUSE and a jump
    /// over a page to 30 times NOP and a jump to `loop`.
    private func engine(gap: Int = 0) throws -> SoftwareEngine {
        let memory = try GuestMemory(regions: [
            MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 1 << 20)
        ])
        func write(_ start: UInt64, _ bytes: [UInt8], jumpTo target: UInt64) {
            let end = start + UInt64(bytes.count) + 5
            let displacement = UInt32(truncatingIfNeeded: target &- end)
            let jump = (0..<4).map { UInt8(truncatingIfNeeded: displacement >> (8 * $0)) }
            memory.write(GuestPhysicalAddress(start), bytes + [0xe9] + jump)
        }
        let (pause, nop): ([UInt8], UInt8) = ([0xf3, 0x90], 0x90)
        write(Self.loop, pause + Array(repeating: nop, count: gap), jumpTo: Self.loop)
        write(Self.elsewhere, pause, jumpTo: 0x2000)
        write(0x2000, Array(repeating: nop, count: 30), jumpTo: Self.loop)
        let engine = SoftwareEngine(memory: memory, events: PendingEvents()) { _, _ in
            CPUIDResult()
        }
        var state = ArchitecturalState()
        state.cs = .init(selector: 0x10, base: 0, limit: .max, attributes: 0xc09b)
        state.ss = .init(selector: 0x18, base: 0, limit: .max, attributes: 0xc093)
        state.cr0 = 0x11
        state.rip = Self.loop
        engine.state = state
        return engine
    }

    @Test func theCountLeavesBehindThePause() throws {
        let engine = try engine()
        engine.pauseLoop = PauseLoop(count: 10, window: 8)
        #expect(engine.run(budget: 10_000) == .pause)
        #expect(engine.state.rip == Self.loop + 2)
        #expect(engine.statistics.instructionsRetired == 19, "10 times PAUSE, 9 jumps")
        #expect(engine.run(budget: 10_000) == .pause)
        #expect(engine.keptSpinning)
        #expect(engine.privilegeLevel == 0)
    }

    @Test func withoutAWatchNothingLeaves() throws {
        let engine = try engine()
        #expect(engine.run(budget: 1000) == .budgetSpent)
        engine.pauseLoop = PauseLoop(count: 10, window: 8)
        engine.pauseLoop = nil
        #expect(engine.run(budget: 1000) == .budgetSpent)
    }

    @Test(arguments: [(6, true), (7, false)])
    func theWindowIsBetweenTwo(gap: Int, leaves: Bool) throws {
        let engine = try engine(gap: gap)
        // From PAUSE to PAUSE: the NOPs, the jump, and PAUSE itself.
        engine.pauseLoop = PauseLoop(count: 10, window: 8)
        #expect(engine.run(budget: 1000) == (leaves ? .pause : .budgetSpent))
    }

    @Test func whoDoesSomethingElseHasNotKeptSpinning() throws {
        let engine = try engine()
        engine.pauseLoop = PauseLoop(count: 10, window: 8)
        #expect(engine.run(budget: 10_000) == .pause)
        engine.state.rip = Self.elsewhere
        #expect(engine.run(budget: 10_000) == .pause)
        #expect(!engine.keptSpinning)
    }
}
