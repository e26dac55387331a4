import Bus
import HostIO
import Interrupts
import LegacyDevices
import Synchronization
import TestSupport
import Testing

@Suite struct UARTTests {
    final class Wire: Sendable {
        let bytes = Mutex<[UInt8]>([])
        let rooms = Mutex(0)
        /// The host takes no output.
        let isBlocked = Atomic<Bool>(false)
    }

    let sink = RecordingSink()
    let wire = Wire()
    let uart: UART

    init() {
        uart = Self.make(sink, wire, .inline)
    }

    static func make(
        _ sink: RecordingSink, _ wire: Wire, _ policy: InterruptContext.Policy
    ) -> UART {
        UART(
            name: "uart0", line: 4, clock: FakeClock(), interrupts: sink, policy: policy,
            wire: UART.Wire(
                transmit: { [wire] bytes in
                    while wire.isBlocked.load(ordering: .acquiring) {
                        HostThread.sleep(nanoseconds: 1_000_000)
                    }
                    wire.bytes.withLock { $0 += bytes }
                },
                roomAvailable: { [wire] in wire.rooms.withLock { $0 += 1 } }))
    }

    private func read(_ register: UInt64) -> UInt64 { uart.read(offset: register, width: 1) }
    private func write(_ register: UInt64, _ value: UInt64) {
        uart.write(offset: register, width: 1, value: value)
    }

    @Test func divisorLatchAndScratch() {
        write(3, 0x83)
        write(0, 0x34)
        write(1, 0x12)
        #expect(read(0) == 0x34)
        #expect(read(1) == 0x12)
        write(3, 3)
        #expect(read(1) == 0)
        #expect(read(0) == 0)
        write(7, 0xa5)
        #expect(read(7) == 0xa5)
        #expect(wire.bytes.withLock { $0 }.isEmpty)
    }

    @Test func looksLikeA16550A() {
        // What Linux's autoconfig looks at.
        write(1, 0xf)
        #expect(read(1) == 0xf)
        write(1, 0)
        #expect(read(1) == 0)
        write(2, 1)
        #expect(read(2) & 0xe0 == 0xc0)
        write(4, 0x1a)
        #expect(read(6) & 0xf0 == 0x90)
        for byte in 0..<40 { write(0, UInt64(byte)) }
        var count = 0
        while read(5) & 1 != 0, count < 100 {
            #expect(read(0) == UInt64(count))
            count += 1
        }
        #expect(count == 16)
    }

    @Test func transmits() {
        write(4, 0xb)
        write(1, 2)
        #expect(sink.isAsserted(4), "enabling the interrupt with an empty transmitter raises it")
        #expect(read(2) & 0xf == 2)
        #expect(!sink.isAsserted(4))
        for byte in "Hi".utf8 { write(0, UInt64(byte)) }
        #expect(sink.riseCount(4) == 2)
        #expect(wire.bytes.withLock { $0 } == Array("Hi".utf8))
        #expect(read(5) & 0x60 == 0x60)
    }

    @Test func receivesOnlyWhileReadyToReceive() {
        let bytes = Array(UInt8(0)..<40)
        #expect(uart.receive(bytes) == 40)
        #expect(read(5) & 1 == 0, "they wait for RTS")
        write(2, 0x81)
        write(1, 1)
        write(4, 0xb)
        #expect(read(2) & 0xf == 4, "sixteen of them are above the trigger level")
        #expect(read(0) == 0)
        write(4, 9)
        var got: [UInt64] = [0]
        while read(5) & 1 != 0 { got.append(read(0)) }
        #expect(got == Array(0..<17), "one moved up when one was read")
        #expect(!sink.isAsserted(4))
        write(4, 0xb)
        while read(5) & 1 != 0 { got.append(read(0)) }
        #expect(got == Array(0..<40))
        // Below the trigger level the time-out announces the byte.
        #expect(uart.receive([65]) == 1)
        #expect(sink.isAsserted(4))
        #expect(read(2) & 0xf == 0xc)
    }

    @Test func theHostIsAskedForMoreWhenItWaits() {
        #expect(uart.receive(Array(repeating: 1, count: 3000)) == 1024)
        #expect(uart.receive([2]) == 0)
        #expect(wire.rooms.withLock { $0 } == 0)
        write(2, 1)
        write(4, 2)
        var count = 0
        while read(5) & 1 != 0 {
            #expect(read(0) == 1)
            count += 1
        }
        #expect(count == 1024)
        #expect(wire.rooms.withLock { $0 } == 1)
    }

    /// The host takes nothing: no access of the guest waits, and the guest is told to.
    @Test(.timeLimit(.minutes(1))) func aBlockedHostStopsTheGuestNotTheProcessor() throws {
        let policy = InterruptContext.Policy(priority: { _ in .inherited })
        let uart = Self.make(sink, wire, policy)
        for context in uart.contexts { try context.start() }
        wire.isBlocked.store(true, ordering: .releasing)
        uart.write(offset: 4, width: 1, value: 0xb)
        var sent: [UInt8] = []
        while uart.read(offset: 5, width: 1) & 0x20 != 0 {
            for _ in 0..<16 {
                sent.append(UInt8(truncatingIfNeeded: sent.count))
                uart.write(offset: 0, width: 1, value: UInt64(sent[sent.count - 1]))
            }
        }
        #expect(sent.count >= 64 << 10)
        uart.write(offset: 1, width: 1, value: 2)
        _ = uart.read(offset: 2, width: 1)
        #expect(!sink.isAsserted(4))
        // What is beyond is lost, as on a wire.
        for _ in 0..<20 { uart.write(offset: 0, width: 1, value: 0xee) }
        wire.isBlocked.store(false, ordering: .releasing)
        while !sink.isAsserted(4) { HostThread.sleep(nanoseconds: 1_000_000) }
        #expect(uart.read(offset: 5, width: 1) & 0x20 != 0)
        for context in uart.contexts { context.stop() }
        while !uart.contexts.allSatisfy(\.isIdleForEver) {
            HostThread.sleep(nanoseconds: 1_000_000)
        }
        #expect(wire.bytes.withLock { $0 }.prefix(sent.count) == sent[...])
    }

    /// Sends as Linux' handler does: as long as the transmitter is said to be empty.
    private static func sendsInOneInterrupt(_ uart: UART, limit: Int) -> Int {
        var count = 0
        while count < limit, uart.read(offset: 2, width: 1) & 0xf == 2 {
            for _ in 0..<16 { uart.write(offset: 0, width: 1, value: 0x55) }
            count += 16
        }
        return count
    }

    @Test(.timeLimit(.minutes(1))) func oneInterruptSendsABurstAndTheThreadAsksForMore() throws {
        let uart = Self.make(sink, wire, .init(priority: { _ in .inherited }))
        uart.write(offset: 4, width: 1, value: 0xb)
        uart.write(offset: 1, width: 1, value: 2)
        #expect(Self.sendsInOneInterrupt(uart, limit: 4096) == 128)
        #expect(!sink.isAsserted(4) && uart.read(offset: 5, width: 1) & 0x60 == 0)
        // Turning the interrupt off and on does not wake it.
        for enable: UInt64 in [0, 2] { uart.write(offset: 1, width: 1, value: enable) }
        #expect(!sink.isAsserted(4))
        for context in uart.contexts { try context.start() }
        while !sink.isAsserted(4) { HostThread.sleep(nanoseconds: 1_000_000) }
        #expect(Self.sendsInOneInterrupt(uart, limit: 112) == 112)
        // The end of one interrupt is where the next begins to count.
        uart.write(offset: 1, width: 1, value: 0)
        #expect(uart.read(offset: 2, width: 1) & 0xf == 1)
        uart.write(offset: 1, width: 1, value: 2)
        #expect(Self.sendsInOneInterrupt(uart, limit: 112) == 112)
        for context in uart.contexts { context.stop() }
        while !uart.contexts.allSatisfy(\.isIdleForEver) {
            HostThread.sleep(nanoseconds: 1_000_000)
        }
        #expect(wire.bytes.withLock { $0 }.count == 128 + 112 + 112)
    }

    @Test func aGuestThatPollsIsNotHeldUp() {
        let uart = Self.make(sink, wire, .init(priority: { _ in .inherited }))
        for count in 0..<1000 {
            #expect(uart.read(offset: 5, width: 1) & 0x20 != 0, "byte \(count)")
            uart.write(offset: 0, width: 1, value: 0x55)
        }
    }

    @Test func inlineNobodyRests() {
        write(4, 0xb)
        write(1, 2)
        #expect(Self.sendsInOneInterrupt(uart, limit: 4096) == 4096)
        #expect(wire.bytes.withLock { $0 }.count == 4096)
    }

    @Test func noByteIsLostBetweenThreads() async {
        write(2, 1)
        write(1, 1)
        write(4, 0xb)
        let uart = uart
        let sink = sink
        let total = 20_000
        async let sender: Void = {
            var sent = 0
            while sent < total {
                sent += uart.receive([UInt8(truncatingIfNeeded: sent)])
                await Task.yield()
            }
        }()
        var received = 0
        var idle = 0
        while received < total, idle < 100_000_000 {
            guard sink.isAsserted(4) else {
                idle += 1
                if idle % 64 == 0 { await Task.yield() }
                continue
            }
            idle = 0
            if uart.read(offset: 0, width: 1) != UInt64(UInt8(truncatingIfNeeded: received)) {
                Issue.record("byte \(received) is wrong")
                break
            }
            received += 1
        }
        await sender
        #expect(received == total)
    }

    @Test func everyRegisterTakesAnything() {
        var seed: UInt64 = 1
        for _ in 0..<20_000 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1
            let offset = seed >> 60 & 7
            if seed >> 33 & 1 == 0 { write(offset, seed >> 40) } else { _ = read(offset) }
            if seed >> 34 & 7 == 0 { _ = uart.receive([1, 2, 3]) }
        }
        write(7, 1)
        #expect(read(7) == 1)
    }
}
