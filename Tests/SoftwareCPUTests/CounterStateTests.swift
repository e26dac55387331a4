import GuestMemory
import SoftwareCPU
import Testing
import VirtualCPU

@Suite struct CounterStateTests {
    /// A state without a counter's value keeps the machine's, plus what the guest has added: set at a later
    /// moment, a value would be behind all that goes by the machine's counter.
    @Test func aVCPUAddsItsAdjustmentAlone() throws {
        let engine = SoftwareEngine(
            memory: try GuestMemory(byteCount: 1 << 20), events: PendingEvents(),
            tscOffset: 1 << 40
        ) { _, _ in CPUIDResult() }
        let adjustment: UInt64 = 1 << 50
        for wanted in [adjustment, 3 &* adjustment, 0, adjustment] {
            let before = engine.state.modelSpecific
            var state = engine.state
            state.modelSpecific.tsc = 0
            state.modelSpecific.tscAdjust = wanted
            engine.state = state
            let after = engine.state.modelSpecific
            #expect(after.tscAdjust == wanted)
            let moved = after.tsc &- before.tsc &- (wanted &- before.tscAdjust)
            #expect(moved < 1 << 36)
        }
    }
}
