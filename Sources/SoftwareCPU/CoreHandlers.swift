internal import CEngine
internal import X86

// Instructions that run as cores: see Cores.h and CoreOperation.

@inline(__always)
func coreFrame(_ cpu: CPU) -> UnsafeMutablePointer<CoreFrame> {
    // SAFETY: the frame is a field of the state.
    unsafe (cpu.bytes + Int(CPU_OFFSET_CORE)).assumingMemoryBound(to: CoreFrame.self)
}

/// The slots of `CoreFrame.vector`.
enum CoreSlot {
    static let implicit = 0
    static let register = 1
    static let vector = 2
    static let registerOrMemory = 3
}

@inline(__always)
func coreVector(_ cpu: CPU, _ slot: Int) -> UnsafeMutableRawPointer {
    let offset = Int(CPU_OFFSET_CORE) &+ (slot & 3) &* 32
    return unsafe cpu.bytes + offset
}

/// Vector register `number`, all 256 bits, into a slot of the frame.
@inline(__always)
func loadCoreVector(_ cpu: CPU, _ slot: Int, _ number: Int) {
    let target = unsafe coreVector(cpu, slot)
    unsafe target.copyMemory(from: cpu.bytes + Int(Layout.xmm(number)), byteCount: 16)
    unsafe (target + 16).copyMemory(from: cpu.bytes + Int(Layout.upper(number)), byteCount: 16)
}

/// A slot of the frame into vector register `number`.
@inline(__always)
func storeCoreVector(_ cpu: CPU, _ slot: Int, _ number: Int, keepsUpper: Bool = false) {
    let source = unsafe coreVector(cpu, slot)
    unsafe (cpu.bytes + Int(Layout.xmm(number))).copyMemory(from: source, byteCount: 16)
    if keepsUpper { return }
    unsafe (cpu.bytes + Int(Layout.upper(number))).copyMemory(from: source + 16, byteCount: 16)
}

/// Where cores find or leave the operand that only memory can be.
@inline(__always)
private func coreMemory(_ cpu: CPU) -> UnsafeMutableRawPointer {
    unsafe (cpu.bytes + Int(CPU_OFFSET_CORE_MEMORY)).alignedUp(toMultipleOf: 32)
}

/// The address of the memory operand. Nil: it is not aligned, #GP(0) is recorded.
@inline(__always)
private func coreAddress(_ cpu: CPU, _ op: Op, _ operation: CoreOperation) -> UInt64? {
    let address = unsafe effectiveAddress(cpu, op)
    if operation.needsAlignment,
        address & UInt64(truncatingIfNeeded: operation.memoryByteCount &- 1) != 0
    {
        unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        return nil
    }
    return address
}

/// Reads the memory operand into the frame. False: fault or exit recorded.
private func loadCoreMemory(_ cpu: CPU, _ op: Op, _ operation: CoreOperation) -> Bool {
    let frame = unsafe coreFrame(cpu)
    let byteCount = operation.memoryByteCount
    guard let address = unsafe coreAddress(cpu, op, operation),
        let source = unsafe readPointer(cpu, op, address, byteCount)
    else { return false }
    switch operation.memory {
    case .general:
        unsafe frame.pointee.rsi = 0
        unsafe withUnsafeMutableBytes(of: &frame.pointee.rsi) {
            unsafe $0.copyMemory(
                from: UnsafeRawBufferPointer(start: source, count: min(byteCount, 8)))
        }
    case .pointer: unsafe coreMemory(cpu).copyMemory(from: source, byteCount: min(byteCount, 32))
    default:
        let target = unsafe coreVector(cpu, CoreSlot.registerOrMemory)
        unsafe target.initializeMemory(as: UInt8.self, repeating: 0, count: 32)
        unsafe target.copyMemory(from: source, byteCount: min(byteCount, 32))
    }
    return true
}

/// Writes the memory operand from the frame. False: fault or exit recorded.
private func storeCoreMemory(_ cpu: CPU, _ op: Op, _ operation: CoreOperation) -> Bool {
    let frame = unsafe coreFrame(cpu)
    guard let address = unsafe coreAddress(cpu, op, operation) else { return false }
    let byteCount = operation.memoryByteCount
    switch operation.memory {
    case .general:
        return unsafe withUnsafeBytes(of: frame.pointee.rsi) {
            unsafe storeBytes(
                cpu, op, address, from: $0.baseAddress.unsafelyUnwrapped, min(byteCount, 8))
        }
    case .pointer:
        return unsafe storeBytes(cpu, op, address, from: coreMemory(cpu), min(byteCount, 32))
    default:
        return unsafe storeBytes(
            cpu, op, address, from: coreVector(cpu, CoreSlot.registerOrMemory), min(byteCount, 32))
    }
}

/// An instruction on vector registers.
func vectorCore(_ cpu: CPU, _ op: Op) -> Next {
    let operation = unsafe CoreOperation(rawValue: op.pointee.immediate)
    let frame = unsafe coreFrame(cpu)
    unsafe loadCoreVector(cpu, CoreSlot.implicit, operation.implicit)
    unsafe loadCoreVector(cpu, CoreSlot.register, operation.register)
    unsafe loadCoreVector(cpu, CoreSlot.vector, operation.vector)
    // The explicit lengths of string comparisons.
    unsafe frame.pointee.rax = unsafe cpu.gpr(GPR.rax)
    unsafe frame.pointee.rdx = unsafe cpu.gpr(GPR.rdx)
    if operation.memory == .none {
        unsafe loadCoreVector(cpu, CoreSlot.registerOrMemory, operation.registerOrMemory)
        unsafe frame.pointee.rsi = unsafe cpu.gpr(operation.registerOrMemory)
    } else if !operation.stores {
        guard unsafe loadCoreMemory(cpu, op, operation) else { return nil }
    }
    if operation.memory == .pointer {
        unsafe frame.pointee.rsi = unsafe UInt64(UInt(bitPattern: coreMemory(cpu)))
    }
    if operation.raisesExceptions, unsafe !allMasked(cpu) {
        guard unsafe exactCore(cpu, op, operation) else { return nil }
    } else {
        unsafe engine_core_vector(frame, operation.number)
    }
    if operation.stores, unsafe !storeCoreMemory(cpu, op, operation) { return nil }
    if operation.writesFlags { unsafe cpu.pointee.statusFlags = unsafe frame.pointee.flags }
    unsafe commitCore(cpu, operation)
    return unsafe op + 1
}

/// An instruction on general-purpose registers.
func generalCore(_ cpu: CPU, _ op: Op) -> Next {
    let operation = unsafe CoreOperation(rawValue: op.pointee.immediate)
    let frame = unsafe coreFrame(cpu)
    unsafe frame.pointee.rax = unsafe cpu.gpr(operation.register)
    unsafe frame.pointee.rcx = unsafe cpu.gpr(operation.vector)
    unsafe frame.pointee.rdx = unsafe cpu.gpr(GPR.rdx)
    unsafe frame.pointee.flags = unsafe cpu.pointee.statusFlags
    if operation.memory == .none {
        unsafe frame.pointee.rsi = unsafe cpu.gpr(operation.registerOrMemory)
    } else {
        guard unsafe loadCoreMemory(cpu, op, operation) else { return nil }
    }
    unsafe engine_core_general(frame, operation.number)
    if operation.writesFlags { unsafe cpu.pointee.statusFlags = unsafe frame.pointee.flags }
    unsafe commitCore(cpu, operation)
    return unsafe op + 1
}

/// The results of a core into registers.
@inline(__always)
private func commitCore(_ cpu: CPU, _ operation: CoreOperation) {
    let frame = unsafe coreFrame(cpu)
    switch operation.result {
    case .none: break
    case .registerVector:
        unsafe storeCoreVector(
            cpu, CoreSlot.register, operation.register, keepsUpper: operation.keepsUpper)
    case .vectorVector: unsafe storeCoreVector(cpu, CoreSlot.vector, operation.vector)
    case .memoryVector:
        unsafe storeCoreVector(cpu, CoreSlot.registerOrMemory, operation.registerOrMemory)
    case .implicitVector: unsafe storeCoreVector(cpu, CoreSlot.implicit, operation.implicit)
    case .registerGeneral: unsafe cpu.setGPR(operation.register, frame.pointee.rax)
    case .vectorGeneral: unsafe cpu.setGPR(operation.vector, frame.pointee.rcx)
    case .memoryGeneral: unsafe cpu.setGPR(operation.registerOrMemory, frame.pointee.rsi)
    case .rcx: unsafe cpu.setGPR(GPR.rcx, frame.pointee.rcx)
    case .both:
        unsafe cpu.setGPR(operation.vector, frame.pointee.rcx)
        unsafe cpu.setGPR(operation.register, frame.pointee.rax)
    }
}

// MARK: With exceptions unmasked

/// False: #XM (or #UD) is recorded, and no register has changed.
@inline(never)
private func exactCore(_ cpu: CPU, _ op: Op, _ operation: CoreOperation) -> Bool {
    let mnemonic = Mnemonic(rawValue: unsafe op.pointee.source) ?? .nop
    var run = unsafe VectorRun(
        VectorFormat(mnemonic), UnsafeRawPointer(coreVector(cpu, CoreSlot.vector)),
        UnsafeRawPointer(coreVector(cpu, CoreSlot.registerOrMemory)),
        result: UnsafeRawPointer(coreVector(cpu, CoreSlot.register)))
    run.immediate = UInt32(unsafe op.pointee.auxiliary)
    run.laneCount = operation.isWide ? 2 : 1
    return unsafe withExceptions(cpu, op, run) {
        unsafe engine_core_vector(coreFrame(cpu), operation.number)
    }
}

extension VectorFormat {
    /// Of an instruction encoded by VEX.
    fileprivate init(_ mnemonic: Mnemonic) {
        switch mnemonic {
        case .vaddps: self = .packedSingle(.add)
        case .vaddpd: self = .packedDouble(.add)
        case .vaddss: self = .scalarSingle(.add)
        case .vaddsd: self = .scalarDouble(.add)
        case .vsubps: self = .packedSingle(.subtract)
        case .vsubpd: self = .packedDouble(.subtract)
        case .vsubss: self = .scalarSingle(.subtract)
        case .vsubsd: self = .scalarDouble(.subtract)
        case .vmulps: self = .packedSingle(.multiply)
        case .vmulpd: self = .packedDouble(.multiply)
        case .vmulss: self = .scalarSingle(.multiply)
        case .vmulsd: self = .scalarDouble(.multiply)
        case .vdivps: self = .packedSingle(.divide)
        case .vdivpd: self = .packedDouble(.divide)
        case .vdivss: self = .scalarSingle(.divide)
        case .vdivsd: self = .scalarDouble(.divide)
        case .vaddsubps: self = .packedSingle(.addSubtract)
        case .vaddsubpd: self = .packedDouble(.addSubtract)
        case .vhaddps: self = .packedSingle(.horizontalAdd)
        case .vhaddpd: self = .packedDouble(.horizontalAdd)
        case .vhsubps: self = .packedSingle(.horizontalSubtract)
        case .vhsubpd: self = .packedDouble(.horizontalSubtract)
        case .vcvtpd2ps: self = .packedSingle(.convert)
        case .vcvtsd2ss: self = .scalarSingle(.convert)
        case .vdpps: self = .packedSingle(.dotProduct)
        case .vdppd: self = .packedDouble(.dotProduct)
        default: self = Self.fused("\(mnemonic)")
        }
    }

    private static func fused(_ name: String) -> VectorFormat {
        guard name.hasPrefix("vfm") || name.hasPrefix("vfnm") else { return .other }
        switch name.suffix(2) {
        case "ps": return .packedSingle(.fused)
        case "pd": return .packedDouble(.fused)
        case "ss": return .scalarSingle(.fused)
        default: return .scalarDouble(.fused)
        }
    }
}

// MARK: MOVBE

private func swapLoad<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, _ type: T.Type) -> Next {
    guard let value = unsafe load(cpu, op, effectiveAddress(cpu, op), as: T.self) else {
        return nil
    }
    unsafe cpu.write(op.pointee.destination, value.byteSwapped)
    return unsafe op + 1
}

private func swapStore<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, _ type: T.Type) -> Next {
    let value = unsafe cpu.read(op.pointee.source, as: T.self).byteSwapped
    guard unsafe store(cpu, op, effectiveAddress(cpu, op), value) else { return nil }
    return unsafe op + 1
}

let swapLoad16: InstructionHandler = { unsafe swapLoad($0, $1, UInt16.self) }
let swapLoad32: InstructionHandler = { unsafe swapLoad($0, $1, UInt32.self) }
let swapLoad64: InstructionHandler = { unsafe swapLoad($0, $1, UInt64.self) }
let swapStore16: InstructionHandler = { unsafe swapStore($0, $1, UInt16.self) }
let swapStore32: InstructionHandler = { unsafe swapStore($0, $1, UInt32.self) }
let swapStore64: InstructionHandler = { unsafe swapStore($0, $1, UInt64.self) }
