internal import CEngine
internal import Glibc
internal import HostIO

/// One generation of the decoded blocks of a machine, and their translations.
///
/// A block is a header, its instructions, and an end if the last of them may go on there, contiguous. Blocks are
/// keyed by the physical address of their first byte and by block mode, and never leave their page.
/// A page whose bytes change has its blocks dropped: every instruction of theirs is overwritten
/// with `refetch`, so that links, the jump caches and blocks that are running all find out by
/// themselves. Memory is only given back with the whole generation.
///
/// Owner: `CodeCache`. Changed while its lock is held; `find`, and what a vCPU does with a block, wait
/// for nobody: a block is published when it is finished, and what changes in it afterwards is one
/// aligned word. A vCPU inside (`CodeCache.Resident`) keeps the memory.
@safe
final class CodeArena: @unchecked Sendable {
    /// Longest block, without header and end.
    static let longestBlock = 48
    private static let bucketCount = Int(BLOCK_CHAIN_COUNT)

    /// Counts from 1.
    let number: UInt64
    /// Room for this many instructions; untouched room costs nothing.
    let capacity: Int
    /// For this many bytes of instructions and host code.
    private let byteCapacity: Int
    /// Requests for translations, of which only some are heard.
    private var requestCount = 0
    /// Makes host code of blocks; nil: they are interpreted.
    private(set) var translator: Translator?
    // Zeros from the host, which cost nothing before they are written. Nil: given back.
    private var instructionPages: MemoryMapping?
    private var bucketPages: MemoryMapping?
    let instructions: UnsafeMutablePointer<DecodedInstruction>
    /// Chains of headers through `immediate`.
    private let buckets: UnsafeMutablePointer<UnsafeMutablePointer<DecodedInstruction>?>
    private var used = 0

    init(number: UInt64, capacity: Int, byteCapacity: Int, translator: Translator?) {
        self.number = number
        self.capacity = capacity
        self.byteCapacity = byteCapacity
        self.translator = translator
        let pointer = unsafe MemoryLayout<UnsafeMutablePointer<DecodedInstruction>?>.stride
        let instruction = unsafe MemoryLayout<DecodedInstruction>.stride
        guard let blocks = try? MemoryMapping(anonymous: capacity &* instruction),
            let chains = try? MemoryMapping(anonymous: Self.bucketCount &* pointer)
        else { preconditionFailure("the host has no memory for the blocks of a machine") }
        unsafe instructions = blocks.base.bindMemory(
            to: DecodedInstruction.self, capacity: capacity)
        unsafe buckets = chains.base.bindMemory(
            to: UnsafeMutablePointer<DecodedInstruction>?.self, capacity: Self.bucketCount)
        instructionPages = consume blocks
        bucketPages = consume chains
    }

    /// Gives the memory back. No vCPU is inside.
    func giveBack() {
        instructionPages = nil
        bucketPages = nil
        translator = nil
    }

    private func bucket(_ physical: UInt64) -> Int {
        Int(truncatingIfNeeded: cengine_chain(physical))
    }

    /// What `cengine_known_block` needs of this generation.
    func describe(to cpu: CPU) {
        unsafe cpu.pointee.blockChains = unsafe buckets
        unsafe cpu.pointee.codeMemory = translator?.codeMemory ?? 0
        unsafe cpu.pointee.interpretingCode = translator?.interpretingCode ?? 0
    }

    /// The block that starts at `physical` in `mode`. Any vCPU inside, without the lock.
    func find(_ physical: UInt64, mode: UInt32) -> UnsafeMutablePointer<DecodedInstruction>? {
        unsafe cengine_find_block(buckets, physical, mode)
    }

    /// Room for the longest block, or nil when the arena is full.
    func reserve() -> UnsafeMutablePointer<DecodedInstruction>? {
        unsafe used &+ Self.longestBlock &+ 2 <= capacity && !isFull ? instructions + used : nil
    }

    /// Takes a finished block in.
    func commit(_ header: UnsafeMutablePointer<DecodedInstruction>) {
        used &+= unsafe header.pointee.recordCount
        let physical = unsafe header.physical
        let slot = bucket(physical)
        unsafe cengine_link(header).pointee = unsafe buckets[slot]
        unsafe cengine_set_link(buckets + slot, header)
    }

    /// Drops every block of the physical page. True: some were translated, and other processors of the
    /// host may be about to execute what they were translated to.
    func invalidate(page: UInt64) -> Bool {
        var retired = false
        for part in 0..<UInt64(64) {
            var link = unsafe buckets + bucket(page | part &<< 6)
            while let block = unsafe link.pointee {
                let next = unsafe cengine_link(block)
                guard unsafe block.physical & ~0xfff == page else {
                    unsafe link = unsafe next
                    continue
                }
                for index in 0..<(unsafe block.pointee.recordCount) {
                    unsafe cengine_set_handler(block + index, refetch)
                }
                if let translator, unsafe translator.retire(block) { retired = true }
                // Its own link stays: who looks at it just now goes on from there.
                unsafe cengine_set_link(link, next.pointee)
            }
        }
        translator?.forgetLinks(page: page)
        return retired
    }

    /// Whether a block that has been run often enough is translated now: the less room there is, the fewer
    /// are, as by chance. So what is left goes to those that come again and again, and a program with more
    /// code than has room is interpreted in part instead of beginning anew.
    func hears(_ translator: Translator) -> Bool {
        requestCount &+= 1
        let used = byteCount &+ translator.byteCount
        let sixteenths = used &* 16 / max(1, byteCapacity)
        let one =
            switch sixteenths {
            case ..<10: 1
            case 10, 11: 2
            case 12, 13: 8
            case 14: 32
            default: 128
            }
        return requestCount % one == 0
    }

    /// Instructions and host code have taken all that there is for both.
    var isFull: Bool { byteCount &+ (translator?.byteCount ?? 0) >= byteCapacity }

    /// Bytes of decoded instructions.
    var byteCount: Int { unsafe used &* MemoryLayout<DecodedInstruction>.stride }
}

/// The bytes of this instruction may have changed: look the block up again.
let refetch: InstructionHandler = { cpu, op in
    let isEnd = unsafe Int(op.pointee.flags) & INSTRUCTION_END != 0
    unsafe cpu.pointee.rip =
        unsafe isEnd ? cpu.nextInstructionPointer(of: op) : cpu.instructionPointer(of: op)
    // Only in the middle of a block is something left of what its header took.
    if let header = unsafe cpu.pointee.block, unsafe op > header,
        unsafe op - header <= header.pointee.instructionCount
    {
        unsafe refundBudget(cpu)
    }
    return unsafe lookUpBlock(cpu)
}

/// The first instruction of each block: counts, and sees whether anybody wants the vCPU. A block
/// that has begun is finished beyond the budget, so that every budget gets the guest on.
let blockHeader: InstructionHandler = unsafe runBlockHeader

@inline(__always)
private func runBlockHeader(_ cpu: CPU, _ op: Op) -> Next {
    unsafe pay(cpu, op) ? following(cpu, op) : pollAtHeader(cpu, op)
}

/// What `blockHeader` does where it is not the last thing that a handler does.
func enterBlock(_ cpu: CPU, _ op: Op) -> Next {
    unsafe pay(cpu, op) ? op + 1 : pollAtHeader(cpu, op)
}

private let pollAtHeader: InstructionHandler = { cpu, op in
    unsafe cpu.pointee.block = unsafe op
    unsafe context(cpu).accesses.sample(op)
    unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
    unsafe cpu.pointee.leaveReason = LeaveReason.poll
    return nil
}

/// The header of a block that is translated once it has been run often enough. Several vCPUs may count
/// at once and miss a run, or count on from 0: the block is translated later then.
let countingHeader: InstructionHandler = { cpu, op in
    let header = unsafe UnsafeMutablePointer(mutating: op)
    let left = unsafe header.runsToTranslation &- 1
    unsafe header.runsToTranslation = left
    if _slowPath(left == 0) { return unsafe translateBlock(cpu, header) }
    return unsafe blockHeader(cpu, op)
}

/// Behind the last instruction of a block that does not end in a jump.
let blockEnd: InstructionHandler = unsafe runBlockEnd

@inline(__always)
private func runBlockEnd(_ cpu: CPU, _ op: Op) -> Next {
    // Without an operand and a length it is like a jump to the next instruction.
    unsafe takeBranch(cpu, op)
}
