import GuestMemory
import HostIO
import Synchronization
import Testing
import Vocabulary

@testable import Paging

/// Memory that the host keeps a part of.
struct PagerTests {
    /// Pages of a source: each is full of words with its number, every third one is zeros.
    private final class Numbered: PageSource {
        let pagesPerChunk = 16
        let reads = Atomic<Int>(0)
        let isBroken = Atomic<Bool>(false)
        /// Nobody reads while it is held.
        let gate = RankedLock(0, owner: "gate", rank: .leaf)

        static func isZero(_ page: Int) -> Bool { page % 3 == 2 }
        static func word(_ page: Int) -> UInt64 { UInt64(page) &* 0x9e37_79b9_7f4a_7c15 | 1 }

        func presentPages(ofChunk chunk: Int) -> UInt64 {
            (0..<16).reduce(0) {
                $0 | (Self.isZero(chunk * 16 + $1) ? 0 : 1 << UInt64($1))
            }
        }

        func read(chunk: Int, into buffer: UnsafeMutableRawBufferPointer) throws(XError) {
            gate.withLock { $0 += 1 }
            reads.add(1, ordering: .relaxed)
            if isBroken.load(ordering: .relaxed) {
                throw XError(.invalidFormat, "chunk \(chunk) is damaged")
            }
            for index in 0..<16 {
                let page = chunk * 16 + index
                let word = Self.isZero(page) ? 0 : Self.word(page)
                for place in 0..<512 {
                    unsafe buffer.storeBytes(
                        of: word, toByteOffset: index * 4096 + place * 8, as: UInt64.self)
                }
            }
        }
    }

    private func options(resident: UInt64? = 16 << 20) -> Pager.Options {
        var options = Pager.Options()
        options.residentByteCount = resident
        options.swapDirectory = "/tmp"
        return options
    }

    @Test func whatIsWrittenComesBack() throws {
        let memory = try pagedMemory()
        let failure = Failure()
        let pager = try Pager(memory: memory, source: nil, options()) { failure.note($0) }
        try pager.start()
        defer { pager.stop() }
        let threads = try (0..<3).map { number in
            try HostThread.spawn(name: "user\(number)") {
                // Every page has one user, in three rounds; a fifth of them stays zeros.
                for round in 0..<3 as Range<UInt64> {
                    for page in stride(from: UInt64(number), to: memory.byteCount >> 12, by: 3) {
                        let address = GuestPhysicalAddress(page << 12)
                        let old: UInt64 = round == 0 || page % 5 == 0 ? 0 : page &* 31 &+ round &- 1
                        guard memory.read(address.advanced(by: 8), as: UInt64.self) == old else {
                            return failure.note("page \(page) in round \(round)")
                        }
                        if page % 5 == 0 { continue }
                        memory.write(address.advanced(by: 8), integer: page &* 31 &+ round)
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(failure.text == nil)
        #expect(pager.residentByteCount <= 16 << 20)
        #expect(memory.residentByteCount <= 17 << 20)
        #expect(pager.metrics["swappedIn", default: 0] > 1000)
        #expect(pager.metrics["swapBytes", default: 0] < 48 << 20)
    }

    @Test func aSourceIsReadOnce() throws {
        let memory = try pagedMemory(32)
        let source = Numbered()
        let pager = try Pager(memory: memory, source: source, options(resident: nil)) { _ in }
        try pager.start()
        defer { pager.stop() }
        for page in 0..<Int(memory.byteCount >> 12) {
            let address = GuestPhysicalAddress(UInt64(page) << 12 | 0xff8)
            let expected = Numbered.isZero(page) ? 0 : Numbered.word(page)
            #expect(memory.read(address, as: UInt64.self) == expected)
        }
        #expect(source.reads.load(ordering: .relaxed) == 512)
    }

    /// Clean pages are read again, written ones come from the swap file.
    @Test func aSourceWithASwapFile() throws {
        let memory = try pagedMemory()
        let source = Numbered()
        let pager = try Pager(memory: memory, source: source, options()) { _ in }
        try pager.start()
        defer { pager.stop() }
        let failure = Failure()
        // Neighbours have different users: what one has brought along, another writes to.
        let threads = try (0..<3).map { number in
            try HostThread.spawn(name: "user\(number)") {
                for round in 0..<4 as Range<UInt64> {
                    for page in stride(from: number, to: Int(memory.byteCount >> 12), by: 3) {
                        let address = GuestPhysicalAddress(UInt64(page) << 12 | 0x10)
                        let isWritten = page % 7 < 3
                        let original = Numbered.isZero(page) ? 0 : Numbered.word(page)
                        let expected = isWritten && round > 0 ? original &+ round : original
                        guard memory.read(address, as: UInt64.self) == expected else {
                            return failure.note("page \(page) in round \(round)")
                        }
                        if isWritten { memory.write(address, integer: original &+ round &+ 1) }
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(failure.text == nil)
        #expect(pager.metrics["swappedOut", default: 0] > 1000)
    }

    @Test func aPageThatCannotBeReadEndsTheGuest() throws {
        let memory = try pagedMemory(32)
        let source = Numbered()
        source.isBroken.store(true, ordering: .relaxed)
        let failure = Failure()
        let pager = try Pager(memory: memory, source: source, options(resident: nil)) {
            failure.note($0)
        }
        try pager.start()
        defer { pager.stop() }
        #expect(memory.read(GuestPhysicalAddress(0x5_1000), as: UInt64.self) == nil)
        #expect(failure.text == "chunk 5 is damaged")
        // Nobody waits for ever afterwards either.
        #expect(memory.read(GuestPhysicalAddress(0x9_0000), as: UInt64.self) == nil)
    }

    /// Who asks does not wait, however long the source takes; who asks for the same page gets it with that.
    @Test func aSlowSourceHoldsNobodyUp() throws {
        let memory = try pagedMemory(32)
        let source = Numbered()
        let pager = try Pager(memory: memory, source: source, options(resident: nil)) { _ in }
        try pager.start()
        defer { pager.stop() }
        let arrivals = Arrivals()
        source.gate.withLock { _ in
            for _ in 0..<5 {
                #expect(!pager.request(page: 0x30) { arrivals.count.add(1, ordering: .relaxed) })
            }
            // Zeros need no source.
            #expect(pager.request(page: 2) {})
            #expect(memory.isAbsent(0x3_0000))
        }
        #expect(pager.bring(page: 0x30))
        while arrivals.count.load(ordering: .relaxed) < 5 { HostThread.sleep(nanoseconds: 100_000) }
        #expect(source.reads.load(ordering: .relaxed) == 1)
    }

    private final class Arrivals: Sendable { let count = Atomic<Int>(0) }

    @Test func aPinnedPageStays() throws {
        let memory = try pagedMemory()
        let pager = try Pager(memory: memory, source: nil, options()) { _ in }
        try pager.start()
        defer { pager.stop() }
        memory.write(GuestPhysicalAddress(0x1000), integer: 77 as UInt64)
        #expect(memory.pin(0x1000, 4096))
        for page in 2..<memory.byteCount >> 12 {
            memory.write(GuestPhysicalAddress(page << 12), integer: page)
        }
        #expect(!memory.isAbsent(0x1000))
        memory.unpin(0x1000, 4096)
        for page in 2..<memory.byteCount >> 12 {
            #expect(memory.read(GuestPhysicalAddress(page << 12), as: UInt64.self) == page)
        }
        #expect(memory.read(GuestPhysicalAddress(0x1000), as: UInt64.self) == 77)
    }
}
