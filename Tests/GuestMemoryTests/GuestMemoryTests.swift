import GuestMemory
import Testing
import Vocabulary

@Suite struct RegionTests {
    @Test func pcLayoutLeavesTheHole() throws {
        let memory = try GuestMemory(regions: [
            MemoryRegion(start: .init(0), byteCount: 0x10000),
            MemoryRegion(start: .init(0x1_0000_0000), byteCount: 0x10000),
        ])
        #expect(memory.byteCount == 0x20000)
        #expect(memory.spanByteCount == 0x1_0001_0000)
        #expect(memory.contains(0, 0x10000))
        #expect(!memory.contains(0, 0x10001))
        #expect(!memory.contains(0xffff, 2))
        #expect(!memory.contains(0xc000_0000, 1))
        #expect(memory.contains(0x1_0000_ffff, 1))
        #expect(!memory.contains(0x1_0001_0000, 1))
        #expect(!memory.contains(.max, 1))
        #expect(!memory.contains(.max, 2))
        #expect(!memory.contains(0, -1))
        #expect(memory.contains(0xdead_0000_0000, 0))
        #expect(memory.isRAM(page: 0xf))
        #expect(!memory.isRAM(page: 0x10))
        #expect(!memory.isRAM(page: .max))
        #expect(memory.fileOffset(of: .init(0x1_0000_0010)) == 0x10010)
        #expect(memory.fileOffset(of: .init(0x20000)) == nil)
    }

    @Test func regionsOfAPC() {
        #expect(
            MemoryRegion.pc(byteCount: 1 << 30) == [
                MemoryRegion(start: .init(0), byteCount: 1 << 30)
            ])
        #expect(
            MemoryRegion.pc(byteCount: 5 << 30) == [
                MemoryRegion(start: .init(0), byteCount: 3 << 30),
                MemoryRegion(start: .init(4 << 30), byteCount: 2 << 30),
            ])
    }

    @Test func touchingRegionsAreOne() throws {
        let memory = try GuestMemory(regions: [
            MemoryRegion(start: .init(0x2000), byteCount: 0x1000),
            MemoryRegion(start: .init(0x1000), byteCount: 0x1000),
        ])
        #expect(memory.regions.count == 1)
        #expect(memory.write(.init(0x1ffc), integer: UInt64(0x0123_4567_89ab_cdef)))
        #expect(memory.read(.init(0x1ffc), as: UInt64.self) == 0x0123_4567_89ab_cdef)
        #expect(!memory.contains(0, 1))
    }

    @Test(
        arguments: [
            ([], "0 bytes"),
            ([(0, 0)], "0 bytes"),
            ([(0, 100)], "multiples of 4096"),
            ([(0x10, 4096)], "multiples of 4096"),
            ([(0, 8192), (4096, 4096)], "overlap"),
            ([(0, 999 << 40)], "cannot get 999 TiB"),
            ([(0, 100 << 40)], "cannot get 100 TiB"),
            ([(0x7fff_ffff_f000, 4096)], "47 bits"),
            ([(0xffff_ffff_ffff_f000, 8192)], "52 bits"),
        ] as [([(UInt64, UInt64)], String)])
    func badRegionsAreRefused(_ regions: [(UInt64, UInt64)], _ part: String) {
        let error = #expect(throws: XError.self) {
            try GuestMemory(
                regions: regions.map { MemoryRegion(start: .init($0.0), byteCount: $0.1) })
        }
        #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
    }
}

@Suite struct AccessTests {
    let memory: GuestMemory

    init() throws { memory = try GuestMemory(byteCount: 1 << 20) }

    @Test func newMemoryIsZero() {
        #expect(memory.read(.init(0), byteCount: 1 << 20) == [UInt8](repeating: 0, count: 1 << 20))
    }

    @Test(arguments: [0, 1, 3, 0xffd, 0xffff8] as [UInt64])
    func integersAtAnyAlignment(_ address: UInt64) {
        let value: UInt64 = 0x8877_6655_4433_2211
        #expect(memory.write(.init(address), integer: value))
        #expect(memory.read(.init(address), as: UInt64.self) == value)
        #expect(memory.read(.init(address), as: UInt8.self) == 0x11)
        #expect(memory.read(.init(address + 6), as: UInt16.self) == 0x8877)
    }

    @Test func nothingIsWrittenBeyondTheEnd() {
        #expect(!memory.write(.init((1 << 20) - 7), integer: UInt64.max))
        #expect(memory.read(.init((1 << 20) - 7), byteCount: 7) == [UInt8](repeating: 0, count: 7))
        #expect(memory.read(.init((1 << 20) - 7), as: UInt64.self) == nil)
        #expect(memory.read(.init(1 << 20), byteCount: 1) == nil)
        #expect(!memory.write(.init((1 << 20) - 2), [1, 2, 3]))
        #expect(!memory.fill(.init(4096), byteCount: 1 << 20))
        #expect(memory.write(.init((1 << 20) - 3), [1, 2, 3]))
        #expect(memory.read(.init((1 << 20) - 4), byteCount: 4) == [0, 1, 2, 3])
    }

    @Test func bytesAndFill() {
        let bytes = (0..<10000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        #expect(memory.write(.init(0x1234), bytes))
        #expect(memory.read(.init(0x1234), byteCount: 10000) == bytes)
        #expect(memory.write(.init(0x8000), stride(from: 5 as UInt8, to: 8, by: 1)))
        #expect(memory.read(.init(0x8000), byteCount: 4) == [5, 6, 7, 0])
        #expect(memory.fill(.init(0x1234), byteCount: 9999, with: 9))
        #expect(memory.read(.init(0x1234 + 9998), byteCount: 2) == [9, bytes[9999]])
    }

    @Test func residentMemoryGrowsWithUse() {
        let before = memory.residentByteCount
        memory.fill(.init(0), byteCount: 64 << 10, with: 1)
        #expect(memory.residentByteCount >= before + 64 << 10)
        #expect(memory.peakResidentByteCount >= 64 << 10)
    }
}

@Suite struct AtomicTests {
    let memory: GuestMemory

    init() throws { memory = try GuestMemory(byteCount: 1 << 16) }

    func check<T: AtomicWord>(_ type: T.Type) {
        let address = GuestPhysicalAddress(0x100)
        #expect(memory.atomicStore(address, T(0x55)))
        #expect(memory.atomicLoad(address, as: T.self) == 0x55)
        #expect(memory.atomicExchange(address, T(0x0f)) == 0x55)
        #expect(memory.atomicOr(address, T(0x70)) == 0x0f)
        #expect(memory.atomicAnd(address, T(0x3c)) == 0x7f)
        #expect(memory.atomicCompareExchange(address, expected: T(1), desired: 2) == 0x3c)
        #expect(memory.atomicCompareExchange(address, expected: T(0x3c), desired: .max) == 0x3c)
        #expect(memory.read(address, as: T.self) == .max)
        #expect(
            memory.read(address.advanced(by: UInt64(MemoryLayout<T>.size)), as: UInt8.self) == 0)
    }

    @Test func everyWidth() {
        check(UInt8.self)
        check(UInt16.self)
        check(UInt32.self)
        check(UInt64.self)
    }

    @Test func misalignedOrAbsentIsRefused() {
        #expect(memory.atomicLoad(.init(1), as: UInt16.self) == nil)
        #expect(memory.atomicLoad(.init(0xfffc), as: UInt64.self) == nil)
        #expect(!memory.atomicStore(.init(0x10000), UInt8(1)))
        #expect(memory.atomicOr(.init(.max), UInt8(1)) == nil)
    }

    @Test func threadsLoseNoUpdate() async {
        let memory = memory
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<10_000 {
                        var seen = memory.atomicLoad(.init(0), as: UInt32.self) ?? 0
                        while let found = memory.atomicCompareExchange(
                            .init(0), expected: seen, desired: seen &+ 1), found != seen
                        { seen = found }
                    }
                }
            }
        }
        #expect(memory.atomicLoad(.init(0), as: UInt32.self) == 40_000)
    }
}
