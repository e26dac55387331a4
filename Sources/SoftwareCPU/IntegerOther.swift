internal import CEngine

// General-purpose instructions outside the regular shapes. `op.auxiliary` is the operand size in
// bytes unless a handler says otherwise.

/// Reads an operand of `auxiliary` bytes from a register (`offset` is not zero's) or from memory.
@inline(__always)
func readOperand(_ cpu: CPU, _ op: Op, _ offset: UInt16, _ size: UInt8) -> UInt64? {
    if offset != Layout.zero {
        switch size {
        case 1: return unsafe UInt64(cpu.read(offset, as: UInt8.self))
        case 2: return unsafe UInt64(cpu.read(offset, as: UInt16.self))
        case 4: return unsafe UInt64(cpu.read(offset, as: UInt32.self))
        default: return unsafe cpu.read(offset, as: UInt64.self)
        }
    }
    let address = unsafe effectiveAddress(cpu, op)
    switch size {
    case 1: return unsafe load(cpu, op, address, as: UInt8.self).map { UInt64($0) }
    case 2: return unsafe load(cpu, op, address, as: UInt16.self).map { UInt64($0) }
    case 4: return unsafe load(cpu, op, address, as: UInt32.self).map { UInt64($0) }
    default: return unsafe load(cpu, op, address, as: UInt64.self)
    }
}

/// Writes a register operand of `size` bytes.
@inline(__always)
func writeRegister(_ cpu: CPU, _ offset: UInt16, _ value: UInt64, _ size: UInt8) {
    switch size {
    case 1: unsafe cpu.write(offset, UInt8(truncatingIfNeeded: value))
    case 2: unsafe cpu.write(offset, UInt16(truncatingIfNeeded: value))
    case 4: unsafe cpu.write(offset, UInt32(truncatingIfNeeded: value))
    default: unsafe cpu.write(offset, value)
    }
}

func storeOperand(_ cpu: CPU, _ op: Op, _ address: UInt64, _ value: UInt64, _ size: UInt8) -> Bool {
    switch size {
    case 1: return unsafe store(cpu, op, address, UInt8(truncatingIfNeeded: value))
    case 2: return unsafe store(cpu, op, address, UInt16(truncatingIfNeeded: value))
    case 4: return unsafe store(cpu, op, address, UInt32(truncatingIfNeeded: value))
    default: return unsafe store(cpu, op, address, value)
    }
}

@inline(__always)
private func loadLongAddress(_ cpu: CPU, _ op: Op) -> Next {
    let index = unsafe cpu.read(slot: op.pointee.index)
    unsafe cpu.write(
        op.pointee.destination,
        simpleAddress(cpu, op) &+ (index &<< UInt64(op.pointee.scaleShift)))
    return unsafe following(cpu, op)
}

enum IntegerOther {
    static let nothing: InstructionHandler = unsafe following
    static let loadAddress64: InstructionHandler = unsafe loadLongAddress

    @inline(__always)
    static func loadAddress<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, as type: T.Type) -> Next {
        unsafe cpu.write(op.pointee.destination, T(truncatingIfNeeded: effectiveOffset(cpu, op)))
        return unsafe following(cpu, op)
    }

    @inline(__always)
    static func conditionalLoad<T: FixedWidthInteger>(
        _ cpu: CPU, _ op: Op, as type: T.Type
    ) -> Next {
        guard let value = unsafe load(cpu, op, effectiveAddress(cpu, op), as: T.self) else {
            return nil
        }
        let old = unsafe cpu.read(op.pointee.destination, as: T.self)
        let holds = unsafe condition(op.pointee.auxiliary, flags: cpu.pointee.statusFlags)
        unsafe cpu.write(op.pointee.destination, holds ? value : old)
        return unsafe op + 1
    }

    static let setRegister: InstructionHandler = { cpu, op in
        let holds = unsafe condition(op.pointee.auxiliary, flags: cpu.pointee.statusFlags)
        unsafe cpu.write(op.pointee.destination, holds ? UInt8(1) : 0)
        return unsafe following(cpu, op)
    }
    static let setMemory: InstructionHandler = { cpu, op in
        let holds = unsafe condition(op.pointee.auxiliary, flags: cpu.pointee.statusFlags)
        return unsafe store(cpu, op, effectiveAddress(cpu, op), holds ? UInt8(1) : 0)
            ? op + 1 : nil
    }

    // MARK: Registers

    static let exchangeRegisters: InstructionHandler = { cpu, op in
        let size = unsafe op.pointee.auxiliary
        let a = unsafe readOperand(cpu, op, op.pointee.destination, size) ?? 0
        let b = unsafe readOperand(cpu, op, op.pointee.source, size) ?? 0
        unsafe writeRegister(cpu, op.pointee.destination, b, size)
        unsafe writeRegister(cpu, op.pointee.source, a, size)
        return unsafe op + 1
    }
    static let addExchangeRegisters: InstructionHandler = { cpu, op in
        let size = unsafe op.pointee.auxiliary
        let a = unsafe readOperand(cpu, op, op.pointee.destination, size) ?? 0
        let b = unsafe readOperand(cpu, op, op.pointee.source, size) ?? 0
        let sum = unsafe addWithFlags(&cpu.pointee.statusFlags, a, b, size)
        unsafe writeRegister(cpu, op.pointee.source, a, size)
        unsafe writeRegister(cpu, op.pointee.destination, sum, size)
        return unsafe op + 1
    }
    static let compareExchangeRegisters: InstructionHandler = { cpu, op in
        let size = unsafe op.pointee.auxiliary
        let old = unsafe readOperand(cpu, op, op.pointee.destination, size) ?? 0
        let accumulator = unsafe readOperand(cpu, op, Layout.gpr(GPR.rax), size) ?? 0
        unsafe compareFlags(cpu, accumulator, old, UInt64(size))
        if accumulator == old {
            let new = unsafe readOperand(cpu, op, op.pointee.source, size) ?? 0
            unsafe writeRegister(cpu, op.pointee.destination, new, size)
        } else {
            unsafe writeRegister(cpu, Layout.gpr(GPR.rax), old, size)
        }
        return unsafe op + 1
    }

    static func addWithFlags(
        _ flags: inout UInt64, _ a: UInt64, _ b: UInt64, _ size: UInt8
    ) -> UInt64 {
        unsafe withUnsafeMutablePointer(to: &flags) {
            switch size {
            case 1:
                unsafe UInt64(
                    integer_add8(UInt8(truncatingIfNeeded: a), UInt8(truncatingIfNeeded: b), $0))
            case 2:
                unsafe UInt64(
                    integer_add16(
                        UInt16(truncatingIfNeeded: a), UInt16(truncatingIfNeeded: b), $0))
            case 4:
                unsafe UInt64(
                    integer_add32(
                        UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b), $0))
            default: unsafe integer_add64(a, b, $0)
            }
        }
    }

    static let swapBytes: InstructionHandler = { cpu, op in
        switch unsafe op.pointee.auxiliary {
        case 8:
            let value = unsafe cpu.read(op.pointee.destination, as: UInt64.self)
            unsafe cpu.write(op.pointee.destination, value.byteSwapped)
        case 4:
            let value = unsafe cpu.read(op.pointee.destination, as: UInt32.self)
            unsafe cpu.write(op.pointee.destination, value.byteSwapped)
        default:
            // Undefined by the manuals; processors clear the register.
            unsafe cpu.write(op.pointee.destination, UInt16(0))
        }
        return unsafe op + 1
    }

    static let scanForward: InstructionHandler = { cpu, op in
        unsafe scan(cpu, op, integer_bsf16, integer_bsf32, integer_bsf64)
    }
    static let scanReverse: InstructionHandler = { cpu, op in
        unsafe scan(cpu, op, integer_bsr16, integer_bsr32, integer_bsr64)
    }

    @inline(__always)
    private static func scan(
        _ cpu: CPU, _ op: Op, _ narrow: Binary<UInt16>, _ word: Binary<UInt32>,
        _ wide: Binary<UInt64>
    ) -> Next {
        guard let source = unsafe readOperand(cpu, op, op.pointee.source, op.pointee.auxiliary)
        else {
            return nil
        }
        let target = unsafe op.pointee.destination
        var flags = unsafe cpu.pointee.statusFlags
        unsafe withUnsafeMutablePointer(to: &flags) {
            switch unsafe op.pointee.auxiliary {
            case 2:
                let old = unsafe cpu.read(target, as: UInt16.self)
                unsafe cpu.write(target, narrow(old, UInt16(truncatingIfNeeded: source), $0))
            case 4:
                // A zero source leaves even the upper half alone.
                if source != 0 {
                    unsafe cpu.write(target, word(0, UInt32(truncatingIfNeeded: source), $0))
                } else {
                    _ = unsafe word(0, 0, $0)
                }
            default:
                unsafe cpu.write(target, wide(cpu.read(target, as: UInt64.self), source, $0))
            }
        }
        unsafe cpu.pointee.statusFlags = flags
        return unsafe op + 1
    }

    static let shiftDoubleLeft: InstructionHandler = { cpu, op in
        unsafe shiftDouble(cpu, op, integer_shld16, integer_shld32, integer_shld64)
    }
    static let shiftDoubleRight: InstructionHandler = { cpu, op in
        unsafe shiftDouble(cpu, op, integer_shrd16, integer_shrd32, integer_shrd64)
    }

    @inline(__always)
    private static func shiftDouble(
        _ cpu: CPU, _ op: Op, _ narrow: (UInt16, UInt16, UInt8, Status) -> UInt16,
        _ word: (UInt32, UInt32, UInt8, Status) -> UInt32,
        _ wide: (UInt64, UInt64, UInt8, Status) -> UInt64
    ) -> Next {
        let size = unsafe op.pointee.auxiliary & 0x7f
        let count =
            unsafe op.pointee.auxiliary & 0x80 != 0
            ? UInt8(truncatingIfNeeded: cpu.gpr(GPR.rcx))
            : UInt8(truncatingIfNeeded: op.pointee.immediate)
        if unsafe op.pointee.destination == Layout.zero {
            // It has to be writable before it is read.
            let address = unsafe effectiveAddress(cpu, op)
            if unsafe modifyPointer(cpu, op, address, Int(size)) == nil,
                unsafe cpu.pointee.leaveReason != LeaveReason.none
            {
                return nil
            }
        }
        guard let a = unsafe readOperand(cpu, op, op.pointee.destination, size) else { return nil }
        let b = unsafe cpu.read(op.pointee.source, as: UInt64.self)
        var flags = unsafe cpu.pointee.statusFlags
        let result = unsafe withUnsafeMutablePointer(to: &flags) { status -> UInt64 in
            switch size {
            case 2:
                return unsafe UInt64(
                    narrow(
                        UInt16(truncatingIfNeeded: a), UInt16(truncatingIfNeeded: b), count, status)
                )
            case 4:
                return unsafe UInt64(
                    word(
                        UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b), count, status)
                )
            default: return unsafe wide(a, b, count, status)
            }
        }
        if unsafe op.pointee.destination != Layout.zero {
            unsafe writeRegister(cpu, op.pointee.destination, result, size)
        } else if unsafe !storeOperand(cpu, op, effectiveAddress(cpu, op), result, size) {
            return nil
        }
        unsafe cpu.pointee.statusFlags = flags
        return unsafe op + 1
    }

    // MARK: Accumulator and flags

    /// CBW, CWDE, CDQE.
    static let extendAccumulator: InstructionHandler = { cpu, op in
        let rax = unsafe cpu.gpr(GPR.rax)
        switch unsafe op.pointee.auxiliary {
        case 2:
            unsafe cpu.write(
                Layout.gpr(GPR.rax), UInt16(bitPattern: Int16(Int8(truncatingIfNeeded: rax))))
        case 4:
            unsafe cpu.write(
                Layout.gpr(GPR.rax), UInt32(bitPattern: Int32(Int16(truncatingIfNeeded: rax))))
        default:
            unsafe cpu.setGPR(GPR.rax, UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: rax))))
        }
        return unsafe op + 1
    }
    /// CWD, CDQ, CQO.
    static let extendToHigh: InstructionHandler = { cpu, op in
        let rax = unsafe cpu.gpr(GPR.rax)
        let bits = unsafe UInt64(op.pointee.auxiliary) &* 8
        let sign = (rax &>> (bits &- 1)) & 1
        unsafe writeRegister(cpu, Layout.gpr(GPR.rdx), sign != 0 ? .max : 0, op.pointee.auxiliary)
        return unsafe following(cpu, op)
    }
    static let loadFlags: InstructionHandler = { cpu, op in
        let flags = unsafe UInt8(truncatingIfNeeded: cpu.pointee.statusFlags &>> 8) & 0xd5 | 2
        unsafe cpu.write(Layout.gpr(GPR.rax) &+ 1, flags)
        return unsafe op + 1
    }
    static let storeFlags: InstructionHandler = { cpu, op in
        let ah = unsafe UInt64(cpu.read(Layout.gpr(GPR.rax) &+ 1, as: UInt8.self))
        unsafe cpu.pointee.statusFlags = unsafe (ah & 0xd5 | 2) &<< 8 | cpu.pointee.statusFlags & 1
        return unsafe op + 1
    }
    static let translate: InstructionHandler = { cpu, op in
        var offset = unsafe cpu.gpr(GPR.rbx) &+ (cpu.gpr(GPR.rax) & 0xff)
        if unsafe op.pointee.auxiliary == 4 { offset &= 0xffff_ffff }
        if unsafe op.pointee.auxiliary == 2 { offset &= 0xffff }
        var address = unsafe offset &+ cpu.read(slot: op.pointee.segmentBase)
        if unsafe !cpu.isLongCode { address &= legacyAddressMask }
        guard let value = unsafe load(cpu, op, address, as: UInt8.self) else { return nil }
        unsafe cpu.write(Layout.gpr(GPR.rax), value)
        return unsafe op + 1
    }
    static let bound: InstructionHandler = { cpu, op in
        let size = unsafe op.pointee.auxiliary
        let address = unsafe effectiveAddress(cpu, op)
        let second = unsafe slowEffectiveAddress(cpu, op, adding: UInt64(size))
        let inside: Bool
        if size == 2 {
            guard let lower = unsafe load(cpu, op, address, as: UInt16.self),
                let upper = unsafe load(cpu, op, second, as: UInt16.self)
            else { return nil }
            let index = unsafe cpu.read(op.pointee.destination, as: Int16.self)
            inside = index >= Int16(bitPattern: lower) && index <= Int16(bitPattern: upper)
        } else {
            guard let lower = unsafe load(cpu, op, address, as: UInt32.self),
                let upper = unsafe load(cpu, op, second, as: UInt32.self)
            else { return nil }
            let index = unsafe cpu.read(op.pointee.destination, as: Int32.self)
            inside = index >= Int32(bitPattern: lower) && index <= Int32(bitPattern: upper)
        }
        return unsafe inside ? op + 1 : raise(cpu, op, vector: Vector.boundRange)
    }
    static let random: InstructionHandler = { cpu, op in
        var value: UInt64 = 0
        let ok = unsafe integer_rdrand(&value) != 0
        unsafe writeRegister(cpu, op.pointee.destination, ok ? value : 0, op.pointee.auxiliary)
        unsafe cpu.pointee.statusFlags = ok ? 0x300 : 0x200
        return unsafe op + 1
    }
}
