import Dispatch
import GuestMemory
import HostIO
import Testing
import Vocabulary

@testable import Paging

/// A pager that ends while its source gives nothing.
struct StoppedSourceTests {
    /// Far away: a read takes until somebody stops it.
    private final class Distant: PageSource {
        let pagesPerChunk = 16
        private let isStopped = RankedLock(false, owner: "distant", rank: .leaf)
        private let end = DispatchSemaphore(value: 0)
        let asked = DispatchSemaphore(value: 0)

        func presentPages(ofChunk chunk: Int) -> UInt64 { 0xffff }

        func read(chunk: Int, into buffer: UnsafeMutableRawBufferPointer) throws(XError) {
            asked.signal()
            if !isStopped.withLock({ $0 }) { end.wait() }
            end.signal()
            throw XError(.busy, "chunk \(chunk) is not read any more")
        }

        func stop() {
            isStopped.withLock { $0 = true }
            end.signal()
        }
    }

    private final class Failure: Sendable {
        let reason = RankedLock(String?.none, owner: "reason", rank: .leaf)
    }

    /// All of its threads wait, and so does one that wants a page of the memory; that it is given up is no
    /// failure.
    @Test(.timeLimit(.minutes(1))) func nobodyWaitsForTheSource() throws {
        let memory = try GuestMemory(
            regions: [MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 16 << 20)],
            isPaged: true)
        let (source, failure) = (Distant(), Failure())
        let pager = try Pager(memory: memory, source: source, Pager.Options()) { text in
            failure.reason.withLock { $0 = text }
        }
        try pager.start()
        let readers = try (0..<6).map { number in
            try HostThread.spawn(name: "reader") {
                let address = GuestPhysicalAddress(UInt64(number) << 16)
                #expect(memory.read(address, as: UInt64.self) == nil)
            }
        }
        for _ in 0..<4 { source.asked.wait() }
        pager.stop()
        for reader in readers { reader.join() }
        #expect(failure.reason.withLock { $0 } == nil)
    }
}
