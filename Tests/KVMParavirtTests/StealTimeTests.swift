import Glibc
import GuestMemory
import HostIO
import Synchronization
import TestSupport
import Testing
import Vocabulary

@testable import KVMParavirt

/// The area that scheduler and guest share for each vCPU, and the registers beside it.
@Suite struct StealTimeTests {
    static let register: UInt32 = 0x4b56_4d03
    static let pollControl: UInt32 = 0x4b56_4d05
    static let area: UInt64 = 0x2000

    typealias Bench = KVMFaceTests.Bench

    private func registered(_ processors: Int = 2) throws -> Bench {
        let bench = try Bench(processors: processors)
        #expect(bench.face.write(Self.register, Self.area | 1, VCPUIndex(0)))
        return bench
    }

    private func preempted(_ bench: Bench) -> UInt8 { bench.read(Self.area + 16, UInt8.self) }

    @Test func theAreaIsUsableAtOnceWhateverLayThere() throws {
        let bench = try Bench()
        _ = bench.memory.fill(GuestPhysicalAddress(Self.area), byteCount: 128, with: 0xff)
        bench.memory.write(GuestPhysicalAddress(Self.area), integer: UInt64(5))
        #expect(bench.face.write(Self.register, Self.area | 1, VCPUIndex(0)))
        #expect(bench.face.read(Self.register, VCPUIndex(0)) == Self.area | 1)
        #expect(bench.face.read(Self.register, VCPUIndex(1)) == 0)
        #expect(bench.read(Self.area, UInt64.self) == 5, "the guest's count goes on")
        #expect(bench.read(Self.area + 8, UInt32.self) & 1 == 0)
        #expect(preempted(bench) == 0)
        #expect(bench.read(Self.area + 12, UInt32.self) == .max, "flags are not touched")
        #expect(bench.read(Self.area + 64, UInt64.self) == .max)
    }

    @Test func stolenTimeAddsUpUnderTheVersion() throws {
        let bench = try registered()
        let version = bench.read(Self.area + 8, UInt32.self)
        #expect(!bench.face.scheduledIn(VCPUIndex(0), stolenNanoseconds: 300))
        #expect(!bench.face.scheduledIn(VCPUIndex(0), stolenNanoseconds: 45))
        #expect(bench.read(Self.area, UInt64.self) == 345)
        #expect(bench.read(Self.area + 8, UInt32.self) == version + 4)
        #expect(bench.face.metrics["stolenNanoseconds"] == 345)
        // Another vCPU's time is not this one's, and it has no area.
        #expect(!bench.face.scheduledIn(VCPUIndex(1), stolenNanoseconds: 1))
        #expect(bench.read(Self.area, UInt64.self) == 345)
    }

    @Test func aCountNearItsEndWraps() throws {
        let bench = try registered()
        bench.memory.write(GuestPhysicalAddress(Self.area), integer: UInt64.max)
        bench.memory.write(GuestPhysicalAddress(Self.area + 8), integer: UInt32.max - 1)
        #expect(!bench.face.scheduledIn(VCPUIndex(0), stolenNanoseconds: 3))
        #expect(bench.read(Self.area, UInt64.self) == 2)
        #expect(bench.read(Self.area + 8, UInt32.self) == 0)
    }

    @Test func aPreemptedVCPUIsMarkedUntilItRuns() throws {
        let bench = try registered()
        bench.face.scheduledOut(VCPUIndex(0), preempted: true)
        #expect(preempted(bench) == 1)
        #expect(!bench.face.scheduledIn(VCPUIndex(0), stolenNanoseconds: 0))
        #expect(preempted(bench) == 0)
        bench.face.scheduledOut(VCPUIndex(0), preempted: false)
        #expect(preempted(bench) == 0, "a halted vCPU is not preempted")
        #expect(bench.face.metrics["preemptionsMarked"] == 1)
        #expect(bench.face.metrics["flushInterruptsAvoided"] == 0)
    }

    @Test func aFlushLeftInTheAreaIsHeardOnce() throws {
        let bench = try registered()
        bench.face.scheduledOut(VCPUIndex(0), preempted: true)
        let byte = GuestPhysicalAddress(Self.area + 16)
        // What kvm_flush_tlb_multi does.
        #expect(bench.memory.atomicCompareExchange(byte, expected: UInt8(1), desired: 3) == 1)
        // The scheduler passes over it once more: the request stays.
        bench.face.scheduledOut(VCPUIndex(0), preempted: true)
        #expect(preempted(bench) == 3)
        #expect(bench.face.scheduledIn(VCPUIndex(0), stolenNanoseconds: 7))
        #expect(preempted(bench) == 0)
        #expect(!bench.face.scheduledIn(VCPUIndex(0), stolenNanoseconds: 7))
        #expect(bench.face.metrics["flushInterruptsAvoided"] == 1)
        #expect(
            bench.memory.atomicCompareExchange(byte, expected: UInt8(1), desired: 3) == 0,
            "it runs: the other vCPU has to send an interrupt")
    }

    /// Another vCPU asks while this one is scheduled in and out: a request it could leave is heard.
    @Test(.timeLimit(.minutes(1))) func noRequestIsLost() throws {
        let bench = try registered(1)
        let asked = Atomic<Int>(0)
        let heard = Atomic<Int>(0)
        let isDone = Atomic<Bool>(false)
        let other = try HostThread.spawn(name: "other") { [memory = bench.memory] in
            let byte = GuestPhysicalAddress(Self.area + 16)
            while !isDone.load(ordering: .acquiring) {
                if memory.atomicCompareExchange(byte, expected: UInt8(1), desired: 3) == 1 {
                    asked.wrappingAdd(1, ordering: .sequentiallyConsistent)
                    while heard.load(ordering: .sequentiallyConsistent)
                        != asked.load(ordering: .sequentiallyConsistent),
                        !isDone.load(ordering: .acquiring)
                    {}
                }
            }
        }
        var round = 0
        while round < 20_000 || heard.load(ordering: .relaxed) < 500 {
            round += 1
            bench.face.scheduledOut(VCPUIndex(0), preempted: true)
            if round & 15 == 0 { sched_yield() }
            if bench.face.scheduledIn(VCPUIndex(0), stolenNanoseconds: 1) {
                heard.wrappingAdd(1, ordering: .sequentiallyConsistent)
            }
        }
        isDone.store(true, ordering: .releasing)
        other.join()
        if bench.face.scheduledIn(VCPUIndex(0), stolenNanoseconds: 0) {
            heard.wrappingAdd(1, ordering: .relaxed)
        }
        let (left, found) = (asked.load(ordering: .relaxed), heard.load(ordering: .relaxed))
        #expect(left == found)
        #expect(bench.read(Self.area, UInt64.self) == UInt64(round))
    }

    @Test(arguments: [0x2003, 0x2021, 0x203f, 0x2, .max] as [UInt64])
    func reservedBitsAreRefused(_ value: UInt64) throws {
        let bench = try registered()
        #expect(!bench.face.write(Self.register, value, VCPUIndex(0)))
        #expect(bench.face.read(Self.register, VCPUIndex(0)) == Self.area | 1)
    }

    @Test(arguments: [0x10_0001, 0xffff_ffff_ffff_ffc1, 0x8000_0000_0000_0001, 0x2000] as [UInt64])
    func areasThatCannotBeAreLeftAlone(_ value: UInt64) throws {
        let bench = try Bench()
        #expect(bench.face.write(Self.register, value, VCPUIndex(0)))
        #expect(bench.face.read(Self.register, VCPUIndex(0)) == value)
        bench.face.scheduledOut(VCPUIndex(0), preempted: true)
        #expect(!bench.face.scheduledIn(VCPUIndex(0), stolenNanoseconds: 9))
        #expect(bench.face.metrics["stolenNanoseconds"] == 0)
        #expect(bench.face.metrics["preemptionsMarked"] == 0)
        #expect(bench.read(0x2000, UInt64.self) == 0)
    }

    @Test func theLastAreaOfMemoryIsOne() throws {
        let bench = try Bench()
        #expect(bench.face.write(Self.register, 0xf_ffc1, VCPUIndex(1)))
        bench.face.scheduledOut(VCPUIndex(1), preempted: true)
        #expect(bench.read(0xf_ffd0, UInt8.self) == 1)
    }

    @Test func processorsThatAreNotThereHaveNothing() throws {
        let bench = try Bench()
        for index in [2, 99, .max] as [UInt32] {
            let nobody = VCPUIndex(index)
            #expect(!bench.face.write(Self.register, 0x2001, nobody))
            #expect(!bench.face.write(Self.pollControl, 0, nobody))
            #expect(bench.face.read(Self.register, nobody) == nil)
            bench.face.scheduledOut(nobody, preempted: true)
            #expect(!bench.face.scheduledIn(nobody, stolenNanoseconds: 1))
            #expect(!bench.face.takeKick(nobody))
            bench.face.initialize(nobody)
        }
    }

    @Test func pollControlHasOneBit() throws {
        let bench = try Bench()
        #expect(bench.face.read(Self.pollControl, VCPUIndex(0)) == 1)
        #expect(!bench.face.write(Self.pollControl, 2, VCPUIndex(0)))
        #expect(!bench.face.write(Self.pollControl, 1 << 63, VCPUIndex(0)))
        #expect(bench.face.write(Self.pollControl, 0, VCPUIndex(0)))
        #expect(bench.face.read(Self.pollControl, VCPUIndex(0)) == 0)
        #expect(bench.face.read(Self.pollControl, VCPUIndex(1)) == 1)
    }

    @Test func migrationControlIsNotOffered() throws {
        let bench = try Bench()
        for index in [0x4b56_4d08, 0x4b56_4d09] as [UInt32] {
            #expect(bench.face.read(index, VCPUIndex(0)) == nil)
            #expect(!bench.face.write(index, 0, VCPUIndex(0)))
        }
    }

    @Test func initForgetsAreasAndClock() throws {
        let bench = try registered()
        _ = bench.face.write(KVMFaceTests.systemTime, 0x3001, VCPUIndex(0))
        _ = bench.face.write(KVMFaceTests.systemTime, 0x3041, VCPUIndex(1))
        _ = bench.face.write(Self.pollControl, 0, VCPUIndex(0))
        bench.face.initialize(VCPUIndex(0))
        #expect(bench.face.read(Self.register, VCPUIndex(0)) == 0)
        #expect(bench.face.read(KVMFaceTests.systemTime, VCPUIndex(0)) == 0)
        #expect(bench.face.read(KVMFaceTests.systemTime, VCPUIndex(1)) == 0x3041)
        #expect(bench.face.read(Self.pollControl, VCPUIndex(0)) == 0, "as on KVM")
        bench.face.scheduledOut(VCPUIndex(0), preempted: true)
        #expect(preempted(bench) == 0)
    }

    @Test func aPreemptedVCPUGoesOverWithItsRequest() throws {
        let old = try registered()
        _ = old.face.write(Self.pollControl, 0, VCPUIndex(1))
        _ = old.face.scheduledIn(VCPUIndex(0), stolenNanoseconds: 1000)
        old.face.scheduledOut(VCPUIndex(0), preempted: true)
        old.memory.write(GuestPhysicalAddress(Self.area + 16), integer: UInt8(3))
        let new = try Bench()
        new.memory.write(
            GuestPhysicalAddress(0),
            try #require(old.memory.read(GuestPhysicalAddress(0), byteCount: 0x4000)))
        try handOver(from: old.face, to: new.face)
        #expect(new.face.read(Self.register, VCPUIndex(0)) == Self.area | 1)
        #expect(new.face.read(Self.pollControl, VCPUIndex(1)) == 0)
        #expect(new.face.scheduledIn(VCPUIndex(0), stolenNanoseconds: 1))
        #expect(new.read(Self.area, UInt64.self) == 1001)
    }
}
