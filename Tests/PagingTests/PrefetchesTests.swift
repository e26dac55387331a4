import Testing

@testable import Paging

/// Which chunks are read ahead together, and which were touched.
struct PrefetchesTests {
    private func runs(_ chunks: [UInt32]) -> [Range<Int>] {
        var prefetches = Prefetches(chunks)
        var runs: [Range<Int>] = []
        while let run = prefetches.take() { runs.append(run) }
        return runs
    }

    @Test func neighboursAreTakenTogether() {
        #expect(runs([]) == [])
        #expect(runs([5, 9, 6, 100, 4, 7, 101]) == [4..<8, 9..<10, 100..<102])
        // As many as are read at once.
        #expect(runs(Array(20..<40)) == [20..<28, 28..<36, 36..<40])
        // From either side, but not from far ahead of its turn.
        let apart: [UInt32] = [50] + (0..<64).map { 100 + $0 * 2 } + [51]
        #expect(runs(apart).first == 50..<51 && runs(apart).last == 51..<52)
        #expect(runs([7, 51, 50]) == [7..<8, 50..<52])
    }

    @Test func eachIsTakenAsOftenAsItIsThere() {
        let chunks = (0..<3000).map { _ in UInt32.random(in: 0..<2000) }
        let taken = runs(chunks).flatMap { $0.map { UInt32($0) } }
        #expect(taken.sorted() == chunks.sorted())
        // No chunk has this number, and none of the others is lost for it.
        #expect(runs([1, .max, 9, .max]) == [1..<2, 9..<10])
        #expect(runs([.max - 1, 0]) == [Int(UInt32.max) - 1..<Int(UInt32.max), 0..<1])
    }

    @Test func touchedChunksKeepTheirFirstPlace() {
        var touched = TouchedChunks()
        for chunk in [700, 3, 64, 3, 63, 700, 0, -1, 1 << 40] { touched.note(chunk) }
        #expect(touched.chunks == [700, 3, 64, 63, 0])
        for chunk in 0..<WorkingSet.largestCount + 1000 { touched.note(chunk) }
        #expect(touched.chunks.count == WorkingSet.largestCount)
    }
}
