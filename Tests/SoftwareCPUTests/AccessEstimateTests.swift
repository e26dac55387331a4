import CEngine
import Testing

@testable import SoftwareCPU

struct AccessEstimateTests {
    /// After samples of a block of `count` instructions, of which so many access memory.
    private func estimate(_ count: Int, accesses: Int) -> AccessEstimate {
        let block = UnsafeMutablePointer<DecodedInstruction>.allocate(capacity: count + 1)
        defer { unsafe block.deallocate() }
        unsafe block.initialize(repeating: .empty, count: count + 1)
        unsafe block[0].instructionCount = count
        for index in 0..<accesses {
            unsafe block[index + 1].flags = UInt8(INSTRUCTION_ACCESSES_MEMORY)
        }
        var estimate = AccessEstimate()
        unsafe estimate.sample(UnsafePointer(block))
        return estimate
    }

    @Test func hitsAreTheShareOfTheSamplesLessTheMisses() {
        #expect(estimate(8, accesses: 2).hits(retired: 1000, misses: 10) == 240)
        #expect(estimate(8, accesses: 0).hits(retired: 1000, misses: 0) == 0)
    }

    @Test func withoutSamplesNothingIsKnown() {
        #expect(AccessEstimate().hits(retired: 1000, misses: 10) == 0)
    }

    @Test func moreMissesThanAccessesAreNoHits() {
        #expect(estimate(8, accesses: 1).hits(retired: 8, misses: 2) == 0)
    }

    /// Until a run ends, its count of retired instructions may stand one below 0.
    @Test func aCountBelowZeroTrapsNowhere() {
        #expect(estimate(4, accesses: 4).hits(retired: .max, misses: 0) == 1 << 62)
        #expect(estimate(4, accesses: 4).hits(retired: .max, misses: .max) == 0)
    }
}
