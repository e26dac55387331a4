internal import CEngine
internal import GuestMemory
internal import VirtualCPU

/// Continues at instruction pointer `rip`, which is within the code segment's size already.
@inline(__always)
func jump(_ cpu: CPU, to rip: UInt64) -> Next {
    let linear = unsafe cpu.isLongCode ? rip : (rip &+ cpu.csBase) & 0xffff_ffff
    let entry = unsafe jumpCacheEntry(cpu, linear)
    let jumpContext = unsafe (cpu.bytes + CPUOffsets.jumpContext).load(
        fromByteOffset: Int(truncatingIfNeeded: linear &>> 63) &* 8, as: UInt64.self)
    if unsafe _fastPath(entry.pointee.address == linear && entry.pointee.context == jumpContext) {
        unsafe cpu.pointee.codePage = linear & ~0xfff
        return unsafe entry.pointee.instruction
    }
    unsafe cpu.pointee.rip = rip
    return unsafe jumpFurther(cpu, entry, linear, jumpContext)
}

/// An address may be in the entry beside its own: then the two change places.
@inline(never)
func jumpFurther(
    _ cpu: CPU, _ entry: UnsafeMutablePointer<JumpCacheEntry>, _ linear: UInt64, _ context: UInt64
) -> Next {
    let neighbour = unsafe neighbouringEntry(cpu, entry)
    guard unsafe neighbour.pointee.address == linear && neighbour.pointee.context == context else {
        return unsafe lookUpBlock(cpu)
    }
    unsafe swap(&entry.pointee, &neighbour.pointee)
    unsafe cpu.pointee.codePage = linear & ~0xfff
    return unsafe entry.pointee.instruction
}

/// The entry that shares its two places with `entry`; of the same page group.
func neighbouringEntry(
    _ cpu: CPU, _ entry: UnsafeMutablePointer<JumpCacheEntry>
) -> UnsafeMutablePointer<JumpCacheEntry> {
    let first = unsafe (cpu.bytes + CPUOffsets.jumpCache)
        .assumingMemoryBound(to: JumpCacheEntry.self)
    return unsafe first + ((entry - first) ^ 1)
}

@inline(__always)
func jumpCacheEntry(_ cpu: CPU, _ linear: UInt64) -> UnsafeMutablePointer<JumpCacheEntry> {
    let slot = Int(truncatingIfNeeded: cengine_jump_cache_place(linear))
    return unsafe (cpu.bytes + CPUOffsets.jumpCache).assumingMemoryBound(to: JumpCacheEntry.self)
        + slot
}

/// A direct branch that is not linked: into another page always, within its page the first time. The
/// same of one that is not taken, which leads where the next instruction is fetched from.
@inline(never)
func jumpAndLink(_ cpu: CPU, _ op: Op, to rip: UInt64, fallsThrough: Bool) -> Next {
    if unsafe !fallsThrough && !reachable(cpu, rip) {
        return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
    }
    let page = unsafe cpu.pointee.codePage
    let generation = unsafe cpu.pointee.codeGeneration
    guard let target = unsafe jump(cpu, to: rip) else { return nil }
    if unsafe cpu.pointee.codePage == page, unsafe cpu.pointee.codeGeneration == generation,
        unsafe cpu.pointee.stepping == 0
    {
        unsafe link(cpu, op, target, fallsThrough)
    }
    return unsafe target
}

/// Within the limit of CS, or canonical: checked before a direct branch is taken for the first time.
/// A block is left when its limit changes, and its page is not kept when the limit lies within.
private func reachable(_ cpu: CPU, _ rip: UInt64) -> Bool {
    unsafe cpu.isLongCode ? isCanonical(rip) : rip <= UInt64(cpu.segment(Segment.cs).limit)
}

/// Remembers the target in the instruction: in the same linear page it is in the same physical page
/// whenever this instruction runs.
@inline(never)
private func link(_ cpu: CPU, _ op: Op, _ target: Op, _ fallsThrough: Bool) {
    let engine = unsafe context(cpu)
    if unsafe engine.isTransient(op) || engine.isTransient(target) { return }
    if unsafe engine.crossings.contains(op) || engine.crossings.contains(target) { return }
    // One that was dropped while the jump cache had it.
    if unsafe UnsafeMutablePointer(mutating: target).isHandled(by: refetch) { return }
    if !fallsThrough {
        unsafe cengine_set_target(UnsafeMutablePointer(mutating: op), target)
        return
    }
    // In one generation: a larger one stays without links.
    let distance = unsafe UnsafeRawPointer(target) - UnsafeRawPointer(op)
    guard let distance = Int32(exactly: distance) else { return }
    unsafe cengine_set_fall_through(UnsafeMutablePointer(mutating: op), distance)
}

/// Finds or makes the block at `rip`. Nil: the fetch faulted.
@inline(never)
func lookUpBlock(_ cpu: CPU) -> Next {
    if unsafe cpu.isLongCode, let known = unsafe cengine_known_block(cpu) { return unsafe known }
    let engine = unsafe context(cpu)
    // All of the block that was running has run.
    unsafe cpu.pointee.block = nil
    unsafe cpu.pointee.blockLookups &+= 1
    if unsafe cpu.pointee.stepping != 0 || stopsWithin(cpu, engine) {
        return unsafe step(cpu, engine)
    }
    guard let (linear, physical) = unsafe fetchAddress(cpu, engine) else { return nil }
    let mode = unsafe cpu.pointee.blockMode
    unsafe cpu.pointee.codePage = linear & ~0xfff
    if unsafe !cpu.isLongCode, unsafe limitIsWithin(cpu, linear) {
        return unsafe transientBlock(cpu, engine, linear: linear, physical: physical)
    }
    if engine.patched.places != 0 {
        let runsAlone = engine.patched.takeOne(physical & ~0xfff)
        unsafe cpu.pointee.patchedPlaces = engine.patched.places
        if runsAlone {
            return unsafe transientBlock(cpu, engine, linear: linear, physical: physical)
        }
    }
    var header = unsafe engine.code.find(physical, mode: mode)
    if unsafe header == nil {
        if let known = unsafe findCrossing(cpu, engine, linear: linear, physical: physical) {
            return unsafe known
        }
        guard let built = unsafe buildBlock(cpu, engine, linear: linear, physical: physical) else {
            // The first instruction crosses into the next page.
            return unsafe transientBlock(cpu, engine, linear: linear, physical: physical)
        }
        unsafe header = unsafe built
    }
    if let header = unsafe header { unsafe cengine_enter_jump_cache(cpu, linear, header) }
    return unsafe UnsafePointer(header)
}

/// The page of the next instruction has a breakpoint: one instruction at a time, and none of them in
/// the jump cache.
private func stopsWithin(_ cpu: CPU, _ engine: EngineContext) -> Bool {
    if !engine.breakpoints.hasExecute { return false }
    let rip = unsafe cpu.pointee.rip
    let linear = unsafe cpu.isLongCode ? rip : (rip &+ cpu.csBase) & 0xffff_ffff
    return engine.breakpoints.watchesExecution(page: linear)
}

/// The limit of CS ends the page early: each instruction's last byte is looked at.
func limitIsWithin(_ cpu: CPU, _ linear: UInt64) -> Bool {
    let code = unsafe cpu.segment(Segment.cs)
    let rest = 0xfff &- (linear & 0xfff)
    return unsafe cpu.pointee.rip &+ rest > UInt64(code.limit)
}

/// Linear and physical address of the next instruction. Nil: fault recorded.
func fetchAddress(_ cpu: CPU, _ engine: EngineContext) -> (UInt64, UInt64)? {
    let rip = unsafe cpu.pointee.rip
    var linear = rip
    if unsafe !cpu.isLongCode {
        let code = unsafe cpu.segment(Segment.cs)
        if rip > UInt64(code.limit) {
            unsafe recordFault(cpu, vector: Vector.generalProtection, errorCode: 0)
            return nil
        }
        linear = (rip &+ code.base) & 0xffff_ffff
    } else if Int64(bitPattern: rip) &>> 47 != 0, Int64(bitPattern: rip) &>> 47 != -1 {
        unsafe recordFault(cpu, vector: Vector.generalProtection, errorCode: 0)
        return nil
    }
    guard let physical = unsafe translateFetch(cpu, engine, linear) else { return nil }
    return (linear, physical)
}

/// The entry of the instruction TLB that may have the page of `linear`.
func fetchEntry(_ cpu: CPU, _ linear: UInt64) -> UnsafeMutablePointer<FetchEntry> {
    unsafe (cpu.bytes + CPUOffsets.fetch).assumingMemoryBound(to: FetchEntry.self)
        + Int(truncatingIfNeeded: (linear &>> 12) & UInt64(FETCH_ENTRY_COUNT &- 1))
}

/// The physical address of an instruction byte. Nil: fault recorded.
func translateFetch(_ cpu: CPU, _ engine: EngineContext, _ linear: UInt64) -> UInt64? {
    let upper = linear &>> 63 != 0
    let tag =
        unsafe (linear & ~0xfff)
        | ((upper ? cpu.pointee.tlbContext.1 : cpu.pointee.tlbContext.0) & ~1)
    let entry = unsafe fetchEntry(cpu, linear)
    if unsafe entry.pointee.tag == tag { return unsafe entry.pointee.physical | (linear & 0xfff) }
    let mode = unsafe cpu.pointee.tlbContext.0 & AccessMode.user
    switch unsafe walk(cpu, engine, linear, .execute, mode: mode) {
    case .fault(let code):
        unsafe cpu.pointee.faultAddress = linear
        unsafe recordFault(cpu, vector: Vector.pageFault, errorCode: code)
        return nil
    case .absent(let page):
        unsafe recordAbsence(cpu, page)
        return nil
    case .present(let translation):
        if let residency = engine.memory.residency {
            if engine.memory.isAbsent(translation.physical) {
                unsafe recordAbsence(cpu, translation.physical)
                return nil
            }
            residency.note(.accessed, translation.physical &>> 12)
        }
        if upper, !translation.global { engine.contexts.upperHasPrivate = true }
        if translation.pageShift > 12 {
            engine.contexts.largePages.note(
                linear, shift: translation.pageShift, fetched: true)
        }
        unsafe entry.pointee = FetchEntry(tag: tag, physical: translation.physical)
        return translation.physical | (linear & 0xfff)
    }
}
