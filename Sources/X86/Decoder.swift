/// From bytes to `Instruction`: pure, without allocation, for any bytes.
public enum Decoder {
    /// Decodes the first instruction of `bytes`. More than 15 bytes are never looked at. What is not
    /// among `features` is no instruction, or the one that it was before.
    public static func decode(
        _ bytes: UnsafeRawBufferPointer, mode: DecodeMode, features: InstructionFeatures = .all
    ) -> DecodeResult {
        var cursor = unsafe Cursor(bytes: bytes, mode: mode, features: features)
        return cursor.decode()
    }
}

/// The state of one decoding.
@safe
struct Cursor {
    private let bytes: UnsafeRawBufferPointer
    let mode: DecodeMode
    private let features: InstructionFeatures
    var position = 0
    var fault: DecodeFault?
    var result = Instruction()
    var rex: UInt8 = 0
    var segment: UInt8?
    var modRM: UInt8 = 0
    var opcode: UInt8 = 0
    var map = 0
    /// The last of F2 and F3.
    var repeatPrefix: UInt8 = 0
    /// The fields of a VEX prefix.
    var vex: VEXPrefix?

    init(bytes: UnsafeRawBufferPointer, mode: DecodeMode, features: InstructionFeatures) {
        unsafe self.bytes = bytes
        self.mode = mode
        self.features = features
    }

    /// The byte that `next` will return, or 0.
    var peeked: UInt8 { unsafe position < bytes.count ? bytes[position] : 0 }

    mutating func next() -> UInt8 {
        if position >= 15 {
            if fault == nil { fault = .tooLong }
            return 0
        }
        if unsafe position >= bytes.count {
            if fault == nil { fault = .needMoreBytes }
            return 0
        }
        let byte = unsafe bytes[position]
        position &+= 1
        return byte
    }

    private mutating func nextInteger(_ byteCount: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<byteCount { value |= UInt64(next()) &<< UInt64(index &* 8) }
        return value
    }

    private mutating func nextSigned(_ byteCount: Int) -> UInt64 {
        let value = nextInteger(byteCount)
        switch byteCount {
        case 1: return UInt64(bitPattern: Int64(Int8(truncatingIfNeeded: value)))
        case 2: return UInt64(bitPattern: Int64(Int16(truncatingIfNeeded: value)))
        case 4: return UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: value)))
        default: return value
        }
    }

    mutating func decode() -> DecodeResult {
        prefixes()
        if let fault { return .fault(fault) }
        guard let form = selectForm() else { return .fault(fault ?? .invalidOpcode) }
        result.form = form
        result.mnemonic = form.mnemonic
        result.modRM = modRM
        sizes(form)
        if form.hasModRM, modRM < 0xc0, !isControlMove { memoryOperand() }
        result.operand0 = operand(form.specification(0))
        if form.specification(1) != .none { result.operand1 = operand(form.specification(1)) }
        if form.specification(2) != .none { result.operand2 = operand(form.specification(2)) }
        if form.isVEX { finishVEX(form) }
        if map == 0, opcode & 0xfe == 0xd0 {
            result.immediate = 1
            result.operand1 = .immediate
        }
        if let fault { return .fault(fault) }
        result.condition = opcode & 15
        if result.prefixes.contains(.lock), !form.isLockable || result.operand0 != .memory {
            return .fault(.invalidOpcode)
        }
        result.length = UInt8(truncatingIfNeeded: position)
        return .instruction(result)
    }

    // MARK: Prefixes and opcode

    private mutating func prefixes() {
        while true {
            let byte = next()
            if fault != nil { return }
            switch byte {
            case 0x66: result.prefixes.insert(.operandSize)
            case 0x67: result.prefixes.insert(.addressSize)
            case 0xf0: result.prefixes.insert(.lock)
            case 0xf2, 0xf3:
                repeatPrefix = byte
                result.prefixes.subtract([.rep, .repne])
                result.prefixes.insert(byte == 0xf3 ? .rep : .repne)
            case 0x26, 0x2e, 0x36, 0x3e:
                if mode != .code64 { segment = (byte &>> 3) & 3 }
            case 0x64, 0x65: segment = byte & 7
            case 0x40...0x4f where mode == .code64:
                // A REX prefix counts only right before the opcode.
                rex = byte
                continue
            default:
                readOpcode(byte)
                return
            }
            rex = 0
        }
    }

    private mutating func readOpcode(_ byte: UInt8) {
        opcode = byte
        if byte & 0xfe == 0xc4, mode == .code64 || peeked >= 0xc0 {
            readVEX(byte)
            return
        }
        if byte == 0x0f {
            opcode = next()
            map = 1
            if opcode == 0x38 || opcode == 0x3a {
                map = opcode == 0x38 ? 2 : 3
                opcode = next()
            }
        }
        if rex != 0 { result.prefixes.insert(.rex) }
        if rex & 8 != 0 { result.prefixes.insert(.rexW) }
    }

    private mutating func selectForm() -> Form? {
        let slot = (vex == nil ? map : map | 4) &* 256 &+ Int(opcode)
        let start = Int(FormTable.starts[slot])
        let end = Int(FormTable.starts[slot &+ 1])
        if start == end { return nil }
        var looked = false
        for index in start..<end {
            let form = Form(index: UInt16(truncatingIfNeeded: index))
            if form.hasModRM, !looked {
                looked = true
                modRM = next()
                if fault != nil { return nil }
            }
            if fits(form) { return form }
        }
        return nil
    }

    private func fits(_ form: Form) -> Bool {
        if mode == .code64 ? form.isInvalidIn64 : form.isOnlyIn64 { return false }
        if !features.isSuperset(of: form.feature) { return false }
        if let vex { return fits(form, vex) }
        // MOVBE and RDRAND take 66 for their size, but no F2 or F3 (NFx in SDM volume 2).
        if repeatPrefix != 0, form.feature == .movbe || form.mnemonic == .rdrand { return false }
        if form.isMemoryOnly, modRM >= 0xc0 { return false }
        if form.isRegisterOnly, modRM < 0xc0 { return false }
        if let digit = form.digit, (modRM &>> 3) & 7 != digit { return false }
        if let rm = form.registerOrMemory, modRM & 7 != rm { return false }
        if form.needsREXW, rex & 8 == 0 { return false }
        switch form.mandatoryPrefix {
        case 1:
            if repeatPrefix != 0 || result.prefixes.contains(.operandSize) { return false }
        case 2:
            if repeatPrefix != 0 || !result.prefixes.contains(.operandSize) { return false }
        case 3: if repeatPrefix != 0xf3 { return false }
        case 4: if repeatPrefix != 0xf2 { return false }
        default: break
        }
        // 90 with REX.B is XCHG R8, rAX.
        if map == 0, opcode == 0x90, rex & 1 != 0, !form.addsRegister { return false }
        return true
    }

    private mutating func sizes(_ form: Form) {
        let override = result.prefixes.contains(.operandSize)
        defer { if vex != nil { result.operandSize = wideSize } }
        let addressOverride = result.prefixes.contains(.addressSize)
        switch mode {
        case .code64:
            result.addressSize = addressOverride ? 4 : 8
            if form.first & (1 << 47) != 0 || rex & 8 != 0 {
                result.operandSize = 8
            } else if form.first & (1 << 46) != 0 {
                result.operandSize = override ? 2 : 8
            } else {
                result.operandSize = override ? 2 : 4
            }
        case .code32:
            result.addressSize = addressOverride ? 2 : 4
            result.operandSize = override ? 2 : 4
        case .code16:
            result.addressSize = addressOverride ? 4 : 2
            result.operandSize = override ? 4 : 2
        }
        // 66 as part of the opcode is no operand size.
        if form.mandatoryPrefix == 2, result.operandSize == 2, mode != .code16 {
            result.operandSize = 4
        }
        result.memory.segment = segment ?? 3
        if segment != nil { result.prefixes.insert(.segment) }
    }

    /// MOV to and from control and debug registers takes any mod for 3 (SDM volume 2, MOV).
    private var isControlMove: Bool { map == 1 && opcode & 0xfc == 0x20 }

    // MARK: Memory operand

    private mutating func memoryOperand() {
        if result.addressSize == 2 {
            memoryOperand16()
            return
        }
        let mod = modRM &>> 6
        let rm = modRM & 7
        var usesStack = false
        if rm == 4 {
            let sib = next()
            let index = (sib &>> 3) & 7 | (rex & 2) &<< 2
            let base = sib & 7 | (rex & 1) &<< 3
            if index != 4 || result.form.hasVectorIndex {
                result.memory.index = index
                result.memory.scaleShift = sib &>> 6
            }
            if sib & 7 == 5, mod == 0 {
                result.memory.displacement = Int64(bitPattern: nextSigned(4))
            } else {
                result.memory.base = base
                usesStack = base == 4 || base == 5
            }
        } else if rm == 5, mod == 0 {
            result.memory.displacement = Int64(bitPattern: nextSigned(4))
            if mode == .code64 { result.memory.base = MemoryOperand.instructionPointer }
        } else {
            let base = rm | (rex & 1) &<< 3
            result.memory.base = base
            usesStack = base == 5
        }
        if mod == 1 { result.memory.displacement = Int64(bitPattern: nextSigned(1)) }
        if mod == 2 { result.memory.displacement = Int64(bitPattern: nextSigned(4)) }
        if usesStack, segment == nil { result.memory.segment = 2 }
    }

    private mutating func memoryOperand16() {
        let mod = modRM &>> 6
        let rm = modRM & 7
        let bases: (UInt8, UInt8)
        switch rm {
        case 0: bases = (3, 6)
        case 1: bases = (3, 7)
        case 2: bases = (5, 6)
        case 3: bases = (5, 7)
        case 4: bases = (6, MemoryOperand.absent)
        case 5: bases = (7, MemoryOperand.absent)
        case 6: bases = (5, MemoryOperand.absent)
        default: bases = (3, MemoryOperand.absent)
        }
        if mod == 0, rm == 6 {
            result.memory.displacement = Int64(bitPattern: nextSigned(2))
            return
        }
        result.memory.base = bases.0
        result.memory.index = bases.1
        if mod == 1 { result.memory.displacement = Int64(bitPattern: nextSigned(1)) }
        if mod == 2 { result.memory.displacement = Int64(bitPattern: nextSigned(2)) }
        if bases.0 == 5, segment == nil { result.memory.segment = 2 }
    }

    // MARK: Operands

    var reg: UInt8 { (modRM &>> 3) & 7 | (rex & 4) &<< 1 }
    var rm: UInt8 { modRM & 7 | (rex & 1) &<< 3 }

    func general(_ number: UInt8, _ byteCount: UInt8) -> Operand {
        if byteCount == 1, rex == 0, number >= 4, number < 8 {
            return .register(.highByte, number &- 4)
        }
        return .register(.general, number)
    }

    mutating func registerOrMemory(_ file: RegisterFile, _ byteCount: UInt8) -> Operand {
        if modRM < 0xc0 {
            result.memory.byteCount = byteCount
            return .memory
        }
        switch file {
        case .general: return general(rm, byteCount)
        case .mmx: return .register(.mmx, rm & 7)
        default: return .register(file, rm)
        }
    }

    private mutating func immediate(_ byteCount: Int, signed: Bool) -> Operand {
        result.immediate = signed ? nextSigned(byteCount) : nextInteger(byteCount)
        return .immediate
    }

    /// 8 with REX.W, else 4: operands that no 66 prefix narrows.
    var wideSize: UInt8 { rex & 8 != 0 && mode == .code64 ? 8 : 4 }

    mutating func operand(_ specification: Specification) -> Operand {
        let size = result.operandSize
        switch specification {
        case .none: return .none
        case .eb:
            if opcode != 0xb6, opcode != 0xbe, opcode != 0xf0 || map == 0 { result.operandSize = 1 }
            return registerOrMemory(.general, 1)
        case .ew: return registerOrMemory(.general, 2)
        case .ed: return registerOrMemory(.general, 4)
        case .ev: return registerOrMemory(.general, size)
        case .ey: return registerOrMemory(.general, wideSize)
        case .gb:
            result.operandSize = 1
            return general(reg, 1)
        case .gw, .gd, .gq, .gv, .gy: return .register(.general, reg)
        case .m: return registerOrMemory(.general, 0)
        case .mw: return registerOrMemory(.general, 2)
        case .md: return registerOrMemory(.general, 4)
        case .mq: return registerOrMemory(.general, 8)
        case .mo: return registerOrMemory(.general, 16)
        case .mt: return registerOrMemory(.general, 10)
        case .mp: return registerOrMemory(.general, size &+ 2)
        case .ma: return registerOrMemory(.general, size &* 2)
        case .my: return registerOrMemory(.general, wideSize)
        case .rd, .rv, .ry, .rq: return .register(.general, rm)
        case .rdw: return registerOrMemory(.general, modRM < 0xc0 ? 2 : 4)
        case .rdb: return modRM < 0xc0 ? registerOrMemory(.general, 1) : .register(.general, rm)
        case .zb:
            result.operandSize = 1
            return general(opcode & 7 | (rex & 1) &<< 3, 1)
        case .zv: return .register(.general, opcode & 7 | (rex & 1) &<< 3)
        case .al:
            if map == 0 { result.operandSize = 1 }
            return .register(.general, 0)
        case .eax:
            if size == 8 { result.operandSize = 4 }
            return .register(.general, 0)
        case .ax, .rax: return .register(.general, 0)
        case .dx: return .register(.general, 2)
        case .cl: return .register(.general, 1)
        default: return rareOperand(specification, size)
        }
    }

    private mutating func rareOperand(_ specification: Specification, _ size: UInt8) -> Operand {
        switch specification {
        case .ib:
            if opcode == 0xc8, map == 0 {
                result.secondImmediate = UInt64(next())
                return .secondImmediate
            }
            return immediate(1, signed: false)
        case .is: return immediate(1, signed: true)
        case .iw: return immediate(2, signed: false)
        case .iz: return immediate(size == 2 ? 2 : 4, signed: true)
        case .iv: return immediate(Int(size), signed: false)
        case .jb:
            result.immediate = nextSigned(1)
            return .relative
        case .jz:
            result.immediate = nextSigned(size == 2 ? 2 : 4)
            return .relative
        case .ap:
            result.immediate = nextInteger(size == 2 ? 2 : 4)
            result.secondImmediate = nextInteger(2)
            return .farPointer
        case .ob, .ov:
            result.memory.displacement = Int64(
                bitPattern: nextInteger(Int(result.addressSize)))
            result.memory.byteCount = specification == .ob ? 1 : size
            if specification == .ob { result.operandSize = 1 }
            return .memory
        case .sw:
            // No such register, or MOV to CS.
            if reg & 7 > 5 || opcode == 0x8e && reg & 7 == 1 { fault = fault ?? .invalidOpcode }
            return .register(.segment, reg & 7)
        case .cd:
            result.operandSize = mode == .code64 ? 8 : 4
            return .register(.control, reg)
        case .dd:
            result.operandSize = mode == .code64 ? 8 : 4
            return .register(.debug, reg)
        case .es: return .register(.segment, 0)
        case .cs: return .register(.segment, 1)
        case .ss: return .register(.segment, 2)
        case .ds: return .register(.segment, 3)
        case .fs: return .register(.segment, 4)
        case .gs: return .register(.segment, 5)
        case .xb, .yb:
            result.operandSize = 1
            return stringOperand(specification, 1)
        case .xv, .yv: return stringOperand(specification, size)
        case .xz, .yz:
            if size == 8 { result.operandSize = 4 }
            return stringOperand(specification, result.operandSize)
        default: return vectorOperand(specification)
        }
    }

    /// Source strings are at segment:rSI, destinations at ES:rDI.
    private mutating func stringOperand(_ specification: Specification, _ size: UInt8) -> Operand {
        let isSource = [.xb, .xv, .xz].contains(specification)
        if isSource || result.memory.base == MemoryOperand.absent {
            result.memory.base = isSource ? 6 : 7
            if !isSource { result.memory.segment = 0 } else { result.memory.segment = segment ?? 3 }
            result.memory.byteCount = size
        }
        return .memory
    }

    private mutating func vectorOperand(_ specification: Specification) -> Operand {
        switch specification {
        case .p: return .register(.mmx, reg & 7)
        case .q: return registerOrMemory(.mmx, 8)
        case .qd: return registerOrMemory(.mmx, 4)
        case .n: return .register(.mmx, rm & 7)
        case .v where vex == nil: return .register(.xmm, reg)
        case .w where vex == nil: return registerOrMemory(.xmm, 16)
        case .wq: return registerOrMemory(.xmm, 8)
        case .wd: return registerOrMemory(.xmm, 4)
        case .ww: return registerOrMemory(.xmm, 2)
        case .u where vex == nil: return .register(.xmm, rm)
        case .xmm0: return .register(.xmm, 0)
        case .st0: return .register(.st, 0)
        case .sti: return .register(.st, modRM & 7)
        default: return vex.map { operandOfVEX(specification, $0) } ?? .none
        }
    }
}
