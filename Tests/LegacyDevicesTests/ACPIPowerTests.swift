import LegacyDevices
import Synchronization
import TestSupport
import Testing

@Suite struct ACPIPowerTests {
    final class Asked: Sendable { let requests = Mutex<[ACPIPower.Request]>([]) }

    let clock = FakeClock(nanoseconds: 0)
    let sink = RecordingSink()
    let asked = Asked()
    let power: ACPIPower

    init() {
        power = ACPIPower(
            clock: clock, interrupts: sink,
            request: { [asked] request in asked.requests.withLock { $0.append(request) } })
    }

    @Test func timerRunsAtItsFrequency() {
        clock.advance(nanoseconds: 1_000_000_000)
        #expect(power.read(offset: 8, width: 4) == 3_579_545)
        clock.advance(nanoseconds: 3_000_000_000_000)
        #expect(power.read(offset: 8, width: 4) == 3001 * 3_579_545 & 0xffff_ffff)
    }

    @Test func powerButtonInterruptsUntilItsStatusIsCleared() {
        power.pressPowerButton()
        #expect(!sink.isAsserted(9))
        power.write(offset: 2, width: 2, value: 0x100)
        #expect(sink.isAsserted(9))
        #expect(power.read(offset: 0, width: 2) == 0x100)
        power.write(offset: 0, width: 2, value: 0x100)
        #expect(!sink.isAsserted(9))
    }

    @Test func sleepTypeFivePowersOff() {
        power.write(offset: 4, width: 2, value: 4 << 10 | 0x2000)
        #expect(asked.requests.withLock { $0 }.isEmpty)
        power.write(offset: 4, width: 2, value: 5 << 10)
        #expect(asked.requests.withLock { $0 }.isEmpty)
        power.write(offset: 4, width: 2, value: 5 << 10 | 0x2000)
        #expect(asked.requests.withLock { $0 } == [.powerOff])
    }

    @Test func resetsByRegisterAndKeyboard() {
        let request: @Sendable (ACPIPower.Request) -> Void = { [asked] request in
            asked.requests.withLock { $0.append(request) }
        }
        let control = ResetControl(request: request)
        control.write(offset: 0, width: 1, value: 2)
        #expect(asked.requests.withLock { $0 }.isEmpty)
        control.write(offset: 0, width: 1, value: 6)
        let keyboard = KeyboardController(request: request)
        keyboard.write(offset: 0, width: 1, value: 0xd1)
        #expect(asked.requests.withLock { $0 } == [.reset])
        #expect(keyboard.read(offset: 0, width: 1) & 2 == 0, "nobody waits for its input")
        keyboard.write(offset: 0, width: 1, value: 0xfe)
        #expect(asked.requests.withLock { $0 } == [.reset, .reset])
    }
}
