import Testing
import VirtualCPU

@testable import Interrupts

/// Errors, local inputs and what x2APIC refuses.
@Suite struct LocalAPICErrorTests {
    @Test func sendingAnIllegalVector() {
        let apics = ScriptedAPICs(count: 2)
        apics.write(0, 0x370, 0xee)
        apics.write(0, 0x310, 1 << 24)
        apics.write(0, 0x300, 0x4005)
        #expect(apics[1].acknowledge() == nil)
        #expect(apics[0].acknowledge() == 0xee, "the error interrupt")
        #expect(apics[0].read(0x280) == 0, "errors show after a write")
        apics.write(0, 0x280, 0)
        #expect(apics[0].read(0x280) == 1 << 5)
        apics.write(0, 0x280, 0)
        #expect(apics[0].read(0x280) == 0)
    }

    @Test func receivingAnIllegalVector() {
        let apics = ScriptedAPICs(count: 2)
        apics.controller.send(messageAddress: 0xfee0_1000, data: 0x4003)
        #expect(apics[1].acknowledge() == nil)
        apics.write(1, 0x280, 0)
        #expect(apics[1].read(0x280) == 1 << 6)
        #expect(apics[1].read(0x370) & 0x1_0000 != 0, "masked: no interrupt")
    }

    @Test func oneErrorInterruptUntilTheRegisterIsWritten() {
        let apics = ScriptedAPICs(count: 1)
        apics.write(0, 0x370, 0xee)
        apics.write(0, 0x2f0, 1)
        #expect(apics[0].acknowledge() == 0xee)
        apics.write(0, 0x0b0, 0)
        apics.write(0, 0x2f0, 1)
        #expect(apics[0].acknowledge() == nil)
        apics.write(0, 0x280, 0)
        #expect(apics[0].read(0x280) == 1 << 7)
        apics.write(0, 0x2f0, 1)
        #expect(apics[0].acknowledge() == 0xee)
    }

    @Test func lint1IsAnNMI() {
        let apics = ScriptedAPICs(count: 1)
        apics[0].setInput(.lint1, asserted: true)
        #expect(apics.pending[0].current.isEmpty, "masked")
        apics[0].setInput(.lint1, asserted: false)
        apics.write(0, 0x360, 0x400)
        apics[0].setInput(.lint1, asserted: true)
        #expect(apics.pending[0].current.contains(.nonMaskableInterrupt))
        apics.pending[0].clear(.nonMaskableInterrupt)
        apics[0].setInput(.lint1, asserted: true)
        #expect(apics.pending[0].current.isEmpty, "an edge, not a level")
    }

    @Test func lint0AsALevel() {
        let apics = ScriptedAPICs(count: 1)
        apics.write(0, 0x350, 0x8045)
        apics[0].setInput(.lint0, asserted: true)
        #expect(apics[0].acknowledge() == 0x45)
        #expect(apics[0].read(0x350) & 1 << 14 != 0, "remote IRR")
        apics.write(0, 0x0b0, 0)
        #expect(apics[0].acknowledge() == 0x45, "still asserted")
        apics[0].setInput(.lint0, asserted: false)
        apics.write(0, 0x0b0, 0)
        #expect(apics[0].acknowledge() == nil)
        #expect(apics[0].read(0x350) & 1 << 14 == 0)
    }

    @Test func externalInterruptsAndSMIsGoNowhere() {
        let apics = ScriptedAPICs(count: 1)
        apics.write(0, 0x350, 0x700)
        apics[0].setInput(.lint0, asserted: true)
        apics.write(0, 0x350, 0x200)
        apics[0].setInput(.lint0, asserted: false)
        apics[0].setInput(.lint0, asserted: true)
        apics.controller.send(messageAddress: 0xfee0_0000, data: 0x4730)
        apics.write(0, 0x300, 0x4_4230)
        #expect(apics.pending[0].current.isEmpty)
        #expect(apics[0].acknowledge() == nil)
    }

    @Test func aPerformanceInterruptMasksItself() {
        let apics = ScriptedAPICs(count: 1)
        apics.write(0, 0x340, 0x50)
        apics[0].setInput(.performance, asserted: true)
        #expect(apics[0].acknowledge() == 0x50)
        #expect(apics[0].read(0x340) == 0x1_0050)
        apics.write(0, 0x330, 0x400)
        apics[0].setInput(.thermal, asserted: true)
        #expect(apics.pending[0].current.contains(.nonMaskableInterrupt))
    }

    @Test(
        arguments: [
            (0x808, 0x100), (0x80b, 1), (0x80f, 0x400), (0x828, 1), (0x830, 1 << 13),
            (0x830, 1 << 16), (0x830, 1 << 20), (0x832, 0x6_0030), (0x832, 1 << 8),
            (0x833, 1 << 15), (0x835, 1 << 17), (0x837, 1 << 8), (0x83e, 4), (0x83f, 0x100),
            (0x82f, 0), (0x831, 0), (0x839, 0), (0x80a, 0), (0x803, 0), (0x820, 0), (0x80c, 0),
            (0x838, 1 << 32),
        ] as [(UInt32, UInt64)])
    func x2RefusesReservedBits(index: UInt32, value: UInt64) {
        let apics = ScriptedAPICs(count: 1)
        #expect(apics[0].setBase(apics[0].base | 0x400))
        #expect(apics[0].writeX2(index, value) == nil)
    }

    @Test(
        arguments: [
            (0x808, 0xff), (0x80f, 0x3ff), (0x830, 0x1000 | 0x4_4050), (0x832, 0x4_10ff),
            (0x835, 0x1_f7ff), (0x837, 0x1_10ff), (0x838, 0xffff_ffff), (0x83e, 0xb),
        ] as [(UInt32, UInt64)])
    func x2TakesTheRest(index: UInt32, value: UInt64) {
        let apics = ScriptedAPICs(count: 1)
        #expect(apics[0].setBase(apics[0].base | 0x400))
        #expect(apics[0].writeX2(index, value) != nil)
    }

    @Test func disablingForgetsRequestsAndTimer() {
        let apics = ScriptedAPICs(count: 1)
        apics[0].request(vector: 0x50, level: true)
        apics.write(0, 0x320, 0x40)
        apics.write(0, 0x380, 1000)
        #expect(apics.deadline(0) != nil)
        #expect(apics[0].setBase(0xfee0_0100))
        #expect(apics.deadline(0) == nil)
        #expect(!apics[0].request(vector: 0x51, level: false), "it hears nothing")
        #expect(apics[0].setBase(0xfee0_0900))
        apics.write(0, 0x0f0, 0x1ff)
        #expect(apics[0].acknowledge() == nil)
        #expect(apics[0].read(0x320) == 0x1_0000)
    }

    /// As hypervisors' own tests have it (kvm-unit-tests, x86/apic.c): what has ended as a one-shot
    /// stands until a count is written.
    @Test func anEndedCountDoesNotBecomePeriodic() {
        let apics = ScriptedAPICs(count: 1)
        apics.write(0, 0x3e0, 0b1011)
        apics.write(0, 0x320, 0x40)
        apics.write(0, 0x380, 100_000)
        apics.advance(100_000)
        #expect(apics[0].acknowledge() == 0x40)
        #expect(apics.deadline(0) == nil)
        apics.write(0, 0x0b0, 0)
        apics.write(0, 0x320, 0x2_0040)
        apics.advance(100_000)
        #expect(apics[0].acknowledge() == nil)
        apics.write(0, 0x380, 100_000)
        for _ in 0..<2 {
            apics.advance(100_000)
            #expect(apics[0].acknowledge() == 0x40)
            apics.write(0, 0x0b0, 0)
        }
    }
}
