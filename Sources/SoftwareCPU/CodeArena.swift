internal import CEngine
import Glibc

/// The decoded blocks of one engine.
///
/// A block is a header instruction, the instructions, and an end instruction, contiguous. Blocks are
/// keyed by the physical address of their first byte and by block mode, and never leave their page.
/// A page whose bytes change has its blocks dropped: every instruction of theirs is overwritten
/// with `refetch`, so that links, the jump cache and a block that is running all find out by
/// themselves. Memory is only given back when the arena is full and everything is dropped at once.
///
/// Owner: `EngineContext`; the vCPU's worker only.
@safe
final class CodeArena {
    /// Room for this many instructions of 48 bytes, 36 MiB; untouched room costs nothing.
    static let capacity = 768 * 1024
    /// Longest block, without header and end.
    static let longestBlock = 48
    private static let bucketCount = 1 << 17

    private let instructions: UnsafeMutablePointer<DecodedInstruction>
    private var used = 0
    /// Chains of headers through `target`. A page's blocks are in 64 neighbouring buckets.
    private let buckets: UnsafeMutablePointer<UnsafeMutablePointer<DecodedInstruction>?>
    /// Where instructions go that are run once: page-crossing ones and single steps.
    let transient: UnsafeMutablePointer<DecodedInstruction>
    /// Pages with blocks, at the place their number says; not all of them have one.
    private var pagesWithBlocks = [UInt64](repeating: .max, count: 256)
    private(set) var blockCount: UInt64 = 0
    private(set) var invalidationCount: UInt64 = 0
    private(set) var flushCount: UInt64 = 0
    /// Makes host code of blocks; nil: they are interpreted.
    var translator: Translator?

    init() {
        unsafe instructions = .allocate(capacity: Self.capacity)
        // Zeros from the host, which cost nothing before they are written: with 255 vCPUs most of them
        // are never used.
        let stride = unsafe MemoryLayout<UnsafeMutablePointer<DecodedInstruction>?>.stride
        guard let zeros = unsafe calloc(Self.bucketCount, stride) else {
            preconditionFailure("the host has no memory for the blocks of a vCPU")
        }
        unsafe buckets = unsafe zeros.bindMemory(
            to: UnsafeMutablePointer<DecodedInstruction>?.self, capacity: Self.bucketCount)
        unsafe transient = .allocate(capacity: 4)
        unsafe transient.initialize(repeating: .empty, count: 4)
    }

    deinit {
        unsafe instructions.deallocate()
        unsafe free(buckets)
        unsafe transient.deallocate()
    }

    private func bucket(page: UInt64, offset: UInt64) -> Int {
        let hash = (page &>> 12) &* 0x9e37_79b9_7f4a_7c15
        return Int(truncatingIfNeeded: ((hash &>> 40) &+ (offset &>> 6)))
            & (Self.bucketCount &- 1)
    }

    /// True: the page has blocks. False: perhaps not.
    func hasBlocks(page: UInt64) -> Bool { pagesWithBlocks[Self.place(page)] == page }

    private static func place(_ page: UInt64) -> Int {
        Int(truncatingIfNeeded: (page &>> 12) & 255)
    }

    /// The block that starts at `physical` in `mode`.
    func find(_ physical: UInt64, mode: UInt32) -> UnsafeMutablePointer<DecodedInstruction>? {
        var header = unsafe buckets[bucket(page: physical & ~0xfff, offset: physical & 0xfff)]
        while let block = unsafe header {
            if unsafe block.pointee.displacement == Int64(bitPattern: physical),
                unsafe block.pointee.mode == mode
            {
                return unsafe block
            }
            unsafe header = unsafe UnsafeMutablePointer(mutating: block.pointee.target)
        }
        return nil
    }

    /// Room for the longest block, or nil when the arena is full and has to be flushed.
    func reserve() -> UnsafeMutablePointer<DecodedInstruction>? {
        unsafe used &+ Self.longestBlock &+ 2 <= Self.capacity ? instructions + used : nil
    }

    /// Takes a finished block of `count` instructions (header and end included) in.
    func commit(_ header: UnsafeMutablePointer<DecodedInstruction>, count: Int, physical: UInt64) {
        used &+= count
        blockCount &+= 1
        let slot = bucket(page: physical & ~0xfff, offset: physical & 0xfff)
        unsafe header.pointee.target = unsafe UnsafePointer(buckets[slot])
        unsafe buckets[slot] = unsafe header
        pagesWithBlocks[Self.place(physical)] = physical & ~0xfff
    }

    /// Drops every block of the physical page.
    func invalidate(page: UInt64) {
        invalidationCount &+= 1
        if hasBlocks(page: page) { pagesWithBlocks[Self.place(page)] = .max }
        for part in 0..<UInt64(64) {
            let slot = bucket(page: page, offset: part &<< 6)
            var header = unsafe buckets[slot]
            var kept: UnsafeMutablePointer<DecodedInstruction>?
            while let block = unsafe header {
                unsafe header = unsafe UnsafeMutablePointer(mutating: block.pointee.target)
                if unsafe UInt64(bitPattern: block.pointee.displacement) & ~0xfff == page {
                    let count = unsafe Int(truncatingIfNeeded: block.pointee.immediate) &+ 2
                    for index in 0..<count { unsafe block[index].handler = unsafe refetch }
                    unsafe translator?.retire(block)
                } else {
                    unsafe block.pointee.target = unsafe UnsafePointer(kept)
                    unsafe kept = unsafe block
                }
            }
            unsafe buckets[slot] = unsafe kept
        }
        translator?.forgetLinks(page: page)
    }

    /// Drops everything. The caller flushes the jump cache and holds no instruction pointer.
    func flush() {
        if used == 0 { return }
        flushCount &+= 1
        used = 0
        for place in pagesWithBlocks.indices { pagesWithBlocks[place] = .max }
        translator?.reset()
        unsafe buckets.update(repeating: nil, count: Self.bucketCount)
    }

    /// True for the instructions that are run once and must not be linked to.
    func isTransient(_ op: Op) -> Bool {
        unsafe op >= UnsafePointer(transient) && op < UnsafePointer(transient + 4)
    }
}

extension DecodedInstruction {
    /// An instruction without operands whose handler is `refetch`.
    static var empty: DecodedInstruction {
        unsafe DecodedInstruction(
            handler: refetch, immediate: 0, displacement: 0, target: nil,
            destination: Layout.zero, source: Layout.zero, base: Layout.zero, index: Layout.zero,
            segmentBase: Layout.zero, pageOffset: 0, scaleShift: 0, length: 0, flags: 0,
            auxiliary: 0)
    }

    /// The block mode, kept in a header's operand fields.
    var mode: UInt32 {
        get { unsafe UInt32(destination) | UInt32(source) &<< 16 }
        set {
            unsafe destination = UInt16(truncatingIfNeeded: newValue)
            unsafe source = UInt16(truncatingIfNeeded: newValue &>> 16)
        }
    }
}

extension DecodedInstruction {
    /// Of a header: offset of its translation in code memory, 0 without one.
    var translation: UInt32 {
        get { unsafe UInt32(base) | UInt32(index) &<< 16 }
        set {
            unsafe base = UInt16(truncatingIfNeeded: newValue)
            unsafe index = UInt16(truncatingIfNeeded: newValue &>> 16)
        }
    }

    /// Of a header without a translation: how often it is still interpreted.
    var runsToTranslation: UInt8 {
        get { unsafe auxiliary }
        set { unsafe auxiliary = newValue }
    }

    /// Of a header with a translation: from there to the entry that looks at no events.
    var unpolledEntry: UInt16 {
        get { unsafe segmentBase }
        set { unsafe segmentBase = newValue }
    }
}

extension DecodedInstruction {
    /// Of a header: its translation may use one probe for several accesses. The byte counts down how
    /// often that may still miss before somebody looks.
    var usesGroups: Bool {
        get { unsafe length != 0 }
        set { unsafe length = newValue ? 64 : 0 }
    }
}

/// The bytes of this instruction may have changed: look the block up again.
let refetch: InstructionHandler = { cpu, op in
    unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
    unsafe refundBudget(cpu)
    return unsafe lookUpBlock(cpu)
}

/// The first instruction of each block: counts, and sees whether anybody wants the vCPU. A block
/// that has begun is finished beyond the budget, so that every budget gets the guest on.
let blockHeader: InstructionHandler = { cpu, op in
    let budget = unsafe cpu.pointee.budget
    unsafe cpu.pointee.block = unsafe op
    let pending = unsafe cengine_load32(cpu.pointee.pendingWord) & cpu.pointee.pendingMask
    if _slowPath(budget <= 0 || pending != 0) {
        unsafe context(cpu).accesses.sample(op)
        unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
        unsafe cpu.pointee.leaveReason = LeaveReason.poll
        return nil
    }
    unsafe cpu.pointee.budget = unsafe budget &- Int64(bitPattern: op.pointee.immediate)
    return unsafe following(cpu, op)
}

/// The header of a block that is translated once it has been run often enough.
let countingHeader: InstructionHandler = { cpu, op in
    let header = unsafe UnsafeMutablePointer(mutating: op)
    let left = unsafe header.pointee.runsToTranslation &- 1
    unsafe header.pointee.runsToTranslation = left
    if _slowPath(left == 0) { return unsafe translateBlock(cpu, header) }
    return unsafe blockHeader(cpu, op)
}

/// Behind the last instruction of a block that does not end in a jump.
let blockEnd: InstructionHandler = { cpu, op in
    if let target = unsafe op.pointee.target { return unsafe target }
    return unsafe jumpAndLink(cpu, op, to: cpu.instructionPointer(of: op))
}
