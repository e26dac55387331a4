internal import CEngine
internal import X86

// MXCSR and the FXSAVE image (SDM volume 1, 10.5).

/// Offsets within the 512-byte legacy area.
enum FXSaveArea {
    static let byteCount = 512
    /// FCW, FSW, FTW, FOP, FIP, FDP.
    static let x87Header = 0..<24
    static let mxcsr = 24..<32
    static let x87Registers = 32..<160
    static let vectors = 160..<416
}

/// How much of the image an instruction form has.
struct SaveForm {
    /// REX.W: 64-bit FIP and FDP, no selectors.
    var wide: Bool
    /// XMM8 to XMM15 exist.
    var allRegisters: Bool

    @inline(__always)
    init(_ cpu: CPU, _ op: Op) {
        wide = unsafe op.pointee.auxiliary & 1 != 0
        allRegisters = unsafe cpu.isLongCode
    }

    var vectors: Range<Int> {
        let area = FXSaveArea.vectors
        return allRegisters ? area : area.lowerBound..<(area.lowerBound &+ 128)
    }
}

/// Writes the x87, MXCSR and XMM parts of the legacy area; reserved bytes become zero.
func encodeLegacyArea(_ cpu: CPU, _ form: SaveForm, into area: UnsafeMutableRawPointer) {
    unsafe x87_release(cpu)
    unsafe area.initializeMemory(as: UInt8.self, repeating: 0, count: FXSaveArea.byteCount)
    unsafe area.storeBytes(of: cpu.pointee.x87Control, toByteOffset: 0, as: UInt16.self)
    unsafe area.storeBytes(of: cpu.pointee.x87Status, toByteOffset: 2, as: UInt16.self)
    unsafe area.storeBytes(of: cpu.pointee.x87Tags, toByteOffset: 4, as: UInt8.self)
    unsafe area.storeBytes(of: cpu.pointee.x87Opcode, toByteOffset: 6, as: UInt16.self)
    if form.wide {
        unsafe area.storeBytes(
            of: cpu.pointee.x87InstructionPointer, toByteOffset: 8, as: UInt64.self)
        unsafe area.storeBytes(of: cpu.pointee.x87DataPointer, toByteOffset: 16, as: UInt64.self)
    } else {
        let instruction = unsafe UInt32(truncatingIfNeeded: cpu.pointee.x87InstructionPointer)
        let data = unsafe UInt32(truncatingIfNeeded: cpu.pointee.x87DataPointer)
        unsafe area.storeBytes(of: instruction, toByteOffset: 8, as: UInt32.self)
        unsafe area.storeBytes(
            of: cpu.pointee.x87InstructionSelector, toByteOffset: 12, as: UInt16.self)
        unsafe area.storeBytes(of: data, toByteOffset: 16, as: UInt32.self)
        unsafe area.storeBytes(of: cpu.pointee.x87DataSelector, toByteOffset: 20, as: UInt16.self)
    }
    unsafe area.storeBytes(of: collectFlags(cpu), toByteOffset: 24, as: UInt32.self)
    unsafe area.storeBytes(
        of: UInt32(MXCSR_DEFINED), toByteOffset: 28, as: UInt32.self)
    let top = unsafe Int((cpu.pointee.x87Status &>> 11) & 7)
    for index in 0..<8 {
        let register = unsafe stackRegister(cpu, (top &+ index) & 7)
        let slot = unsafe area + FXSaveArea.x87Registers.lowerBound + index &* 16
        unsafe slot.copyMemory(from: register, byteCount: 10)
    }
    unsafe (area + form.vectors.lowerBound).copyMemory(
        from: cpu.bytes + Int(Layout.xmm), byteCount: form.vectors.count)
}

/// Physical x87 register `index`.
@inline(__always)
func stackRegister(_ cpu: CPU, _ index: Int) -> UnsafeMutableRawPointer {
    // SAFETY: `index` is 0 to 7.
    let offset = Int(Layout.st) &+ (index & 7) &* 16
    return unsafe cpu.bytes + offset
}

/// Loads the x87 part of a legacy area.
func decodeX87(_ cpu: CPU, _ form: SaveForm, from area: UnsafeRawPointer) {
    unsafe x87_release(cpu)
    let control = unsafe area.load(fromByteOffset: 0, as: UInt16.self) | 0x40
    var status = unsafe area.load(fromByteOffset: 2, as: UInt16.self)
    // ES and B follow from the flags and masks.
    let pending = status & ~control & 0x3f != 0
    status = pending ? status | 0x8080 : status & ~0x8080
    unsafe cpu.pointee.x87Control = control & 0x1f7f
    unsafe cpu.pointee.x87Status = status
    unsafe cpu.pointee.x87Tags = area.load(fromByteOffset: 4, as: UInt8.self)
    unsafe cpu.pointee.x87Opcode = area.load(fromByteOffset: 6, as: UInt16.self) & 0x7ff
    if form.wide {
        unsafe cpu.pointee.x87InstructionPointer = area.load(fromByteOffset: 8, as: UInt64.self)
        unsafe cpu.pointee.x87DataPointer = area.load(fromByteOffset: 16, as: UInt64.self)
        unsafe cpu.pointee.x87InstructionSelector = 0
        unsafe cpu.pointee.x87DataSelector = 0
    } else {
        unsafe cpu.pointee.x87InstructionPointer =
            UInt64(area.load(fromByteOffset: 8, as: UInt32.self))
        unsafe cpu.pointee.x87InstructionSelector = area.load(fromByteOffset: 12, as: UInt16.self)
        unsafe cpu.pointee.x87DataPointer =
            UInt64(area.load(fromByteOffset: 16, as: UInt32.self))
        unsafe cpu.pointee.x87DataSelector = area.load(fromByteOffset: 20, as: UInt16.self)
    }
    let top = Int((status &>> 11) & 7)
    for index in 0..<8 {
        let slot = unsafe area + FXSaveArea.x87Registers.lowerBound + index &* 16
        unsafe stackRegister(cpu, (top &+ index) & 7).copyMemory(from: slot, byteCount: 10)
    }
}

/// The state after FNINIT with all registers zero: what XRSTOR initialises to.
func initializeX87(_ cpu: CPU) {
    unsafe x87_release(cpu)
    unsafe cpu.pointee.x87Control = 0x37f
    unsafe cpu.pointee.x87Status = 0
    unsafe cpu.pointee.x87Tags = 0
    unsafe cpu.pointee.x87Opcode = 0
    unsafe cpu.pointee.x87InstructionPointer = 0
    unsafe cpu.pointee.x87DataPointer = 0
    unsafe cpu.pointee.x87InstructionSelector = 0
    unsafe cpu.pointee.x87DataSelector = 0
    unsafe stackRegister(cpu, 0).initializeMemory(as: UInt8.self, repeating: 0, count: 128)
}

/// Copies guest memory out in pieces that the slow path can hold. False: fault or exit recorded.
func readBytes(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ range: Range<Int>,
    into area: UnsafeMutableRawPointer
) -> Bool {
    var offset = range.lowerBound
    while offset < range.upperBound {
        let count = min(64, range.upperBound &- offset)
        guard let piece = unsafe readPointer(cpu, op, address &+ UInt64(offset), count) else {
            return false
        }
        unsafe (area + offset).copyMemory(from: piece, byteCount: count)
        offset &+= count
    }
    return true
}

/// Stores `range` of an image at `address`. False: fault or exit recorded.
func writeBytes(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ range: Range<Int>, from area: UnsafeRawPointer
) -> Bool {
    var offset = range.lowerBound
    while offset < range.upperBound {
        let count = min(64, range.upperBound &- offset)
        let done = unsafe storeBytes(
            cpu, op, address &+ UInt64(offset), from: area + offset, count)
        if !done { return false }
        offset &+= count
    }
    return true
}

// MARK: Instructions

/// LDMXCSR.
func loadMXCSR(_ cpu: CPU, _ op: Op) -> Next {
    guard let value = unsafe load(cpu, op, effectiveAddress(cpu, op), as: UInt32.self) else {
        return nil
    }
    if value & ~UInt32(MXCSR_DEFINED) != 0 {
        return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
    }
    unsafe setMXCSR(cpu, value)
    return unsafe op + 1
}

/// STMXCSR.
func storeMXCSR(_ cpu: CPU, _ op: Op) -> Next {
    guard unsafe store(cpu, op, effectiveAddress(cpu, op), collectFlags(cpu)) else { return nil }
    return unsafe op + 1
}

/// Segment and canonical form come before alignment, as on the host. False: fault recorded.
private func legacyAreaAllowed(_ cpu: CPU, _ op: Op, _ linear: UInt64, write: Bool) -> Bool {
    let address = unsafe plainAddress(cpu, linear)
    unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
    if unsafe !segmentAllows(
        cpu, op, address, FXSaveArea.byteCount, write: write, stack: false)
    {
        return false
    }
    if unsafe cpu.isLongCode && !isCanonical(address) && namesStackSegment(op) {
        unsafe recordFault(cpu, vector: Vector.stackFault, errorCode: 0)
        return false
    }
    if address & 15 == 0 { return true }
    unsafe recordFault(cpu, vector: Vector.generalProtection, errorCode: 0)
    return false
}

/// FXSAVE and FXSAVE64.
func saveLegacyState(_ cpu: CPU, _ op: Op) -> Next {
    let address = unsafe effectiveAddress(cpu, op)
    if unsafe !legacyAreaAllowed(cpu, op, address, write: true) { return nil }
    let form = unsafe SaveForm(cpu, op)
    let done = unsafe withUnsafeTemporaryAllocation(
        byteCount: FXSaveArea.byteCount, alignment: 16
    ) { buffer in
        guard let area = buffer.baseAddress else { return false }
        unsafe encodeLegacyArea(cpu, form, into: area)
        return unsafe writeBytes(cpu, op, address, 0..<form.vectors.upperBound, from: area)
    }
    return done ? unsafe op + 1 : nil
}

/// FXRSTOR and FXRSTOR64.
func restoreLegacyState(_ cpu: CPU, _ op: Op) -> Next {
    let address = unsafe effectiveAddress(cpu, op)
    if unsafe !legacyAreaAllowed(cpu, op, address, write: false) { return nil }
    let form = unsafe SaveForm(cpu, op)
    return unsafe withUnsafeTemporaryAllocation(
        byteCount: FXSaveArea.byteCount, alignment: 16
    ) { buffer -> Next in
        guard let area = buffer.baseAddress,
            unsafe readBytes(cpu, op, address, 0..<form.vectors.upperBound, into: area)
        else { return nil }
        let mxcsr = unsafe area.load(fromByteOffset: 24, as: UInt32.self)
        if mxcsr & ~UInt32(MXCSR_DEFINED) != 0 {
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
        unsafe decodeX87(cpu, form, from: area)
        unsafe setMXCSR(cpu, mxcsr)
        unsafe (cpu.bytes + Int(Layout.xmm)).copyMemory(
            from: area + form.vectors.lowerBound, byteCount: form.vectors.count)
        return unsafe op + 1
    }
}

/// EMMS: all registers are empty, TOP is 0 as after every MMX instruction.
func emptyMMX(_ cpu: CPU, _ op: Op) -> Next {
    if unsafe mmxPending(cpu, op) { return nil }
    unsafe mmxTransition(cpu)
    unsafe cpu.pointee.x87Tags = 0
    return unsafe op + 1
}

/// CLFLUSH and its kind: the access is checked as a load of one byte; caches are the host's.
func flushLine(_ cpu: CPU, _ op: Op) -> Next {
    guard unsafe readPointer(cpu, op, effectiveAddress(cpu, op), 1) != nil else { return nil }
    return unsafe op + 1
}

/// MFENCE: orders this virtual processor's stores before its later loads.
@inline(__always)
func fenceMemory(_ op: Op) -> Next {
    vector_fence()
    return unsafe op + 1
}
