import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// IN and OUT of 64-bit code end with the machine's answer: they do not run again.
struct PortTests {
    @Test(arguments: [TranslationPolicy.off, .afterRuns(1)])
    func portsOfEachWidth(_ policy: TranslationPolicy) throws {
        // in al,dx; in ax,dx; in eax,dx; out dx,al; out dx,ax; out dx,eax; inc rbx; hlt
        let code: [UInt8] = [
            0xec, 0x66, 0xed, 0xed, 0xee, 0x66, 0xef, 0xef, 0x48, 0xff, 0xc3, 0xf4,
        ]
        let machine = try TranslationMachine(code, at: 0x5000, policy)
        let engine = machine.engine
        for round in 1...3 as ClosedRange<UInt64> {
            machine.setRegisters([0: .max, 2: 0x3f8])
            var state = engine.state
            state.rip = 0x5000
            engine.state = state
            let before = engine.statistics.instructionsRetired
            let port = PortNumber(0x3f8)
            var rax = UInt64.max
            for (width, kept, rip) in [
                (1, ~0xff, 0x5001), (2, ~0xffff, 0x5003), (4, 0, 0x5004),
            ] as [(Int, UInt64, UInt64)] {
                #expect(engine.run(budget: 100) == .portRead(port: port, width: width))
                #expect(!engine.canTakeInterrupt, "it has not ended")
                engine.complete(read: 0x8877_6655_4433_2211)
                rax = rax & kept | 0x4433_2211 & ~kept
                #expect(engine.state.generalPurposeRegisters[0] == rax)
                #expect(engine.state.rip == rip)
            }
            for (width, value, rip) in [
                (1, 0x11, 0x5005), (2, 0x2211, 0x5007), (4, 0x4433_2211, 0x5008),
            ] as [(Int, UInt32, UInt64)] {
                #expect(
                    engine.run(budget: 100)
                        == .portWrite(port: port, width: width, value: value))
                #expect(engine.state.rip == rip)
            }
            #expect(engine.run(budget: 100) == .halt)
            #expect(engine.state.generalPurposeRegisters[3] == round)
            #expect(engine.statistics.instructionsRetired - before == 8)
        }
    }

    @Test func anInterruptMayComeBehindAnOutput() throws {
        // sti; nop; out 0x80,al; hlt
        let machine = try TranslationMachine([0xfb, 0x90, 0xe6, 0x80, 0xf4], at: 0x5000, .off)
        _ = machine.engine.run(budget: 100)
        #expect(machine.engine.canTakeInterrupt)
        #expect(machine.engine.state.rip == 0x5004)
    }
}
