import Interrupts
import TestSupport
import Testing
import VirtualCPU

@Suite struct LocalAPICTests {
    @Test func prioritiesOrderDelivery() {
        let apics = ScriptedAPICs(count: 1)
        let apic = apics[0]
        apic.request(vector: 0x41, level: false)
        apic.request(vector: 0x52, level: false)
        #expect(apics.pending[0].current.contains(.interrupt))
        #expect(apic.acknowledge() == 0x52)
        // 0x41 waits for the end of 0x52; 0x61 does not.
        #expect(apic.acknowledge() == nil)
        apic.request(vector: 0x61, level: false)
        #expect(apic.acknowledge() == 0x61)
        apics.write(0, 0x0b0, 0)
        #expect(apic.acknowledge() == nil)
        apics.pending[0].clear(.interrupt)
        apics.write(0, 0x0b0, 0)
        #expect(apics.pending[0].current.contains(.interrupt))
        #expect(apic.acknowledge() == 0x41)
    }

    @Test func taskPriorityHoldsBack() {
        let apics = ScriptedAPICs(count: 1)
        apics[0].taskPriority = 5
        #expect(apics[0].read(0x080) == 0x50)
        apics[0].request(vector: 0x5f, level: false)
        #expect(apics[0].acknowledge() == nil)
        #expect(apics[0].read(0x220) == 1 << 31, "IRR of vectors 0x40 to 0x5f")
        apics[0].taskPriority = 4
        #expect(apics.pending[0].current.contains(.interrupt))
        #expect(apics[0].acknowledge() == 0x5f)
    }

    @Test func softwareDisableMasksAndRefuses() {
        let apics = ScriptedAPICs(count: 1)
        apics.write(0, 0x0f0, 0xff)
        apics[0].request(vector: 0x40, level: false)
        apics.write(0, 0x0f0, 0x1ff)
        #expect(apics[0].acknowledge() == nil)
        #expect(apics[0].read(0x350) & 0x1_0000 != 0)
    }

    @Test func baseTransitions() {
        let apics = ScriptedAPICs(count: 2)
        let apic = apics[1]
        #expect(apic.base == 0xfee0_0800)
        #expect(apics[0].base == 0xfee0_0900)
        #expect(apic.readX2(0x802) == nil, "x2APIC registers fault in xAPIC mode")
        #expect(!apic.setBase(0xfee0_0400))
        #expect(apic.setBase(0xfee0_0c00))
        #expect(apic.readX2(0x802) == 1)
        #expect(apic.readX2(0x80d) == 2, "cluster 0, bit 1")
        #expect(!apic.setBase(0xfee0_0800), "no way back but through disabled")
        #expect(apic.setBase(0xfee0_0000))
        #expect(!apic.setBase(0xfee0_0c00))
        #expect(!apic.setBase(0xfee0_0801), "reserved bit")
    }

    @Test func x2RegistersRefuseWhatTheManualSays() {
        let apics = ScriptedAPICs(count: 1)
        #expect(apics[0].setBase(0xfee0_0d00))
        #expect(apics[0].writeX2(0x80b, 1) == nil, "EOI takes 0 only")
        #expect(apics[0].writeX2(0x80b, 0) == LocalAPIC.Effect.none)
        #expect(apics[0].writeX2(0x802, 0) == nil, "the identifier is read-only")
        #expect(apics[0].writeX2(0x808, 1 << 32) == nil)
        #expect(apics[0].writeX2(0x83f, 0x100) == nil)
        #expect(apics[0].writeX2(0x83f, 0x77) == LocalAPIC.Effect.none)
        #expect(apics[0].acknowledge() == 0x77)
        #expect(apics[0].readX2(0x80e) == nil, "no destination format register")
        #expect(apics[0].readX2(0x83f) == nil, "self IPI is write-only")
    }

    @Test func oneShotTimer() {
        let apics = ScriptedAPICs(count: 1)
        apics.write(0, 0x320, 0x30)
        apics.write(0, 0x3e0, 0b0011)
        apics.write(0, 0x380, 100)
        #expect(apics.deadline(0) == 1_000_000 + 1600)
        apics.advance(800)
        #expect(apics[0].read(0x390) == 50)
        apics.advance(800)
        #expect(apics[0].acknowledge() == 0x30)
        #expect(apics[0].read(0x390) == 0)
        #expect(apics.deadline(0) == nil)
    }

    @Test func periodicTimerSkipsMissedPeriods() {
        let apics = ScriptedAPICs(count: 1)
        apics.write(0, 0x320, 0x2_0031)
        apics.write(0, 0x3e0, 0b1011)
        apics.write(0, 0x380, 100_000)
        apics.advance(350_000)
        #expect(apics[0].acknowledge() == 0x31)
        #expect(apics.deadline(0) == 1_000_000 + 400_000)
        #expect(apics[0].read(0x390) == 50_000)
        apics.write(0, 0x380, 0)
        #expect(apics.deadline(0) == nil)
    }

    @Test func deadlineTimer() {
        let apics = ScriptedAPICs(count: 1)
        apics.write(0, 0x320, 0x4_0032)
        apics[0].deadline = 2_000_000
        #expect(apics.deadline(0) == 2_000_000)
        // An expiry that comes early sets the deadline again.
        apics[0].timerExpired()
        #expect(apics[0].acknowledge() == nil)
        #expect(apics.deadline(0) == 2_000_000)
        apics.advance(1_000_000)
        #expect(apics[0].acknowledge() == 0x32)
        #expect(apics[0].deadline == 0)
    }

    @Test func theDeadlineMovesWithTheCounter() {
        let apics = ScriptedAPICs(count: 1)
        apics.write(0, 0x320, 0x4_0032)
        apics[0].deadline = 3_000_000
        apics[0].counterAdjustment = 500_000
        #expect(apics.deadline(0) == 2_500_000)
        apics[0].counterAdjustment = 0 &- 500_000
        #expect(apics.deadline(0) == 3_500_000)
        // Not even INIT moves the counter.
        apics[0].request(.initialize)
        _ = apics[0].takeStartUpRequests()
        #expect(apics[0].counterAdjustment == 0 &- 500_000)
        apics.write(0, 0x0f0, 0x1ff)
        apics.write(0, 0x320, 0x4_0032)
        apics[0].deadline = 3_000_000
        apics[0].counterAdjustment = 1 << 40
        #expect(apics.deadline(0) == 1_000_000, "over already")
        apics.advance(0)
        #expect(apics[0].acknowledge() == 0x32)
    }

    @Test func aDeadlineThatIsOverFiresAtOnce() {
        let apics = ScriptedAPICs(count: 1)
        apics.write(0, 0x320, 0x4_0032)
        apics[0].deadline = 5_000_000
        apics[0].deadline = 1_000_000
        #expect(apics[0].acknowledge() == 0x32, "with no alarm in between")
        #expect(apics[0].deadline == 0)
        #expect(apics.deadline(0) == nil)
        apics.write(0, 0x0b0, 0)
        apics.write(0, 0x320, 0x5_0032)
        apics[0].deadline = 1_000_000
        #expect(apics[0].acknowledge() == nil, "masked")
        #expect(apics[0].deadline == 0)
    }

    @Test func aChangeOfModeLetsTheCountGoOn() {
        let apics = ScriptedAPICs(count: 1)
        apics.write(0, 0x3e0, 0b1011)
        apics.write(0, 0x320, 0x30)
        apics.write(0, 0x380, 100_000)
        apics.advance(60_000)
        apics.write(0, 0x320, 0x2_0030)
        #expect(apics[0].read(0x390) == 40_000)
        #expect(apics.deadline(0) == 1_000_000 + 100_000)
        apics.advance(150_000)
        #expect(apics[0].read(0x390) == 90_000)
        #expect(apics[0].acknowledge() == 0x30)
        apics.write(0, 0x0b0, 0)
        apics.write(0, 0x320, 0x30)
        #expect(apics[0].read(0x390) == 90_000)
        // The count is at its end before the alarm is heard; the interrupt is not lost.
        apics.clock.advance(nanoseconds: 90_000)
        apics.write(0, 0x320, 0x2_0030)
        #expect(apics[0].acknowledge() == 0x30)
        apics.write(0, 0x0b0, 0)
        // What has ended as a one-shot stands.
        #expect(apics[0].read(0x390) == 0)
        #expect(apics.deadline(0) == nil)
        apics.advance(500_000)
        #expect(apics[0].read(0x390) == 0)
        #expect(apics[0].acknowledge() == nil)
        apics.write(0, 0x380, 100_000)
        #expect(apics[0].read(0x390) == 100_000)
    }

    @Test func deadlineIsIgnoredInOtherModes() {
        let apics = ScriptedAPICs(count: 1)
        apics.write(0, 0x320, 0x30)
        apics.write(0, 0x380, 1000)
        let before = apics.deadline(0)
        #expect(before != nil)
        apics[0].deadline = 77
        #expect(apics.deadline(0) == before)
        #expect(apics[0].deadline == 0)
    }

    @Test func initResetsTheRegisters() {
        let apics = ScriptedAPICs(count: 2)
        apics[1].request(vector: 0x99, level: false)
        apics.write(0, 0x310, 1 << 24)
        apics.write(0, 0x300, 0x4500)
        apics.write(0, 0x300, 0x8500)
        apics.write(0, 0x300, 0x0607)
        #expect(apics.pending[1].current.contains(.initialize))
        #expect(apics[1].takeStartUpRequests() == [.initialize, .startUp(vector: 7)])
        #expect(apics[1].takeStartUpRequests().isEmpty)
        #expect(apics[1].read(0x0f0) == 0xff)
        #expect(apics[1].acknowledge() == nil)
        #expect(apics[1].base == 0xfee0_0800)
    }
}
