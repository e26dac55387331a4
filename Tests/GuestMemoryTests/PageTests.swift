import GuestMemory
import Synchronization
import Testing
import Vocabulary

@Suite struct DirtyPageTests {
    let memory: GuestMemory

    init() throws {
        memory = try GuestMemory(regions: [
            MemoryRegion(start: .init(0), byteCount: 200 << 12),
            MemoryRegion(start: .init(1000 << 12), byteCount: 100 << 12),
        ])
    }

    @Test func offRecordsNothing() {
        memory.write(.init(0), integer: UInt64(1))
        #expect(memory.takeDirtyPages() == [])
    }

    @Test func everyWayToWriteIsRecordedOnce() {
        memory.write(.init(0), integer: UInt8(1))
        memory.setDirtyLog(on: true)
        memory.write(.init(0x1fff), integer: UInt16(1))
        memory.write(.init(64 << 12), [1])
        memory.fill(.init((199 << 12) + 1), byteCount: 10)
        _ = memory.atomicOr(.init(1000 << 12), UInt32(1))
        _ = memory.atomicCompareExchange(.init(1001 << 12), expected: UInt32(1), desired: 2)
        memory.atomicStore(.init(1099 << 12), UInt8(1))
        memory.markDirty(page: 70)
        memory.markDirty(page: 1 << 51)
        #expect(memory.isDirty(page: 70))
        #expect(!memory.isDirty(page: 71))
        #expect(memory.takeDirtyPages() == [1, 2, 64, 70, 199, 1000, 1099])
        #expect(memory.takeDirtyPages() == [])
        memory.setDirtyLog(on: false)
        memory.write(.init(0), integer: UInt8(1))
        #expect(memory.takeDirtyPages() == [])
    }

    @Test func startingForgetsOldPages() {
        memory.markDirty(page: 3)
        memory.setDirtyLog(on: true)
        #expect(memory.takeDirtyPages() == [])
    }
}

@Suite struct PageFlagTests {
    let memory: GuestMemory

    init() throws { memory = try GuestMemory(byteCount: 16 << 12) }

    @Test func flagsAreOfOnePage() {
        memory.markCode(0x3abc)
        #expect(memory.pageHoldsCode(0x3000))
        #expect(memory.pageHoldsCode(0x3fff))
        #expect(!memory.pageHoldsCode(0x4000))
        #expect(memory.insertFlags(.absent, ofPageAt: 0x3000) == [.code])
        memory.clearCode(0x3000)
        #expect(memory.flags(ofPageAt: 0x3000) == [.absent])
        memory.markCode(1 << 40)
        #expect(!memory.pageHoldsCode(1 << 40))
    }

    @Test func writesToCodeAreTold() {
        let told = Mutex<[UInt64]>([])
        let observer = memory.observeCode { change, page in
            if change == .written { told.withLock { $0.append(page) } }
        }
        #expect(observer == 1)
        memory.markCode(0x1000)
        memory.markCode(0x2000)
        memory.write(.init(0x0fff), integer: UInt8(1))
        #expect(told.withLock { $0 } == [])
        memory.write(.init(0x1fff), integer: UInt16(1))
        #expect(told.withLock { $0 } == [0x1000, 0x2000])
        memory.clearCode(0x2000)
        memory.atomicStore(.init(0x2000), UInt64(1))
        #expect(told.withLock { $0 } == [0x1000, 0x2000])
    }
}
