import HostIO
import Synchronization
import TestSupport
import Testing

@testable import Interrupts

@Suite struct IOAPICTests {
    final class Sent: Sendable {
        let messages = Mutex<[IOAPIC.Message]>([])
        let isTaken = Atomic<Bool>(true)
        var count: Int { messages.withLock { $0.count } }
    }

    let sent = Sent()
    let ioAPIC: IOAPIC

    init() {
        ioAPIC = IOAPIC { [sent] message, _ in
            sent.messages.withLock { $0.append(message) }
            return sent.isTaken.load(ordering: .relaxed)
        }
    }

    private func entry(_ line: UInt32, _ low: UInt32, _ high: UInt32 = 0) {
        ioAPIC.write(0, 0x11 + line * 2)
        ioAPIC.write(0x10, high)
        ioAPIC.write(0, 0x10 + line * 2)
        ioAPIC.write(0x10, low)
    }

    private func low(_ line: UInt32) -> UInt32 {
        ioAPIC.write(0, 0x10 + line * 2)
        return ioAPIC.read(0x10)
    }

    @Test func registers() {
        ioAPIC.write(0, 1)
        #expect(ioAPIC.read(0x10) == 0x17_0020)
        ioAPIC.write(0, 0)
        ioAPIC.write(0x10, 0xff00_0000)
        #expect(ioAPIC.read(0x10) == 0x0f00_0000)
        #expect(low(23) == 0x1_0000)
        entry(5, 0xffff_ffff, 0xffff_ffff)
        #expect(low(5) == 0x1_afff, "delivery status and remote IRR are read-only")
        ioAPIC.write(0, 0x1b)
        #expect(ioAPIC.read(0x10) == 0xff00_0000)
        ioAPIC.write(0, 0x40)
        #expect(ioAPIC.read(0x10) == 0)
    }

    @Test func everyBitReachesTheMessage() {
        entry(3, 0x2955, 0x1234_5678)
        ioAPIC.setLine(3, asserted: true)
        #expect(
            sent.messages.withLock { $0 } == [
                IOAPIC.Message(
                    vector: 0x55, deliveryMode: 1, isLogical: true, isLevel: false,
                    destination: 0x12)
            ])
        ioAPIC.setLine(99, asserted: true)
        ioAPIC.setLine(-1, asserted: true)
        #expect(sent.count == 1)
    }

    @Test func anEdgeBehindTheMaskIsLost() {
        entry(4, 0x1_0044)
        ioAPIC.setLine(4, asserted: true)
        entry(4, 0x44)
        #expect(sent.count == 0)
        #expect(ioAPIC.metrics["maskedEdges"] == 1)
        ioAPIC.setLine(4, asserted: false)
        ioAPIC.setLine(4, asserted: true)
        #expect(sent.count == 1)
    }

    @Test func theEOIRegisterEndsALevel() {
        entry(9, 0x8049)
        ioAPIC.setLine(9, asserted: true)
        ioAPIC.write(0x40, 0x48)
        #expect(low(9) & 1 << 14 != 0, "another vector")
        #expect(sent.count == 1)
        ioAPIC.write(0x40, 0x49)
        #expect(sent.count == 2)
    }

    @Test func anEndBehindTheMaskCounts() {
        entry(9, 0x8049)
        ioAPIC.setLine(9, asserted: true)
        entry(9, 0x1_8049)
        ioAPIC.write(0x40, 0x49)
        #expect(sent.count == 1)
        #expect(low(9) & 1 << 14 == 0)
        entry(9, 0x8049)
        #expect(sent.count == 2)
    }

    @Test func aTurnToEdgeAndBackClearsRemoteIRR() {
        entry(9, 0x8049)
        ioAPIC.setLine(9, asserted: true)
        entry(9, 0x1_0049)
        #expect(low(9) & 1 << 14 == 0)
        entry(9, 0x8049)
        #expect(sent.count == 2)
    }

    @Test func aLevelNobodyTakesWaitsForNoEnd() {
        sent.isTaken.store(false, ordering: .relaxed)
        entry(9, 0x8049)
        ioAPIC.setLine(9, asserted: true)
        #expect(low(9) & 1 << 14 == 0)
    }

    @Test func anNMIIsAnEdgeWhateverTheEntrySays() {
        entry(9, 0x8400)
        ioAPIC.setLine(9, asserted: true)
        #expect(sent.messages.withLock { $0.first?.isLevel } == false)
        #expect(low(9) & 1 << 14 == 0)
    }

    /// Nothing leaves an entry after the write that masks it has returned.
    @Test func maskingIsFinal() throws {
        let isDone = Atomic<Bool>(false)
        let device = try HostThread.spawn(name: "device") { [ioAPIC] in
            while !isDone.load(ordering: .acquiring) {
                ioAPIC.setLine(4, asserted: true)
                ioAPIC.setLine(4, asserted: false)
            }
        }
        for _ in 0..<2000 {
            entry(4, 0x44)
            entry(4, 0x1_0044)
            let before = sent.count
            for _ in 0..<10 { _ = ioAPIC.read(0) }
            #expect(sent.count == before)
        }
        isDone.store(true, ordering: .releasing)
        device.join()
    }

    @Test func stateInTheMiddle() throws {
        entry(9, 0x8049, 3 << 24)
        entry(4, 0x44)
        ioAPIC.setLine(9, asserted: true)
        ioAPIC.setLine(4, asserted: true)
        let after = Sent()
        let fresh = IOAPIC { [after] message, _ in
            after.messages.withLock { $0.append(message) }
            return true
        }
        try handOver(from: ioAPIC, to: fresh)
        #expect(after.count == 0)
        fresh.setLine(4, asserted: true)
        #expect(after.count == 0, "no new edge")
        fresh.write(0x40, 0x49)
        #expect(after.messages.withLock { $0.map(\.destination) } == [3])
        #expect(fresh.captureState().entries == ioAPIC.captureState().entries)
        var broken = ioAPIC.captureState()
        broken.entries.removeLast()
        #expect(throws: (any Error).self) { try fresh.restore(broken) }
    }
}
