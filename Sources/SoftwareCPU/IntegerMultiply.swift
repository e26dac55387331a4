internal import CEngine

// MUL, IMUL, DIV, IDIV. `op.auxiliary` is the operand size in bytes.

enum IntegerMultiply {
    static let unsignedWide: InstructionHandler = { cpu, op in
        unsafe wide(cpu, op, integer_mul8, integer_mul16, integer_mul32, integer_mul64)
    }
    static let signedWide: InstructionHandler = { cpu, op in
        unsafe wide(cpu, op, integer_imul8, integer_imul16, integer_imul32, integer_imul64)
    }

    @inline(__always)
    private static func wide(
        _ cpu: CPU, _ op: Op, _ byte: (UInt8, UInt8, Status) -> IntegerProduct,
        _ narrow: (UInt16, UInt16, Status) -> IntegerProduct,
        _ word: (UInt32, UInt32, Status) -> IntegerProduct,
        _ long: (UInt64, UInt64, Status) -> IntegerProduct
    ) -> Next {
        let size = unsafe op.pointee.auxiliary
        guard let b = unsafe readOperand(cpu, op, op.pointee.destination, size) else { return nil }
        let a = unsafe cpu.gpr(GPR.rax)
        var flags: UInt64 = 0
        let product = unsafe withUnsafeMutablePointer(to: &flags) { status in
            switch size {
            case 1: unsafe byte(UInt8(truncatingIfNeeded: a), UInt8(truncatingIfNeeded: b), status)
            case 2:
                unsafe narrow(UInt16(truncatingIfNeeded: a), UInt16(truncatingIfNeeded: b), status)
            case 4:
                unsafe word(UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b), status)
            default: unsafe long(a, b, status)
            }
        }
        unsafe cpu.pointee.statusFlags = flags
        if size == 1 {
            unsafe writeRegister(cpu, Layout.gpr(GPR.rax), product.low, 2)
        } else {
            unsafe writeRegister(cpu, Layout.gpr(GPR.rax), product.low, size)
            unsafe writeRegister(cpu, Layout.gpr(GPR.rdx), product.high, size)
        }
        return unsafe op + 1
    }

    static let twoOperandRegister: InstructionHandler = { cpu, op in
        let a = unsafe cpu.read(op.pointee.destination, as: UInt64.self)
        let b = unsafe cpu.read(op.pointee.source, as: UInt64.self)
        return unsafe finish(cpu, op, a, b)
    }
    static let twoOperandMemory: InstructionHandler = { cpu, op in
        guard let b = unsafe readOperand(cpu, op, Layout.zero, op.pointee.auxiliary) else {
            return nil
        }
        return unsafe finish(cpu, op, cpu.read(op.pointee.destination, as: UInt64.self), b)
    }
    static let threeOperandRegister: InstructionHandler = { cpu, op in
        unsafe finish(cpu, op, cpu.read(op.pointee.source, as: UInt64.self), op.pointee.immediate)
    }
    static let threeOperandMemory: InstructionHandler = { cpu, op in
        guard let a = unsafe readOperand(cpu, op, Layout.zero, op.pointee.auxiliary) else {
            return nil
        }
        return unsafe finish(cpu, op, a, op.pointee.immediate)
    }

    @inline(__always)
    private static func finish(_ cpu: CPU, _ op: Op, _ a: UInt64, _ b: UInt64) -> Next {
        var flags: UInt64 = 0
        unsafe withUnsafeMutablePointer(to: &flags) { status in
            switch unsafe op.pointee.auxiliary {
            case 8: unsafe cpu.write(op.pointee.destination, integer_imul_low64(a, b, status))
            case 4:
                unsafe cpu.write(
                    op.pointee.destination,
                    integer_imul_low32(
                        UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b), status))
            default:
                unsafe cpu.write(
                    op.pointee.destination,
                    integer_imul_low16(
                        UInt16(truncatingIfNeeded: a), UInt16(truncatingIfNeeded: b), status))
            }
        }
        unsafe cpu.pointee.statusFlags = flags
        return unsafe op + 1
    }

    static let unsignedDivide: InstructionHandler = { cpu, op in
        let size = unsafe op.pointee.auxiliary
        guard let divisor = unsafe readOperand(cpu, op, op.pointee.destination, size) else {
            return nil
        }
        let (high, low) = unsafe dividend(cpu, size)
        if divisor == 0 || high >= divisor {
            return unsafe raise(cpu, op, vector: Vector.divideError)
        }
        if size == 8 {
            let (quotient, remainder) = divisor.dividingFullWidth((high, low))
            return unsafe store(cpu, op, quotient, remainder)
        }
        let number = high &<< (UInt64(size) &* 8) | low
        return unsafe store(cpu, op, number / divisor, number % divisor)
    }

    static let signedDivide: InstructionHandler = { cpu, op in
        let size = unsafe op.pointee.auxiliary
        guard let raw = unsafe readOperand(cpu, op, op.pointee.destination, size) else {
            return nil
        }
        let bits = UInt64(size) &* 8
        let divisor = Int64(bitPattern: raw &<< (64 &- bits)) &>> Int64(64 &- bits)
        if divisor == 0 { return unsafe raise(cpu, op, vector: Vector.divideError) }
        var (high, low) = unsafe dividend(cpu, size)
        let isNegative = (high &>> (bits &- 1)) & 1 != 0
        if size == 8 {
            if isNegative {
                low = ~low &+ 1
                high = ~high &+ (low == 0 ? 1 : 0)
            }
            let magnitude = divisor.magnitude
            if high >= magnitude { return unsafe raise(cpu, op, vector: Vector.divideError) }
            let (quotient, remainder) = magnitude.dividingFullWidth((high, low))
            return unsafe signed(cpu, op, quotient, remainder, isNegative, divisor < 0)
        }
        var number = high &<< bits | low
        if size != 4 {
            // 16 or 32 bits of dividend, sign extended.
            number = UInt64(
                bitPattern: Int64(bitPattern: number &<< (64 &- 2 &* bits))
                    &>> Int64(64 &- 2 &* bits))
        }
        let magnitude = isNegative ? ~number &+ 1 : number
        return unsafe signed(
            cpu, op, magnitude / divisor.magnitude, magnitude % divisor.magnitude, isNegative,
            divisor < 0)
    }

    /// Applies the signs and checks that the quotient fits.
    private static func signed(
        _ cpu: CPU, _ op: Op, _ quotient: UInt64, _ remainder: UInt64, _ isNegative: Bool,
        _ divisorIsNegative: Bool
    ) -> Next {
        let bits = unsafe UInt64(op.pointee.auxiliary) &* 8
        let limit: UInt64 = 1 &<< (bits &- 1)
        let negativeQuotient = isNegative != divisorIsNegative
        if quotient > (negativeQuotient ? limit : limit &- 1) {
            return unsafe raise(cpu, op, vector: Vector.divideError)
        }
        return unsafe store(
            cpu, op, negativeQuotient ? ~quotient &+ 1 : quotient,
            isNegative ? ~remainder &+ 1 : remainder)
    }

    /// High and low half of the dividend.
    private static func dividend(_ cpu: CPU, _ size: UInt8) -> (UInt64, UInt64) {
        let rax = unsafe cpu.gpr(GPR.rax)
        let rdx = unsafe cpu.gpr(GPR.rdx)
        switch size {
        case 1: return ((rax &>> 8) & 0xff, rax & 0xff)
        case 2: return (rdx & 0xffff, rax & 0xffff)
        case 4: return (rdx & 0xffff_ffff, rax & 0xffff_ffff)
        default: return (rdx, rax)
        }
    }

    private static func store(
        _ cpu: CPU, _ op: Op, _ quotient: UInt64, _ remainder: UInt64
    ) -> Next {
        let size = unsafe op.pointee.auxiliary
        if size == 1 {
            unsafe writeRegister(
                cpu, Layout.gpr(GPR.rax), quotient & 0xff | (remainder & 0xff) &<< 8, 2)
        } else {
            unsafe writeRegister(cpu, Layout.gpr(GPR.rax), quotient, size)
            unsafe writeRegister(cpu, Layout.gpr(GPR.rdx), remainder, size)
        }
        return unsafe op + 1
    }
}

/// AAA, AAS, DAA, DAS, AAM, AAD (SDM volume 2).
enum IntegerDecimal {
    static let adjustAfterAdd: InstructionHandler = { cpu, op in
        unsafe ascii(cpu, op, subtract: false)
    }
    static let adjustAfterSubtract: InstructionHandler = { cpu, op in
        unsafe ascii(cpu, op, subtract: true)
    }
    static let decimalAfterAdd: InstructionHandler = { cpu, op in
        unsafe decimal(cpu, op, subtract: false)
    }
    static let decimalAfterSubtract: InstructionHandler = { cpu, op in
        unsafe decimal(cpu, op, subtract: true)
    }

    private static func ascii(_ cpu: CPU, _ op: Op, subtract: Bool) -> Next {
        var ax = unsafe cpu.read(Layout.gpr(GPR.rax), as: UInt16.self)
        let adjusts = unsafe ax & 0xf > 9 || cpu.pointee.statusFlags & 0x1000 != 0
        if adjusts { ax = subtract ? ax &- 0x106 : ax &+ 0x106 }
        ax &= 0xff0f
        unsafe cpu.write(Layout.gpr(GPR.rax), ax)
        unsafe cpu.pointee.statusFlags =
            unsafe cpu.pointee.statusFlags & ~0x1100 | (adjusts ? 0x1100 : 0)
        return unsafe op + 1
    }

    private static func decimal(_ cpu: CPU, _ op: Op, subtract: Bool) -> Next {
        let old = unsafe cpu.read(Layout.gpr(GPR.rax), as: UInt8.self)
        let flags = unsafe cpu.pointee.statusFlags
        var al = old
        var carry = false
        let adjust = old & 0xf > 9 || flags & 0x1000 != 0
        if adjust {
            carry = flags & 0x100 != 0 || (subtract ? old < 6 : old > 0xf9)
            al = subtract ? al &- 6 : al &+ 6
        }
        if old > 0x99 || flags & 0x100 != 0 {
            al = subtract ? al &- 0x60 : al &+ 0x60
            carry = true
        }
        unsafe cpu.write(Layout.gpr(GPR.rax), al)
        unsafe setResultFlags(cpu, al, carry: carry, adjust: adjust)
        return unsafe op + 1
    }

    static let adjustAfterMultiply: InstructionHandler = { cpu, op in
        let base = unsafe UInt8(truncatingIfNeeded: op.pointee.immediate)
        if base == 0 { return unsafe raise(cpu, op, vector: Vector.divideError) }
        let al = unsafe cpu.read(Layout.gpr(GPR.rax), as: UInt8.self)
        unsafe cpu.write(Layout.gpr(GPR.rax), UInt16(al / base) &<< 8 | UInt16(al % base))
        unsafe setResultFlags(cpu, al % base, carry: false, adjust: false)
        return unsafe op + 1
    }

    static let adjustBeforeDivide: InstructionHandler = { cpu, op in
        let base = unsafe UInt8(truncatingIfNeeded: op.pointee.immediate)
        let ax = unsafe cpu.read(Layout.gpr(GPR.rax), as: UInt16.self)
        let al =
            UInt8(truncatingIfNeeded: ax) &+ UInt8(truncatingIfNeeded: ax &>> 8) &* base
        unsafe cpu.write(Layout.gpr(GPR.rax), UInt16(al))
        unsafe setResultFlags(cpu, al, carry: false, adjust: false)
        return unsafe op + 1
    }

    private static func setResultFlags(_ cpu: CPU, _ value: UInt8, carry: Bool, adjust: Bool) {
        var flags: UInt64 = 0x200
        if value & 0x80 != 0 { flags |= 0x8000 }
        if value == 0 { flags |= 0x4000 }
        if value.nonzeroBitCount & 1 == 0 { flags |= 0x400 }
        if carry { flags |= 0x100 }
        if adjust { flags |= 0x1000 }
        unsafe cpu.pointee.statusFlags = flags
    }
}
