internal import CEngine
internal import GuestMemory
internal import VirtualCPU

// Instructions decoded by one vCPU from bytes that another one writes.
//
// A page that an engine decodes from is marked in its flags, and every engine gives up its write
// entries for it, so that stores to it take the slow path. There, after the store, every engine is
// told to drop its blocks, and then the mark is removed. Messages are read before the next block is
// looked up. So between a mark and its being read a store may go unseen; whoever finds on reading, or
// on giving up the write entry for any other reason, that it could have made one tells everyone that
// it did. A writer's next exit reads its messages too, so that an interrupt sent after a store
// arrives after the word of it; and CPUID drops what was decoded while others had yet to read.

/// Before instructions are decoded from the page.
func beginDecoding(_ cpu: CPU, _ engine: EngineContext, page: UInt64) {
    let wasMarked = engine.memory.markCode(page)
    // With blocks of the page from before, and no word of a store to it since, it has given its write
    // entries up already.
    if wasMarked, engine.code.hasBlocks(page: page), engine.mailbox.isEmpty { return }
    // Of the vCPU's own write entries it is the first to know.
    let held = unsafe dropWriteEntries(cpu, physicalPage: page)
    if !wasMarked {
        engine.memory.announce(.decoded, page, by: engine.observer)
    } else if held {
        // Another one has decoded from the page, and its word of that is still on its way.
        doubt(engine, page)
    }
    if engine.unheardPages.last != page,
        engine.memory.codeAttention(but: engine.observer).contains(.running)
    {
        noteUnheard(engine, page)
    }
}

/// After a store outside the fast path: instructions decoded from the page are void.
func noteStore(_ cpu: CPU, _ pointer: UnsafeMutableRawPointer) {
    // The store has to be seen before the mark is looked at: who decodes marks before it reads.
    serialize()
    let engine = unsafe context(cpu)
    let page =
        unsafe UInt64(UInt(bitPattern: pointer) &- UInt(bitPattern: engine.hostBase)) & ~0xfff
    if !engine.memory.pageHoldsCode(page) { return }
    engine.patched.noteStore(page)
    engine.code.invalidate(page: page)
    engine.memory.tellWritten(page, by: engine.observer)
}

/// Whether a store to the byte at `pointer` has to be followed by `noteStore`.
func holdsCode(_ cpu: CPU, _ pointer: UnsafeMutableRawPointer) -> Bool {
    let engine = unsafe context(cpu)
    return unsafe engine.memory.pageHoldsCode(
        UInt64(UInt(bitPattern: pointer) &- UInt(bitPattern: engine.hostBase)))
}

/// Reads what others said. Between blocks: no instruction pointer is held.
func readCodeMail(_ cpu: CPU, _ engine: EngineContext) {
    engine.events.clear(.codeChanged)
    engine.memory.busLock.pauseIfAsked(engine.seat)
    if engine.mailbox.isEmpty { return }
    let post = engine.mailbox.take()
    if post.overflowed {
        engine.code.flush()
        unsafe cpu.pointee.codeGeneration &+= 1
        unsafe flushJumpCache(cpu)
        unsafe giveUpWriting(cpu, engine)
    } else {
        for letter in post.letters {
            switch letter.change {
            case .written:
                engine.code.invalidate(page: letter.page)
            case .decoded:
                if unsafe dropWriteEntries(cpu, physicalPage: letter.page) {
                    doubt(engine, letter.page)
                }
            }
        }
    }
    engine.mailbox.done()
}

/// The vCPU may have written to the page after somebody decoded it.
private func doubt(_ engine: EngineContext, _ page: UInt64) {
    engine.code.invalidate(page: page)
    engine.memory.announce(.written, page, by: engine.observer)
}

/// Every page that the vCPU could have written to unseen.
private func giveUpWriting(_ cpu: CPU, _ engine: EngineContext) {
    let entries = unsafe (cpu.bytes + CPUOffsets.tlb).assumingMemoryBound(to: TLBEntry.self)
    for index in 0..<Int(TLB_ENTRY_COUNT) where unsafe entries[index].writeTag != .max {
        unsafe entries[index].writeTag = .max
        let page = unsafe entries[index].physical & ~0xfff
        if engine.memory.pageHoldsCode(page) { doubt(engine, page) }
    }
}

/// Before write entries are dropped for a reason of the vCPU's own. A mark that has not been told yet
/// comes with a later reading of the bytes, which sees what was stored.
func beforeWriteEntriesGo(_ cpu: CPU, _ engine: EngineContext) {
    serialize()
    if !engine.mailbox.isEmpty { unsafe giveUpWriting(cpu, engine) }
}

/// The same for one entry.
func beforeWriteEntryGoes(_ engine: EngineContext, _ entry: UnsafePointer<TLBEntry>) {
    if unsafe entry.pointee.writeTag == .max { return }
    serialize()
    if engine.mailbox.isEmpty { return }
    let page = unsafe entry.pointee.physical & ~0xfff
    if engine.memory.pageHoldsCode(page) { doubt(engine, page) }
}

/// Keeps in mind that others may not know yet. Who has not read after thousands of pages is thought
/// not to write any of the oldest just now.
private func noteUnheard(_ engine: EngineContext, _ page: UInt64) {
    if engine.unheardPages.count & 63 == 63,
        engine.memory.codeAttention(but: engine.observer).isDisjoint(with: [.away, .behind])
    {
        engine.unheardPages.removeAll(keepingCapacity: true)
    }
    if engine.unheardPages.count == 4095 { engine.unheardPages.removeFirst(2048) }
    engine.unheardPages.append(page)
}

/// CPUID: what others stored before the vCPU saw that they had is what it runs next, although a
/// writer may not have read yet that its page is decoded from.
func dropUnheardCode(_ cpu: CPU) {
    let engine = unsafe context(cpu)
    if engine.unheardPages.isEmpty { return }
    let attention = engine.memory.codeAttention(but: engine.observer)
    if !attention.isDisjoint(with: [.away, .behind]) {
        for page in engine.unheardPages { engine.code.invalidate(page: page) }
    }
    // Who is away has made its stores, and hears before it makes more.
    if !attention.contains(.behind) { engine.unheardPages.removeAll(keepingCapacity: true) }
}
