internal import CEngine
internal import GuestMemory
internal import HostIO
internal import Synchronization
internal import VirtualCPU

// Instructions decoded by one vCPU from bytes that another one writes.
//
// A page that an engine decodes from is marked in its flags, and every engine gives up its write
// entries for it, so that stores to it take the slow path. There, after the store, the page's blocks
// are dropped, which are everyone's, and then the mark is removed. The word of a mark is left for
// every engine before the first block of the page is published, and a block is entered from another
// page, or for the first time, by an entry that looks whether there is word: so nobody runs blocks of
// a page that it can still write to unseen. An engine that runs other pages may do so between a mark
// and its reading of that; whoever finds on reading, or on giving up the write entry for any other
// reason, that it could have made a store drops the page. A writer's next exit reads its messages too,
// so that an interrupt sent after a store arrives after that; and CPUID drops what was decoded while
// others had yet to read.

/// How an engine stands to a page that it is about to decode instructions from.
enum DecodingStart {
    case begun
    /// The same; another cache may have blocks of the page that are out of date.
    case begunInDoubt
    /// Others have decoded from the page, or from one that it can still write to: it reads its mail.
    case mailFirst
}

/// Before instructions are decoded from the page. The cache's lock is held, so the mark and the word of
/// it are one to all who decode.
func beginDecoding(
    _ cpu: CPU, _ engine: EngineContext, page: UInt64, _ contents: inout CodeCache.Contents
) -> DecodingStart {
    let wasMarked = engine.memory.markCode(page)
    if wasMarked, contents.knows(page) { return engine.mailbox.isEmpty ? .begun : .mailFirst }
    contents.know(page)
    // Of the vCPU's own write entries it is the first to know.
    let held = unsafe dropWriteEntries(cpu, physicalPage: page)
    if !wasMarked { engine.memory.announce(.decoded, page, by: engine.observer) }
    if engine.memory.codeAttention(but: engine.observer).contains(.running) {
        noteUnheard(engine, page, &contents)
    }
    return wasMarked && held ? .begunInDoubt : .begun
}

extension CodeCache.Contents {
    /// True: this cache has marked the page. False: perhaps not.
    func knows(_ page: UInt64) -> Bool { knownPages[Self.place(page)] == page }

    mutating func know(_ page: UInt64) { knownPages[Self.place(page)] = page }

    private static func place(_ page: UInt64) -> Int {
        Int(truncatingIfNeeded: (page &>> 12) & 255)
    }
}

/// After a store outside the fast path: instructions decoded from the page are void.
func noteStore(_ cpu: CPU, _ pointer: UnsafeMutableRawPointer) {
    // The store has to be seen before the mark is looked at: who decodes marks before it reads.
    integer_drain_stores()
    let engine = unsafe context(cpu)
    let page =
        unsafe UInt64(UInt(bitPattern: pointer) &- UInt(bitPattern: engine.hostBase)) & ~0xfff
    if !engine.memory.pageHoldsCode(page) { return }
    engine.statistics.blocksInvalidated &+= 1
    engine.patched.noteStore(page)
    unsafe cpu.pointee.patchedPlaces = engine.patched.places
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
    if !engine.absences.isDone { unsafe dropAbsentTranslations(cpu, engine) }
    unsafe changeGeneration(cpu, engine)
    unsafe readLetters(cpu, engine)
}

/// What `readCodeMail` does where instruction pointers are held.
func readLetters(_ cpu: CPU, _ engine: EngineContext) {
    if engine.mailbox.isEmpty { return }
    let post = engine.mailbox.take()
    if post.overflowed {
        unsafe giveUpWriting(cpu, engine)
    } else {
        for page in post.pages where unsafe dropWriteEntries(cpu, physicalPage: page) {
            doubt(engine, page)
        }
    }
    engine.mailbox.done()
}

/// The vCPU may have written to the page after somebody decoded it.
private func doubt(_ engine: EngineContext, _ page: UInt64) {
    engine.memory.announce(.written, page, by: engine.observer)
}

/// Every page that the vCPU could have written to unseen.
private func giveUpWriting(_ cpu: CPU, _ engine: EngineContext) {
    let entries = unsafe (cpu.bytes + CPUOffsets.tlb).assumingMemoryBound(to: TLBEntry.self)
    for index in 0..<Int(TLB_ENTRY_COUNT &+ TLB_VICTIM_COUNT)
    where unsafe entries[index].writeTag != .max {
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
    integer_drain_stores()
    if engine.mailbox.isEmpty { return }
    let page = unsafe entry.pointee.physical & ~0xfff
    if engine.memory.pageHoldsCode(page) { doubt(engine, page) }
}

/// Keeps in mind that others may not know yet. Who has not read after thousands of pages is thought
/// not to write any of the oldest just now.
private func noteUnheard(
    _ engine: EngineContext, _ page: UInt64, _ contents: inout CodeCache.Contents
) {
    if contents.unheardPages.count & 63 == 63,
        engine.memory.codeAttention(but: 0).isDisjoint(with: [.away, .behind])
    {
        contents.unheardPages.removeAll(keepingCapacity: true)
    }
    if contents.unheardPages.count == 4095 { contents.unheardPages.removeFirst(2048) }
    contents.unheardPages.append(page)
    // Before the bytes are read: who executes CPUID after a store that they do not have finds it.
    engine.cache.hasUnheard.store(true, ordering: .sequentiallyConsistent)
}

/// CPUID: what others stored before the vCPU saw that they had is what it runs next, although a
/// writer may not have read yet that its page is decoded from.
func dropUnheardCode(_ cpu: CPU) {
    let engine = unsafe context(cpu)
    if !engine.cache.hasUnheard.load(ordering: .sequentiallyConsistent) { return }
    engine.cache.contents.withLock { contents in
        // Of this one too: it may go on to write.
        let attention = engine.memory.codeAttention(but: 0)
        if !attention.isDisjoint(with: [.away, .behind]) {
            for page in contents.unheardPages { engine.cache.drop(page: page, contents) }
        }
        // Who is away has made its stores, and hears before it makes more.
        if attention.contains(.behind) { return }
        contents.unheardPages.removeAll(keepingCapacity: true)
        engine.cache.hasUnheard.store(false, ordering: .sequentiallyConsistent)
    }
}
