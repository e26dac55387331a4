internal import CEngine
internal import X86

// XSAVE, XRSTOR and their kind (SDM volume 1, chapter 13).

/// A state component beyond the legacy area: plain bytes of `CPUState`.
struct ExtendedComponent {
    /// Its bit in XCR0.
    var bit: UInt64
    /// In the standard format, from the start of the area.
    var offset: Int
    var byteCount: Int
    /// In `CPUState`.
    var stateOffset: Int
    /// Starts at a multiple of 64 bytes in the compacted format.
    var aligned: Bool

    /// Its bytes that exist: outside 64-bit code those of the first eight registers.
    func range(_ cpu: CPU) -> Range<Int> {
        unsafe 0..<(cpu.isLongCode ? byteCount : byteCount / 2)
    }
}

/// The components and the layout of the XSAVE area.
enum ExtendedState {
    static let x87: UInt64 = 1 << 0
    static let sse: UInt64 = 1 << 1
    static let avx: UInt64 = 1 << 2
    /// Components from bit 2 on, in the order of their bits: the upper halves of YMM registers.
    static let components = [
        ExtendedComponent(
            bit: avx, offset: 576, byteCount: 256, stateOffset: Int(CPU_OFFSET_UPPER),
            aligned: false)
    ]
    /// What XSETBV accepts of a processor with `features`.
    static func supported(_ features: InstructionFeatures) -> UInt64 {
        features.contains(.avx) ? x87 | sse | avx : x87 | sse
    }
    /// The size of an area for all components of `map`.
    static func byteCount(_ map: UInt64) -> Int {
        components.reduce(legacyByteCount) {
            map & $1.bit == 0 ? $0 : max($0, $1.offset &+ $1.byteCount)
        }
    }
    static let headerOffset = 512
    static let headerByteCount = 64
    static let legacyByteCount = 576
    static let compacted: UInt64 = 1 << 63

    /// Where a component is in an area with `map` in XCOMP_BV; nil `map`: the standard format.
    static func offset(of component: ExtendedComponent, in map: UInt64?) -> Int {
        guard let map else { return component.offset }
        var offset = legacyByteCount
        for other in components where map & other.bit != 0 {
            if other.aligned { offset = (offset &+ 63) & ~63 }
            if other.bit == component.bit { break }
            offset &+= other.byteCount
        }
        return offset
    }
}

/// The instructions that save.
enum SaveKind {
    case standard, optimized, compacted, supervisor
}

/// XINUSE: components that are not in their initial configuration.
func componentsInUse(_ cpu: CPU) -> UInt64 {
    var inUse: UInt64 = 0
    if unsafe x87InUse(cpu) { inUse |= ExtendedState.x87 }
    if unsafe !isZero(UnsafeRawPointer(cpu.bytes + Int(Layout.xmm)), 256) {
        inUse |= ExtendedState.sse
    }
    for component in ExtendedState.components
    where unsafe !isZero(UnsafeRawPointer(cpu.bytes + component.stateOffset), component.byteCount) {
        inUse |= component.bit
    }
    return inUse
}

private func x87InUse(_ cpu: CPU) -> Bool {
    unsafe x87_release(cpu)
    let pointers = unsafe cpu.pointee.x87InstructionPointer | cpu.pointee.x87DataPointer
    let selectors = unsafe cpu.pointee.x87InstructionSelector | cpu.pointee.x87DataSelector
    let words = unsafe cpu.pointee.x87Status | cpu.pointee.x87Opcode | selectors
    let tags = unsafe cpu.pointee.x87Tags
    if unsafe cpu.pointee.x87Control != 0x37f || words != 0 || tags != 0 || pointers != 0 {
        return true
    }
    return unsafe !isZero(UnsafeRawPointer(stackRegister(cpu, 0)), 128)
}

/// `byteCount` is a multiple of 8.
func isZero(_ bytes: UnsafeRawPointer, _ byteCount: Int) -> Bool {
    var sum: UInt64 = 0
    for offset in stride(from: 0, to: byteCount, by: 8) {
        sum |= unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }
    return sum == 0
}

/// CR4.OSXSAVE, CR0.TS and the alignment of the area. Nil: an exception is recorded.
func extendedStateAddress(_ cpu: CPU, _ op: Op, supervisor: Bool) -> UInt64? {
    guard unsafe extendedStateEnabled(cpu, op) else { return nil }
    if unsafe cpu.pointee.cr0 & 8 != 0 {
        unsafe raise(cpu, op, vector: Vector.deviceNotAvailable)
        return nil
    }
    let address = unsafe effectiveAddress(cpu, op)
    if unsafe address & 63 != 0 || (supervisor && cpu.pointee.currentPrivilegeLevel != 0) {
        unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        return nil
    }
    return address
}

/// CR4.OSXSAVE is set; #UD otherwise.
func extendedStateEnabled(_ cpu: CPU, _ op: Op) -> Bool {
    if unsafe cpu.pointee.cr4 & (1 << 18) != 0 { return true }
    unsafe raise(cpu, op, vector: Vector.invalidOpcode)
    return false
}

/// EDX:EAX.
func requestedComponents(_ cpu: CPU) -> UInt64 {
    unsafe (cpu.gpr(GPR.rax) & 0xffff_ffff) | (cpu.gpr(GPR.rdx) &<< 32)
}

/// XSAVE, XSAVEOPT, XSAVEC, XSAVES and their 64-bit forms.
func saveExtendedState(_ cpu: CPU, _ op: Op, _ kind: SaveKind) -> Next {
    let supervisor = kind == .supervisor
    guard let address = unsafe extendedStateAddress(cpu, op, supervisor: supervisor) else {
        return nil
    }
    let compacted = kind == .compacted || kind == .supervisor
    let enabled = unsafe cpu.pointee.xcr0 | (supervisor ? cpu.pointee.xss : 0)
    let requested = unsafe requestedComponents(cpu) & enabled
    var inUse = unsafe componentsInUse(cpu)
    let mxcsr = unsafe collectFlags(cpu)
    if compacted, mxcsr != UInt32(MXCSR_INITIAL) { inUse |= ExtendedState.sse }
    let written = kind == .standard ? requested : requested & inUse
    var header = requested & inUse
    if !compacted {
        let bits = address &+ UInt64(ExtendedState.headerOffset)
        // All of it has to be writable before the header is read.
        for place in [address, bits] {
            _ = unsafe modifyPointer(cpu, op, place, 8)
            if unsafe cpu.pointee.leaveReason != LeaveReason.none { return nil }
        }
        guard let old = unsafe load(cpu, op, bits, as: UInt64.self) else { return nil }
        header |= old & ~requested
    }
    let withControl =
        compacted
        ? written & ExtendedState.sse != 0
        : requested & (ExtendedState.sse | ExtendedState.avx) != 0
    guard unsafe saveLegacyParts(cpu, op, address, written, withControl: withControl) else {
        return nil
    }
    let map = compacted ? requested | ExtendedState.compacted : nil
    for component in ExtendedState.components where written & component.bit != 0 {
        let place = address &+ UInt64(ExtendedState.offset(of: component, in: map))
        let source = unsafe UnsafeRawPointer(cpu.bytes + component.stateOffset)
        guard unsafe writeBytes(cpu, op, place, component.range(cpu), from: source) else {
            return nil
        }
    }
    let place = address &+ UInt64(ExtendedState.headerOffset)
    guard unsafe store(cpu, op, place, header) else { return nil }
    if let map {
        guard unsafe store(cpu, op, place &+ 8, map) else { return nil }
    }
    return unsafe op + 1
}

/// The parts of the legacy area that `written` and `withControl` (MXCSR) name.
private func saveLegacyParts(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ written: UInt64, withControl: Bool
) -> Bool {
    let form = unsafe SaveForm(cpu, op)
    return unsafe withUnsafeTemporaryAllocation(
        byteCount: FXSaveArea.byteCount, alignment: 16
    ) { buffer in
        guard let area = buffer.baseAddress else { return false }
        unsafe encodeLegacyArea(cpu, form, into: area)
        if written & ExtendedState.x87 != 0 {
            let header = FXSaveArea.x87Header
            let registers = FXSaveArea.x87Registers
            guard unsafe writeBytes(cpu, op, address, header, from: area),
                unsafe writeBytes(cpu, op, address, registers, from: area)
            else { return false }
        }
        if withControl {
            let control = FXSaveArea.mxcsr
            guard unsafe writeBytes(cpu, op, address, control, from: area) else { return false }
        }
        if written & ExtendedState.sse != 0 {
            return unsafe writeBytes(cpu, op, address, form.vectors, from: area)
        }
        return true
    }
}

/// XRSTOR, XRSTORS and their 64-bit forms.
func restoreExtendedState(_ cpu: CPU, _ op: Op, supervisor: Bool) -> Next {
    guard let address = unsafe extendedStateAddress(cpu, op, supervisor: supervisor) else {
        return nil
    }
    let enabled = unsafe cpu.pointee.xcr0 | (supervisor ? cpu.pointee.xss : 0)
    let byteCount = ExtendedState.components.reduce(ExtendedState.legacyByteCount) {
        max($0, $1.offset &+ $1.byteCount)
    }
    return unsafe withUnsafeTemporaryAllocation(byteCount: byteCount, alignment: 64) {
        buffer -> Next in
        let headerRange =
            ExtendedState
            .headerOffset..<(ExtendedState.headerOffset
            &+ ExtendedState.headerByteCount)
        guard let area = buffer.baseAddress,
            unsafe readBytes(cpu, op, address, 0..<FXSaveArea.vectors.upperBound, into: area),
            unsafe readBytes(cpu, op, address, headerRange, into: area)
        else { return nil }
        guard let header = unsafe RestoreHeader(area, enabled: enabled, supervisor: supervisor)
        else { return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0) }
        let requested = unsafe requestedComponents(cpu) & enabled
        let present = requested & header.present
        for component in ExtendedState.components where present & component.bit != 0 {
            let place =
                address &+ UInt64(ExtendedState.offset(of: component, in: header.map))
            guard
                unsafe readBytes(
                    cpu, op, place, component.range(cpu), into: area + component.offset)
            else { return nil }
        }
        guard unsafe restoreParts(cpu, op, area, requested, present, header) else {
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
        return unsafe op + 1
    }
}

/// The checked XSAVE header.
private struct RestoreHeader {
    /// XSTATE_BV.
    var present: UInt64
    /// XCOMP_BV of the compacted format.
    var map: UInt64?

    /// Nil: #GP(0) (SDM volume 1, 13.8 and 13.12).
    init?(_ area: UnsafeMutableRawPointer, enabled: UInt64, supervisor: Bool) {
        let base = unsafe UnsafeRawPointer(area) + ExtendedState.headerOffset
        present = unsafe base.load(as: UInt64.self)
        let layout = unsafe base.load(fromByteOffset: 8, as: UInt64.self)
        if layout & ExtendedState.compacted != 0 {
            map = layout
            let components = layout & ~ExtendedState.compacted
            if components & ~enabled != 0 || present & ~components != 0 { return nil }
            if unsafe !isZero(base + 16, 48) { return nil }
        } else {
            map = nil
            if supervisor || layout != 0 || present & ~enabled != 0 { return nil }
            if unsafe !isZero(base + 16, 8) { return nil }
        }
    }
}

/// Loads what is present and initialises the rest of `requested`. False: MXCSR is not valid, and
/// nothing has changed.
private func restoreParts(
    _ cpu: CPU, _ op: Op, _ area: UnsafeMutableRawPointer, _ requested: UInt64, _ present: UInt64,
    _ header: RestoreHeader
) -> Bool {
    let form = unsafe SaveForm(cpu, op)
    var mxcsr: UInt32?
    if header.map == nil, requested & (ExtendedState.sse | ExtendedState.avx) != 0 {
        mxcsr = unsafe area.load(fromByteOffset: 24, as: UInt32.self)
    } else if requested & ExtendedState.sse != 0 {
        let isPresent = present & ExtendedState.sse != 0
        mxcsr =
            isPresent
            ? unsafe area.load(fromByteOffset: 24, as: UInt32.self)
            : UInt32(MXCSR_INITIAL)
    }
    if let mxcsr {
        if mxcsr & ~UInt32(MXCSR_DEFINED) != 0 { return false }
        unsafe setMXCSR(cpu, mxcsr)
    }
    if present & ExtendedState.x87 != 0 {
        unsafe decodeX87(cpu, form, from: UnsafeRawPointer(area))
    } else if requested & ExtendedState.x87 != 0 {
        unsafe initializeX87(cpu)
    }
    let vectors = unsafe cpu.bytes + Int(Layout.xmm)
    if present & ExtendedState.sse != 0 {
        unsafe vectors.copyMemory(
            from: area + form.vectors.lowerBound, byteCount: form.vectors.count)
    } else if requested & ExtendedState.sse != 0 {
        unsafe vectors.initializeMemory(as: UInt8.self, repeating: 0, count: form.vectors.count)
    }
    for component in ExtendedState.components where requested & component.bit != 0 {
        let target = unsafe cpu.bytes + component.stateOffset
        if present & component.bit != 0 {
            unsafe target.copyMemory(
                from: area + component.offset, byteCount: component.range(cpu).count)
        } else {
            unsafe target.initializeMemory(
                as: UInt8.self, repeating: 0, count: component.range(cpu).count)
        }
    }
    return true
}

/// XGETBV: XCR0, or with ECX 1 the enabled components in use.
func readExtendedControl(_ cpu: CPU, _ op: Op) -> Next {
    guard unsafe extendedStateEnabled(cpu, op) else { return nil }
    let value: UInt64
    switch unsafe cpu.gpr(GPR.rcx) & 0xffff_ffff {
    case 0: value = unsafe cpu.pointee.xcr0
    case 1: value = unsafe cpu.pointee.xcr0 & componentsInUse(cpu)
    default: return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
    }
    unsafe cpu.setGPR(GPR.rax, value & 0xffff_ffff)
    unsafe cpu.setGPR(GPR.rdx, value &>> 32)
    return unsafe op + 1
}

/// XSETBV (SDM volume 2: #GP for reserved and inconsistent values).
func writeExtendedControl(_ cpu: CPU, _ op: Op) -> Next {
    guard unsafe extendedStateEnabled(cpu, op) else { return nil }
    let value = unsafe requestedComponents(cpu)
    let allowed =
        unsafe cpu.pointee.currentPrivilegeLevel == 0
        && cpu.gpr(GPR.rcx) & 0xffff_ffff == 0
    let needsVectors = value & ExtendedState.avx != 0 && value & ExtendedState.sse == 0
    if !allowed || value & ~(unsafe cpu.pointee.extendedStates) != 0
        || value & ExtendedState.x87 == 0
        || needsVectors
    {
        return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
    }
    unsafe cpu.pointee.xcr0 = value
    return unsafe op + 1
}

/// XSETBV, with the next block looked up anew: what its instructions may do depends on XCR0.
func setExtendedControl(_ cpu: CPU, _ op: Op) -> Next {
    guard unsafe writeExtendedControl(cpu, op) != nil else { return nil }
    unsafe refreshMode(cpu)
    return unsafe continueAfter(cpu, op)
}
