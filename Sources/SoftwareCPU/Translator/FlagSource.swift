internal import CEngine
internal import X86

/// A computation that gives the arithmetic flags of an earlier instruction again, from registers that
/// have not changed since.
///
/// Most flags are never looked at, but any memory access may fault and show them. With a source they
/// cost nothing until then.
struct FlagSource: Equatable {
    private enum Kind {
        case compare, test, add, subtract, negate
        /// INC and DEC: the carry is the one in `CPUState`.
        case increment, decrement
    }

    private enum Second: Equatable {
        case register(UInt8)
        case constant(Int32)
    }

    private var kind: Kind
    /// The guest register of the first operand, after the instruction.
    private var first: UInt8
    private var second: Second
    private var operandSize: UInt8

    /// Nil: the flags of the instruction cannot be had again.
    init?(_ instruction: Instruction) {
        guard case .register(.general, let register) = instruction.operand0,
            instruction.operandSize != 2
        else { return nil }
        first = register
        operandSize = instruction.operandSize
        second = .register(register)
        switch instruction.mnemonic {
        case .and, .or, .xor:
            // The flags of the result; AF is not defined, and cleared by all of them.
            kind = .test
            return
        case .neg:
            kind = .negate
            return
        case .cmp: kind = .compare
        case .test: kind = .test
        case .add: kind = .add
        case .sub: kind = .subtract
        default: return nil
        }
        switch instruction.operand1 {
        case .register(.general, let number): second = .register(number)
        case .immediate: second = .constant(Int32(truncatingIfNeeded: instruction.immediate))
        default: return nil
        }
        if second == .register(register) {
            // The difference of a register to itself; its sum is gone.
            if kind == .add { return nil }
            if kind == .subtract { kind = .compare }
        }
    }

    /// INC or DEC of a register while the flags before it are in `CPUState`.
    init?(step instruction: Instruction) {
        guard case .register(.general, let register) = instruction.operand0,
            instruction.operandSize != 2
        else { return nil }
        switch instruction.mnemonic {
        case .inc: kind = .increment
        case .dec: kind = .decrement
        default: return nil
        }
        first = register
        second = .register(register)
        operandSize = instruction.operandSize
    }

    /// The guest registers it needs, one bit each.
    var registers: UInt16 {
        var result: UInt16 = 1 &<< UInt16(first)
        if case .register(let number) = second { result |= 1 &<< UInt16(number) }
        return result
    }

    /// Brings the flags into the host's. Clobbers R11.
    func emit(_ assembler: inout Assembler) {
        if let host = HostLayout.host(first) {
            assembler.move(.r11, host)
        } else {
            assembler.load(.r11, HostLayout.generalRegister(Int(first)))
        }
        switch kind {
        case .compare: operate(&assembler, 7)
        case .test: test(&assembler)
        case .add:
            operate(&assembler, 5)
            operate(&assembler, 0)
        case .subtract:
            operate(&assembler, 0)
            operate(&assembler, 5)
        case .negate:
            negate(&assembler)
            negate(&assembler)
        case .increment:
            step(&assembler, 1)
            loadCarry(&assembler)
            step(&assembler, 0)
        case .decrement:
            step(&assembler, 0)
            loadCarry(&assembler)
            step(&assembler, 1)
        }
    }

    private var isByte: Bool { operandSize == 1 }
    private var isWide: Bool { operandSize == 8 }

    private static func place(_ guest: UInt8) -> HostPlace {
        HostLayout.host(guest).map { .register($0.number) }
            ?? .memory(HostLayout.generalRegister(Int(guest)))
    }

    /// ADD (0), SUB (5) or CMP (7) R11, second.
    private func operate(_ assembler: inout Assembler, _ operation: UInt8) {
        switch second {
        case .register(let number):
            let opcode = operation &<< 3 | (isByte ? 2 : 3)
            assembler.instruction(
                HostOpcode(opcode, wide: isWide), register: 11, Self.place(number))
        case .constant(let value):
            assembler.instruction(
                HostOpcode(isByte ? 0x80 : 0x81, wide: isWide), register: operation, .register(11))
            immediate(&assembler, value)
        }
    }

    private func test(_ assembler: inout Assembler) {
        switch second {
        case .register(let number):
            assembler.instruction(
                HostOpcode(isByte ? 0x84 : 0x85, wide: isWide), register: 11, Self.place(number))
        case .constant(let value):
            assembler.instruction(
                HostOpcode(isByte ? 0xf6 : 0xf7, wide: isWide), register: 0, .register(11))
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

    /// INC (0) or DEC (1) R11.
    private func step(_ assembler: inout Assembler, _ operation: UInt8) {
        assembler.instruction(
            HostOpcode(isByte ? 0xfe : 0xff, wide: isWide), register: operation, .register(11))
    }

    /// BT DWORD, 8: CF of `CPUState.statusFlags`.
    private func loadCarry(_ assembler: inout Assembler) {
        assembler.instruction(
            HostOpcode(0xba, map: 1), register: 4, .memory(HostLayout.statusFlags))
        assembler.byte(8)
    }

    private func negate(_ assembler: inout Assembler) {
        assembler.instruction(
            HostOpcode(isByte ? 0xf6 : 0xf7, wide: isWide), register: 3, .register(11))
    }
}

/// Where the guest's arithmetic flags are at a point of a translation.
enum FlagPlace: Equatable {
    /// In `CPUState`, and perhaps in the host's flags too.
    case state
    /// In the host's flags, or had again from the source; without one, in the host's flags.
    case pending(FlagSource?)

    var source: FlagSource? {
        if case .pending(let source) = self { source } else { nil }
    }

    var isPending: Bool { self != .state }
}
