import HostIO
import Synchronization
import Testing
import Vocabulary

@testable import Paging

struct SwapFileTests {
    private func pages(_ count: Int, _ fill: UInt8) throws -> MemoryMapping {
        let mapping = try MemoryMapping(anonymous: count * 4096)
        for index in 0..<count * 4096 {
            unsafe mapping.base.storeBytes(
                of: fill &+ UInt8(truncatingIfNeeded: index / 4096), toByteOffset: index,
                as: UInt8.self)
        }
        return mapping
    }

    @Test func pagesComeBack() throws {
        let swap = try SwapFile(directory: "/tmp", slotCount: 100)
        let slots = try #require(swap.allocate(3))
        #expect(slots.count == 3)
        let written = try pages(3, 7)
        try unsafe swap.write(
            UnsafeRawBufferPointer(start: written.base, count: 3 * 4096), to: slots)
        let page = try MemoryMapping(anonymous: 4096)
        for (number, slot) in slots.enumerated() {
            try unsafe swap.read(
                slot..<slot + 1, into: UnsafeMutableRawBufferPointer(start: page.base, count: 4096))
            #expect(unsafe page.base.load(fromByteOffset: 99, as: UInt8.self) == UInt8(7 + number))
        }
    }

    @Test func anotherPageIsAnError() throws {
        let swap = try SwapFile(directory: "/tmp", slotCount: 4)
        let slots = try #require(swap.allocate(1))
        let page = try pages(1, 1)
        try unsafe swap.write(UnsafeRawBufferPointer(start: page.base, count: 4096), to: slots)
        try swap.damage(slots.lowerBound)
        #expect(throws: XError.self) {
            try unsafe swap.read(
                slots, into: UnsafeMutableRawBufferPointer(start: page.base, count: 4096))
        }
    }

    @Test func slotsAreUsedAgain() throws {
        let swap = try SwapFile(directory: "/tmp", slotCount: 130)
        #expect(swap.allocate(100) == 0..<100)
        #expect(swap.allocate(100) == 100..<130)
        #expect(swap.allocate(1) == nil)
        for slot in 10..<20 { swap.free(slot) }
        #expect(swap.allocate(64) == 10..<20)
        swap.free(129)
        #expect(swap.allocate(2) == 129..<130)
        #expect(swap.usedCount.load(ordering: .relaxed) == 130)
    }

    @Test func aFolderThatIsNotThereIsNamed() throws {
        do {
            _ = try SwapFile(directory: "/nonexistent-folder", slotCount: 1)
            Issue.record("there is no such folder")
        } catch {
            #expect(error.message.contains("/nonexistent-folder"))
            #expect(error.message.contains("--swap"))
        }
    }
}

struct SwapStreamsTests {
    @Test func whoReadsInOrderIsReadAheadFor() {
        var streams = SwapStreams()
        #expect(streams.ahead(of: 100) == 0)
        #expect(streams.ahead(of: 500) == 0)
        #expect(streams.ahead(of: 101) == 1)
        #expect(streams.ahead(of: 103) == 2)
        #expect(streams.ahead(of: 501) == 1)
        #expect(streams.ahead(of: 106) == 4)
        // Only two of the four could be had: the next request of the stream is for the third.
        streams.cut(106, wanted: 4, got: 2)
        #expect(streams.ahead(of: 109) == 8)
        #expect(streams.ahead(of: 109) == 0)
    }

    @Test func thereAreLimits() {
        var streams = SwapStreams()
        var slot = 0
        for _ in 0..<20 { slot += 1 + streams.ahead(of: slot) }
        #expect(streams.ahead(of: slot) == SwapStreams.longest)
        for other in 1...8 { _ = streams.ahead(of: other * 100_000) }
        #expect(streams.ahead(of: slot + 1 + SwapStreams.longest) == 0)
    }
}
