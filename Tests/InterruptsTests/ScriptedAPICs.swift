import Interrupts
import Synchronization
import TestSupport
import VirtualCPU
import Vocabulary

/// Local APICs on a clock that the test moves; the guest's counter is the clock in nanoseconds.
final class ScriptedAPICs: Sendable {
    let clock = FakeClock(nanoseconds: 1_000_000)
    let pending: [PendingEvents]
    let controller: InterruptController
    private let deadlines: Deadlines

    final class Deadlines: Sendable {
        private let values = Mutex<[Int: Instant]>([:])
        func set(_ index: Int, _ value: Instant?) { values.withLock { $0[index] = value } }
        subscript(_ index: Int) -> Instant? { values.withLock { $0[index] } }
    }

    init(count: Int) {
        let pending = (0..<count).map { _ in PendingEvents() }
        self.pending = pending
        let deadlines = Deadlines()
        self.deadlines = deadlines
        let clock = clock
        controller = InterruptController(
            localAPICs: (0..<count).map { index in
                LocalAPIC(
                    index: VCPUIndex(UInt32(index)), pending: pending[index],
                    timing: LocalAPIC.Timing(
                        now: { clock.now },
                        nanosecondsUntilCounter: { value, adjustment in
                            let counter = clock.now.nanoseconds &+ adjustment
                            return value <= counter ? 0 : value - counter
                        },
                        setDeadline: { deadlines.set(index, $0) }),
                    wake: {})
            })
        for apic in controller.localAPICs { _ = apic.write(0x0f0, 0x1ff) }
    }

    subscript(_ index: Int) -> LocalAPIC { controller.localAPICs[index] }

    func deadline(_ index: Int) -> UInt64? { deadlines[index]?.nanoseconds }

    func write(_ index: Int, _ offset: UInt32, _ value: UInt32) {
        controller.perform(self[index].write(offset, value))
    }

    /// Moves the clock and lets the timer that is due expire.
    func advance(_ nanoseconds: UInt64) {
        clock.advance(nanoseconds: nanoseconds)
        for (index, apic) in controller.localAPICs.enumerated() {
            if let due = deadline(index), due <= clock.now.nanoseconds {
                deadlines.set(index, nil)
                apic.timerExpired()
            }
        }
    }
}
