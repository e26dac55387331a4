internal import CEngine

// Limits, rights and alignment of explicit accesses outside the TLB's fast path. A segment that can
// refuse an access has `LEGACY_BASE_CHECKED` in its base, so that all of its accesses come here.

/// Outside 64-bit code: the segment's limit and rights. True if the access is allowed.
func segmentAllows(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ byteCount: Int, write: Bool, stack: Bool
) -> Bool {
    if unsafe cpu.isLongCode { return true }
    let number = unsafe stack ? Segment.ss : segmentNumber(op)
    let segment = unsafe cpu.segment(number)
    // Unlimited ones refuse what goes beyond 4 GiB.
    if segmentPermits(segment, (address &- segment.base) & 0xffff_ffff, byteCount, write: write) {
        return true
    }
    let vector = number == Segment.ss ? Vector.stackFault : Vector.generalProtection
    unsafe recordFault(cpu, vector: vector, errorCode: 0)
    return false
}

/// Writable data up to 4 GiB: no access within a page is refused.
func isUnlimited(_ segment: SegmentRegister) -> Bool {
    segment.limit == 0xffff_ffff && segment.attributes & 0x9e == 0x92
}

/// Derives the bases that code outside 64-bit mode adds.
func refreshLegacyBases(_ cpu: CPU) {
    for number in 0..<6 {
        let segment = unsafe cpu.segment(number)
        unsafe cpu.bytes.storeBytes(
            of: isUnlimited(segment)
                ? segment.base & 0xffff_ffff
                : segment.base & 0xffff_ffff | UInt64(LEGACY_BASE_CHECKED),
            toByteOffset: Int(Layout.legacyBase(number)), as: UInt64.self)
    }
}

/// Takes the bit that brought an access here off its address.
@inline(__always)
func plainAddress(_ cpu: CPU, _ address: UInt64) -> UInt64 {
    unsafe cpu.isLongCode ? address : address & 0xffff_ffff
}

/// An address that is not canonical is #SS rather than #GP where the segment is SS.
func namesStackSegment(_ op: Op) -> Bool {
    unsafe segmentNumber(op) == Segment.ss
}

/// The segment of the memory operand.
@inline(__always)
func segmentNumber(_ op: Op) -> Int {
    unsafe (Int(op.pointee.flags) &>> INSTRUCTION_SEGMENT_SHIFT) & 7
}

/// Limit and type of a data access (SDM volume 3, 5.3 and 5.5).
func segmentPermits(
    _ segment: SegmentRegister, _ offset: UInt64, _ byteCount: Int, write: Bool
) -> Bool {
    let type = segment.attributes & 0xf
    if segment.attributes & 0x80 == 0 { return false }
    let isCode = type & 8 != 0
    if write, isCode || type & 2 == 0 { return false }
    if !write, isCode, type & 2 == 0 { return false }
    let last = offset &+ UInt64(truncatingIfNeeded: byteCount &- 1)
    if !isCode, type & 4 != 0 {
        let top: UInt64 = segment.attributes & 0x4000 != 0 ? 0xffff_ffff : 0xffff
        return offset > UInt64(segment.limit) && last <= top
    }
    return last <= UInt64(segment.limit)
}

/// #AC (SDM volume 3, table 6-7): ring 3 with CR0.AM and EFLAGS.AC, which a mode of its own keeps
/// away from the TLB. Accesses of 16 bytes and more have rules of their own in their instructions.
func alignmentAllows(_ cpu: CPU, _ address: UInt64, _ byteCount: Int) -> Bool {
    if unsafe cpu.pointee.tlbContext.0 & 3 != AccessMode.userAligned { return true }
    let mask: UInt64 =
        switch byteCount {
        case 2: 1
        case 4, 6: 3
        case 8, 10: 7
        default: 0
        }
    if address & mask == 0 { return true }
    if unsafe cpu.isLongCode, !isCanonical(address) { return true }
    unsafe recordFault(cpu, vector: Vector.alignmentCheck, errorCode: 0)
    return false
}
