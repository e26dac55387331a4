import Glibc
import GuestMemory
import HostIO
import Synchronization
import TestSupport
import Testing
import VirtualCPU
import Vocabulary

@testable import Interrupts

/// The end of an interrupt by a word of the guest's memory, as kvm_guest_apic_eoi_write makes it.
@Suite struct EndOfInterruptWordTests {
    static let word: UInt64 = 0x3004

    struct Bench {
        let memory: GuestMemory
        let pending = PendingEvents()
        let apic: LocalAPIC

        init(registered: Bool = true) throws {
            let memory = try GuestMemory(regions: [
                MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 1 << 20)
            ])
            self.memory = memory
            let clock = FakeClock(nanoseconds: 0)
            apic = LocalAPIC(
                index: VCPUIndex(0), pending: pending,
                timing: LocalAPIC.Timing(
                    now: { clock.now }, nanosecondsUntilCounter: { _, _ in 0 },
                    setDeadline: { _ in }), memory: memory, wake: {})
            _ = apic.write(0x0f0, 0x1ff)
            memory.write(GuestPhysicalAddress(word), integer: UInt32(0xffff_fffe))
            if registered { #expect(apic.setEndOfInterruptWord(word | 1)) }
        }

        var isOffered: Bool {
            let bits = memory.read(GuestPhysicalAddress(word), as: UInt32.self) ?? 0
            #expect(bits | 1 == .max, "the other bits are the guest's")
            return bits & 1 != 0
        }

        /// An interrupt arrives and goes into service, as the runner does it.
        func take() -> UInt8? {
            guard pending.current.contains(.interrupt) else { return nil }
            pending.clear(.interrupt)
            return apic.acknowledge()
        }

        /// The guest's end of interrupt. True: it took no write.
        @discardableResult func end() -> Bool {
            let old = memory.atomicAnd(GuestPhysicalAddress(word), ~UInt32(1)) ?? 0
            if old & 1 != 0 { return true }
            _ = apic.write(0x0b0, 0)
            return false
        }

        /// ISR, by a read that the guest makes.
        func isInService(_ vector: UInt8) -> Bool {
            apic.read(0x100 + UInt32(vector >> 5) << 4) & 1 << UInt32(vector & 31) != 0
        }

        var avoided: UInt64 { apic.metrics["endOfInterruptWritesAvoided"] ?? 0 }
    }

    @Test func aLoneEdgeEndsWithoutAWrite() throws {
        let bench = try Bench()
        for round in 1...3 as ClosedRange<UInt64> {
            bench.apic.request(vector: 0x51, level: false)
            #expect(bench.take() == 0x51)
            #expect(bench.isOffered)
            #expect(bench.isInService(0x51))
            #expect(bench.isOffered, "looking changes nothing")
            #expect(bench.end())
            #expect(!bench.isInService(0x51))
            #expect(bench.apic.read(0x0a0) == 0)
            #expect(bench.avoided == round)
        }
    }

    @Test func withoutAWordItTakesAWrite() throws {
        let bench = try Bench(registered: false)
        bench.apic.request(vector: 0x51, level: false)
        #expect(bench.take() == 0x51)
        #expect(!bench.isOffered)
        #expect(!bench.end())
        #expect(!bench.isInService(0x51))
        #expect(bench.avoided == 0)
    }

    @Test func aLevelTakesAWrite() throws {
        let bench = try Bench()
        bench.apic.request(vector: 0x51, level: true)
        #expect(bench.take() == 0x51)
        #expect(!bench.isOffered)
        #expect(bench.apic.write(0x0b0, 0) == .endOfInterrupt(vector: 0x51))
    }

    @Test func somethingElseThatWaitsTakesAWrite() throws {
        let bench = try Bench()
        bench.apic.request(vector: 0x31, level: false)
        bench.apic.request(vector: 0x51, level: false)
        #expect(bench.take() == 0x51)
        #expect(!bench.isOffered)
        #expect(!bench.end())
        #expect(bench.take() == 0x31)
        #expect(bench.isOffered)
        #expect(bench.end())
    }

    @Test func whatComesBehindAnOfferIsDeliveredAfterTheEnd() throws {
        let bench = try Bench()
        bench.apic.request(vector: 0x51, level: false)
        #expect(bench.take() == 0x51)
        // The guest's handler has interrupts off: the end comes before the vCPU looks.
        bench.apic.request(vector: 0x31, level: false)
        #expect(bench.pending.current.contains(.interrupt), "whatever the priority")
        #expect(bench.end())
        #expect(bench.take() == 0x31)
        #expect(!bench.isInService(0x51))
        #expect(bench.end())
    }

    @Test func whatComesBehindAnOfferThatIsStillOpenTakesItBack() throws {
        let bench = try Bench()
        bench.apic.request(vector: 0x51, level: false)
        #expect(bench.take() == 0x51)
        bench.apic.request(vector: 0x31, level: false)
        #expect(bench.take() == nil)
        #expect(!bench.isOffered)
        #expect(!bench.end())
        #expect(bench.take() == 0x31)
    }

    @Test func aNestedInterruptHasTheOffer() throws {
        let bench = try Bench()
        bench.apic.request(vector: 0x51, level: false)
        #expect(bench.take() == 0x51)
        bench.apic.request(vector: 0x71, level: false)
        #expect(bench.take() == 0x71)
        #expect(bench.isInService(0x51) && bench.isInService(0x71))
        #expect(bench.isOffered)
        #expect(bench.end())
        #expect(!bench.end(), "the outer one's offer was taken back")
        #expect(!bench.isInService(0x51) && !bench.isInService(0x71))
        #expect(bench.avoided == 1)
    }

    @Test func aWriteEndsWhatIsInServiceAfterTheEndInMemory() throws {
        let bench = try Bench()
        bench.apic.request(vector: 0x51, level: true)
        #expect(bench.take() == 0x51)
        bench.apic.request(vector: 0x71, level: false)
        #expect(bench.take() == 0x71)
        #expect(bench.end())
        #expect(bench.apic.write(0x0b0, 0) == .endOfInterrupt(vector: 0x51))
    }

    /// A guest that does not look at the word, as a crash kernel's.
    @Test func aWriteWhileTheOfferIsOpenEndsOnce() throws {
        let bench = try Bench()
        bench.apic.request(vector: 0x31, level: true)
        #expect(bench.take() == 0x31)
        bench.apic.request(vector: 0x51, level: false)
        #expect(bench.take() == 0x51)
        #expect(bench.isOffered)
        _ = bench.apic.write(0x0b0, 0)
        #expect(!bench.isOffered)
        #expect(!bench.isInService(0x51) && bench.isInService(0x31))
        #expect(bench.avoided == 0)
    }

    @Test func theTaskPriorityHoldsBackWhatWaits() throws {
        let bench = try Bench()
        bench.apic.request(vector: 0x51, level: false)
        #expect(bench.take() == 0x51)
        #expect(bench.end())
        bench.apic.taskPriority = 6
        bench.apic.request(vector: 0x41, level: false)
        #expect(bench.take() == nil)
        bench.apic.taskPriority = 0
        #expect(bench.take() == 0x41)
    }

    @Test func movingOrDisablingTheWordTakesTheOfferBack() throws {
        for value in [0, 0x4001] as [UInt64] {
            let bench = try Bench()
            bench.apic.request(vector: 0x51, level: false)
            #expect(bench.take() == 0x51)
            #expect(bench.apic.setEndOfInterruptWord(value))
            #expect(bench.apic.endOfInterruptWord == value)
            #expect(!bench.isOffered)
            #expect(bench.isInService(0x51))
        }
    }

    @Test func initAndDisablingLeaveNoOfferBehind() throws {
        let bench = try Bench()
        bench.apic.request(vector: 0x51, level: false)
        #expect(bench.take() == 0x51)
        bench.apic.request(.initialize)
        #expect(bench.apic.takeStartUpRequests() == [.initialize])
        #expect(!bench.isOffered)
        #expect(bench.apic.endOfInterruptWord == 0)

        let other = try Bench()
        other.apic.request(vector: 0x51, level: false)
        #expect(other.take() == 0x51)
        #expect(other.apic.setBase(0xfee0_0100))
        #expect(!other.isOffered)
    }

    @Test(
        arguments: [0x3002, 0x3003, 0x10_0001, 0xf_fffe + 1, 0xffff_ffff_ffff_fffd, .max]
            as [UInt64])
    func wordsThatCannotBeAreRefused(_ value: UInt64) throws {
        let bench = try Bench()
        #expect(!bench.apic.setEndOfInterruptWord(value))
        #expect(bench.apic.endOfInterruptWord == Self.word | 1)
        #expect(bench.apic.setEndOfInterruptWord(0xf_fffd))
        #expect(bench.apic.setEndOfInterruptWord(0xffff_ffff_ffff_fffc), "not enabled")
    }

    @Test func withoutMemoryThereIsNoWord() {
        let apics = ScriptedAPICs(count: 1)
        #expect(!apics[0].setEndOfInterruptWord(0x3001))
        #expect(apics[0].setEndOfInterruptWord(0))
    }

    @Test(arguments: [true, false])
    func anOpenOfferGoesOver(endedBefore: Bool) throws {
        let old = try Bench()
        old.apic.request(vector: 0x51, level: false)
        #expect(old.take() == 0x51)
        if endedBefore { #expect(old.end()) }
        let new = try Bench(registered: false)
        new.memory.write(
            GuestPhysicalAddress(0),
            try #require(old.memory.read(GuestPhysicalAddress(0), byteCount: 0x4000)))
        try handOver(from: old.apic, to: new.apic)
        if !endedBefore { #expect(new.end()) }
        #expect(!new.isInService(0x51))
        #expect(new.avoided == 1)
        #expect(new.apic.endOfInterruptWord == Self.word | 1)
        var state = old.apic.captureState()
        state.endOfInterruptWord = 0x7fff_0001
        #expect(throws: XError.self) { try new.apic.restore(state) }
    }

    /// Two senders and a guest: each sender waits for its interrupt before it sends the next, so one
    /// that is lost stops the test.
    @Test(.timeLimit(.minutes(1))) func noInterruptIsLostBehindAnOffer() throws {
        let bench = try Bench()
        let rounds = 30_000
        let vectors: [UInt8] = [0x31, 0x51]
        let handled = [HandledCount(), HandledCount()]
        let running = Atomic<Int>(vectors.count)
        let senders = try vectors.indices.map { index in
            try HostThread.spawn(name: "sender\(index)") { [apic = bench.apic] in
                for round in 1...rounds {
                    apic.request(vector: vectors[index], level: false)
                    // Three threads, on fewer processors: who has looked in vain for a while leaves
                    // his to another, or each round takes a slice of the host's.
                    var looks = round & 3 == 0 ? Self.patience : 0
                    while handled[index].value.load(ordering: .acquiring) != round {
                        looks += 1
                        if looks > Self.patience { sched_yield() }
                    }
                }
                running.subtract(1, ordering: .acquiringAndReleasing)
            }
        }
        var step = 0
        var idleLooks = 0
        func interrupt() {
            guard let vector = bench.take() else {
                idleLooks += 1
                if idleLooks > Self.patience { sched_yield() }
                return
            }
            idleLooks = 0
            let index = vector == vectors[0] ? 0 : 1
            step += 1
            // Interrupts are on again before the end, or at once after it, or the sender goes on first.
            if step % 3 == 0 { interrupt() }
            if step % 2 == 0 { handled[index].value.add(1, ordering: .acquiringAndReleasing) }
            let isLate = step % 2 != 0
            bench.end()
            if isLate { handled[index].value.add(1, ordering: .acquiringAndReleasing) }
        }
        while running.load(ordering: .acquiring) > 0 { interrupt() }
        for sender in senders { sender.join() }
        for count in handled { #expect(count.value.load(ordering: .relaxed) == rounds) }
        #expect(bench.avoided > 0)
    }

    /// Looks in vain before a thread leaves its processor.
    private static let patience = 200

    private final class HandledCount: Sendable {
        let value = Atomic<Int>(0)
    }
}

/// KVM_HC_SEND_IPI's way to the local APICs.
@Suite struct BitmapDeliveryTests {
    private func received(_ apics: ScriptedAPICs) -> [Int] {
        apics.controller.localAPICs.indices.filter { apics[$0].acknowledge() != nil }
    }

    @Test func fixedInterruptsForABitmap() {
        let apics = ScriptedAPICs(count: 70)
        #expect(apics.controller.send(command: 0x41, to: 1 << 66 | 1 << 64 | 5, from: 1) == 4)
        #expect(received(apics) == [1, 3, 65, 67])
        #expect(apics.controller.send(command: 0x51, to: .max, from: 68) == 2)
        #expect(received(apics) == [68, 69])
        #expect(apics.controller.send(command: 0x51, to: .max, from: .max) == 0)
        #expect(apics.controller.send(command: 0x51, to: 0, from: 0) == 0)
        #expect(received(apics) == [])
    }

    @Test func otherModes() {
        let apics = ScriptedAPICs(count: 3)
        #expect(apics.controller.send(command: 0x400, to: 0b110, from: 0) == 2)
        #expect(
            apics.pending.map { $0.current.contains(.nonMaskableInterrupt) } == [false, true, true])
        #expect(
            apics.controller.send(command: 0x141, to: 0b11, from: 0) == 2, "each is its own lowest")
        #expect(received(apics) == [0, 1])
        for nothing in [0x200, 0x300, 0x700, 0x8041, 0x0f] as [UInt32] {
            #expect(apics.controller.send(command: nothing, to: 1, from: 0) == 0)
        }
        #expect(apics.controller.send(command: 0xc042, to: 1, from: 0) == 1)
        #expect(apics[0].read(0x1a0) & 4 != 0, "level-triggered")
    }

    @Test func aDisabledAPICTakesNone() {
        let apics = ScriptedAPICs(count: 2)
        apics.write(1, 0x0f0, 0xff)
        #expect(apics.controller.send(command: 0x41, to: 3, from: 0) == 1)
    }

    @Test func aKickRaisesItsBit() {
        let apics = ScriptedAPICs(count: 2)
        apics.controller.kick(VCPUIndex(1))
        apics.controller.kick(VCPUIndex(2))
        apics.controller.kick(VCPUIndex(.max))
        #expect(apics.pending[1].current == .kick)
        #expect(apics.pending[0].current.isEmpty)
    }
}
