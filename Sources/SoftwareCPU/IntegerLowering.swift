internal import CEngine
internal import X86

/// General-purpose instructions: from a decoded one to its handler.
enum IntegerLowering {
    /// False: not one of these.
    static func lower(
        _ instruction: Instruction, into op: inout DecodedInstruction, mode: DecodeMode
    ) -> Bool {
        if let handler = unsafe IntegerOperation.lower(instruction, &op) {
            unsafe op.handler = unsafe handler
            return true
        }
        if let handler = unsafe arithmetic(instruction, &op) {
            unsafe op.handler = unsafe handler
            return true
        }
        if let handler = unsafe moves(instruction, &op) {
            unsafe op.handler = unsafe handler
            return true
        }
        if let handler = unsafe others(instruction, &op, mode) {
            unsafe op.handler = unsafe handler
            return true
        }
        return false
    }

    /// Index of a width in the tables.
    static func row(_ byteCount: UInt8) -> Int {
        switch byteCount {
        case 1: 0
        case 2: 1
        case 4: 2
        default: 3
        }
    }

    @safe
    private struct BinaryRows {
        var registerRegister: [InstructionHandler]
        var registerImmediate: [InstructionHandler]
        var registerMemory: [InstructionHandler]
        var memoryRegister: [InstructionHandler]
        var memoryImmediate: [InstructionHandler]
        var locked: [InstructionHandler]
    }

    private static func binary(_ mnemonic: Mnemonic) -> BinaryRows? {
        typealias T = IntegerTable
        switch mnemonic {
        case .adc:
            return unsafe BinaryRows(
                registerRegister: T.adc_registerRegister,
                registerImmediate: T.adc_registerImmediate, registerMemory: T.adc_registerMemory,
                memoryRegister: T.adc_memoryRegister, memoryImmediate: T.adc_memoryImmediate,
                locked: T.adc_locked)
        case .sbb:
            return unsafe BinaryRows(
                registerRegister: T.sbb_registerRegister,
                registerImmediate: T.sbb_registerImmediate, registerMemory: T.sbb_registerMemory,
                memoryRegister: T.sbb_memoryRegister, memoryImmediate: T.sbb_memoryImmediate,
                locked: T.sbb_locked)
        default: return nil
        }
    }

    private static func arithmetic(
        _ instruction: Instruction, _ op: inout DecodedInstruction
    ) -> InstructionHandler? {
        let row = row(instruction.operandSize)
        let memoryRow = unsafe row &+ Addressing.row(op)
        let isLocked = instruction.prefixes.contains(.lock)
        let isMemory = instruction.operand0 == .memory
        if let rows = binary(instruction.mnemonic) {
            unsafe op.immediate = instruction.immediate
            unsafe op.destination = Lowering.offset(instruction.operand0)
            unsafe op.source = Lowering.offset(instruction.operand1)
            if isLocked { return unsafe rows.locked[row] }
            let isImmediate = instruction.operand1 == .immediate
            if isMemory {
                return unsafe isImmediate
                    ? rows.memoryImmediate[memoryRow] : rows.memoryRegister[memoryRow]
            }
            if isImmediate { return unsafe rows.registerImmediate[row] }
            return unsafe instruction.operand1 == .memory
                ? rows.registerMemory[memoryRow] : rows.registerRegister[row]
        }
        typealias T = IntegerTable
        let table: (register: [InstructionHandler], memory: [InstructionHandler])
        var locked: [InstructionHandler] = unsafe []
        switch instruction.mnemonic {
        case .inc:
            unsafe (table, locked) = unsafe ((T.inc_unaryRegister, T.inc_unaryMemory), T.inc_locked)
        case .dec:
            unsafe (table, locked) = unsafe ((T.dec_unaryRegister, T.dec_unaryMemory), T.dec_locked)
        case .neg:
            unsafe (table, locked) = unsafe ((T.neg_unaryRegister, T.neg_unaryMemory), T.neg_locked)
        case .not:
            unsafe (table, locked) = unsafe ((T.not_unaryRegister, T.not_unaryMemory), T.not_locked)
        case .rol: unsafe table = unsafe (T.rol_shiftRegister, T.rol_shiftMemory)
        case .ror: unsafe table = unsafe (T.ror_shiftRegister, T.ror_shiftMemory)
        case .rcl: unsafe table = unsafe (T.rcl_shiftRegister, T.rcl_shiftMemory)
        case .rcr: unsafe table = unsafe (T.rcr_shiftRegister, T.rcr_shiftMemory)
        case .shl: unsafe table = unsafe (T.shl_shiftRegister, T.shl_shiftMemory)
        case .shr: unsafe table = unsafe (T.shr_shiftRegister, T.shr_shiftMemory)
        case .sar: unsafe table = unsafe (T.sar_shiftRegister, T.sar_shiftMemory)
        default: return nil
        }
        unsafe op.destination = Lowering.offset(instruction.operand0)
        unsafe op.immediate = instruction.immediate
        unsafe op.auxiliary = instruction.operand1 == .immediate ? 1 : 0
        if isLocked { return unsafe locked[row] }
        if !isMemory { return unsafe table.register[row] }
        // Shifts in memory are rare: one row for all.
        return unsafe table.memory[table.memory.count > 4 ? memoryRow : row]
    }

    private static func moves(
        _ instruction: Instruction, _ op: inout DecodedInstruction
    ) -> InstructionHandler? {
        typealias T = IntegerTable
        let row = row(instruction.operandSize)
        let addressing = unsafe Addressing.row(op)
        let memoryRow = row &+ addressing
        let fromMemory = instruction.operand1 == .memory
        switch instruction.mnemonic {
        case .mov, .movnti:
            unsafe op.destination = Lowering.offset(instruction.operand0)
            unsafe op.source = Lowering.offset(instruction.operand1)
            unsafe op.immediate = instruction.immediate
            if instruction.operand1 != .immediate {
                // Where an absolute address does not fit.
                unsafe op.immediate = UInt64(bitPattern: instruction.memory.displacement)
            }
            if instruction.mnemonic == .movnti {
                return unsafe instruction.prefixes.contains(.rexW)
                    ? T.moveStoreRows[3 &+ addressing] : T.moveStoreRows[2 &+ addressing]
            }
            if instruction.operand0 == .memory {
                return unsafe instruction.operand1 == .immediate
                    ? T.moveStoreImmediateRows[memoryRow] : T.moveStoreRows[memoryRow]
            }
            if instruction.operand1 == .immediate { return unsafe T.moveImmediateRows[row] }
            return unsafe fromMemory ? T.moveLoadRows[memoryRow] : T.moveRegisterRows[row]
        case .movzx, .movsx, .movsxd:
            unsafe op.destination = Lowering.offset(instruction.operand0)
            unsafe op.source = Lowering.offset(instruction.operand1)
            let narrow = instruction.form.opcode & 1 == 0
            switch (instruction.mnemonic, narrow) {
            case (.movzx, true):
                return unsafe fromMemory
                    ? T.zero8_extendLoad[memoryRow] : T.zero8_extendRegister[row]
            case (.movzx, false):
                return unsafe fromMemory
                    ? T.zero16_extendLoad[memoryRow] : T.zero16_extendRegister[row]
            case (.movsx, true):
                return unsafe fromMemory
                    ? T.sign8_extendLoad[memoryRow] : T.sign8_extendRegister[row]
            case (.movsx, false):
                return unsafe fromMemory
                    ? T.sign16_extendLoad[memoryRow] : T.sign16_extendRegister[row]
            default:
                return unsafe fromMemory
                    ? T.sign32_extendLoad[memoryRow] : T.sign32_extendRegister[row]
            }
        case .cmovcc:
            unsafe op.destination = Lowering.offset(instruction.operand0)
            unsafe op.source = Lowering.offset(instruction.operand1)
            let code = Int(instruction.condition & 15)
            unsafe op.auxiliary = instruction.condition & 15
            if fromMemory {
                switch row {
                case 1: return { unsafe IntegerOther.conditionalLoad($0, $1, as: UInt16.self) }
                case 2: return { unsafe IntegerOther.conditionalLoad($0, $1, as: UInt32.self) }
                default: return { unsafe IntegerOther.conditionalLoad($0, $1, as: UInt64.self) }
                }
            }
            switch row {
            case 1: return unsafe T.cmov16[code]
            case 2: return unsafe T.cmov32[code]
            default: return unsafe T.cmov64[code]
            }
        default: return nil
        }
    }

    private static func others(
        _ instruction: Instruction, _ op: inout DecodedInstruction, _ mode: DecodeMode
    ) -> InstructionHandler? {
        let isMemory = instruction.hasMemoryOperand
        unsafe op.destination = Lowering.offset(instruction.operand0)
        unsafe op.source = Lowering.offset(instruction.operand1)
        unsafe op.immediate = instruction.immediate
        unsafe op.auxiliary = instruction.operandSize
        switch instruction.mnemonic {
        case .nop, .prefetch: return unsafe IntegerOther.nothing
        case .lea:
            switch instruction.operandSize {
            case 2: return { unsafe IntegerOther.loadAddress($0, $1, as: UInt16.self) }
            case 4: return { unsafe IntegerOther.loadAddress($0, $1, as: UInt32.self) }
            default:
                // No segment base in the offset.
                unsafe op.segmentBase = Slot.zero
                return unsafe op.flags & slowAddress == 0
                    ? IntegerOther.loadAddress64
                    : { unsafe IntegerOther.loadAddress($0, $1, as: UInt64.self) }
            }
        case .setcc:
            unsafe op.auxiliary = instruction.condition & 15
            return unsafe isMemory ? IntegerOther.setMemory : IntegerOther.setRegister
        case .push: return unsafe push(instruction, &op, mode)
        case .pop: return unsafe pop(instruction, &op, mode)
        case .pusha: return unsafe IntegerOther.pushAll
        case .popa: return unsafe IntegerOther.popAll
        case .enter:
            unsafe op.displacement = Int32(truncatingIfNeeded: instruction.secondImmediate & 31)
            return unsafe IntegerOther.enter
        case .leave: return unsafe IntegerOther.leave
        case .xchg:
            // Memory first, so that the register is `source`.
            if isMemory, instruction.operand0 != .memory { unsafe op.source = op.destination }
            // Locked with or without the prefix.
            if isMemory { unsafe op.flags |= UInt8(INSTRUCTION_LOCKED) }
            return unsafe isMemory ? IntegerAtomic.exchange : IntegerOther.exchangeRegisters
        case .xadd:
            return unsafe isMemory ? IntegerAtomic.addExchange : IntegerOther.addExchangeRegisters
        case .cmpxchg:
            return unsafe isMemory
                ? IntegerAtomic.compareExchange : IntegerOther.compareExchangeRegisters
        case .cmpxchg8b: return unsafe IntegerAtomic.compareExchange8
        case .cmpxchg16b: return unsafe IntegerAtomic.compareExchange16
        case .bt, .bts, .btr, .btc: return unsafe bits(instruction, &op)
        case .bsf, .bsr:
            unsafe op.scaleShift = isMemory ? op.scaleShift : 0
            return unsafe instruction.mnemonic == .bsf
                ? IntegerOther.scanForward : IntegerOther.scanReverse
        case .bswap: return unsafe IntegerOther.swapBytes
        case .shld, .shrd:
            // `auxiliary` bit 7: the count is in CL.
            if instruction.operand2 != .immediate { unsafe op.auxiliary |= 0x80 }
            return unsafe instruction.mnemonic == .shld
                ? IntegerOther.shiftDoubleLeft : IntegerOther.shiftDoubleRight
        case .mul: return unsafe IntegerMultiply.unsignedWide
        case .imul:
            if instruction.operand1 == .none { return unsafe IntegerMultiply.signedWide }
            if instruction.operand2 == .immediate {
                return unsafe isMemory
                    ? IntegerMultiply.threeOperandMemory : IntegerMultiply.threeOperandRegister
            }
            return unsafe isMemory
                ? IntegerMultiply.twoOperandMemory : IntegerMultiply.twoOperandRegister
        case .div: return unsafe IntegerMultiply.unsignedDivide
        case .idiv: return unsafe IntegerMultiply.signedDivide
        default: return unsafe rare(instruction, &op)
        }
    }

    private static func rare(
        _ instruction: Instruction, _ op: inout DecodedInstruction
    ) -> InstructionHandler? {
        switch instruction.mnemonic {
        case .cbw: return unsafe IntegerOther.extendAccumulator
        case .cwd: return unsafe IntegerOther.extendToHigh
        case .lahf: return unsafe IntegerOther.loadFlags
        case .sahf: return unsafe IntegerOther.storeFlags
        case .clc:
            return { cpu, op in
                unsafe cpu.pointee.statusFlags &= ~0x100
                return unsafe op + 1
            }
        case .stc:
            return { cpu, op in
                unsafe cpu.pointee.statusFlags |= 0x100
                return unsafe op + 1
            }
        case .cmc:
            return { cpu, op in
                unsafe cpu.pointee.statusFlags ^= 0x100
                return unsafe op + 1
            }
        case .cld:
            return { cpu, op in
                unsafe cpu.pointee.direction = 1
                unsafe cpu.pointee.systemFlags &= ~Flags.direction
                return unsafe op + 1
            }
        case .std:
            return { cpu, op in
                unsafe cpu.pointee.direction = -1
                unsafe cpu.pointee.systemFlags |= Flags.direction
                return unsafe op + 1
            }
        case .aaa: return unsafe IntegerDecimal.adjustAfterAdd
        case .aas: return unsafe IntegerDecimal.adjustAfterSubtract
        case .daa: return unsafe IntegerDecimal.decimalAfterAdd
        case .das: return unsafe IntegerDecimal.decimalAfterSubtract
        case .aam: return unsafe IntegerDecimal.adjustAfterMultiply
        case .aad: return unsafe IntegerDecimal.adjustBeforeDivide
        case .salc:
            return { cpu, op in
                let carry = unsafe cpu.pointee.statusFlags & 0x100 != 0
                unsafe cpu.write(Layout.gpr(GPR.rax), carry ? UInt8(0xff) : 0)
                return unsafe op + 1
            }
        case .xlat:
            unsafe op.auxiliary = instruction.addressSize
            return unsafe IntegerOther.translate
        case .bound: return unsafe IntegerOther.bound
        case .rdrand: return unsafe IntegerOther.random
        default: return nil
        }
    }

    private static func bits(
        _ instruction: Instruction, _ op: inout DecodedInstruction
    ) -> InstructionHandler? {
        // `auxiliary`: width; `source` zero: the bit offset is immediate.
        if instruction.operand1 == .immediate { unsafe op.source = Layout.zero }
        switch instruction.mnemonic {
        case .bt: return unsafe IntegerBits.test
        case .bts: return unsafe IntegerBits.set
        case .btr: return unsafe IntegerBits.reset
        default: return unsafe IntegerBits.complement
        }
    }

    private static func push(
        _ instruction: Instruction, _ op: inout DecodedInstruction, _ mode: DecodeMode
    ) -> InstructionHandler? {
        if instruction.operand0 == .memory { return unsafe IntegerOther.pushMemory }
        if instruction.operand0 == .immediate { return unsafe IntegerOther.pushImmediate }
        unsafe op.source = unsafe op.destination
        if mode == .code64, instruction.operandSize == 8 {
            return unsafe IntegerOther.pushRegister64
        }
        return unsafe IntegerOther.pushRegister
    }

    private static func pop(
        _ instruction: Instruction, _ op: inout DecodedInstruction, _ mode: DecodeMode
    ) -> InstructionHandler? {
        if instruction.operand0 == .memory { return unsafe IntegerOther.popMemory }
        if mode == .code64, instruction.operandSize == 8 {
            return unsafe IntegerOther.popRegister64
        }
        return unsafe IntegerOther.popRegister
    }
}
