internal import CEngine

/// How many data accesses the guest makes. Counting each would cost as much as making it, so blocks
/// are looked at where the run loop stops for an event or the end of its budget, which is at any
/// place of the guest's code.
struct AccessEstimate {
    private var instructions: UInt64 = 0
    private var accesses: UInt64 = 0

    /// The block of `header` was about to run.
    mutating func sample(_ header: Op) {
        let count = unsafe min(header.pointee.instructionCount, CodeArena.longestBlock)
        for index in 0..<count
        where unsafe header[index &+ 1].flags & UInt8(INSTRUCTION_ACCESSES_MEMORY) != 0 {
            accesses &+= 1
        }
        instructions &+= UInt64(count)
    }

    /// Data accesses of `retired` instructions that the TLB answered, as far as the samples tell.
    func hits(retired: UInt64, misses: UInt64) -> UInt64 {
        if instructions == 0 { return 0 }
        let made = Double(retired) * Double(accesses) / Double(instructions)
        // A count may stand one below 0 until its run ends: no number of accesses is that large.
        return UInt64(min(max(0, made - Double(misses)), 0x1p62))
    }
}
