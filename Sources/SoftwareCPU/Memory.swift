internal import CEngine

// Guest memory as instructions see it: the TLB probe inline, everything else in MemorySlow.swift.

/// Base + index * scale + displacement + segment base, or the slow form with 16- and 32-bit
/// wrap-around. Segment limits and rights are checked on the slow path of the access itself.
@inline(__always)
func effectiveAddress(_ cpu: CPU, _ op: Op) -> UInt64 {
    if unsafe op.pointee.flags & slowAddress != 0 { return unsafe slowEffectiveAddress(cpu, op) }
    return unsafe plainAddress(cpu, op)
}

/// The same for operands that need no slow form.
@inline(__always)
func plainAddress(_ cpu: CPU, _ op: Op) -> UInt64 {
    let index = unsafe cpu.read(slot: op.pointee.index)
    let segment = unsafe cpu.read(slot: op.pointee.segmentBase)
    return unsafe simpleAddress(cpu, op) &+ (index &<< UInt64(op.pointee.scaleShift)) &+ segment
}

/// The same for operands that have nothing but a base and a displacement.
@inline(__always)
func simpleAddress(_ cpu: CPU, _ op: Op) -> UInt64 {
    unsafe cpu.read(slot: op.pointee.base) &+ UInt64(bitPattern: Int64(op.pointee.displacement))
}

/// Outside 64-bit code: 32 bits, and the bit that has the segment looked at.
@inline(__always)
var legacyAddressMask: UInt64 { UInt64(LEGACY_ADDRESS_MASK) }

@inline(__always)
var slowAddress: UInt8 { UInt8(truncatingIfNeeded: INSTRUCTION_SLOW_ADDRESS) }

/// The TLB entry that `address` would be in.
@inline(__always)
func tlbEntry(_ cpu: CPU, _ address: UInt64) -> UnsafeMutablePointer<TLBEntry> {
    let slot = Int(truncatingIfNeeded: (address &>> 12) & UInt64(TLB_ENTRY_COUNT &- 1))
    return unsafe (cpu.bytes + CPUOffsets.tlb).assumingMemoryBound(to: TLBEntry.self) + slot
}

/// Offsets that the probe needs as constants.
enum CPUOffsets {
    static var statusFlags: Int { Int(CPU_OFFSET_STATUS_FLAGS) }
    static var tlb: Int { Int(CPU_OFFSET_TLB) }
    static var tlbContext: Int { Int(CPU_OFFSET_TLB_CONTEXT) }
    static var jumpContext: Int { Int(CPU_OFFSET_JUMP_CONTEXT) }
    static var jumpCache: Int { Int(CPU_OFFSET_JUMP_CACHE) }
    static var fetch: Int { Int(CPU_OFFSET_FETCH) }
    static var scratch: Int { Int(CPU_OFFSET_SCRATCH) }
    static var replayValues: Int { Int(CPU_OFFSET_REPLAY_VALUES) }
    static var debugRegisters: Int { Int(CPU_OFFSET_DR) }
}

/// The tag a hit must show: page of the last byte, context of the address's half. An access that
/// crosses into the next page never matches, because the entry is chosen by the first byte.
@inline(__always)
func expectedTag(_ cpu: CPU, _ address: UInt64, _ byteCount: Int) -> UInt64 {
    let context = unsafe (cpu.bytes + CPUOffsets.tlbContext).load(
        fromByteOffset: Int(truncatingIfNeeded: address &>> 63) &* 8, as: UInt64.self)
    return ((address &+ UInt64(truncatingIfNeeded: byteCount &- 1)) & ~0xfff) | context
}

@inline(__always)
func hostPointer(_ addend: UInt64, _ address: UInt64) -> UnsafeMutableRawPointer? {
    unsafe UnsafeMutableRawPointer(bitPattern: UInt(truncatingIfNeeded: addend &+ address))
}

/// What the TLB says of an access.
@safe
struct Probe {
    private let entry: UnsafeMutablePointer<TLBEntry>
    private let address: UInt64
    /// It has the page. Otherwise the slow path looks into the matter.
    let hits: Bool

    /// Of a load of `byteCount` bytes.
    @inline(__always)
    init(_ cpu: CPU, reading address: UInt64, _ byteCount: Int) {
        let entry = unsafe tlbEntry(cpu, address)
        hits = unsafe entry.pointee.readTag == expectedTag(cpu, address, byteCount)
        unsafe self.entry = unsafe entry
        self.address = address
    }

    /// Of a store of `byteCount` bytes.
    @inline(__always)
    init(_ cpu: CPU, writing address: UInt64, _ byteCount: Int) {
        let entry = unsafe tlbEntry(cpu, address)
        hits = unsafe entry.pointee.writeTag == expectedTag(cpu, address, byteCount)
        unsafe self.entry = unsafe entry
        self.address = address
    }

    /// Where the bytes are, if it hits.
    @inline(__always)
    var pointer: UnsafeMutableRawPointer {
        unsafe hostPointer(entry.pointee.addend, address).unsafelyUnwrapped
    }
}

/// Loads an integer. Nil: a fault or an exit is recorded and nothing has changed.
@inline(__always)
func load<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, _ address: UInt64, as type: T.Type) -> T? {
    let entry = unsafe tlbEntry(cpu, address)
    if unsafe _fastPath(entry.pointee.readTag == expectedTag(cpu, address, MemoryLayout<T>.size)) {
        return unsafe hostPointer(entry.pointee.addend, address)?.loadUnaligned(as: T.self)
    }
    return unsafe slowLoad(cpu, op, address, MemoryLayout<T>.size)?.loadUnaligned(as: T.self)
}

/// Stores an integer. False: a fault or an exit is recorded and nothing has changed.
@inline(__always)
func store<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, _ address: UInt64, _ value: T) -> Bool {
    let entry = unsafe tlbEntry(cpu, address)
    if unsafe _fastPath(entry.pointee.writeTag == expectedTag(cpu, address, MemoryLayout<T>.size)) {
        unsafe hostPointer(entry.pointee.addend, address)?.storeBytes(of: value, as: T.self)
        return true
    }
    return unsafe slowStoreInteger(
        cpu, op, address, UInt64(truncatingIfNeeded: value), MemoryLayout<T>.size)
}

/// `byteCount` readable bytes (at most 128 when they need a copy). Nil as for `load`.
@inline(__always)
func readPointer(_ cpu: CPU, _ op: Op, _ address: UInt64, _ byteCount: Int) -> UnsafeRawPointer? {
    let entry = unsafe tlbEntry(cpu, address)
    if unsafe _fastPath(entry.pointee.readTag == expectedTag(cpu, address, byteCount)) {
        return unsafe UnsafeRawPointer(hostPointer(entry.pointee.addend, address))
    }
    return unsafe slowLoad(cpu, op, address, byteCount)
}

/// Stores bytes. False as for `store`.
@inline(__always)
func storeBytes(
    _ cpu: CPU, _ op: Op, _ address: UInt64, from source: UnsafeRawPointer, _ byteCount: Int
) -> Bool {
    let entry = unsafe tlbEntry(cpu, address)
    if unsafe _fastPath(entry.pointee.writeTag == expectedTag(cpu, address, byteCount)) {
        unsafe hostPointer(entry.pointee.addend, address)?
            .copyMemory(from: source, byteCount: byteCount)
        return true
    }
    return unsafe slowStore(cpu, op, address, source, byteCount)
}

/// A host pointer to operate on in place. Nil with `leaveReason` none: not possible here (page
/// crossing, device, page with code), use load and store. Nil otherwise: as for `load`.
@inline(__always)
func modifyPointer(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ byteCount: Int
) -> UnsafeMutableRawPointer? {
    let entry = unsafe tlbEntry(cpu, address)
    if unsafe _fastPath(entry.pointee.writeTag == expectedTag(cpu, address, byteCount)) {
        return unsafe hostPointer(entry.pointee.addend, address)
    }
    return unsafe slowModifyPointer(cpu, op, address, byteCount)
}

/// Stack accesses: the same, with #SS in place of #GP. `address` is linear: SS base is added and
/// the stack pointer is wrapped by the caller.
@inline(__always)
func loadStack<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ address: UInt64, as type: T.Type
) -> T? {
    let entry = unsafe tlbEntry(cpu, address)
    if unsafe _fastPath(entry.pointee.readTag == expectedTag(cpu, address, MemoryLayout<T>.size)) {
        return unsafe hostPointer(entry.pointee.addend, address)?.loadUnaligned(as: T.self)
    }
    return unsafe slowLoadStack(cpu, op, address, MemoryLayout<T>.size)?.loadUnaligned(as: T.self)
}

@inline(__always)
func storeStack<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ value: T
) -> Bool {
    let entry = unsafe tlbEntry(cpu, address)
    if unsafe _fastPath(entry.pointee.writeTag == expectedTag(cpu, address, MemoryLayout<T>.size)) {
        unsafe hostPointer(entry.pointee.addend, address)?.storeBytes(of: value, as: T.self)
        return true
    }
    return unsafe slowStoreStack(
        cpu, op, address, UInt64(truncatingIfNeeded: value), MemoryLayout<T>.size)
}

/// The linear address of stack offset `pointer`: wrapped to the stack size, SS base added.
@inline(__always)
func stackAddress(_ cpu: CPU, _ pointer: UInt64) -> UInt64 {
    if unsafe _fastPath(cpu.isLongCode) { return pointer }
    let wrapped =
        unsafe cpu.pointee.blockMode & BlockMode.stack32 != 0
        ? pointer & 0xffff_ffff : pointer & 0xffff
    return unsafe (wrapped &+ cpu.read(Layout.legacyBase(Segment.ss), as: UInt64.self))
        & legacyAddressMask
}

/// Sets RSP, ESP or SP, whichever the stack size says.
@inline(__always)
func setStackPointer(_ cpu: CPU, _ pointer: UInt64) {
    if unsafe _fastPath(cpu.isLongCode) {
        unsafe cpu.setGPR(GPR.rsp, pointer)
    } else if unsafe cpu.pointee.blockMode & BlockMode.stack32 != 0 {
        unsafe cpu.setGPR(GPR.rsp, pointer & 0xffff_ffff)
    } else {
        unsafe cpu.setGPR(GPR.rsp, (cpu.gpr(GPR.rsp) & ~0xffff) | (pointer & 0xffff))
    }
}

/// Records an exception at `op` and leaves the run loop.
@inline(never)
@discardableResult
func raise(_ cpu: CPU, _ op: Op, vector: UInt8, errorCode: UInt16? = nil) -> Next {
    unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
    return unsafe recordFault(cpu, vector: vector, errorCode: errorCode)
}

/// Records an exception with `rip` already set.
@discardableResult
func recordFault(_ cpu: CPU, vector: UInt8, errorCode: UInt16?) -> Next {
    unsafe cpu.pointee.faultVector = vector
    unsafe cpu.pointee.faultHasErrorCode = errorCode == nil ? 0 : 1
    unsafe cpu.pointee.faultErrorCode = errorCode ?? 0
    unsafe cpu.pointee.leaveReason = LeaveReason.fault
    return nil
}

/// Records that the page at this guest-physical address is absent, with `rip` already set: as if it were an
/// exception, but instead of its delivery the engine leaves, and the instruction runs again.
@inline(never)
func recordAbsence(_ cpu: CPU, _ address: UInt64) {
    unsafe context(cpu).absentPage = address & ~0xfff
    unsafe recordFault(cpu, vector: Vector.absentPage, errorCode: nil)
}

/// Exception vectors (SDM volume 3, table 6-1).
enum Vector {
    static let divideError: UInt8 = 0
    static let debug: UInt8 = 1
    static let nonMaskableInterrupt: UInt8 = 2
    static let breakpoint: UInt8 = 3
    static let overflow: UInt8 = 4
    static let boundRange: UInt8 = 5
    static let invalidOpcode: UInt8 = 6
    static let deviceNotAvailable: UInt8 = 7
    static let doubleFault: UInt8 = 8
    static let invalidTSS: UInt8 = 10
    static let segmentNotPresent: UInt8 = 11
    static let stackFault: UInt8 = 12
    static let generalProtection: UInt8 = 13
    static let pageFault: UInt8 = 14
    static let floatingPoint: UInt8 = 16
    static let alignmentCheck: UInt8 = 17
    static let simdFloatingPoint: UInt8 = 19
    /// No exception of the guest's: see `recordAbsence`.
    static let absentPage: UInt8 = 0xff
}
