import TestSupport
import Testing
import VirtualCPU

@testable import Interrupts

@Suite struct LocalAPICStateTests {
    @Test func requestsInServiceAndPrioritiesGoOver() throws {
        let old = ScriptedAPICs(count: 1)
        old.write(0, 0x080, 0x20)
        old[0].request(vector: 0x91, level: true)
        #expect(old[0].acknowledge() == 0x91)
        old[0].request(vector: 0x50, level: false)
        old[0].requestNonMaskableInterrupt()
        old[0].request(.startUp(vector: 3))
        old.write(0, 0x2f0, 0)

        let new = ScriptedAPICs(count: 1)
        try handOver(from: old[0], to: new[0])
        #expect(new.pending[0].current.contains([.nonMaskableInterrupt, .initialize]))
        #expect(new[0].takeStartUpRequests() == [.startUp(vector: 3)])
        #expect(new[0].read(0x0a0) == 0x90)
        #expect(new[0].acknowledge() == nil)
        #expect(new[0].write(0x0b0, 0) == .endOfInterrupt(vector: 0x91))
        #expect(new.pending[0].current.contains(.interrupt))
        #expect(new[0].acknowledge() == 0x50)
        new.write(0, 0x280, 0)
        #expect(new[0].read(0x280) == 1 << 7)
    }

    @Test func aRunningTimerGoesOnByWhatIsLeft() throws {
        let old = ScriptedAPICs(count: 1)
        old.write(0, 0x320, 0x2_0040)
        old.write(0, 0x3e0, 0b1011)
        old.write(0, 0x380, 1_000_000)
        old.advance(1_400_000)
        #expect(old[0].acknowledge() == 0x40)
        old.write(0, 0x0b0, 0)
        let new = ScriptedAPICs(count: 1)
        new.clock.advance(nanoseconds: 77_000_000)
        try handOver(from: old[0], to: new[0])
        #expect(new[0].read(0x390) == 600_000)
        new.advance(599_999)
        #expect(new[0].acknowledge() == nil)
        new.advance(1)
        #expect(new[0].acknowledge() == 0x40)
    }

    @Test func aDeadlineGoesOverAndAFiredOneShotStaysFired() throws {
        let old = ScriptedAPICs(count: 2)
        old.write(0, 0x320, 0x4_0032)
        old[0].deadline = 5_000_000
        old.write(1, 0x320, 0x33)
        old.write(1, 0x3e0, 0b1011)
        old.write(1, 0x380, 100)
        old.advance(100)
        #expect(old[1].acknowledge() == 0x33)
        old.write(1, 0x0b0, 0)
        let new = ScriptedAPICs(count: 2)
        for index in 0..<2 { try handOver(from: old[index], to: new[index]) }
        #expect(new[0].deadline == 5_000_000)
        #expect(new.deadline(0) == 5_000_000)
        #expect(new.deadline(1) == nil)
        new.advance(4_000_000)
        #expect(new[0].acknowledge() == 0x32)
        #expect(new[1].acknowledge() == nil)
    }

    @Test func x2ModeGoesOver() throws {
        let old = ScriptedAPICs(count: 18)
        let new = ScriptedAPICs(count: 18)
        #expect(old[17].setBase(old[17].base | 0x400))
        try handOver(from: old[17], to: new[17])
        #expect(new[17].readX2(0x80d) == 1 << 16 | 1 << 1)
        #expect(new[17].address == old[17].address)
    }

    @Test func aDamagedStateIsRefused() {
        let apics = ScriptedAPICs(count: 1)
        var state = apics[0].captureState()
        state.interruptRequest = []
        #expect(throws: (any Error).self) { try apics[0].restore(state) }
        state = apics[0].captureState()
        state.localVectors.append(0)
        #expect(throws: (any Error).self) { try apics[0].restore(state) }
    }
}
