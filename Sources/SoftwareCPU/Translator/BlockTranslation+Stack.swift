internal import CEngine
internal import X86

// LEA, the stack, division.

extension BlockTranslation {
    private static let stackPointer: UInt8 = 4
    private static let framePointer: UInt8 = 5

    mutating func emitLoadAddress(_ instruction: Instruction) {
        guard case .register(.general, let target) = instruction.operand0,
            var access = access(instruction)
        else { return }
        access.segment = nil
        let isWide = instruction.operandSize == 8
        if let host = HostLayout.host(target), isWide, !mustStage(access, host) {
            assembler.compute(access, into: host)
            return
        }
        let stage = HostRegister.r10
        if let index = access.index, HostLayout.host(index) == nil,
            case .register(let base) = access.base, HostLayout.host(base) == nil
        {
            // LEA keeps the flags, and so must this.
            assembler.load(.r10, HostLayout.generalRegister(Int(base)))
            assembler.load(.r11, HostLayout.generalRegister(Int(index)))
            assembler.loadAddress(
                stage,
                HostAddress(
                    base: .r10, index: .r11, scaleShift: access.scaleShift,
                    displacement: Int32(truncatingIfNeeded: access.displacement)))
        } else if let index = access.index, HostLayout.host(index) == nil,
            case .none = access.base
        {
            assembler.load(.r11, HostLayout.generalRegister(Int(index)))
            assembler.loadAddress(
                stage,
                HostAddress(
                    index: .r11, scaleShift: access.scaleShift,
                    displacement: Int32(truncatingIfNeeded: access.displacement)))
        } else {
            assembler.compute(access, into: stage)
        }
        if let host = HostLayout.host(target) {
            // A 32-bit MOV clears the upper half.
            assembler.instruction(
                HostOpcode(0x8b, wide: isWide), register: host.number, .register(stage.number))
        } else {
            if !isWide {
                assembler.instruction(
                    HostOpcode(0x8b), register: stage.number, .register(stage.number))
            }
            assembler.store(HostLayout.generalRegister(Int(target)), stage)
        }
    }

    /// The computation would overwrite a register it still needs, or touch the flags.
    private func mustStage(_ access: GuestAccess, _ target: HostRegister) -> Bool {
        if case .register(let base) = access.base, HostLayout.host(base) == nil { return true }
        if let index = access.index, HostLayout.host(index) == nil { return true }
        return access.base == .codePage && access.index != nil
    }

    mutating func emitPush(_ instruction: Instruction) {
        if instruction.hasMemoryOperand {
            guard let access = access(instruction) else { return }
            let source = probe(access, write: false)
            assembler.load(.r10, source.address)
            assembler.store(SharedRoutines.scratchSlot, .r10)
        }
        let operand = probe(
            GuestAccess(register: Self.stackPointer, displacement: -8, byteCount: 8), write: true)
        switch instruction.operand0 {
        case .register(.general, let number):
            if let host = HostLayout.host(number) {
                assembler.store(operand.address, host)
            } else {
                assembler.load(operand.free, HostLayout.generalRegister(Int(number)))
                assembler.store(operand.address, operand.free)
            }
        case .memory:
            assembler.load(operand.free, SharedRoutines.scratchSlot)
            assembler.store(operand.address, operand.free)
        default:
            // MOV QWORD, imm32.
            assembler.instruction(
                HostOpcode(0xc7, wide: true), register: 0, .memory(operand.address))
            assembler.integer32(Int32(truncatingIfNeeded: instruction.immediate))
        }
        moveStack(by: -8)
    }

    mutating func emitPop(_ instruction: Instruction) {
        guard case .register(.general, let number) = instruction.operand0 else { return }
        let operand = probe(
            GuestAccess(register: Self.stackPointer, displacement: 0, byteCount: 8), write: false)
        if number == Self.stackPointer {
            assembler.load(.r14, operand.address)
            return
        }
        if let host = HostLayout.host(number) {
            assembler.load(host, operand.address)
        } else {
            assembler.load(operand.free, operand.address)
            assembler.store(HostLayout.generalRegister(Int(number)), operand.free)
        }
        moveStack(by: 8)
    }

    mutating func emitLeave() {
        let operand = probe(
            GuestAccess(register: Self.framePointer, displacement: 0, byteCount: 8), write: false)
        assembler.loadAddress(.r14, HostAddress(base: .rbp, displacement: 8))
        assembler.load(.rbp, operand.address)
    }

    mutating func moveStack(by byteCount: Int32) {
        assembler.loadAddress(.r14, HostAddress(base: .r14, displacement: byteCount))
    }

    // MARK: Division

    /// Divisors and dividends that raise #DE are for the handler, and so is whatever could be one.
    mutating func emitDivide(_ instruction: Instruction, _ bytes: GuestBytes) {
        let isWide = instruction.operandSize == 8
        let divisor = HostRegister.r10
        if instruction.hasMemoryOperand {
            guard let access = access(instruction) else { return }
            let operand = probe(access, write: false)
            assembler.instruction(
                HostOpcode(0x8b, wide: isWide), register: divisor.number, .memory(operand.address))
        } else if case .register(.general, let number) = instruction.operand0 {
            if let host = HostLayout.host(number) {
                assembler.instruction(
                    HostOpcode(0x8b, wide: isWide), register: divisor.number,
                    .register(host.number))
            } else {
                assembler.instruction(
                    HostOpcode(0x8b, wide: isWide), register: divisor.number,
                    .memory(HostLayout.generalRegister(Int(number))))
            }
        }
        if instruction.mnemonic == .div {
            // The quotient fits if the upper half is below the divisor.
            assembler.instruction(
                HostOpcode(0x3b, wide: isWide), register: HostRegister.rdx.number,
                .register(divisor.number))
            misses.append(assembler.jump(.aboveOrEqual))
        } else {
            // Divisors 0 and -1, and dividends that are wider than the quotient.
            assembler.loadAddress(
                .r11, HostAddress(base: divisor, displacement: 1), wide: isWide)
            assembler.instruction(HostOpcode(0x83, wide: isWide), register: 7, .register(11))
            assembler.byte(1)
            misses.append(assembler.jump(.belowOrEqual))
            assembler.instruction(
                HostOpcode(0x8b, wide: isWide), register: 11, .register(HostRegister.rax.number))
            // SAR by all but one bit.
            assembler.instruction(HostOpcode(0xc1, wide: isWide), register: 7, .register(11))
            assembler.byte(isWide ? 63 : 31)
            assembler.instruction(
                HostOpcode(0x3b, wide: isWide), register: 11, .register(HostRegister.rdx.number))
            misses.append(assembler.jump(.notEqual))
        }
        assembler.instruction(
            HostOpcode(0xf7, wide: isWide), register: instruction.mnemonic == .div ? 6 : 7,
            .register(divisor.number))
        hostFlags = []
    }
}
