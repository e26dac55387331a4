internal import CEngine

// The data TLB is direct mapped, so two pages a multiple of 8 MiB apart displace each other, and a loop
// that uses both would walk the page tables twice a round. What was displaced last from each place is kept
// in a second one, TLB_ENTRY_COUNT entries on. Who misses looks there first, and lets the two change
// places: translated code in a few instructions (`BlockTranslation+Probe.swift`), the slow path here.

private func victim(of entry: UnsafeMutablePointer<TLBEntry>) -> UnsafeMutablePointer<TLBEntry> {
    unsafe entry + Int(TLB_ENTRY_COUNT)
}

/// Puts the entry for `address` in its place, if it was displaced. False: it is not there.
func recallVictim(_ cpu: CPU, _ address: UInt64, _ access: Access, mode: UInt64) -> Bool {
    let context = unsafe address &>> 63 != 0 ? cpu.pointee.tlbContext.1 : cpu.pointee.tlbContext.0
    let tag = address & ~0xfff | context & ~3 | mode
    let entry = unsafe tlbEntry(cpu, address)
    let victim = unsafe victim(of: entry)
    let found = unsafe access == .write ? victim.pointee.writeTag : victim.pointee.readTag
    guard found == tag else { return false }
    let displaced = unsafe entry.pointee
    unsafe entry.pointee = unsafe victim.pointee
    unsafe victim.pointee = displaced
    return true
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
    let victim = unsafe victim(of: entry)
    unsafe beforeWriteEntryGoes(engine, victim)
    unsafe victim.pointee = unsafe entry.pointee
}

/// Drops what the TLB has of the page of `address`, or, with a `shift` of more than 12, of a place that a
/// larger page has there.
func flushPlace(_ cpu: CPU, _ engine: EngineContext, _ address: UInt64, shift: UInt64) {
    let entry = unsafe tlbEntry(cpu, address)
    unsafe flush(entry, engine, address, shift: shift)
    unsafe flush(victim(of: entry), engine, address, shift: shift)
}
