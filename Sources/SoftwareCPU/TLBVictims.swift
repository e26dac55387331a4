internal import CEngine

// The data TLB is direct mapped, so two pages a multiple of 8 MiB apart displace each other, and a loop
// that uses both would walk the page tables twice a round. What was displaced last is kept beside it.
// The slow path looks there first, and lets the two change places.

private func victims(_ cpu: CPU) -> UnsafeMutablePointer<TLBEntry> {
    unsafe (cpu.bytes + CPUOffsets.tlb).assumingMemoryBound(to: TLBEntry.self)
        + Int(TLB_ENTRY_COUNT)
}

/// Puts the entry for `address` in its place, if it was displaced. False: it is not there.
func recallVictim(_ cpu: CPU, _ address: UInt64, _ access: Access, mode: UInt64) -> Bool {
    let context = unsafe address &>> 63 != 0 ? cpu.pointee.tlbContext.1 : cpu.pointee.tlbContext.0
    let tag = address & ~0xfff | context & ~3 | mode
    let victims = unsafe victims(cpu)
    for index in 0..<Int(TLB_VICTIM_COUNT) {
        let found =
            unsafe access == .write ? victims[index].writeTag : victims[index].readTag
        if found == tag {
            unsafe swap(&victims[index], &tlbEntry(cpu, address).pointee)
            return true
        }
    }
    return false
}

/// Before `entry` is overwritten with that of `tag`: if another page of the address space has it, that
/// becomes a victim.
func makeWay(
    _ cpu: CPU, _ engine: EngineContext, _ entry: UnsafeMutablePointer<TLBEntry>, for tag: UInt64
) {
    let old = unsafe entry.pointee.readTag
    let space = old &>> 63 != 0 ? engine.contexts.upperSlot : engine.contexts.lowerSlot
    guard (old ^ tag) &>> 12 != 0, old != .max, (old &>> 2) & 0x3ff == space else {
        unsafe beforeWriteEntryGoes(engine, entry)
        return
    }
    let place =
        unsafe Int(truncatingIfNeeded: cpu.pointee.nextVictim)
        & (Int(TLB_VICTIM_COUNT) &- 1)
    unsafe cpu.pointee.nextVictim &+= 1
    let victim = unsafe victims(cpu) + place
    unsafe beforeWriteEntryGoes(engine, victim)
    unsafe victim.pointee = unsafe entry.pointee
}

/// INVLPG and its kin, for what was displaced.
func flushVictims(_ cpu: CPU, _ engine: EngineContext, _ address: UInt64, shift: UInt64) {
    let victims = unsafe victims(cpu)
    for index in 0..<Int(TLB_VICTIM_COUNT) {
        unsafe flush(victims + index, engine, address, shift: shift)
    }
}
