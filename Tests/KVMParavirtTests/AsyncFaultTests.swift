import Foundation
import GuestMemory
import HostIO
import TestSupport
import Testing
import VirtualCPU
import Vocabulary

@testable import KVMParavirt

@Suite struct AsyncFaultTests {
    typealias Bench = KVMFaceTests.Bench
    typealias Guest = AsyncFaultGuest

    private func guest(_ bench: Bench, _ processor: UInt32 = 0) -> Guest {
        var guest = Guest(bench, processor, area: 0x5000 + UInt64(processor) * 64)
        guest.turnOnAndSettle()
        return guest
    }

    private func metric(_ bench: Bench, _ name: String) -> UInt64? { bench.face.metrics[name] }

    @Test func theGuestIsOfferedInterruptsAndNotNesting() {
        let features = KVMFace.cpuid(0x4000_0001)?.eax ?? 0
        #expect(features & 1 << 4 != 0 && features & 1 << 14 != 0)
        #expect(features & 1 << 10 == 0, "ASYNC_PF_VMEXIT")
    }

    // MARK: Registers

    @Test func registersAreThoseOfLinux() throws {
        let bench = try Bench()
        for index in [Guest.enable, Guest.interrupt, Guest.acknowledge] {
            #expect(bench.face.read(index, VCPUIndex(0)) == 0)
            #expect(KVMFace.isPageReadyRegister(index))
        }
        #expect(!KVMFace.isPageReadyRegister(0x4b56_4d05))
        #expect(bench.face.write(Guest.interrupt, 0xf3, VCPUIndex(0)))
        #expect(bench.face.read(Guest.interrupt, VCPUIndex(0)) == 0xf3)
        #expect(bench.face.read(Guest.interrupt, VCPUIndex(1)) == 0)
        #expect(bench.face.write(Guest.enable, 0x504b, VCPUIndex(0)), "SEND_ALWAYS is taken")
        #expect(bench.face.read(Guest.enable, VCPUIndex(0)) == 0x504b)
        #expect(bench.face.write(Guest.acknowledge, .max, VCPUIndex(0)), "only bit 0 counts")
        #expect(bench.face.write(Guest.acknowledge, 2, VCPUIndex(0)))
        #expect(bench.face.read(Guest.acknowledge, VCPUIndex(0)) == 0)
        #expect(metric(bench, "asyncFaultsAcknowledged") == 1)
        for nobody in [2, .max] as [UInt32] {
            #expect(!bench.face.write(Guest.enable, 0x5009, VCPUIndex(nobody)))
            #expect(bench.face.read(Guest.enable, VCPUIndex(nobody)) == nil)
            #expect(!bench.face.pageIsReady(VCPUIndex(nobody), token: 0x1000))
            #expect(
                bench.face.pageNotPresent(VCPUIndex(nobody), page: 1, Guest.takes) == .halt)
            #expect(
                bench.face.readyPageVector(VCPUIndex(nobody), localAPICIsEnabled: true) == nil)
        }
    }

    /// Bits 5 and 4, bit 2 that is not offered, and areas that are no RAM, the last bytes included.
    @Test(
        arguments: [
            0x5019, 0x5029, 0x500d, 0x5004, 0x10, 0x10_0009, 0xffff_ffff_ffff_ffc9, .max,
        ] as [UInt64])
    func valuesThatKVMRefuses(_ value: UInt64) throws {
        let bench = try Bench()
        #expect(bench.face.write(Guest.enable, 0x6001, VCPUIndex(0)))
        #expect(!bench.face.write(Guest.enable, value, VCPUIndex(0)))
        #expect(bench.face.read(Guest.enable, VCPUIndex(0)) == 0x6001)
    }

    @Test(arguments: [0x100, 0x1f3, 1 << 63] as [UInt64])
    func vectorsThatKVMRefuses(_ value: UInt64) throws {
        let bench = try Bench()
        #expect(!bench.face.write(Guest.interrupt, value, VCPUIndex(0)))
        #expect(bench.face.read(Guest.interrupt, VCPUIndex(0)) == 0)
    }

    /// An area that is no RAM is only looked at when it is used; the last one of memory is one.
    @Test func areas() throws {
        let bench = try Bench()
        #expect(bench.face.write(Guest.enable, 0x10_0000, VCPUIndex(0)), "not enabled")
        #expect(bench.face.write(Guest.enable, 0x10_0001, VCPUIndex(0)), "not by interrupt")
        #expect(bench.face.write(Guest.enable, 0xf_ffc9, VCPUIndex(0)))
        var guest = Guest(bench, 0, area: 0xf_ffc0)
        guest.turnOnAndSettle()
        _ = try guest.sleep(on: 7)
    }

    // MARK: Not present

    @Test func aFaultIsToldInTheAreaAndByItsToken() throws {
        let bench = try Bench()
        var guest = guest(bench, 1)
        _ = bench.memory.fill(GuestPhysicalAddress(0x5048), byteCount: 56, with: 0xee)
        #expect(guest.fault(0x123) == .notPresent(token: 1 << 12 | 1))
        #expect(guest.flags == 1)
        #expect(guest.slot == 0)
        #expect(bench.read(0x5048, UInt64.self) == 0xeeee_eeee_eeee_eeee, "the rest is not ours")
        let isOurs = guest.takePageFault(1 << 12 | 1)
        #expect(isOurs)
        #expect(guest.fault(0x124) == .notPresent(token: 2 << 12 | 1))
        #expect(metric(bench, "asyncFaultsInjected") == 2)
        #expect(metric(bench, "asyncFaultsOutstanding") == 2)
        #expect(metric(bench, "asyncFaultsHalted") == 0)
    }

    /// Linux 6.1 panics if one comes in its kernel or with interrupts off.
    @Test func faultsThatTheGuestCannotTakeHalt() throws {
        let bench = try Bench()
        let guest = guest(bench)
        var cannot: [AsyncFaultConditions] = []
        for level in [0, 1, 2] as [UInt8] {
            cannot.append(Guest.takes)
            cannot[cannot.count - 1].privilegeLevel = level
        }
        cannot += [Guest.takes, Guest.takes, Guest.takes]
        cannot[3].interruptsEnabled = false
        cannot[4].pagingEnabled = false
        cannot[5].eventPending = true
        for conditions in cannot { #expect(guest.fault(1, conditions) == .halt) }
        #expect(guest.flags == 0)
        #expect(metric(bench, "asyncFaultsHalted") == 6)
        #expect(metric(bench, "asyncFaultsInjected") == 0)
        #expect(guest.fault(1) != .halt)
    }

    @Test func noFaultInTheKernelEvenIfTheGuestPermitsIt() throws {
        let bench = try Bench()
        let guest = guest(bench)
        #expect(bench.face.write(Guest.enable, guest.area | 0xb, VCPUIndex(0)))
        var kernel = Guest.takes
        kernel.privilegeLevel = 0
        #expect(guest.fault(1, kernel) == .halt)
        #expect(guest.fault(1) != .halt)
    }

    @Test func withoutInterruptDeliveryOrVectorNothingIsTold() throws {
        let bench = try Bench()
        let guest = Guest(bench)
        #expect(guest.fault(1) == .halt, "off")
        #expect(bench.face.write(Guest.enable, guest.area | 9, VCPUIndex(0)))
        #expect(guest.fault(1) == .halt, "no vector")
        for vector in 1..<16 as Range<UInt64> {
            #expect(bench.face.write(Guest.interrupt, vector, VCPUIndex(0)))
            #expect(guest.fault(1) == .halt, "a local APIC takes no vector below 16")
            #expect(bench.face.readyPageVector(VCPUIndex(0), localAPICIsEnabled: true) == nil)
        }
        #expect(bench.face.write(Guest.interrupt, 0x10, VCPUIndex(0)))
        #expect(bench.face.readyPageVector(VCPUIndex(0), localAPICIsEnabled: true) == 0x10)
        #expect(guest.fault(1) != .halt)
        #expect(bench.face.write(Guest.enable, guest.area | 1, VCPUIndex(0)))
        #expect(guest.fault(2) == .halt, "bit 3")
        #expect(bench.face.write(Guest.enable, guest.area | 8, VCPUIndex(0)))
        #expect(guest.fault(2) == .halt, "bit 0")
    }

    @Test func whileTheLastFaultIsOnItsWayTheVCPUHalts() throws {
        let bench = try Bench()
        var guest = guest(bench)
        guard case .notPresent(let token) = guest.fault(1) else { throw Guest.GuestError.halted }
        #expect(guest.fault(2) == .halt)
        let isOurs = guest.takePageFault(token)
        #expect(isOurs)
        #expect(guest.fault(2) != .halt)
    }

    @Test func aSecondFaultOnAPageHaltsUntilItIsTold() throws {
        let bench = try Bench()
        var guest = guest(bench)
        let token = try guest.sleep(on: 1)
        #expect(guest.fault(1) == .halt)
        _ = try guest.sleep(on: 2)
        #expect(bench.face.pageIsReady(VCPUIndex(0), token: token))
        #expect(guest.fault(1) == .halt, "the guest does not know yet")
        guest.drain()
        let again = try guest.sleep(on: 1)
        #expect(again != token)
        var other = self.guest(bench, 1)
        _ = try other.sleep(on: 2)
    }

    @Test func sixtyFourAreOutstandingAndNoMore() throws {
        let bench = try Bench()
        var guest = guest(bench)
        var tokens: [UInt32] = []
        for page in 0..<64 as Range<UInt64> { tokens.append(try guest.sleep(on: page)) }
        #expect(guest.fault(64) == .halt)
        #expect(bench.face.pageIsReady(VCPUIndex(0), token: tokens[40]))
        #expect(guest.fault(64) == .halt, "ready is not told")
        guest.drain()
        #expect(guest.woken == [tokens[40]])
        #expect(guest.fault(64) != .halt)
        #expect(Set(tokens).count == 64)
    }

    @Test func tokensAreNeverZeroNorOnesAndSkipThoseInUse() throws {
        var queue = AsyncFaultQueue()
        func add(_ page: UInt64, _ processor: UInt32, from identifier: UInt32? = nil) -> UInt32? {
            if let identifier { queue.goOn(from: identifier) }
            return queue.add(page: page, processor: processor)
        }
        #expect(add(1, 0xfff) == 0x1fff)
        #expect(add(2, 0xfff, from: 0xf_ffff) == 0x2fff, "neither all ones nor the first")
        #expect(add(3, 0, from: 0xf_ffff) == 0xffff_f000)
        #expect(add(4, 0) == 0x1000)
        #expect(add(5, 0, from: 0) == 0x2000, "states may say anything")
        #expect(add(6, 1, from: .max) == 0xffff_f001)
    }

    // MARK: Ready

    @Test func oneTokenAtATimeInTheOrderInWhichPagesCame() throws {
        let bench = try Bench()
        var guest = guest(bench)
        let tokens = try (0..<3 as Range<UInt64>).map { try guest.sleep(on: $0) }
        for index in [2, 0, 1] {
            #expect(bench.face.pageIsReady(VCPUIndex(0), token: tokens[index]))
        }
        #expect(bench.face.readyPageVector(VCPUIndex(0), localAPICIsEnabled: true) == 0xf3)
        #expect(guest.slot == tokens[2])
        #expect(
            bench.face.readyPageVector(VCPUIndex(0), localAPICIsEnabled: true) == nil,
            "the slot is taken")
        #expect(guest.slot == tokens[2])
        guest.takeInterrupt()
        guest.drain()
        #expect(guest.woken == [tokens[2], tokens[0], tokens[1]])
        #expect(guest.sleeping.isEmpty)
        #expect(metric(bench, "asyncFaultsReady") == 3)
        #expect(metric(bench, "asyncFaultsAcknowledged") == 4, "with the one that woke all")
        #expect(metric(bench, "asyncFaultsOutstanding") == 0)
    }

    @Test func aPageMayComeBeforeTheGuestHandlesItsFault() throws {
        let bench = try Bench()
        var guest = guest(bench)
        guard case .notPresent(let token) = guest.fault(1) else { throw Guest.GuestError.halted }
        #expect(bench.face.pageIsReady(VCPUIndex(0), token: token))
        guest.drain()
        #expect(guest.flags == 1)
        #expect(guest.early == [token])
        let isOurs = guest.takePageFault(token)
        #expect(isOurs)
        #expect(guest.sleeping.isEmpty)
    }

    @Test func aTokenIsToldOnceAndStrangersNever() throws {
        let bench = try Bench()
        var guest = guest(bench)
        let token = try guest.sleep(on: 1)
        for stranger in [0, token + 1, token | 0x2000, Guest.wakeAll] {
            #expect(!bench.face.pageIsReady(VCPUIndex(0), token: stranger))
        }
        #expect(!bench.face.pageIsReady(VCPUIndex(1), token: token))
        #expect(bench.face.pageIsReady(VCPUIndex(0), token: token))
        #expect(!bench.face.pageIsReady(VCPUIndex(0), token: token))
        guest.drain()
        #expect(!bench.face.pageIsReady(VCPUIndex(0), token: token))
        guest.drain()
        #expect(guest.woken == [token])
    }

    /// cloud-hypervisor #2277: an interrupt to a local APIC that is software-disabled is lost, and
    /// the token stays in the slot for ever. Linux enables the interface before its local APIC.
    @Test func nothingIsToldWhileTheLocalAPICIsDisabled() throws {
        let bench = try Bench()
        var guest = Guest(bench)
        guest.turnOn()
        let token = try guest.sleep(on: 1)
        #expect(bench.face.pageIsReady(VCPUIndex(0), token: token))
        for _ in 0..<3 {
            #expect(bench.face.readyPageVector(VCPUIndex(0), localAPICIsEnabled: false) == nil)
            #expect(guest.slot == 0)
        }
        guest.drain()
        #expect(guest.woken == [Guest.wakeAll, token], "kept, and in order")
    }

    // MARK: On and off

    @Test func enablingWakesWhoeverWaits() throws {
        let bench = try Bench()
        var guest = guest(bench)
        let token = try guest.sleep(on: 1)
        guest.turnOn()
        #expect(!bench.face.pageIsReady(VCPUIndex(0), token: token))
        guest.drain()
        #expect(guest.woken == [Guest.wakeAll])
        #expect(guest.sleeping.isEmpty)
        #expect(metric(bench, "asyncFaultsDropped") == 1)
        #expect(metric(bench, "asyncFaultWakeAlls") == 2)
    }

    @Test func disablingDropsWhatIsOutstanding() throws {
        let bench = try Bench()
        var guest = guest(bench)
        let waiting = try guest.sleep(on: 1)
        let ready = try guest.sleep(on: 2)
        #expect(bench.face.pageIsReady(VCPUIndex(0), token: ready))
        guest.turnOff()
        #expect(!bench.face.pageIsReady(VCPUIndex(0), token: waiting))
        #expect(bench.face.readyPageVector(VCPUIndex(0), localAPICIsEnabled: true) == nil)
        #expect(guest.slot == 0)
        #expect(guest.fault(3) == .halt)
        #expect(metric(bench, "asyncFaultsDropped") == 2)
        guest.turnOnAndSettle()
        let again = try guest.sleep(on: 1)
        #expect(![waiting, ready].contains(again), "tokens are not used again soon")
        #expect(!bench.face.pageIsReady(VCPUIndex(0), token: waiting))
    }

    /// The interrupt comes when the guest has turned the interface off, and so is not answered; Linux
    /// does not clear the area when the processor comes back.
    @Test func aTokenLeftInTheAreaDoesNotStopTheNext() throws {
        let bench = try Bench()
        var guest = guest(bench)
        let left = try guest.sleep(on: 1)
        #expect(bench.face.pageIsReady(VCPUIndex(0), token: left))
        #expect(bench.face.readyPageVector(VCPUIndex(0), localAPICIsEnabled: true) == 0xf3)
        guest.turnOff()
        let isAnswered = guest.takeInterrupt()
        #expect(!isAnswered)
        #expect(guest.slot == left)
        guest.turnOnAndSettle()
        let token = try guest.sleep(on: 2)
        #expect(bench.face.pageIsReady(VCPUIndex(0), token: token))
        guest.drain()
        #expect(guest.woken == [token])
    }

    @Test func initOfAVCPUResets() throws {
        let bench = try Bench()
        var (guest, other) = (guest(bench), guest(bench, 1))
        let token = try guest.sleep(on: 1)
        let others = try other.sleep(on: 1)
        bench.face.initialize(VCPUIndex(0))
        #expect(bench.face.read(Guest.enable, VCPUIndex(0)) == 0)
        #expect(bench.face.read(Guest.interrupt, VCPUIndex(0)) == 0)
        #expect(!bench.face.pageIsReady(VCPUIndex(0), token: token))
        #expect(guest.fault(2) == .halt)
        #expect(bench.face.pageIsReady(VCPUIndex(1), token: others), "another's stay")
        #expect(metric(bench, "asyncFaultsDropped") == 1)
    }

    // MARK: Snapshots

    private func copyMemory(_ old: Bench, _ new: Bench) throws {
        new.memory.write(
            GuestPhysicalAddress(0),
            try #require(old.memory.read(GuestPhysicalAddress(0), byteCount: 0x6000)))
    }

    /// Firecracker #3020: tasks that waited when the snapshot was taken waited for ever. #5322: a
    /// token that a task of before waits on is not given again.
    @Test func afterARestoreAllAreWokenAndNoOldTokenIsToldOrGivenAgain() throws {
        let (old, new) = (try Bench(), try Bench())
        var guest = guest(old)
        let tokens = try (0..<5 as Range<UInt64>).map { try guest.sleep(on: $0) }
        #expect(old.face.pageIsReady(VCPUIndex(0), token: tokens[0]))
        try copyMemory(old, new)
        try handOver(from: old.face, to: new.face)
        #expect(new.face.read(Guest.enable, VCPUIndex(0)) == guest.area | 9)
        #expect(new.face.read(Guest.interrupt, VCPUIndex(0)) == 0xf3)
        var restored = Guest(new)
        (restored.isEnabled, restored.sleeping) = (true, guest.sleeping)
        for token in tokens { #expect(!new.face.pageIsReady(VCPUIndex(0), token: token)) }
        // A page that comes before they are woken does not come before them.
        let fresh = try restored.sleep(on: 1)
        #expect(!tokens.contains(fresh))
        #expect(new.face.pageIsReady(VCPUIndex(0), token: fresh))
        restored.drain()
        #expect(restored.woken == [Guest.wakeAll, fresh])
        #expect(restored.sleeping.isEmpty)
        #expect(new.face.readyPageVector(VCPUIndex(1), localAPICIsEnabled: true) == nil, "was off")
    }

    /// The interrupt of the token in the slot is the local APIC's to restore.
    @Test func aTokenInTheSlotIsTakenBeforeAllAreWoken() throws {
        let (old, new) = (try Bench(), try Bench())
        var guest = guest(old)
        let token = try guest.sleep(on: 1)
        #expect(old.face.pageIsReady(VCPUIndex(0), token: token))
        #expect(old.face.readyPageVector(VCPUIndex(0), localAPICIsEnabled: true) == 0xf3)
        try copyMemory(old, new)
        try handOver(from: old.face, to: new.face)
        var restored = Guest(new)
        (restored.isEnabled, restored.sleeping) = (true, guest.sleeping)
        #expect(new.face.readyPageVector(VCPUIndex(0), localAPICIsEnabled: true) == nil)
        restored.takeInterrupt()
        restored.drain()
        #expect(restored.woken == [token, Guest.wakeAll])
    }

    @Test func restoringOverAFaceThatHasFaultsForgetsThem() throws {
        let (old, new) = (try Bench(), try Bench())
        var guest = guest(new)
        let token = try guest.sleep(on: 1)
        try handOver(from: old.face, to: new.face)
        #expect(!new.face.pageIsReady(VCPUIndex(0), token: token))
        #expect(guest.fault(2) == .halt, "the interface was off")
        #expect(metric(new, "asyncFaultsDropped") == 1)
    }

    @Test func statesFromBeforeDecodeAndDamagedOnesAreRefused() throws {
        let bench = try Bench()
        _ = guest(bench)
        let whole = bench.face.captureState()
        var old = try #require(
            JSONSerialization.jsonObject(with: JSONEncoder().encode(whole)) as? [String: Any])
        #expect(old.removeValue(forKey: "asyncFaults") != nil)
        let state = try JSONDecoder().decode(
            KVMFace.State.self, from: JSONSerialization.data(withJSONObject: old))
        let new = try Bench()
        _ = guest(new)
        try new.face.restore(state)
        #expect(new.face.read(Guest.enable, VCPUIndex(0)) == 0)
        #expect(new.face.readyPageVector(VCPUIndex(0), localAPICIsEnabled: true) == nil)
        for damage in [
            { $0[0].enable = 0x10_0009 }, { $0[1].enable |= 0x10 }, { $0[0].interrupt = 0x100 },
            { $0.removeLast() },
        ] as [(inout [KVMFace.State.AsyncFaults]) -> Void] {
            var state = whole
            var faults = try #require(state.asyncFaults)
            damage(&faults)
            state.asyncFaults = faults
            #expect(throws: XError.self) { try new.face.restore(state) }
        }
    }
}
