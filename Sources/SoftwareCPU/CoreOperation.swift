internal import CEngine
internal import X86

/// How a core (see Cores.h) is joined to the guest's registers and memory. It is the `immediate` of
/// the instruction.
struct CoreOperation {
    var rawValue: UInt64 = 0

    /// What of the frame is the result, besides memory.
    enum Result: UInt64 {
        case none
        /// A vector register by ModRM.reg, VEX.vvvv, ModRM.rm, or XMM0.
        case registerVector, vectorVector, memoryVector, implicitVector
        /// A general-purpose register by ModRM.reg, VEX.vvvv, ModRM.rm, or RCX.
        case registerGeneral, vectorGeneral, memoryGeneral, rcx
        /// MULX: VEX.vvvv and then ModRM.reg.
        case both
    }

    /// What a memory operand is to the core.
    enum Memory: UInt64 {
        case none, vector, general, pointer
    }

    private func field(_ shift: UInt64, _ mask: UInt64) -> UInt64 { rawValue &>> shift & mask }
    private mutating func set(_ shift: UInt64, _ mask: UInt64, _ value: UInt64) {
        rawValue = rawValue & ~(mask &<< shift) | (value & mask) &<< shift
    }
    private func register(_ shift: UInt64) -> Int { Int(field(shift, 15)) }

    /// The core's number.
    var number: UInt64 {
        get { field(0, 0xff_ffff) }
        set { set(0, 0xff_ffff, newValue) }
    }
    // Numbers of registers.
    var register: Int {
        get { register(24) }
        set { set(24, 15, UInt64(newValue)) }
    }
    var vector: Int {
        get { register(28) }
        set { set(28, 15, UInt64(newValue)) }
    }
    /// Of gathers: the vector of indices.
    var registerOrMemory: Int {
        get { register(32) }
        set { set(32, 15, UInt64(newValue)) }
    }
    var implicit: Int {
        get { register(36) }
        set { set(36, 15, UInt64(newValue)) }
    }
    var memoryByteCount: Int {
        get { Int(field(40, 63)) }
        set { set(40, 63, UInt64(newValue)) }
    }
    var result: Result {
        get { Result(rawValue: field(46, 15)) ?? .none }
        set { set(46, 15, newValue.rawValue) }
    }
    var memory: Memory {
        get { Memory(rawValue: field(50, 3)) ?? .none }
        set { set(50, 3, newValue.rawValue) }
    }
    /// The memory operand is written, not read.
    var stores: Bool {
        get { field(52, 1) != 0 }
        set { set(52, 1, newValue ? 1 : 0) }
    }
    /// The memory operand has to be aligned: #GP(0) otherwise.
    var needsAlignment: Bool {
        get { field(53, 1) != 0 }
        set { set(53, 1, newValue ? 1 : 0) }
    }
    var writesFlags: Bool {
        get { field(54, 1) != 0 }
        set { set(54, 1, newValue ? 1 : 0) }
    }
    /// Raises vector floating-point exceptions.
    var raisesExceptions: Bool {
        get { field(55, 1) != 0 }
        set { set(55, 1, newValue ? 1 : 0) }
    }
    /// Bits 128 to 255 of the result's register stay.
    var keepsUpper: Bool {
        get { field(56, 1) != 0 }
        set { set(56, 1, newValue ? 1 : 0) }
    }
    /// 256 bits.
    var isWide: Bool {
        get { field(57, 1) != 0 }
        set { set(57, 1, newValue ? 1 : 0) }
    }
    /// Of gathers: an index has 8 bytes.
    var hasWideIndex: Bool {
        get { field(58, 1) != 0 }
        set { set(58, 1, newValue ? 1 : 0) }
    }
}

extension CoreOperation {
    /// From the decoded operands.
    init(_ instruction: Instruction) {
        let form = instruction.form
        isWide = instruction.vectorByteCount == 32
        writesFlags = !form.flagsTouched.isEmpty
        raisesExceptions = form.raisesVectorExceptions
        memoryByteCount = Int(instruction.memory.byteCount)
        number = Self.number(instruction, instruction.form)
        let operands = [
            instruction.operand0, instruction.operand1, instruction.operand2, instruction.operand3,
        ]
        for (position, operand) in operands.enumerated() {
            take(operand, form.field(position), form, isResult: position == 0)
        }
        switch instruction.mnemonic {
        case .vptest, .vtestps, .vtestpd, .vcomiss, .vcomisd, .vucomiss, .vucomisd: result = .none
        case .vpcmpestri, .vpcmpistri: result = .rcx
        case .vpcmpestrm, .vpcmpistrm: result = .implicitVector
        case .mulx: result = .both
        case .vmovaps, .vmovapd, .vmovdqa, .vmovntps, .vmovntpd, .vmovntdq, .vmovntdqa:
            needsAlignment = true
        default: break
        }
        switch instruction.mnemonic {
        case .vmovntps, .vmovntpd, .vmovntdq:
            // The core's memory is ours. A store around the caches, which is read back at once, takes
            // a microsecond.
            guard let form = Self.alignedStore else { break }
            number = Self.number(instruction, form)
            memory = .vector
        default: break
        }
        if !form.isVEX, form.feature == .sha {
            keepsUpper = true
            needsAlignment = true
        }
    }

    private mutating func take(
        _ operand: Operand, _ field: Form.Field, _ form: Form, isResult: Bool
    ) {
        if operand == .memory {
            stores = isResult
            switch form.registerOrMemoryField {
            case .general: memory = .general
            case .some: memory = .vector
            case nil: memory = .pointer
            }
            return
        }
        guard case .register(let file, let index) = operand else { return }
        let isGeneral = file == .general
        let results: Result
        switch field {
        case .register:
            register = Int(index)
            results = isGeneral ? .registerGeneral : .registerVector
        case .vector:
            vector = Int(index)
            results = isGeneral ? .vectorGeneral : .vectorVector
        case .registerOrMemory:
            registerOrMemory = Int(index)
            results = isGeneral ? .memoryGeneral : .memoryVector
        case .immediateRegister:
            implicit = Int(index)
            return
        case .other: return
        }
        if isResult { result = results }
    }

    /// VMOVAPS to memory.
    private static let alignedStore = Form.all.first {
        $0.mnemonic == .vmovaps && $0.opcode == 0x29
    }

    /// Cores of a form: 128 bits before 256 bits, 32-bit operands before 64- and 16-bit ones, the
    /// immediate byte last.
    private static func number(_ instruction: Instruction, _ form: Form) -> UInt64 {
        let index = Int(form.index)
        guard index < CoreTable.starts.count else { return 0 }
        var variant: UInt64 = 0
        if form.isVEX, form.vectorLengths == 3 {
            variant = instruction.vectorByteCount == 32 ? 1 : 0
        }
        let isWide = instruction.prefixes.contains(.rexW)
        if form.hasSizeByPrefix {
            variant = instruction.operandSize == 8 ? 1 : instruction.operandSize == 2 ? 2 : 0
        } else if form.hasSizeByW {
            variant = variant &* 2 &+ (isWide ? 1 : 0)
        }
        if form.hasImmediateByte {
            // INSERTPS chooses an element of a register, not of memory.
            let isElement = form.mnemonic == .vinsertps && instruction.hasMemoryOperand
            variant = variant &* 256 &+ (instruction.immediate & (isElement ? 0x3f : 0xff))
        }
        return UInt64(CoreTable.starts[index]) &+ variant
    }
}
