internal import CEngine

// Read-modify-write instructions that the field uses to synchronise. XCHG with memory is always
// locked; XADD and CMPXCHG are carried out as if they were.

enum IntegerAtomic {
    static let exchange: InstructionHandler = { cpu, op in
        let size = unsafe op.pointee.auxiliary
        let address = unsafe effectiveAddress(cpu, op)
        let new = unsafe readOperand(cpu, op, op.pointee.source, size) ?? 0
        let old: UInt64
        if let pointer = unsafe wholePointer(cpu, op, address, size) {
            switch size {
            case 1: old = unsafe UInt64(integer_exchange8(pointer, UInt8(truncatingIfNeeded: new)))
            case 2:
                old = unsafe UInt64(integer_exchange16(pointer, UInt16(truncatingIfNeeded: new)))
            case 4:
                old = unsafe UInt64(integer_exchange32(pointer, UInt32(truncatingIfNeeded: new)))
            default: old = unsafe integer_exchange64(pointer, new)
            }
        } else {
            guard let slow = unsafe modifySlowly(cpu, op, address, size, { _ in new }) else {
                return nil
            }
            old = slow
        }
        unsafe writeRegister(cpu, op.pointee.source, old, size)
        return unsafe op + 1
    }

    static let addExchange: InstructionHandler = { cpu, op in
        let size = unsafe op.pointee.auxiliary
        let address = unsafe effectiveAddress(cpu, op)
        let addend = unsafe readOperand(cpu, op, op.pointee.source, size) ?? 0
        var flags: UInt64 = 0
        var old: UInt64
        if let pointer = unsafe wholePointer(cpu, op, address, size) {
            while true {
                old = unsafe current(pointer, size)
                let sum = IntegerOther.addWithFlags(&flags, old, addend, size)
                if unsafe exchangeIfEqual(pointer, old, sum, size) == old { break }
            }
        } else {
            let slow = unsafe modifySlowly(cpu, op, address, size) {
                IntegerOther.addWithFlags(&flags, $0, addend, size)
            }
            guard let slow else { return nil }
            old = slow
        }
        unsafe cpu.pointee.statusFlags = flags
        unsafe writeRegister(cpu, op.pointee.source, old, size)
        return unsafe op + 1
    }

    static let compareExchange: InstructionHandler = { cpu, op in
        let size = unsafe op.pointee.auxiliary
        let address = unsafe effectiveAddress(cpu, op)
        let accumulator = unsafe readOperand(cpu, op, Layout.gpr(GPR.rax), size) ?? 0
        let new = unsafe readOperand(cpu, op, op.pointee.source, size) ?? 0
        let seen: UInt64
        if let pointer = unsafe wholePointer(cpu, op, address, size) {
            seen = unsafe exchangeIfEqual(pointer, accumulator, new, size)
        } else {
            let old = unsafe modifySlowly(cpu, op, address, size) { $0 == accumulator ? new : $0 }
            guard let old else { return nil }
            seen = old
        }
        unsafe compareFlags(cpu, accumulator, seen, UInt64(size))
        if seen != accumulator { unsafe writeRegister(cpu, Layout.gpr(GPR.rax), seen, size) }
        return unsafe op + 1
    }

    static let compareExchange8: InstructionHandler = { cpu, op in
        let address = unsafe effectiveAddress(cpu, op)
        let expected = unsafe cpu.gpr(GPR.rax) & 0xffff_ffff | cpu.gpr(GPR.rdx) &<< 32
        let new = unsafe cpu.gpr(GPR.rbx) & 0xffff_ffff | cpu.gpr(GPR.rcx) &<< 32
        let seen: UInt64
        if let pointer = unsafe wholePointer(cpu, op, address, 8) {
            seen = unsafe integer_compare_exchange64(pointer, expected, new)
        } else {
            let old = unsafe modifySlowly(cpu, op, address, 8) { $0 == expected ? new : $0 }
            guard let old else { return nil }
            seen = old
        }
        if seen == expected {
            unsafe cpu.pointee.statusFlags |= 0x4000
        } else {
            unsafe cpu.pointee.statusFlags &= ~0x4000
            unsafe cpu.setGPR(GPR.rax, seen & 0xffff_ffff)
            unsafe cpu.setGPR(GPR.rdx, seen &>> 32)
        }
        return unsafe op + 1
    }

    static let compareExchange16: InstructionHandler = { cpu, op in
        let address = unsafe effectiveAddress(cpu, op)
        if address & 15 != 0 {
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
        guard let pointer = unsafe modifyPointer(cpu, op, address, 16) else {
            // A device is no place for 16 atomic bytes.
            if unsafe cpu.pointee.leaveReason != LeaveReason.none { return nil }
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
        var low = unsafe cpu.gpr(GPR.rax)
        var high = unsafe cpu.gpr(GPR.rdx)
        let equal = unsafe integer_compare_exchange128(
            pointer, &low, &high, cpu.gpr(GPR.rbx), cpu.gpr(GPR.rcx))
        if unsafe _slowPath(holdsCode(cpu, pointer)) { unsafe noteStore(cpu, pointer) }
        if equal != 0 {
            unsafe cpu.pointee.statusFlags |= 0x4000
        } else {
            unsafe cpu.pointee.statusFlags &= ~0x4000
            unsafe cpu.setGPR(GPR.rax, low)
            unsafe cpu.setGPR(GPR.rdx, high)
        }
        return unsafe op + 1
    }

    /// Where the host's own locked instruction can do it. Nil: nothing is known yet, ask `modifySlowly`.
    @inline(__always)
    private static func wholePointer(
        _ cpu: CPU, _ op: Op, _ address: UInt64, _ size: UInt8
    ) -> UnsafeMutableRawPointer? {
        if _slowPath(isSplit(address, Int(size))) { return nil }
        return unsafe modifyPointer(cpu, op, address, Int(size))
    }

    @inline(__always)
    private static func current(_ pointer: UnsafeMutableRawPointer, _ size: UInt8) -> UInt64 {
        switch size {
        case 1: unsafe UInt64(pointer.load(as: UInt8.self))
        case 2: unsafe UInt64(pointer.loadUnaligned(as: UInt16.self))
        case 4: unsafe UInt64(pointer.loadUnaligned(as: UInt32.self))
        default: unsafe pointer.loadUnaligned(as: UInt64.self)
        }
    }

    @inline(__always)
    private static func exchangeIfEqual(
        _ pointer: UnsafeMutableRawPointer, _ expected: UInt64, _ new: UInt64, _ size: UInt8
    ) -> UInt64 {
        switch size {
        case 1:
            return unsafe UInt64(
                integer_compare_exchange8(
                    pointer, UInt8(truncatingIfNeeded: expected), UInt8(truncatingIfNeeded: new)))
        case 2:
            return unsafe UInt64(
                integer_compare_exchange16(
                    pointer, UInt16(truncatingIfNeeded: expected), UInt16(truncatingIfNeeded: new)))
        case 4:
            return unsafe UInt64(
                integer_compare_exchange32(
                    pointer, UInt32(truncatingIfNeeded: expected), UInt32(truncatingIfNeeded: new)))
        default: return unsafe integer_compare_exchange64(pointer, expected, new)
        }
    }
}

/// BT, BTS, BTR, BTC. A register bit offset into memory reaches beyond the operand.
enum IntegerBits {
    static let test: InstructionHandler = { cpu, op in
        unsafe apply(cpu, op, writes: false) { v, _ in v }
    }
    static let set: InstructionHandler = { cpu, op in
        unsafe apply(cpu, op, writes: true) { v, m in v | m }
    }
    static let reset: InstructionHandler = { cpu, op in
        unsafe apply(cpu, op, writes: true) { v, m in v & ~m }
    }
    static let complement: InstructionHandler = { cpu, op in
        unsafe apply(cpu, op, writes: true) { v, m in v ^ m }
    }

    @inline(__always)
    private static func apply(
        _ cpu: CPU, _ op: Op, writes: Bool, _ change: (UInt64, UInt64) -> UInt64
    ) -> Next {
        let size = unsafe op.pointee.auxiliary
        let bits = UInt64(size) &* 8
        let offset =
            unsafe op.pointee.source != Layout.zero
            ? cpu.read(op.pointee.source, as: UInt64.self) : op.pointee.immediate
        let mask: UInt64 = 1 &<< (offset & (bits &- 1))
        if unsafe op.pointee.destination != Layout.zero {
            let value = unsafe readOperand(cpu, op, op.pointee.destination, size) ?? 0
            unsafe setCarry(cpu, value & mask != 0)
            if writes {
                unsafe writeRegister(cpu, op.pointee.destination, change(value, mask), size)
            }
            return unsafe op + 1
        }
        let address: UInt64
        if unsafe op.pointee.source == Layout.zero {
            address = unsafe effectiveAddress(cpu, op)
        } else {
            let signed: Int64 =
                switch size {
                case 2: Int64(Int16(truncatingIfNeeded: offset))
                case 4: Int64(Int32(truncatingIfNeeded: offset))
                default: Int64(bitPattern: offset)
                }
            let shift: Int64 = size == 2 ? 4 : size == 4 ? 5 : 6
            let delta = UInt64(bitPattern: (signed &>> shift) &* Int64(size))
            address =
                unsafe op.pointee.flags & slowAddress != 0
                ? slowEffectiveAddress(cpu, op, adding: delta)
                : effectiveAddress(cpu, op) &+ delta
        }
        if !writes {
            guard let value = unsafe readAt(cpu, op, address, size) else { return nil }
            unsafe setCarry(cpu, value & mask != 0)
            return unsafe op + 1
        }
        return unsafe modify(cpu, op, address, size, mask, change)
    }

    @inline(__always)
    private static func modify(
        _ cpu: CPU, _ op: Op, _ address: UInt64, _ size: UInt8, _ mask: UInt64,
        _ change: (UInt64, UInt64) -> UInt64
    ) -> Next {
        guard !isSplit(address, Int(size)),
            let pointer = unsafe modifyPointer(cpu, op, address, Int(size))
        else {
            let old = unsafe modifySlowly(cpu, op, address, size) { change($0, mask) }
            guard let old else { return nil }
            unsafe setCarry(cpu, old & mask != 0)
            return unsafe op + 1
        }
        while true {
            let old: UInt64
            let seen: UInt64
            switch size {
            case 2:
                let value = unsafe pointer.loadUnaligned(as: UInt16.self)
                let new = UInt16(truncatingIfNeeded: change(UInt64(value), mask))
                old = UInt64(value)
                seen = unsafe UInt64(integer_compare_exchange16(pointer, value, new))
            case 4:
                let value = unsafe pointer.loadUnaligned(as: UInt32.self)
                let new = UInt32(truncatingIfNeeded: change(UInt64(value), mask))
                old = UInt64(value)
                seen = unsafe UInt64(integer_compare_exchange32(pointer, value, new))
            default:
                old = unsafe pointer.loadUnaligned(as: UInt64.self)
                seen = unsafe integer_compare_exchange64(pointer, old, change(old, mask))
            }
            if seen == old {
                unsafe setCarry(cpu, old & mask != 0)
                return unsafe op + 1
            }
        }
    }

    private static func readAt(
        _ cpu: CPU, _ op: Op, _ address: UInt64, _ size: UInt8
    ) -> UInt64? {
        switch size {
        case 2: return unsafe load(cpu, op, address, as: UInt16.self).map { UInt64($0) }
        case 4: return unsafe load(cpu, op, address, as: UInt32.self).map { UInt64($0) }
        default: return unsafe load(cpu, op, address, as: UInt64.self)
        }
    }

    @inline(__always)
    private static func setCarry(_ cpu: CPU, _ value: Bool) {
        unsafe cpu.pointee.statusFlags =
            unsafe cpu.pointee.statusFlags & ~0x100 | (value ? 0x100 : 0)
    }
}
