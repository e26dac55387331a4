import GuestMemory
import HostIO
import Synchronization
import Testing
import Vocabulary

@testable import Paging

/// Chunks that are brought before anybody asks for them.
struct PrefetchingTests {
    /// Each page has its number in every word; of chunks that are a multiple of 5 every page is zeros.
    private final class Numbered: PageSource {
        let pagesPerChunk = 16
        /// Chunks that were read, as they were read.
        let reads = RankedLock([Range<Int>](), owner: "reads", rank: .leaf)
        /// Reads of several chunks wait while it is held.
        let gate = RankedLock(0, owner: "gate", rank: .timerQueue)
        /// So many reads fail.
        let failures = Atomic<Int>(0)

        static func word(_ page: Int) -> UInt64 { page / 16 % 5 == 0 ? 0 : UInt64(page) | 1 << 40 }

        func presentPages(ofChunk chunk: Int) -> UInt64 { chunk % 5 == 0 ? 0 : 0xffff }

        func read(chunk: Int, into buffer: UnsafeMutableRawBufferPointer) throws(XError) {
            try unsafe read(chunks: chunk..<chunk + 1, into: buffer)
        }

        func read(
            chunks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
        ) throws(XError) {
            reads.withLock { $0.append(chunks) }
            if chunks.count > 1 { gate.withLock { $0 += 1 } }
            if failures.load(ordering: .relaxed) > 0 {
                failures.subtract(1, ordering: .relaxed)
                throw XError(.invalidFormat, "broken")
            }
            for index in 0..<chunks.count * 16 {
                let word = Self.word(chunks.lowerBound * 16 + index)
                for place in 0..<512 {
                    unsafe buffer.storeBytes(
                        of: word, toByteOffset: index * 4096 + place * 8, as: UInt64.self)
                }
            }
        }
    }

    private func options(_ prefetches: [UInt32], resident: UInt64? = nil) -> Pager.Options {
        var options = Pager.Options()
        options.residentByteCount = resident
        options.swapDirectory = "/tmp"
        options.prefetches = prefetches
        return options
    }

    /// Until `condition` is true; false: it was not within ten seconds.
    private func wait(_ condition: () -> Bool) -> Bool {
        for _ in 0..<100_000 {
            if condition() { return true }
            HostThread.sleep(nanoseconds: 100_000)
        }
        return false
    }

    private func isRight(_ memory: GuestMemory, _ page: Int) -> Bool {
        memory.read(GuestPhysicalAddress(UInt64(page) << 12 | 0x7f8), as: UInt64.self)
            == Numbered.word(page)
    }

    @Test func nobodyHasToAsk() throws {
        let memory = try pagedMemory(32)
        let source = Numbered()
        // Zeros, twice the same, and what the memory has not.
        let chunks: [UInt32] = [9, 10, 11, 300, 11, 512, .max, 4_000_000, 8]
        let pager = try Pager(memory: memory, source: source, options(chunks)) { _ in }
        try pager.start()
        defer { pager.stop() }
        #expect(wait { pager.metrics["prefetchedChunks"] == 3 })
        #expect(wait { (0..<16).allSatisfy { !memory.isAbsent(UInt64(8 * 16 + $0) << 12) } })
        #expect(source.reads.withLock { $0 }.flatMap { Array($0) }.sorted() == [8, 9, 10, 11])
        #expect(pager.metrics["prefetchedPages"] == 48 && pager.touchedChunks.isEmpty)
        #expect(pager.metrics["prefetchedPagesUsed"] == 0)
        #expect(pager.residentByteCount == 48 << 12)
        for page in [8 * 16 + 3, 9 * 16, 11 * 16 + 15, 10 * 16] { #expect(isRight(memory, page)) }
        #expect(pager.metrics["prefetchedPagesUsed"] == 3)
        // The others come as ever, and it is known in which order.
        for chunk in [400, 3, 511, 9, 400, 7] { #expect(isRight(memory, chunk * 16 + 1)) }
        #expect(pager.touchedChunks == [3, 511, 7])
    }

    private final class Arrivals: Sendable { let count = Atomic<Int>(0) }

    /// Two threads wait for what nobody has asked for: the third one serves who asks, as often as that is.
    @Test func whoAsksComesFirst() throws {
        let memory = try pagedMemory(32)
        let source = Numbered()
        var options = options((401...405).map { $0 } + (411...415).map { $0 } + [421, 422])
        options.threadCount = 3
        let pager = try Pager(memory: memory, source: source, options) { _ in }
        let arrivals = Arrivals()
        try source.gate.withLock { _ in
            try pager.start()
            #expect(wait { source.reads.withLock { $0.count } == 2 })
            for chunk in [3, 4, 6, 499, 422] { #expect(isRight(memory, chunk * 16 + 5)) }
            // What is on its way is not read twice.
            #expect(!pager.request(page: 402 * 16) { arrivals.count.add(1, ordering: .relaxed) })
            #expect(!pager.request(page: 402 * 16) { arrivals.count.add(1, ordering: .relaxed) })
            #expect(memory.isAbsent(402 * 16 << 12))
            #expect(source.reads.withLock { $0.count } == 7)
        }
        defer { pager.stop() }
        #expect(wait { arrivals.count.load(ordering: .relaxed) == 2 })
        #expect(isRight(memory, 402 * 16) && isRight(memory, 403 * 16))
        #expect(wait { pager.metrics["prefetchedChunks"] == 9 })
        #expect(pager.touchedChunks == [3, 4, 6, 499, 422])
        #expect(pager.residentByteCount == UInt64(9 + 5) << 16)
        let reads = source.reads.withLock { $0 }.flatMap { Array($0) }
        #expect(Set(reads).count == reads.count)
    }

    /// One thread only: there is none to spare.
    @Test func oneThreadServesWhoAsks() throws {
        let memory = try pagedMemory(32)
        let source = Numbered()
        var options = options([1, 2, 3])
        options.threadCount = 1
        let pager = try Pager(memory: memory, source: source, options) { _ in }
        try pager.start()
        defer { pager.stop() }
        #expect(isRight(memory, 7 * 16))
        #expect(source.reads.withLock { $0 } == [7..<8])
    }

    @Test func nothingHasToGoForIt() throws {
        let memory = try pagedMemory()
        let source = Numbered()
        let pager = try Pager(
            memory: memory, source: source, options(Array(0..<768), resident: 16 << 20)
        ) { _ in }
        try pager.start()
        defer { pager.stop() }
        // 4096 pages, of which 128 are kept free, and as many again when the evictor is at work.
        #expect(wait { pager.metrics["prefetchedPages", default: 0] >= 3840 })
        HostThread.sleep(nanoseconds: 20_000_000)
        #expect(pager.residentByteCount == 3840 << 12)
        #expect(pager.metrics["evicted"] == 0 && pager.metrics["shootdowns"] == 0)
        for page in (0..<768 * 16).reversed() where !isRight(memory, page) {
            Issue.record("page \(page)")
            break
        }
        #expect(pager.metrics["evicted", default: 0] > 3000)
        // Each of them was looked at, before it went or since.
        #expect(pager.metrics["prefetchedPagesUsed", default: 0] <= 3840)
    }

    /// What cannot be read ahead may be of no use to anybody; who has asked for it meanwhile is served.
    @Test func aFailureIsNobodysYet() throws {
        let memory = try pagedMemory(32)
        let source = Numbered()
        let failure = Failure()
        source.failures.store(1, ordering: .relaxed)
        let pager = try Pager(memory: memory, source: source, options([31, 32, 33])) {
            failure.note($0)
        }
        let arrivals = Arrivals()
        try source.gate.withLock { _ in
            try pager.start()
            #expect(wait { source.reads.withLock { $0.count } == 1 })
            #expect(!pager.request(page: 32 * 16) { arrivals.count.add(1, ordering: .relaxed) })
        }
        defer { pager.stop() }
        #expect(wait { arrivals.count.load(ordering: .relaxed) == 1 })
        #expect(failure.text == nil && pager.touchedChunks == [32])
        #expect(pager.residentByteCount == 1 << 16)
        for page in 31 * 16..<34 * 16 { #expect(isRight(memory, page)) }
        #expect(pager.residentByteCount == 3 << 16)
        // Who asks for what is broken is told.
        source.failures.store(1, ordering: .relaxed)
        #expect(memory.read(GuestPhysicalAddress(1 << 16), as: UInt64.self) == nil)
        #expect(failure.text == "broken")
    }

    /// Threads write while everything is read ahead: what they wrote stays.
    @Test(arguments: [nil, 16 << 20] as [UInt64?])
    func whatIsWrittenMeanwhileStays(resident: UInt64?) throws {
        for _ in 0..<4 {
            let memory = try pagedMemory()
            let source = Numbered()
            let failure = Failure()
            let pager = try Pager(
                memory: memory, source: source,
                options((0..<768).shuffled(), resident: resident)
            ) { failure.note($0) }
            try pager.start()
            defer { pager.stop() }
            let threads = try (0..<3).map { number in
                try HostThread.spawn(name: "user\(number)") {
                    for round in 0..<2 as Range<UInt64> {
                        for page in stride(from: number, to: 768 * 16, by: 3) {
                            let address = GuestPhysicalAddress(UInt64(page) << 12 | 0x10)
                            let before = Numbered.word(page) &+ (page % 2 == 0 ? round : 0)
                            guard memory.read(address, as: UInt64.self) == before else {
                                return failure.note("page \(page) in round \(round)")
                            }
                            if page % 2 == 0 { memory.write(address, integer: before &+ 1) }
                        }
                    }
                }
            }
            for thread in threads { thread.join() }
            #expect(failure.text == nil)
            #expect(pager.metrics["prefetchedPages", default: 0] > 0)
            if let resident { #expect(pager.residentByteCount <= resident) }
        }
    }
}
