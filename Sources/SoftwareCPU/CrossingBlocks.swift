internal import CEngine
internal import GuestMemory
internal import X86

/// Instructions of 64-bit code that reach into the next page, each a block of its own.
///
/// Blocks do not leave their page, because what keeps them true goes by pages. These do, and so their
/// bytes are compared in both pages whenever they run; nobody has to be told about them. That the
/// pages belong together is known as long as the jump cache's entry is: see `flushPage`. The arena's
/// blocks do not link to them, nor they to those.
///
/// Owner: `EngineContext`; the vCPU's worker only.
@safe
final class CrossingBlocks {
    @safe
    private struct Entry {
        /// Of the first byte.
        var physical: UInt64
        /// The second page.
        var nextPage: UInt64
        var mode: UInt32
        /// Fifteen, of both pages.
        var bytes: (UInt64, UInt64)
    }

    private static let count = 1024
    /// Header, instruction and end.
    private static let stride = 3

    private var entries = [Entry?](repeating: nil, count: count)
    /// As many blocks, at the places of their entries.
    private let blocks: UnsafeMutablePointer<DecodedInstruction>

    init() {
        unsafe blocks = .allocate(capacity: Self.count &* Self.stride)
        unsafe blocks.initialize(repeating: .empty, count: Self.count &* Self.stride)
    }

    deinit { unsafe blocks.deallocate() }

    private static func place(_ physical: UInt64) -> Int {
        let page = physical &>> 12
        return Int(truncatingIfNeeded: page ^ (page &>> 10)) & (count &- 1)
    }

    private func block(_ place: Int) -> UnsafeMutablePointer<DecodedInstruction> {
        unsafe blocks + place &* Self.stride
    }

    func contains(_ op: Op) -> Bool {
        unsafe op >= UnsafePointer(blocks)
            && op < UnsafePointer(blocks + Self.count &* Self.stride)
    }

    /// The instruction at `physical`, if its bytes are what they were. `nextPage` is asked for once
    /// the bytes of the first page have been found to be the same; nil: a fault is recorded.
    func find(
        _ physical: UInt64, _ mode: UInt32, hostBase: UnsafeMutableRawPointer,
        nextPage: () -> UInt64?
    ) -> Found {
        guard let entry = entries[Self.place(physical)], entry.physical == physical,
            entry.mode == mode
        else { return .nothing }
        let room = 0x1000 &- Int(truncatingIfNeeded: physical & 0xfff)
        guard unsafe Self.same(entry.bytes, 0..<room, hostBase + Int(physical)) else {
            return .nothing
        }
        guard let next = nextPage() else { return .fault }
        guard next == entry.nextPage, unsafe isSame(entry, hostBase) else { return .nothing }
        return unsafe .block(block(Self.place(physical)))
    }

    @safe
    enum Found {
        case block(UnsafeMutablePointer<DecodedInstruction>)
        case fault
        case nothing
    }

    /// The bytes of `header` are what they were.
    func isCurrent(_ header: Op, in memory: GuestMemory) -> Bool {
        guard let entry = unsafe entry(of: header), !memory.isAbsent(entry.physical),
            !memory.isAbsent(entry.nextPage)
        else { return false }
        return unsafe isSame(entry, memory.hostBase)
    }

    private func isSame(_ entry: Entry, _ hostBase: UnsafeMutableRawPointer) -> Bool {
        let room = 0x1000 &- Int(truncatingIfNeeded: entry.physical & 0xfff)
        return unsafe Self.same(entry.bytes, 0..<room, hostBase + Int(entry.physical))
            && Self.same(entry.bytes, room..<15, hostBase + (Int(entry.nextPage) &- room))
    }

    private func entry(of header: Op) -> Entry? {
        guard unsafe contains(header) else { return nil }
        return unsafe entries[(header - UnsafePointer(blocks)) / Self.stride]
    }

    private static func same(
        _ bytes: (UInt64, UInt64), _ range: Range<Int>, _ memory: UnsafeMutableRawPointer
    ) -> Bool {
        unsafe withUnsafeBytes(of: bytes) { known in
            for index in range
            where unsafe known[index]
                != memory.load(
                    fromByteOffset: index, as: UInt8.self)
            {
                return false
            }
            return true
        }
    }

    /// Takes an instruction in, in the place of another. The caller has seen to it that the jump cache
    /// does not have what was there: see `occupant`.
    func keep(
        _ lowered: DecodedInstruction, _ bytes: (UInt64, UInt64), _ physical: UInt64,
        nextPage: UInt64, mode: UInt32, end: @escaping InstructionHandler, runs: UInt8
    ) -> UnsafeMutablePointer<DecodedInstruction> {
        let place = Self.place(physical)
        entries[place] = Entry(physical: physical, nextPage: nextPage, mode: mode, bytes: bytes)
        let header = unsafe block(place)
        unsafe header[0] = .empty
        unsafe header[0].handler = crossingHeader
        unsafe header[0].instructionCount = 1
        unsafe header.physical = physical
        unsafe header.mode = mode
        unsafe header.translation = 0
        unsafe header.runsToTranslation = runs
        unsafe header.missesOfGroups = 0
        unsafe header[1] = lowered
        unsafe header[2] = .end(behind: lowered, handler: end)
        return unsafe header
    }

    /// The block that an instruction at `physical` would take the place of.
    func occupant(_ physical: UInt64) -> Op? {
        let place = Self.place(physical)
        if entries[place] == nil { return nil }
        return unsafe UnsafePointer(block(place))
    }

    /// What a translation of the block of `header` has to look at before it runs: bytes of the first
    /// page, and those of the second.
    func parts(of header: Op, hostBase: UnsafeMutableRawPointer, length: Int) -> [CodePart] {
        guard let entry = unsafe entry(of: header) else { return [] }
        let room = 0x1000 &- Int(truncatingIfNeeded: entry.physical & 0xfff)
        let bytes = unsafe withUnsafeBytes(of: entry.bytes) { unsafe Array($0.prefix(length)) }
        func address(_ physical: UInt64) -> UInt64 {
            UInt64(UInt(bitPattern: hostBase)) &+ physical
        }
        let first = CodePart(address: address(entry.physical), bytes: Array(bytes.prefix(room)))
        let second = CodePart(
            address: address(entry.nextPage), bytes: Array(bytes.dropFirst(room)))
        if second.address == first.address &+ UInt64(room) {
            return [CodePart(address: first.address, bytes: bytes)]
        }
        return [first, second]
    }

    /// Fifteen bytes of the instruction.
    func bytes(of header: Op) -> [UInt8] {
        guard let entry = unsafe entry(of: header) else { return [] }
        return unsafe withUnsafeBytes(of: entry.bytes) { unsafe Array($0.prefix(15)) }
    }

    /// Their translations are gone; the jump cache has none of them.
    func removeAll() {
        for place in entries.indices where entries[place] != nil {
            entries[place] = nil
            for index in 0..<Self.stride { unsafe block(place)[index].handler = unsafe refetch }
        }
    }
}

/// Bytes of host memory that have to be what they were.
struct CodePart {
    var address: UInt64
    var bytes: [UInt8]
}

/// The block for the instruction at `linear`, if it was kept and is what it was. Not nil but empty:
/// its second page is not there, and the fault is recorded.
func findCrossing(
    _ cpu: CPU, _ engine: EngineContext, linear: UInt64, physical: UInt64
) -> Next? {
    if linear & 0xfff <= 0xff1 { return nil }
    let mode = unsafe cpu.pointee.blockMode
    let found = unsafe engine.crossings.find(physical, mode, hostBase: engine.hostBase) {
        unsafe translateFetch(cpu, engine, (linear & ~0xfff) &+ 0x1000)
    }
    switch found {
    case .nothing: return nil
    case .fault: return unsafe .some(nil)
    case .block(let header):
        unsafe cengine_enter_jump_cache(cpu, linear, header)
        return unsafe UnsafePointer(header)
    }
}

/// Keeps an instruction that crosses pages, as `transientBlock` has read and lowered it.
func keepCrossing(
    _ cpu: CPU, _ engine: EngineContext, _ lowered: DecodedInstruction,
    _ bytes: (UInt64, UInt64), linear: UInt64, physical: UInt64, nextPage: UInt64,
    end: @escaping InstructionHandler
) -> Next {
    if let occupant = unsafe engine.crossings.occupant(physical) {
        // It may be in the jump cache under any linear address.
        let jumps = unsafe (cpu.bytes + CPUOffsets.jumpCache)
            .assumingMemoryBound(to: JumpCacheEntry.self)
        for index in 0..<Int(JUMP_CACHE_ENTRY_COUNT)
        where unsafe jumps[index].instruction == occupant {
            unsafe jumps[index].context = .max
        }
    }
    let header = unsafe engine.crossings.keep(
        lowered, bytes, physical, nextPage: nextPage, mode: cpu.pointee.blockMode, end: end,
        runs: engine.code.translator?.threshold ?? 0)
    unsafe cengine_enter_jump_cache(cpu, linear, header)
    return unsafe UnsafePointer(header)
}

/// The header of such a block: as `countingHeader` and `blockHeader`, once its bytes are known to be
/// what they were.
private let crossingHeader: InstructionHandler = { cpu, op in
    let engine = unsafe context(cpu)
    guard unsafe engine.crossings.isCurrent(op, in: engine.memory) else {
        unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
        return unsafe lookUpBlock(cpu)
    }
    if engine.code.translator != nil {
        let header = unsafe UnsafeMutablePointer(mutating: op)
        if unsafe header.runsToTranslation == 1 {
            unsafe header.runsToTranslation = 0
            return unsafe translateBlock(cpu, header)
        }
        if unsafe header.runsToTranslation > 1 {
            unsafe header.runsToTranslation &-= 1
        }
    }
    return unsafe enterBlock(cpu, op)
}
