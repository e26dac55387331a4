internal import CEngine
internal import GuestMemory
internal import VirtualCPU
internal import Vocabulary

// The part of guest memory access that is not a TLB hit: segments, page walks, accesses that cross
// a page, pages that hold code, devices.

/// Effective addresses with 16- or 32-bit arithmetic, or with a segment base outside 64-bit code.
/// `delta` is added within the address size.
@inline(never)
func slowEffectiveAddress(_ cpu: CPU, _ op: Op, adding delta: UInt64 = 0) -> UInt64 {
    let offset = unsafe wrapped(op, effectiveOffset(cpu, op) &+ delta)
    let linear = unsafe offset &+ cpu.read(slot: op.pointee.segmentBase)
    return unsafe cpu.isLongCode ? linear : linear & legacyAddressMask
}

/// The offset within the segment: what LEA computes.
@inline(__always)
func effectiveOffset(_ cpu: CPU, _ op: Op) -> UInt64 {
    let sum =
        unsafe simpleAddress(cpu, op)
        &+ (cpu.read(slot: op.pointee.index) &<< UInt64(op.pointee.scaleShift))
    if unsafe op.pointee.flags & slowAddress == slowAddress {
        return unsafe op.pointee.base == Slot.codePage
            ? sum &+ UInt64(op.pointee.offsetBehind) : op.pointee.immediate
    }
    return unsafe wrapped(op, sum)
}

/// An offset in the instruction's address size.
@inline(__always)
private func wrapped(_ op: Op, _ offset: UInt64) -> UInt64 {
    switch unsafe Int(op.pointee.flags) & INSTRUCTION_SLOW_ADDRESS {
    case INSTRUCTION_ADDRESS32: return offset & 0xffff_ffff
    case INSTRUCTION_ADDRESS16: return offset & 0xffff
    default: return offset
    }
}

/// The mode that explicit data accesses are made with now.
@inline(__always)
func accessMode(_ cpu: CPU) -> UInt64 {
    let mode = unsafe cpu.pointee.tlbContext.0 & 3
    return mode == AccessMode.userAligned ? AccessMode.user : mode
}

/// Where one page-bounded piece of an access leads.
@safe
private enum Piece {
    /// Host memory. `watched`: the TLB has an entry to write to it, so who decodes instructions from the
    /// page has the vCPU give that up first, and a store needs no look at the page's mark.
    case memory(UnsafeMutableRawPointer, watched: Bool)
    case device(UInt64)
    case fault
}

/// Translates one access that stays within a page and fills the TLB entry for it.
private func translate(
    _ cpu: CPU, _ address: UInt64, _ access: Access, mode: UInt64, stack: Bool
) -> Piece {
    if unsafe cpu.pointee.efer & EFER.lma != 0, !isCanonical(address) {
        unsafe recordFault(
            cpu, vector: stack ? Vector.stackFault : Vector.generalProtection, errorCode: 0)
        return .fault
    }
    if let pointer = unsafe resident(cpu, address, access, mode: mode) {
        return unsafe .memory(pointer, watched: access == .write)
    }
    if unsafe recallVictim(cpu, address, access, mode: mode),
        let pointer = unsafe resident(cpu, address, access, mode: mode)
    {
        return unsafe .memory(pointer, watched: access == .write)
    }
    unsafe cpu.pointee.tlbMisses &+= 1
    let engine = unsafe context(cpu)
    switch unsafe walk(cpu, engine, address, access, mode: mode) {
    case .fault(let code):
        unsafe cpu.pointee.faultAddress = address
        unsafe recordFault(cpu, vector: Vector.pageFault, errorCode: code)
        return .fault
    case .absent(let page):
        unsafe recordAbsence(cpu, page)
        return .fault
    case .present(let translation):
        let physical = translation.physical
        if !engine.memory.contains(physical, 4096) {
            return .device(physical | (address & 0xfff))
        }
        if engine.memory.isAbsent(physical) {
            unsafe recordAbsence(cpu, physical)
            return .fault
        }
        let watched = unsafe fillEntry(
            cpu, engine, address, access, translation, mode: mode)
        return unsafe .memory(
            engine.hostBase + Int(truncatingIfNeeded: physical | (address & 0xfff)),
            watched: watched)
    }
}

/// The host address if the TLB has it: accesses whose segment or alignment was checked come by here
/// although it does.
private func resident(_ cpu: CPU, _ address: UInt64, _ access: Access, mode: UInt64)
    -> UnsafeMutableRawPointer?
{
    let entry = unsafe tlbEntry(cpu, address)
    let context = unsafe address &>> 63 != 0 ? cpu.pointee.tlbContext.1 : cpu.pointee.tlbContext.0
    let tag = address & ~0xfff | context & ~3 | mode
    guard
        unsafe access == .write ? entry.pointee.writeTag == tag : entry.pointee.readTag == tag
    else { return nil }
    return unsafe hostPointer(entry.pointee.addend, address)
}

/// True: it is an entry to write to the page, too.
private func fillEntry(
    _ cpu: CPU, _ engine: EngineContext, _ address: UInt64, _ access: Access,
    _ translation: Translation, mode: UInt64
) -> Bool {
    var mayWrite = true
    if let residency = engine.memory.residency {
        mayWrite = noteUse(residency, translation, access)
    }
    if engine.breakpoints.hasData, engine.breakpoints.watchesData(page: address) { return false }
    let upper = address &>> 63 != 0
    if upper, !translation.global { engine.contexts.upperHasPrivate = true }
    if translation.pageShift > 12 {
        engine.contexts.largePages.note(
            address, shift: translation.pageShift, fetched: false)
    }
    let slot = upper ? engine.contexts.upperSlot : engine.contexts.lowerSlot
    let page = address & ~0xfff
    let tag = page | (slot &<< 2) | mode
    let entry = unsafe tlbEntry(cpu, address)
    unsafe makeWay(cpu, engine, entry, for: tag)
    unsafe entry.pointee.readTag = tag
    let isWritable =
        mayWrite && translation.writable && translation.dirty
        && !engine.memory.pageHoldsCode(translation.physical)
    unsafe entry.pointee.writeTag = isWritable ? tag : .max
    unsafe entry.pointee.addend =
        unsafe UInt64(UInt(bitPattern: engine.hostBase)) &+ translation.physical &- page
    unsafe entry.pointee.physical = translation.physical
    return isWritable
}

/// Where the next replayed value is, or nil after the exit has been recorded.
private func replay(_ cpu: CPU, _ op: Op, or exit: VMExit, _ answer: ExitAnswer) -> UInt64? {
    let cursor = unsafe cpu.pointee.replayCursor
    if unsafe cursor < cpu.pointee.replayCount, cursor < UInt32(MMIO_REPLAY_COUNT) {
        unsafe cpu.pointee.replayCursor = cursor &+ 1
        return unsafe (cpu.bytes + CPUOffsets.replayValues).load(
            fromByteOffset: Int(cursor) &* 8, as: UInt64.self)
    }
    _ = unsafe leave(cpu, op, with: exit, awaiting: answer)
    return nil
}

/// Reads a device register, in pieces of 1, 2, 4 or 8 bytes, into `destination`.
private func readDevice(
    _ cpu: CPU, _ op: Op, _ physical: UInt64, _ byteCount: Int,
    into destination: UnsafeMutableRawPointer
) -> Bool {
    var done = 0
    while done < byteCount {
        let width = pieceWidth(physical &+ UInt64(done), byteCount &- done)
        let address = GuestPhysicalAddress(physical &+ UInt64(done))
        guard
            let value = unsafe replay(
                cpu, op, or: .mmioRead(address: address, width: width), .replay)
        else { return false }
        unsafe withUnsafeBytes(of: value) {
            unsafe (destination + done).copyMemory(
                from: $0.baseAddress.unsafelyUnwrapped, byteCount: width)
        }
        done &+= width
    }
    return true
}

private func writeDevice(
    _ cpu: CPU, _ op: Op, _ physical: UInt64, _ source: UnsafeRawPointer, _ byteCount: Int
) -> Bool {
    var done = 0
    while done < byteCount {
        let width = pieceWidth(physical &+ UInt64(done), byteCount &- done)
        var value: UInt64 = 0
        unsafe withUnsafeMutableBytes(of: &value) {
            unsafe $0.baseAddress.unsafelyUnwrapped.copyMemory(
                from: source + done, byteCount: width)
        }
        let address = GuestPhysicalAddress(physical &+ UInt64(done))
        guard
            unsafe replay(
                cpu, op, or: .mmioWrite(address: address, width: width, value: value), .replayWrite)
                != nil
        else { return false }
        done &+= width
    }
    return true
}

private func pieceWidth(_ address: UInt64, _ rest: Int) -> Int {
    for width in [8, 4, 2] where rest >= width && address & UInt64(width &- 1) == 0 {
        return width
    }
    return 1
}

/// What is asked before the page tables: segment, alignment, breakpoints.
private func accessAllowed(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ byteCount: Int, write: Bool, stack: Bool
) -> Bool {
    unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
    return unsafe segmentAllows(cpu, op, address, byteCount, write: write, stack: stack)
        && alignmentAllows(cpu, address, byteCount)
        && passesBreakpoints(cpu, address, byteCount, write: write)
}

@inline(never)
func slowLoad(_ cpu: CPU, _ op: Op, _ linear: UInt64, _ byteCount: Int) -> UnsafeRawPointer? {
    let address = unsafe plainAddress(cpu, linear)
    if unsafe !accessAllowed(cpu, op, address, byteCount, write: false, stack: false) { return nil }
    return unsafe loadPieces(
        cpu, op, address, byteCount, mode: accessMode(cpu), stack: namesStackSegment(op))
}

@inline(never)
func slowLoadStack(_ cpu: CPU, _ op: Op, _ linear: UInt64, _ byteCount: Int) -> UnsafeRawPointer? {
    let address = unsafe plainAddress(cpu, linear)
    if unsafe !accessAllowed(cpu, op, address, byteCount, write: false, stack: true) { return nil }
    return unsafe loadPieces(cpu, op, address, byteCount, mode: accessMode(cpu), stack: true)
}

func loadPieces(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ byteCount: Int, mode: UInt64, stack: Bool
) -> UnsafeRawPointer? {
    let room = 0x1000 &- Int(truncatingIfNeeded: address & 0xfff)
    let scratch = unsafe cpu.bytes + CPUOffsets.scratch
    if byteCount <= room {
        switch unsafe translate(cpu, address, .read, mode: mode, stack: stack) {
        case .fault: return nil
        case .memory(let pointer, _): return UnsafeRawPointer(pointer)
        case .device(let physical):
            return unsafe readDevice(cpu, op, physical, byteCount, into: scratch)
                ? UnsafeRawPointer(scratch) : nil
        }
    }
    let second = unsafe linearNextPage(cpu, address)
    if unsafe !endIsCanonical(cpu, second, stack: stack) { return nil }
    let firstPiece = unsafe translate(cpu, address, .read, mode: mode, stack: stack)
    if case .fault = firstPiece { return nil }
    let secondPiece = unsafe translate(cpu, second, .read, mode: mode, stack: stack)
    if case .fault = secondPiece { return nil }
    if unsafe !gather(cpu, op, firstPiece, room, into: scratch) { return nil }
    if unsafe !gather(cpu, op, secondPiece, byteCount &- room, into: scratch + room) { return nil }
    return UnsafeRawPointer(scratch)
}

private func linearNextPage(_ cpu: CPU, _ address: UInt64) -> UInt64 {
    let next = (address & ~0xfff) &+ 0x1000
    return unsafe cpu.isLongCode ? next : next & 0xffff_ffff
}

/// The second piece of an access is looked at before the first one is translated.
private func endIsCanonical(_ cpu: CPU, _ second: UInt64, stack: Bool) -> Bool {
    if unsafe cpu.pointee.efer & EFER.lma == 0 || isCanonical(second) { return true }
    unsafe recordFault(
        cpu, vector: stack ? Vector.stackFault : Vector.generalProtection, errorCode: 0)
    return false
}

private func gather(
    _ cpu: CPU, _ op: Op, _ piece: Piece, _ byteCount: Int,
    into destination: UnsafeMutableRawPointer
) -> Bool {
    switch piece {
    case .fault: return false
    case .memory(let pointer, _):
        unsafe destination.copyMemory(from: pointer, byteCount: byteCount)
        return true
    case .device(let physical):
        return unsafe readDevice(cpu, op, physical, byteCount, into: destination)
    }
}

private func scatter(
    _ cpu: CPU, _ op: Op, _ piece: Piece, _ source: UnsafeRawPointer, _ byteCount: Int
) -> Bool {
    switch piece {
    case .fault: return false
    case .memory(let pointer, let watched):
        unsafe storeOnce(pointer, source, byteCount)
        if !watched { unsafe noteStore(cpu, pointer) }
        return true
    case .device(let physical):
        return unsafe writeDevice(cpu, op, physical, source, byteCount)
    }
}

@inline(never)
func slowStoreInteger(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ value: UInt64, _ byteCount: Int
) -> Bool {
    unsafe withUnsafeBytes(of: value) {
        unsafe slowStore(cpu, op, address, $0.baseAddress.unsafelyUnwrapped, byteCount)
    }
}

@inline(never)
func slowStoreStack(
    _ cpu: CPU, _ op: Op, _ linear: UInt64, _ value: UInt64, _ byteCount: Int
) -> Bool {
    let address = unsafe plainAddress(cpu, linear)
    if unsafe !accessAllowed(cpu, op, address, byteCount, write: true, stack: true) { return false }
    return unsafe withUnsafeBytes(of: value) {
        unsafe storePieces(
            cpu, op, address, $0.baseAddress.unsafelyUnwrapped, byteCount, mode: accessMode(cpu),
            stack: true)
    }
}

@inline(never)
func slowStore(
    _ cpu: CPU, _ op: Op, _ linear: UInt64, _ source: UnsafeRawPointer, _ byteCount: Int
) -> Bool {
    let address = unsafe plainAddress(cpu, linear)
    if unsafe !accessAllowed(cpu, op, address, byteCount, write: true, stack: false) {
        return false
    }
    return unsafe storePieces(
        cpu, op, address, source, byteCount, mode: accessMode(cpu), stack: namesStackSegment(op))
}

func storePieces(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ source: UnsafeRawPointer, _ byteCount: Int,
    mode: UInt64, stack: Bool
) -> Bool {
    let room = 0x1000 &- Int(truncatingIfNeeded: address & 0xfff)
    let next = unsafe linearNextPage(cpu, address)
    if byteCount > room, unsafe !endIsCanonical(cpu, next, stack: stack) { return false }
    let first = unsafe translate(cpu, address, .write, mode: mode, stack: stack)
    if case .fault = first { return false }
    if byteCount <= room { return unsafe scatter(cpu, op, first, source, byteCount) }
    let second = unsafe translate(cpu, next, .write, mode: mode, stack: stack)
    if case .fault = second { return false }
    return unsafe scatter(cpu, op, first, source, room)
        && scatter(cpu, op, second, source + room, byteCount &- room)
}

@inline(never)
func slowModifyPointer(
    _ cpu: CPU, _ op: Op, _ linear: UInt64, _ byteCount: Int
) -> UnsafeMutableRawPointer? {
    let address = unsafe plainAddress(cpu, linear)
    unsafe cpu.pointee.leaveReason = LeaveReason.none
    if unsafe !accessAllowed(cpu, op, address, byteCount, write: true, stack: false) { return nil }
    let room = 0x1000 &- Int(truncatingIfNeeded: address & 0xfff)
    let next = unsafe linearNextPage(cpu, address)
    let stack = unsafe namesStackSegment(op)
    if byteCount > room, unsafe !endIsCanonical(cpu, next, stack: stack) { return nil }
    switch unsafe translate(cpu, address, .write, mode: accessMode(cpu), stack: stack) {
    case .fault: return nil
    case .device: return nil
    case .memory(let pointer, _):
        if byteCount > room {
            // The second page has to be writable too, before anything is read or written.
            _ = unsafe translate(cpu, next, .write, mode: accessMode(cpu), stack: stack)
            return nil
        }
        // A page with code: everyone has to be told after the store. 16 bytes are told by who stores.
        let isWritable =
            unsafe byteCount == 16 || resident(cpu, address, .write, mode: accessMode(cpu)) != nil
        return unsafe isWritable ? pointer : nil
    }
}

/// Whether `byteCount` bytes could be stored, without storing them. False as for `store`.
@inline(never)
func probeStore(
    _ cpu: CPU, _ op: Op, _ linear: UInt64, _ byteCount: Int, stack: Bool = false
) -> Bool {
    let address = unsafe plainAddress(cpu, linear)
    if unsafe !accessAllowed(cpu, op, address, byteCount, write: true, stack: stack) {
        return false
    }
    let stack = unsafe stack || namesStackSegment(op)
    let room = 0x1000 &- Int(truncatingIfNeeded: address & 0xfff)
    let next = unsafe linearNextPage(cpu, address)
    if byteCount > room, unsafe !endIsCanonical(cpu, next, stack: stack) { return false }
    let mode = unsafe accessMode(cpu)
    if case .fault = unsafe translate(cpu, address, .write, mode: mode, stack: stack) {
        return false
    }
    if byteCount <= room { return true }
    if case .fault = unsafe translate(cpu, next, .write, mode: mode, stack: stack) { return false }
    return true
}
