import Clocks
import GuestMemory
import HostIO
import Synchronization
import TestSupport
import Testing
import VirtualCPU
import Vocabulary

@testable import KVMParavirt

@Suite struct KVMFaceTests {
    static let systemTime: UInt32 = 0x4b56_4d01
    static let wallClock: UInt32 = 0x4b56_4d00

    /// A face on a clock that the test moves; the counter runs at `frequency` from 2^40.
    struct Bench {
        let clock: FakeClock
        let memory: GuestMemory
        let face: KVMFace
        let frequency: UInt64

        init(
            frequency: UInt64 = 2_445_424_123, processors: Int = 2, at nanoseconds: UInt64 = 1000
        ) throws {
            let clock = FakeClock(nanoseconds: nanoseconds)
            self.clock = clock
            self.frequency = frequency
            memory = try GuestMemory(regions: [
                MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 1 << 20)
            ])
            face = KVMFace(
                memory: memory, processorCount: processors, frequency: frequency,
                counter: { Self.counter(clock, frequency) },
                monotonic: { clock.now.nanoseconds },
                wallClock: { 1_700_000_000_123_456_789 + clock.now.nanoseconds })
        }

        static func counter(_ clock: FakeClock, _ frequency: UInt64) -> UInt64 {
            let (high, low) = clock.now.nanoseconds.multipliedFullWidth(by: frequency)
            return UInt64(1_000_000_000).dividingFullWidth((high, low)).quotient &+ 1 << 40
        }

        func read<T: FixedWidthInteger & BitwiseCopyable>(_ address: UInt64, _ type: T.Type) -> T {
            memory.read(GuestPhysicalAddress(address), as: type) ?? 0
        }

        /// What a guest computes from the page (Linux, __pvclock_read_cycles).
        func guestTime(_ page: UInt64) -> UInt64 {
            let delta = Self.counter(clock, frequency) &- read(page + 8, UInt64.self)
            let shift = Int8(bitPattern: read(page + 28, UInt8.self))
            let shifted = shift < 0 ? delta >> UInt64(-Int(shift)) : delta << UInt64(shift)
            let (high, low) = shifted.multipliedFullWidth(by: UInt64(read(page + 24, UInt32.self)))
            return read(page + 16, UInt64.self) &+ (high << 32 | low >> 32)
        }
    }

    @Test func thePageHasThePvclockLayout() throws {
        let bench = try Bench()
        _ = bench.memory.fill(GuestPhysicalAddress(0x1000), byteCount: 64, with: 0xee)
        bench.memory.write(GuestPhysicalAddress(0x1000), integer: UInt32(7))
        #expect(bench.face.write(Self.systemTime, 0x1001, VCPUIndex(0)))
        #expect(bench.face.read(Self.systemTime, VCPUIndex(0)) == 0x1001)
        #expect(bench.face.read(Self.systemTime, VCPUIndex(1)) == 0)
        #expect(bench.read(0x1000, UInt32.self) == 8, "even, and not what it was")
        #expect(bench.read(0x1004, UInt32.self) == 0xeeee_eeee, "padding is the guest's")
        #expect(bench.read(0x1010, UInt64.self) == 1000)
        #expect(bench.read(0x101d, UInt8.self) == 1, "TSC stable")
        #expect(bench.read(0x1020, UInt32.self) == 0xeeee_eeee)
        // Linux: (10^9 << 32 >> shift) / multiplier is the frequency it shows.
        let multiplier = UInt64(bench.read(0x1018, UInt32.self))
        #expect(multiplier >= 1 << 31)
        let shift = Int8(bitPattern: bench.read(0x101c, UInt8.self))
        let kilohertz = (1_000_000 << 32) / multiplier
        #expect(
            (shift < 0 ? kilohertz << UInt64(-Int(shift)) : kilohertz >> UInt64(shift)) == 2_445_424
        )
    }

    @Test func theClockStaysWhenTheGuestMovesItsCounter() throws {
        let bench = try Bench()
        _ = bench.face.write(Self.systemTime, 0x1001, VCPUIndex(0))
        _ = bench.face.write(Self.systemTime, 0x2001, VCPUIndex(1))
        let counter = bench.read(0x1008, UInt64.self)
        let moved: UInt64 = 0 &- 12345
        bench.face.adjustCounter(by: moved, of: VCPUIndex(1))
        #expect(bench.read(0x1008, UInt64.self) == counter)
        #expect(bench.read(0x2008, UInt64.self) == counter &+ moved)
        #expect(bench.read(0x2010, UInt64.self) == bench.read(0x1010, UInt64.self))
        #expect(bench.read(0x101d, UInt8.self) == 0, "the counters differ")
        #expect(bench.read(0x201d, UInt8.self) == 0)
        #expect(bench.read(0x2000, UInt32.self) & 1 == 0)
        bench.face.adjustCounter(by: moved, of: VCPUIndex(0))
        #expect(bench.read(0x1008, UInt64.self) == counter &+ moved)
        #expect(bench.read(0x101d, UInt8.self) == 1, "and now they do not")
        #expect(bench.read(0x201d, UInt8.self) == 1)
        #expect(bench.face.captureState().counterAdjustments == [moved, moved])
    }

    @Test func theGuestsClockIsTheHosts() throws {
        for frequency in [2_445_424_123, 999_999_937, 1_000_000_000, 4_800_123_457, 19_200_000] {
            let bench = try Bench(frequency: UInt64(frequency), processors: 1)
            _ = bench.face.write(Self.systemTime, 0x2001, VCPUIndex(0))
            var last: UInt64 = 0
            for seconds in [0, 1, 59, 3600, 86_400, 864_000] as [UInt64] {
                bench.clock.advance(nanoseconds: seconds * 1_000_000_000 + 12_345)
                let host = bench.clock.now.nanoseconds
                let guest = bench.guestTime(0x2000)
                #expect(guest >= last)
                last = guest
                let difference = max(host, guest) - min(host, guest)
                // A billionth, and a tick of the counter.
                #expect(difference <= host / 1_000_000_000 + 100, "\(frequency) Hz")
            }
        }
    }

    @Test func pagesOfAllProcessorsAgree() throws {
        let bench = try Bench(processors: 3)
        for index in 0..<3 as Range<UInt64> {
            _ = bench.face.write(
                Self.systemTime, 0x3001 + index * 64, VCPUIndex(UInt32(index)))
            bench.clock.advance(nanoseconds: 777_777_777)
        }
        let times = (0..<3 as Range<UInt64>).map { bench.guestTime(0x3000 + $0 * 64) }
        #expect(Set(times).count == 1)
        #expect(bench.face.metrics["clockPagesPublished"] == 3)
    }

    @Test func wallClockIsThatOfTheStart() throws {
        let bench = try Bench()
        bench.clock.advance(nanoseconds: 5_000_000_000)
        #expect(bench.face.write(Self.wallClock, 0x4000, VCPUIndex(0)))
        #expect(bench.read(0x4000, UInt32.self) == 2)
        #expect(bench.read(0x4004, UInt32.self) == 1_700_000_000)
        let nanoseconds = bench.read(0x4008, UInt32.self)
        #expect(nanoseconds >= 123_456_700 && nanoseconds <= 123_456_900)
        #expect(bench.face.write(Self.wallClock, 0x4000, VCPUIndex(0)))
        #expect(bench.read(0x4000, UInt32.self) == 4)
        #expect(bench.face.read(Self.wallClock, VCPUIndex(0)) == 0x4000)
    }

    @Test(arguments: [0x10_0001, 0xffff_f001, 0xf_fff1, .max, 0x1000, 0x1003] as [UInt64])
    func pagesThatCannotBeAreLeftAlone(_ value: UInt64) throws {
        let bench = try Bench()
        #expect(bench.face.write(Self.systemTime, value, VCPUIndex(0)))
        #expect(bench.face.write(Self.systemTime, value, VCPUIndex(99)))
        #expect(bench.face.write(Self.wallClock, value | 1, VCPUIndex(0)))
        #expect(bench.face.metrics["clockPagesPublished"] == 0)
        #expect(bench.face.read(Self.systemTime, VCPUIndex(99)) == 0)
    }

    @Test func otherRegistersAreNotOurs() throws {
        let bench = try Bench()
        #expect(bench.face.read(0x4b56_4d08, VCPUIndex(0)) == nil)
        #expect(!bench.face.write(0x4b56_4d7f, 1, VCPUIndex(0)))
        #expect(bench.face.write(0x12, 0x5001, VCPUIndex(0)), "the old number")
        #expect(bench.read(0x5000, UInt32.self) == 2)
        #expect(KVMFace.cpuid(0x4000_0000)?.ebx == 0x4b4d_564b)
        #expect(KVMFace.cpuid(0x4000_0002) == nil)
    }

    /// A reader on another thread sees the old page or the new one, and never a mixture.
    @Test(.timeLimit(.minutes(1))) func theVersionGuardsReaders() throws {
        let bench = try Bench(processors: 1)
        _ = bench.face.write(Self.systemTime, 0x6001, VCPUIndex(0))
        var state = bench.face.captureState()
        let isDone = Atomic<Bool>(false)
        let torn = Atomic<Int>(0)
        let seen = Atomic<Int>(0)
        let reader = try HostThread.spawn(name: "reader") { [memory = bench.memory] in
            let page = GuestPhysicalAddress(0x6000)
            while !isDone.load(ordering: .acquiring) {
                guard let before = memory.atomicLoad(page, as: UInt32.self), before & 1 == 0
                else { continue }
                let counter = memory.atomicLoad(page.advanced(by: 8), as: UInt64.self) ?? 0
                let time = memory.atomicLoad(page.advanced(by: 16), as: UInt64.self) ?? 0
                guard memory.atomicLoad(page, as: UInt32.self) == before else { continue }
                seen.wrappingAdd(1, ordering: .relaxed)
                // The writer below makes both of one number.
                let clock = (counter &- 1 << 40) / 1000
                if before > 2, clock != time { torn.wrappingAdd(1, ordering: .relaxed) }
            }
        }
        let frozen = FakeClock(nanoseconds: 0)
        let exact = KVMFace(
            memory: bench.memory, processorCount: 1, frequency: 1_000_000_000_000,
            counter: { frozen.now.nanoseconds * 1000 &+ 1 << 40 },
            monotonic: { frozen.now.nanoseconds }, wallClock: { 0 })
        var round: UInt64 = 0
        // Until the reader has had its share.
        while round < 2000 || seen.load(ordering: .relaxed) < 200 {
            round += 1
            frozen.advance(nanoseconds: 1_000_003)
            state.nanoseconds = round * 1_000_003
            try exact.restore(state)
        }
        isDone.store(true, ordering: .releasing)
        reader.join()
        let bad = torn.load(ordering: .relaxed)
        #expect(bad == 0)
    }

    @Test func stateGoesOnAndTellsTheGuest() throws {
        let old = try Bench()
        _ = old.face.write(Self.systemTime, 0x7001, VCPUIndex(1))
        _ = old.face.write(Self.wallClock, 0x8000, VCPUIndex(0))
        old.clock.advance(nanoseconds: 3_000_000_000)
        let before = old.guestTime(0x7000)
        let new = try Bench(at: 50_000_000_000)
        new.memory.write(
            GuestPhysicalAddress(0x7000), integer: old.read(0x7000, UInt32.self))
        try handOver(from: old.face, to: new.face)
        let after = new.guestTime(0x7000)
        #expect(after >= before && after - before < 100)
        new.clock.advance(nanoseconds: 1_000_000_000)
        #expect(new.guestTime(0x7000) - after >= 999_999_998)
        #expect(new.read(0x701d, UInt8.self) == 3, "stable, and the guest was stopped")
        #expect(new.read(0x7000, UInt32.self) == 4)
        let time = UInt64(new.read(0x8004, UInt32.self))
        // The wall clock at the guest's 0 is now later by the time it stood.
        #expect(time == 1_700_000_000 + 47)
        let small = try Bench(processors: 1)
        #expect(throws: XError.self) { try handOver(from: old.face, to: small.face) }
    }
}

@Suite struct ClockScaleTests {
    @Test(
        arguments: [
            1, 1000, 1_193_182, 999_999_999, 1_000_000_000, 1_000_000_001, 2_000_000_000,
            2_445_424_123, 4_294_967_296, 10_000_000_000, 1 << 40,
        ] as [UInt64])
    func isRightToHalfOfTwoToTheMinus31(frequency: UInt64) {
        let scale = ClockScale(frequency: frequency)
        #expect(scale.multiplier >= 1 << 31)
        // multiplier * frequency * 2^shift = 10^9 * 2^32, to half a unit of the multiplier.
        let exact = 1e9 * exp2(32 - Double(scale.shift)) / Double(frequency)
        #expect(abs(Double(scale.multiplier) - exact) <= 0.5 + exact * 1e-15)
        let second = scale.nanoseconds(frequency)
        #expect(max(second, 1_000_000_000) - min(second, 1_000_000_000) <= 1)
    }

    private func exp2(_ exponent: Double) -> Double {
        var value = 1.0
        for _ in 0..<Int(exponent) { value *= 2 }
        return value
    }
}
