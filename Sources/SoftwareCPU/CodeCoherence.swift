internal import CEngine
internal import GuestMemory
internal import VirtualCPU

// Instructions decoded by one vCPU from bytes that another one writes.
//
// A page that an engine decodes from is marked in its flags, and every engine gives up its write
// entries for it, so that stores to it take the slow path. There the mark is removed and every
// engine told to drop its blocks. Messages are read before the next block is looked up, so between
// a mark and its being read a store may go unseen; whoever finds on reading that it could have made
// one tells everyone that it did. A writer's next exit reads its messages too, so that an interrupt
// sent after a store arrives after the word of it.

/// Before instructions are decoded from the page.
func beginDecoding(_ cpu: CPU, _ engine: EngineContext, page: UInt64) {
    if engine.memory.markCode(page) { return }
    unsafe dropWriteEntries(cpu, physicalPage: page)
    engine.memory.announce(.decoded, page, by: engine.observer)
}

/// Before a store outside the fast path: instructions decoded from the page are void.
func noteStore(_ cpu: CPU, _ pointer: UnsafeMutableRawPointer) {
    let engine = unsafe context(cpu)
    let page =
        unsafe UInt64(UInt(bitPattern: pointer) &- UInt(bitPattern: engine.hostBase)) & ~0xfff
    if engine.memory.pageHoldsCode(page) {
        engine.memory.clearCode(page)
        engine.slowStores.insert(page)
        engine.code.invalidate(page: page)
        engine.memory.announce(.written, page, by: engine.observer)
    }
}

/// Reads what others said. Between blocks: no instruction pointer is held.
func readCodeMail(_ cpu: CPU, _ engine: EngineContext) {
    engine.events.clear(.codeChanged)
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
                let held = unsafe dropWriteEntries(cpu, physicalPage: letter.page)
                if held || engine.slowStores.contains(letter.page) {
                    doubt(engine, letter.page)
                }
            }
        }
    }
    engine.slowStores.removeAll()
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
    for page in engine.slowStores.pages { doubt(engine, page) }
}

/// The last pages with code that were stored to, up to a handful.
struct SlowStores {
    private(set) var pages: [UInt64] = []

    mutating func insert(_ page: UInt64) {
        if pages.last == page { return }
        if pages.count == 16 { pages.removeFirst() }
        pages.append(page)
    }

    func contains(_ page: UInt64) -> Bool { pages.contains(page) }

    mutating func removeAll() { pages.removeAll(keepingCapacity: true) }
}
