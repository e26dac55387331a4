internal import CEngine
internal import GuestMemory
internal import HostIO
internal import VirtualCPU
internal import Vocabulary
internal import X86

// From guest bytes to blocks of lowered instructions.

/// Decodes the block at `linear`, which lies at `physical`, and puts it into the arena. Nil when the
/// first instruction reaches into the next page: such instructions are not kept.
func buildBlock(
    _ cpu: CPU, _ engine: EngineContext, linear: UInt64, physical: UInt64
) -> UnsafeMutablePointer<DecodedInstruction>? {
    let page = physical & ~0xfff
    if !engine.memory.contains(page, 4096) { return nil }
    if unsafe crossesPage(engine, physical, mode: cpu.pointee.blockMode) { return nil }
    while true {
        let attempt = engine.cache.contents.withLock { contents in
            unsafe buildBlock(cpu, engine, physical, &contents)
        }
        switch attempt {
        case .block(let header): return unsafe header
        case .doubtful(let header):
            engine.cache.tellOthers(of: page, engine.memory)
            return unsafe header
        case .needsNextPage: return nil
        case .needsRoom: unsafe nextGeneration(cpu, engine)
        case .mailFirst: unsafe readLetters(cpu, engine)
        }
    }
}

/// What became of a block.
@safe
enum BlockAttempt {
    case block(UnsafeMutablePointer<DecodedInstruction>)
    /// The same; another cache may have blocks of the page that are out of date.
    case doubtful(UnsafeMutablePointer<DecodedInstruction>)
    case needsNextPage
    case needsRoom
    case mailFirst
}

/// The same while the cache's lock is held: no page with code changes unseen.
func buildBlock(
    _ cpu: CPU, _ engine: EngineContext, _ physical: UInt64, _ contents: inout CodeCache.Contents
) -> BlockAttempt {
    let page = physical & ~0xfff
    let mode = unsafe cpu.pointee.blockMode
    // Another vCPU may have been first.
    if let known = unsafe engine.code.find(physical, mode: mode) { return unsafe .block(known) }
    guard let header = unsafe engine.code.reserve() else { return .needsRoom }
    // Mark first: a store by another vCPU after this line finds the mark and drops the block.
    let start = unsafe beginDecoding(cpu, engine, page: page, &contents)
    if case .mailFirst = start { return .mailFirst }
    let features = engine.features
    let bytes = unsafe UnsafeRawPointer(engine.hostBase + Int(truncatingIfNeeded: page))
    var offset = Int(truncatingIfNeeded: physical & 0xfff)
    var count = 0
    var ends = false
    var hasEnd = true
    var compares = false
    var shadow = false
    while !ends, count < CodeArena.longestBlock, offset < 4096 {
        let slot = unsafe header + (count &+ 1)
        unsafe slot.initialize(to: .empty)
        unsafe slot.pointee.pageOffset = UInt16(truncatingIfNeeded: offset)
        let window = unsafe UnsafeRawBufferPointer(
            start: bytes + offset, count: min(15, 4096 &- offset))
        let outcome = unsafe Lowering.lower(
            window, mode: mode, features: features, into: slot)
        if case .needsMoreBytes = outcome {
            if count == 0 { return .needsNextPage }
            break
        }
        count &+= 1
        offset &+= Int(unsafe slot.pointee.length)
        switch outcome {
        case .transfers: hasEnd = false
        case .branches:
            hasEnd = false
            if compares { unsafe IntegerOperation.join(slot - 1, slot) }
        default: break
        }
        if shadow { break }
        compares = false
        switch outcome {
        case .compares: compares = true
        case .ends, .transfers, .branches: ends = true
        case .endsAfterNext: shadow = true
        default: break
        }
    }
    if hasEnd {
        unsafe (header + (count &+ 1)).initialize(
            to: .end(behind: header[count], handler: blockEnd))
    }
    unsafe header.initialize(to: .empty)
    unsafe header.pointee.handler = blockHeader
    unsafe header.translation = 0
    unsafe header.pointee.instructionCount = count
    unsafe header.physical = physical
    unsafe header.mode = mode
    unsafe header.pointee.hasEnd = hasEnd
    if let translator = engine.code.translator, mode & BlockMode.sizeMask == BlockMode.code64 {
        unsafe header.pointee.handler = countingHeader
        unsafe header.missesOfGroups = Translator.missesOfGroups
        unsafe header.runsToTranslation = translator.runs(
            of: header, linear: cpu.pointee.codePage, features: features,
            page: UnsafeRawBufferPointer(start: bytes, count: 4096))
    }
    unsafe engine.code.commit(header)
    engine.statistics.blocksDecoded &+= 1
    if case .begunInDoubt = start { return unsafe .doubtful(header) }
    return unsafe .block(header)
}

/// The instruction at `physical` reaches into the next page.
private func crossesPage(_ engine: EngineContext, _ physical: UInt64, mode: UInt32) -> Bool {
    let room = 0x1000 &- Int(truncatingIfNeeded: physical & 0xfff)
    if room >= 15 { return false }
    let bytes = unsafe UnsafeRawBufferPointer(
        start: engine.hostBase + Int(truncatingIfNeeded: physical), count: room)
    if case .fault(.needMoreBytes) = unsafe Decoder.decode(bytes, mode: Lowering.decodeMode(mode)) {
        return true
    }
    return false
}

/// One instruction that is not kept: it crosses a page, or is single-stepped.
func transientBlock(
    _ cpu: CPU, _ engine: EngineContext, linear: UInt64, physical: UInt64
) -> Next {
    let code = unsafe engine.transient
    var bytes = (UInt64(0), UInt64(0))
    let room = 0x1000 &- Int(truncatingIfNeeded: linear & 0xfff)
    var available = min(15, room)
    guard copyCode(engine, physical, available, to: &bytes, at: 0) else {
        // Code where there is no memory.
        return unsafe leaveOutsideMemory(cpu, engine, physical)
    }
    unsafe cpu.pointee.codePage = linear & ~0xfff
    let slot = unsafe code + 1
    var nextPage: UInt64?
    var outcome = Lowering.Outcome.needsMoreBytes
    if unsafe !engine.transients.cross(bytes, room: room, linear, cpu.pointee.blockMode) {
        outcome = unsafe lowerTransient(cpu, &bytes, available, slot, linear)
    }
    if case .needsMoreBytes = outcome {
        var next = (linear & ~0xfff) &+ 0x1000
        if unsafe !cpu.isLongCode { next &= 0xffff_ffff }
        guard let second = unsafe translateFetch(cpu, engine, next) else { return nil }
        if !copyCode(engine, second, 15 &- room, to: &bytes, at: room) {
            return unsafe leaveOutsideMemory(cpu, engine, second)
        }
        available = 15
        nextPage = second & ~0xfff
        if let known = unsafe engine.transients.find(bytes, linear, cpu.pointee.blockMode) {
            unsafe slot.initialize(to: known)
        } else {
            outcome = unsafe lowerTransient(cpu, &bytes, available, slot, linear)
            unsafe engine.transients.keep(slot.pointee, bytes, linear, cpu.pointee.blockMode)
        }
    }
    if unsafe !cpu.isLongCode {
        let last = unsafe cpu.pointee.rip &+ UInt64(slot.pointee.length) &- 1
        if unsafe last > UInt64(cpu.segment(Segment.cs).limit) {
            return unsafe recordFault(cpu, vector: Vector.generalProtection, errorCode: 0)
        }
    }
    if let nextPage, unsafe cpu.pointee.stepping == 0, unsafe cpu.isLongCode {
        return unsafe keepCrossing(
            cpu, engine, slot.pointee, bytes, linear: linear, physical: physical,
            nextPage: nextPage, end: transientEnd)
    }
    unsafe (code + 2).initialize(to: .end(behind: slot.pointee, handler: transientEnd))
    unsafe code.initialize(to: .empty)
    unsafe code.pointee.handler =
        cpu.pointee.stepping != 0
        ? transientHeader : blockHeader
    unsafe code.pointee.instructionCount = 1
    unsafe code.pointee.pageOffset = slot.pointee.pageOffset
    return unsafe UnsafePointer(code)
}

private func lowerTransient(
    _ cpu: CPU, _ bytes: inout (UInt64, UInt64), _ available: Int,
    _ slot: UnsafeMutablePointer<DecodedInstruction>, _ linear: UInt64
) -> Lowering.Outcome {
    unsafe slot.initialize(to: .empty)
    unsafe slot.pointee.pageOffset = UInt16(truncatingIfNeeded: linear & 0xfff)
    let mode = unsafe cpu.pointee.blockMode
    let features = unsafe context(cpu).features
    return unsafe withUnsafeBytes(of: &bytes) {
        unsafe Lowering.lower(
            UnsafeRawBufferPointer(rebasing: $0[0..<available]), mode: mode, features: features,
            into: slot)
    }
}

private func copyCode(
    _ engine: EngineContext, _ physical: UInt64, _ count: Int, to bytes: inout (UInt64, UInt64),
    at offset: Int
) -> Bool {
    if !engine.memory.contains(physical, count) { return false }
    unsafe withUnsafeMutableBytes(of: &bytes) {
        unsafe ($0.baseAddress.unsafelyUnwrapped + offset).copyMemory(
            from: engine.hostBase + Int(truncatingIfNeeded: physical), byteCount: count)
    }
    return true
}

private func leaveOutsideMemory(_ cpu: CPU, _ engine: EngineContext, _ physical: UInt64) -> Next {
    engine.pendingExit = .fetchOutsideMemory(GuestPhysicalAddress(physical))
    engine.exitAwaits = .nothing
    unsafe cpu.pointee.leaveReason = LeaveReason.exit
    return nil
}

func flushJumpCache(_ cpu: CPU) {
    // Their translations may be gone, and nothing else has them now.
    unsafe context(cpu).crossings.removeAll()
    let jumps = unsafe (cpu.bytes + CPUOffsets.jumpCache)
        .assumingMemoryBound(to: JumpCacheEntry.self)
    for index in 0..<Int(JUMP_CACHE_ENTRY_COUNT) { unsafe jumps[index].context = .max }
}

/// The header of an instruction that runs again: it has been paid for and is not interrupted.
private let transientHeader: InstructionHandler = { cpu, op in
    unsafe cpu.pointee.block = unsafe op
    // A code segment that ends within its page has nothing but transient blocks.
    let pending = unsafe cengine_load32(cpu.pointee.pendingWord) & cpu.pointee.pendingMask
    if unsafe _slowPath(cpu.pointee.budget <= 0 || pending != 0), unsafe cpu.pointee.stepping == 0 {
        unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
        unsafe cpu.pointee.leaveReason = LeaveReason.poll
        return nil
    }
    unsafe cpu.pointee.budget &-= 1
    return unsafe op + 1
}

/// Behind a transient instruction; never linked.
private let transientEnd: InstructionHandler = { cpu, op in
    unsafe jump(cpu, to: cpu.nextInstructionPointer(of: op))
}
