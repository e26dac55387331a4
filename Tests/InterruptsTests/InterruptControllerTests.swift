import Interrupts
import Testing
import VirtualCPU

@Suite struct InterruptControllerTests {
    private func program(_ apics: ScriptedAPICs, line: UInt32, _ low: UInt32, _ high: UInt32 = 0) {
        let io = apics.controller.ioAPIC
        io.write(0, 0x11 + line * 2)
        io.write(0x10, high)
        io.write(0, 0x10 + line * 2)
        io.write(0x10, low)
    }

    @Test func edgeLineSendsOncePerRise() {
        let apics = ScriptedAPICs(count: 2)
        program(apics, line: 4, 0x44, 1 << 24)
        apics.controller.setLine(4, asserted: true)
        apics.controller.setLine(4, asserted: true)
        #expect(apics[1].acknowledge() == 0x44)
        apics.write(1, 0x0b0, 0)
        #expect(apics[1].acknowledge() == nil)
        apics.controller.setLine(4, asserted: false)
        apics.controller.setLine(4, asserted: true)
        #expect(apics[1].acknowledge() == 0x44)
        #expect(apics[0].acknowledge() == nil)
    }

    @Test func levelLineComesAgainAfterItsEnd() {
        let apics = ScriptedAPICs(count: 1)
        program(apics, line: 9, 0x8049)
        apics.controller.setLine(9, asserted: true)
        #expect(apics[0].acknowledge() == 0x49)
        let io = apics.controller.ioAPIC
        #expect(io.read(0x10) & 1 << 14 != 0, "remote IRR")
        apics.write(0, 0x0b0, 0)
        #expect(apics[0].acknowledge() == 0x49)
        apics.controller.setLine(9, asserted: false)
        apics.write(0, 0x0b0, 0)
        #expect(apics[0].acknowledge() == nil)
        #expect(io.read(0x10) & 1 << 14 == 0)
    }

    @Test func maskedLevelLineIsDeliveredWhenUnmasked() {
        let apics = ScriptedAPICs(count: 1)
        program(apics, line: 9, 0x1_8049)
        apics.controller.setLine(9, asserted: true)
        #expect(apics[0].acknowledge() == nil)
        program(apics, line: 9, 0x8049)
        #expect(apics[0].acknowledge() == 0x49)
    }

    @Test func shorthands() {
        let apics = ScriptedAPICs(count: 3)
        func received() -> [UInt8?] { (0..<3).map { apics[$0].acknowledge() } }
        apics.write(1, 0x300, 0x4_4050)
        #expect(received() == [nil, 0x50, nil])
        apics.write(1, 0x300, 0x8_4061)
        #expect(received() == [0x61, 0x61, 0x61])
        apics.write(1, 0x300, 0xc_4072)
        #expect(received() == [0x72, nil, 0x72])
        apics.write(1, 0x300, 0xc_4400)
        #expect(apics.pending[0].current.contains(.nonMaskableInterrupt))
        #expect(!apics.pending[1].current.contains(.nonMaskableInterrupt))
    }

    @Test func logicalDestinations() {
        let apics = ScriptedAPICs(count: 3)
        for index in 0..<3 { apics.write(index, 0x0d0, 1 << (24 + UInt32(index))) }
        apics.write(0, 0x310, 0b110 << 24)
        apics.write(0, 0x300, 0x4855)
        #expect((0..<3).map { apics[$0].acknowledge() } == [nil, 0x55, 0x55])
        // Lowest priority: the processor that does least.
        apics.write(0, 0x300, 0x4966)
        apics[1].taskPriority = 9
        apics.write(0, 0x310, 0b011 << 24)
        apics.write(0, 0x300, 0x4977)
        #expect(apics[0].acknowledge() == 0x77)
    }

    @Test func x2Destinations() {
        let apics = ScriptedAPICs(count: 18)
        for index in 0..<18 { #expect(apics[index].setBase(apics[index].base | 0x400)) }
        func send(_ value: UInt64) {
            guard let effect = apics[0].writeX2(0x830, value) else {
                Issue.record("refused")
                return
            }
            apics.controller.perform(effect)
        }
        send(17 << 32 | 0x4050)
        #expect((0..<18).filter { apics[$0].acknowledge() != nil } == [17])
        send((1 << 16 | 0b11) << 32 | 0x4860)
        #expect((0..<18).filter { apics[$0].acknowledge() != nil } == [16, 17])
        send(0xffff_ffff << 32 | 0x4070)
        #expect((0..<18).filter { apics[$0].acknowledge() != nil } == Array(0..<18))
    }

    @Test func messagesReachTheirProcessor() {
        let apics = ScriptedAPICs(count: 2)
        apics.controller.send(messageAddress: 0xfee0_1000, data: 0x4035)
        #expect(apics[1].acknowledge() == 0x35)
        #expect(apics[0].acknowledge() == nil)
    }
}
