import Interrupts
import Synchronization
import TestSupport
import Testing
import Vocabulary

@testable import LegacyDevices

/// States of the devices that have no suite of their own for it.
@Suite struct DeviceStateTests {
    let sink = RecordingSink()

    private func uart(_ sink: RecordingSink) -> UART {
        UART(
            name: "uart0", line: 4, clock: FakeClock(), interrupts: sink, policy: .inline,
            wire: UART.Wire(transmit: { _ in }))
    }

    @Test func aUARTWithBytesWaiting() throws {
        let old = uart(sink)
        for (register, value) in [(3, 0x83), (0, 12), (3, 3), (2, 1), (4, 0xb), (1, 1), (7, 0x5a)]
            as [(UInt64, UInt64)]
        {
            old.write(offset: register, width: 1, value: value)
        }
        #expect(old.receive([1, 2, 3]) == 3)
        #expect(old.read(offset: 0, width: 1) == 1)
        let newSink = RecordingSink()
        let new = uart(newSink)
        try handOver(from: old, to: new)
        #expect(newSink.isAsserted(4))
        #expect(new.read(offset: 2, width: 1) == old.read(offset: 2, width: 1))
        #expect(new.read(offset: 0, width: 1) == 2)
        #expect(new.read(offset: 0, width: 1) == 3)
        #expect(!newSink.isAsserted(4))
        #expect(new.read(offset: 7, width: 1) == 0x5a)
        // What has not reached the FIFO yet goes over too.
        #expect(new.receive(Array(repeating: 9, count: 16) + [10, 11]) == 18)
        let third = uart(RecordingSink())
        try handOver(from: new, to: third)
        for _ in 0..<16 { #expect(third.read(offset: 0, width: 1) == 9) }
        #expect(third.read(offset: 0, width: 1) == 10)
        var broken = third.captureState()
        broken.registers.input += Array(repeating: 1, count: 17)
        #expect(throws: XError.self) { try new.restore(broken) }
    }

    @Test func theLineChangesOnlyWithItsLevel() {
        let device = uart(sink)
        device.write(offset: 4, width: 1, value: 0xb)
        device.write(offset: 1, width: 1, value: 2)
        #expect(sink.riseCount(4) == 1)
        #expect(device.metrics["interrupts"] == 1)
        #expect(device.metrics["writes"] == 2)
    }

    @Test func powerWithAPressedButton() throws {
        let clock = FakeClock(nanoseconds: 5_000_000_000)
        let old = ACPIPower(clock: clock, interrupts: sink, request: { _ in })
        old.write(offset: 2, width: 2, value: 0x100)
        old.write(offset: 4, width: 2, value: 0x1401)
        old.pressPowerButton()
        let later = FakeClock(nanoseconds: 99_000_000_000)
        let newSink = RecordingSink()
        let new = ACPIPower(clock: later, interrupts: newSink, request: { _ in })
        try handOver(from: old, to: new)
        #expect(newSink.isAsserted(9))
        #expect(new.read(offset: 4, width: 2) == 0x1401)
        #expect(new.read(offset: 8, width: 4) == 5 * 3_579_545)
        later.advance(nanoseconds: 1_000_000_000)
        #expect(new.read(offset: 8, width: 4) == 6 * 3_579_545)
        new.write(offset: 0, width: 2, value: 0x100)
        #expect(!newSink.isAsserted(9))
    }

    @Test func powerRegistersByBytes() {
        let asked = Mutex<[ACPIPower.Request]>([])
        let power = ACPIPower(
            clock: FakeClock(), interrupts: sink,
            request: { request in asked.withLock { $0.append(request) } })
        power.write(offset: 3, width: 1, value: 1)
        #expect(power.read(offset: 2, width: 2) == 0x100)
        #expect(power.read(offset: 0, width: 4) == 0x100_0000)
        power.pressPowerButton()
        power.write(offset: 1, width: 1, value: 1)
        #expect(power.read(offset: 0, width: 2) == 0)
        power.write(offset: 5, width: 1, value: 0x34)
        #expect(asked.withLock { $0 } == [.powerOff])
        #expect(power.read(offset: 4, width: 2) == 0x1401)
    }

    @Test func partsWithoutStateSayThat() throws {
        let reset = ResetControl(request: { _ in })
        try handOver(from: reset, to: ResetControl(request: { _ in }))
        let keyboard = KeyboardController(request: { _ in })
        try handOver(from: keyboard, to: KeyboardController(request: { _ in }))
    }
}
