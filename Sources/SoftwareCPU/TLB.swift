internal import CEngine
internal import HostIO

// Translation contexts: the low 12 bits of a TLB tag say under which address space and with which
// rights the entry was made, so that a switch of address space or of privilege flushes nothing.
//
// Bits 1:0 are the access mode. Bits 11:2 number the address space: for lower-half addresses a slot
// given to a CR3 value (with its PCID), for upper-half addresses one slot shared by all of them as
// long as everything there is global. Giving an address space a fresh slot is its flush.

/// With which rights data accesses are made: bits 1:0 of a context.
enum AccessMode {
    /// Supervisor; with SMAP, user pages are out of bounds.
    static let supervisor: UInt64 = 0
    /// Supervisor with EFLAGS.AC set, or without SMAP.
    static let supervisorToUser: UInt64 = 1
    static let user: UInt64 = 2
    /// User with alignment checked: no entry is ever made with it.
    static let userAligned: UInt64 = 3
}

struct TranslationContexts {
    /// Slots run from 1 to 1023; 0 is never used so that a zeroed entry never matches.
    var nextSlot: UInt64 = 1
    var lowerSlot: UInt64 = 1
    var upperSlot: UInt64 = 1
    /// Slot of each PCID, 0 none.
    var slotOfPCID = [UInt16](repeating: 0, count: 4096)
    /// A non-global upper-half entry exists, so a CR3 load has to flush the upper half too.
    var upperHasPrivate = false
    var largePages = LargePages()
}

/// Sets the contexts of tags and jump cache from slots, privilege and mode. After any change.
func refreshContexts(_ cpu: CPU) {
    let engine = unsafe context(cpu)
    let mode: UInt64
    if unsafe cpu.pointee.currentPrivilegeLevel == 3 {
        if engine.firstUserEntry == nil { engine.firstUserEntry = HostThread.monotonicNow }
        let checked =
            unsafe cpu.pointee.cr0 & CR0.am != 0
            && cpu.pointee.systemFlags & Flags.alignmentCheck != 0
        mode = checked ? AccessMode.userAligned : AccessMode.user
    } else if unsafe cpu.pointee.cr4 & CR4.smap == 0
        || cpu.pointee.systemFlags & Flags.alignmentCheck != 0
    {
        mode = AccessMode.supervisorToUser
    } else {
        mode = AccessMode.supervisor
    }
    let lower = engine.contexts.lowerSlot &<< 2
    let upper = engine.contexts.upperSlot &<< 2
    unsafe cpu.pointee.tlbContext = (lower | mode, upper | mode)
    // SMAP's mode does not matter to instruction fetches: user and supervisor do.
    let fetchMode = mode & AccessMode.user
    let block = unsafe UInt64(cpu.pointee.blockMode) &<< 16
    let stepping: UInt64 = unsafe cpu.pointee.stepping != 0 ? 1 &<< 63 : 0
    unsafe cpu.pointee.jumpContext = (
        lower | fetchMode | block | stepping, upper | fetchMode | block | stepping
    )
}

/// A slot nobody uses. When they run out, everything is flushed and counting starts again.
private func freshSlot(_ cpu: CPU, _ engine: EngineContext) -> UInt64 {
    if engine.contexts.nextSlot >= 1023 { unsafe flushEverything(cpu) }
    engine.contexts.nextSlot &+= 1
    return engine.contexts.nextSlot
}

/// MOV to CR3: `keep` is bit 63 of the operand with CR4.PCIDE set.
func switchAddressSpace(_ cpu: CPU, keep: Bool) {
    let engine = unsafe context(cpu)
    let pcid = unsafe Int(truncatingIfNeeded: cpu.pointee.cr3 & 0xfff)
    if engine.contexts.upperHasPrivate { unsafe flushUpperHalf(cpu) }
    if unsafe cpu.pointee.cr4 & CR4.pcide != 0 {
        let known = engine.contexts.slotOfPCID[pcid]
        if keep, known != 0 {
            engine.contexts.lowerSlot = UInt64(known)
        } else {
            let slot = unsafe freshSlot(cpu, engine)
            engine.contexts.slotOfPCID[pcid] = UInt16(truncatingIfNeeded: slot)
            engine.contexts.lowerSlot = slot
        }
    } else {
        engine.contexts.lowerSlot = unsafe freshSlot(cpu, engine)
    }
    unsafe refreshContexts(cpu)
}

private func flushUpperHalf(_ cpu: CPU) {
    let engine = unsafe context(cpu)
    engine.contexts.upperHasPrivate = false
    engine.contexts.upperSlot = unsafe freshSlot(cpu, engine)
}

/// Drops all that was ever translated, global pages included.
func flushEverything(_ cpu: CPU) {
    let engine = unsafe context(cpu)
    unsafe beforeWriteEntriesGo(cpu, engine)
    engine.contexts.nextSlot = 2
    engine.contexts.lowerSlot = 1
    engine.contexts.upperSlot = 2
    for pcid in engine.contexts.slotOfPCID.indices { engine.contexts.slotOfPCID[pcid] = 0 }
    unsafe engine.contexts.slotOfPCID[Int(truncatingIfNeeded: cpu.pointee.cr3 & 0xfff)] = 1
    engine.contexts.upperHasPrivate = false
    engine.contexts.largePages = LargePages()
    let entries = unsafe (cpu.bytes + CPUOffsets.tlb).assumingMemoryBound(to: TLBEntry.self)
    for index in 0..<Int(TLB_ENTRY_COUNT &+ TLB_VICTIM_COUNT) {
        unsafe entries[index].readTag = .max
        unsafe entries[index].writeTag = .max
    }
    let jumps = unsafe (cpu.bytes + CPUOffsets.jumpCache).assumingMemoryBound(
        to: JumpCacheEntry.self)
    for index in 0..<Int(JUMP_CACHE_ENTRY_COUNT) { unsafe jumps[index].context = .max }
    let fetches = unsafe fetchEntry(cpu, 0)
    for index in 0..<Int(FETCH_ENTRY_COUNT) { unsafe fetches[index].tag = .max }
    unsafe refreshContexts(cpu)
}

/// INVLPG and its kin: the page of `address` in every context.
func flushPage(_ cpu: CPU, _ address: UInt64) {
    let engine = unsafe context(cpu)
    switch engine.contexts.largePages.shift(around: address) {
    case 12:
        unsafe flushPlace(cpu, engine, address, shift: 12)
        unsafe flushPageOfCode(cpu, engine, address)
    case 21 where engine.contexts.largePages.holdCode(around: address):
        unsafe flushHalf(cpu, engine, of: address)
    case 21:
        unsafe flushLargePage(cpu, engine, address)
        unsafe flushPageOfCode(cpu, engine, address)
    default: unsafe flushEverything(cpu)
    }
}

/// Everything of one half of the address space, in every context.
private func flushHalf(_ cpu: CPU, _ engine: EngineContext, of address: UInt64) {
    if address &>> 63 != 0 {
        unsafe flushUpperHalf(cpu)
    } else {
        for pcid in engine.contexts.slotOfPCID.indices { engine.contexts.slotOfPCID[pcid] = 0 }
        let slot = unsafe freshSlot(cpu, engine)
        engine.contexts.slotOfPCID[Int(truncatingIfNeeded: unsafe cpu.pointee.cr3 & 0xfff)] =
            UInt16(truncatingIfNeeded: slot)
        engine.contexts.lowerSlot = slot
    }
    unsafe refreshContexts(cpu)
}

/// Where the instructions of the page of `address` are.
private func flushPageOfCode(_ cpu: CPU, _ engine: EngineContext, _ address: UInt64) {
    unsafe fetchEntry(cpu, address).pointee.tag = .max
    let jumps = unsafe (cpu.bytes + CPUOffsets.jumpCache).assumingMemoryBound(
        to: JumpCacheEntry.self)
    // Entries of a page are neighbours: see `jumpCacheEntry`.
    let group = (address &>> 12) & (UInt64(JUMP_CACHE_ENTRY_COUNT) &>> 8 &- 1)
    let first = Int(truncatingIfNeeded: group) &* 256
    for index in first..<(first &+ 256) where unsafe (jumps[index].address ^ address) &>> 12 == 0 {
        unsafe jumps[index].context = .max
    }
    unsafe flushJumpsInto(cpu, page: address & ~0xfff)
}

/// Instructions that reach into the page at `page` from the one before it.
func flushJumpsInto(_ cpu: CPU, page: UInt64) {
    for distance in 1...14 as ClosedRange<UInt64> {
        let linear = page &- distance
        let entry = unsafe jumpCacheEntry(cpu, linear)
        if unsafe entry.pointee.address == linear { unsafe entry.pointee.context = .max }
        let neighbour = unsafe neighbouringEntry(cpu, entry)
        if unsafe neighbour.pointee.address == linear { unsafe neighbour.pointee.context = .max }
    }
}

/// Drops the entry if it is within the 1 << `shift` bytes around `address`.
func flush(
    _ entry: UnsafeMutablePointer<TLBEntry>, _ engine: EngineContext, _ address: UInt64,
    shift: UInt64
) {
    if unsafe (entry.pointee.readTag ^ address) &>> shift == 0 {
        unsafe entry.pointee.readTag = .max
    }
    if unsafe (entry.pointee.writeTag ^ address) &>> shift == 0 {
        unsafe beforeWriteEntryGoes(engine, entry)
        unsafe entry.pointee.writeTag = .max
    }
}

/// Drops write permission of every entry for the physical page, so that the next store to it takes
/// the slow path and sees that it holds code. True if there was one.
@discardableResult
func dropWriteEntries(_ cpu: CPU, physicalPage: UInt64) -> Bool {
    var held = false
    let entries = unsafe (cpu.bytes + CPUOffsets.tlb).assumingMemoryBound(to: TLBEntry.self)
    for index in 0..<Int(TLB_ENTRY_COUNT &+ TLB_VICTIM_COUNT)
    where unsafe entries[index].physical & ~0xfff == physicalPage {
        if unsafe entries[index].writeTag != .max { held = true }
        unsafe entries[index].writeTag = .max
    }
    return held
}

/// Bits of CR0 (SDM volume 3, 2.5).
enum CR0 {
    static let pe: UInt64 = 1 << 0
    static let mp: UInt64 = 1 << 1
    static let em: UInt64 = 1 << 2
    static let ts: UInt64 = 1 << 3
    static let et: UInt64 = 1 << 4
    static let ne: UInt64 = 1 << 5
    static let wp: UInt64 = 1 << 16
    static let am: UInt64 = 1 << 18
    static let nw: UInt64 = 1 << 29
    static let cd: UInt64 = 1 << 30
    static let pg: UInt64 = 1 << 31
    static let defined: UInt64 =
        pe | mp | em | ts | et | ne | wp | am | nw | cd | pg
}

/// Bits of CR4 that the model offers.
enum CR4 {
    static let vme: UInt64 = 1 << 0
    static let pvi: UInt64 = 1 << 1
    static let tsd: UInt64 = 1 << 2
    static let de: UInt64 = 1 << 3
    static let pse: UInt64 = 1 << 4
    static let pae: UInt64 = 1 << 5
    static let mce: UInt64 = 1 << 6
    static let pge: UInt64 = 1 << 7
    static let pce: UInt64 = 1 << 8
    static let osfxsr: UInt64 = 1 << 9
    static let osxmmexcpt: UInt64 = 1 << 10
    static let umip: UInt64 = 1 << 11
    static let fsgsbase: UInt64 = 1 << 16
    static let pcide: UInt64 = 1 << 17
    static let osxsave: UInt64 = 1 << 18
    static let smep: UInt64 = 1 << 20
    static let smap: UInt64 = 1 << 21
    static let defined: UInt64 =
        tsd | de | pse | pae | mce | pge | pce | osfxsr | osxmmexcpt | umip | fsgsbase
        | pcide | osxsave | smep | smap
}

/// Bits of EFER.
enum EFER {
    static let sce: UInt64 = 1 << 0
    static let lme: UInt64 = 1 << 8
    static let lma: UInt64 = 1 << 10
    static let nxe: UInt64 = 1 << 11
    static let defined: UInt64 = sce | lme | lma | nxe
}

/// Bits of RFLAGS outside the arithmetic ones.
enum Flags {
    static let carry: UInt64 = 1 << 0
    static let fixed: UInt64 = 1 << 1
    static let parity: UInt64 = 1 << 2
    static let adjust: UInt64 = 1 << 4
    static let zero: UInt64 = 1 << 6
    static let sign: UInt64 = 1 << 7
    static let trap: UInt64 = 1 << 8
    static let interrupt: UInt64 = 1 << 9
    static let direction: UInt64 = 1 << 10
    static let overflow: UInt64 = 1 << 11
    static let ioPrivilegeLevel: UInt64 = 3 << 12
    static let nestedTask: UInt64 = 1 << 14
    static let resume: UInt64 = 1 << 16
    static let virtual8086: UInt64 = 1 << 17
    static let alignmentCheck: UInt64 = 1 << 18
    static let virtualInterrupt: UInt64 = 1 << 19
    static let virtualInterruptPending: UInt64 = 1 << 20
    static let identification: UInt64 = 1 << 21
    static let arithmetic: UInt64 = carry | parity | adjust | zero | sign | overflow
    static let defined: UInt64 = 0x3f_7fd7
}
