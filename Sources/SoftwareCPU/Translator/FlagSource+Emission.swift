internal import CEngine
internal import X86

// Host instructions that compute flags again.

extension FlagSource {
    /// Brings the flags into the host's. Clobbers R11.
    func emit(_ assembler: inout Assembler) {
        for index in (0..<rotations.count).reversed() {
            rotations[index].emit(&assembler, isUndone: true)
        }
        if let computation {
            computation.emit(&assembler)
        } else {
            SharedRoutines.restoreFlags(&assembler)
        }
        for index in 0..<rotations.count { rotations[index].emit(&assembler, isUndone: false) }
    }
}

extension FlagSource.Rotation {
    fileprivate func emit(_ assembler: inout Assembler, isUndone: Bool) {
        assembler.instruction(
            HostOpcode(0xc1, wide: operandSize == 8),
            register: isUndone ? direction ^ 1 : direction,
            FlagSource.Operand.place(register))
        assembler.byte(count)
    }
}

extension FlagSource.Operand {
    /// A guest register.
    fileprivate static func place(_ guest: UInt8) -> HostPlace {
        HostLayout.host(guest).map { .register($0.number) }
            ?? .memory(HostLayout.generalRegister(Int(guest)))
    }
}

extension FlagSource.Computation {
    fileprivate func emit(_ assembler: inout Assembler) {
        switch kind {
        case .compare, .test: compare(&assembler)
        case .add:
            loadFirst(&assembler)
            operate(&assembler, 5)
            operate(&assembler, 0)
        case .subtract:
            loadFirst(&assembler)
            operate(&assembler, 0)
            operate(&assembler, 5)
        case .negate:
            loadFirst(&assembler)
            negate(&assembler)
            negate(&assembler)
        case .addCarry:
            loadFirst(&assembler)
            loadCarry(&assembler)
            operate(&assembler, 3)
            loadCarry(&assembler)
            operate(&assembler, 2)
        case .subtractBorrow:
            loadFirst(&assembler)
            loadCarry(&assembler)
            operate(&assembler, 2)
            loadCarry(&assembler)
            operate(&assembler, 3)
        case .spreadCarry:
            // ADD and SBB of R11 and itself: it is 0 or -1.
            loadFirst(&assembler)
            own(&assembler, 0x02)
            own(&assembler, 0x1a)
        case .increment:
            loadFirst(&assembler)
            step(&assembler, 1)
            loadCarry(&assembler)
            step(&assembler, 0)
        case .decrement:
            loadFirst(&assembler)
            step(&assembler, 0)
            loadCarry(&assembler)
            step(&assembler, 1)
        case .shiftLeft, .shiftRight, .shiftArithmetic: shift(&assembler)
        case .multiply:
            // SBB R11D, R11D; AND R11D, 1 << 31; ADD R11D, R11D.
            loadCarry(&assembler)
            own(&assembler, 0x1a)
            assembler.instruction(HostOpcode(0x81), register: 4, .register(11))
            assembler.integer32(.min)
            own(&assembler, 0x02)
        }
    }

    private var isByte: Bool { operandSize == 1 }
    private var isWide: Bool { operandSize == 8 }

    private func loadFirst(_ assembler: inout Assembler) {
        switch first {
        case .register(let number):
            if let host = HostLayout.host(number) {
                assembler.move(.r11, host)
            } else {
                assembler.load(.r11, HostLayout.generalRegister(Int(number)))
            }
        case .slot(let slot): assembler.load(.r11, SharedRoutines.operandSlot(slot))
        case .constant: break
        }
    }

    /// CMP or TEST: what is in a register of the host's stays there.
    private func compare(_ assembler: inout Assembler) {
        var register: UInt8 = 11
        if case .register(let number) = first, let host = HostLayout.host(number), !isByte {
            register = host.number
        } else {
            loadFirst(&assembler)
        }
        if kind == .compare {
            operate(&assembler, 7, register)
        } else {
            test(&assembler, register)
        }
    }

    private static func place(_ operand: FlagSource.Operand) -> HostPlace? {
        switch operand {
        case .register(let number): FlagSource.Operand.place(number)
        case .slot(let slot): .memory(SharedRoutines.operandSlot(slot))
        case .constant: nil
        }
    }

    /// ADD (0), ADC (2), SBB (3), SUB (5) or CMP (7) with the second operand.
    private func operate(
        _ assembler: inout Assembler, _ operation: UInt8, _ register: UInt8 = 11
    ) {
        if let place = Self.place(second) {
            assembler.instruction(
                HostOpcode(operation &<< 3 | (isByte ? 2 : 3), wide: isWide), register: register,
                place)
        } else if case .constant(let value) = second {
            assembler.instruction(
                HostOpcode(isByte ? 0x80 : 0x81, wide: isWide), register: operation,
                .register(register))
            immediate(&assembler, value)
        }
    }

    private func test(_ assembler: inout Assembler, _ register: UInt8) {
        if let place = Self.place(second) {
            assembler.instruction(
                HostOpcode(isByte ? 0x84 : 0x85, wide: isWide), register: register, place)
        } else if case .constant(let value) = second {
            assembler.instruction(
                HostOpcode(isByte ? 0xf6 : 0xf7, wide: isWide), register: 0, .register(register))
            immediate(&assembler, value)
        }
    }

    private func immediate(_ assembler: inout Assembler, _ value: Int32) {
        if isByte {
            assembler.byte(UInt8(truncatingIfNeeded: value))
        } else {
            assembler.integer32(value)
        }
    }

    /// An operation of R11 and itself, by the opcode for bytes.
    private func own(_ assembler: inout Assembler, _ opcode: UInt8) {
        assembler.instruction(
            HostOpcode(isByte ? opcode : opcode | 1, wide: isWide), register: 11, .register(11))
    }

    /// INC (0) or DEC (1) R11.
    private func step(_ assembler: inout Assembler, _ operation: UInt8) {
        assembler.instruction(
            HostOpcode(isByte ? 0xfe : 0xff, wide: isWide), register: operation, .register(11))
    }

    private func loadCarry(_ assembler: inout Assembler) {
        if let carrySlot {
            SharedRoutines.loadCarry(&assembler, slot: carrySlot)
        } else {
            SharedRoutines.loadCarry(&assembler)
        }
    }

    private func negate(_ assembler: inout Assembler) {
        assembler.instruction(
            HostOpcode(isByte ? 0xf6 : 0xf7, wide: isWide), register: 3, .register(11))
    }

    /// A value that gives this result and this carry is shifted again.
    private func shift(_ assembler: inout Assembler) {
        guard case .constant(let value) = second else { return }
        let count = UInt8(truncatingIfNeeded: value)
        let isLeft = kind == .shiftLeft
        loadFirst(&assembler)
        loadCarry(&assembler)
        // RCR or RCL by 1, SHR or SHL by the rest: ModRM.reg 3, 2, 5 and 4.
        assembler.instruction(
            HostOpcode(isByte ? 0xd0 : 0xd1, wide: isWide), register: isLeft ? 3 : 2, .register(11))
        if count > 1 { shift(&assembler, isLeft ? 5 : 4, count &- 1) }
        shift(&assembler, isLeft ? 4 : kind == .shiftRight ? 5 : 7, count)
    }

    private func shift(_ assembler: inout Assembler, _ operation: UInt8, _ count: UInt8) {
        assembler.instruction(
            HostOpcode(isByte ? 0xc0 : 0xc1, wide: isWide), register: operation, .register(11))
        assembler.byte(count)
    }
}
