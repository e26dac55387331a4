internal import CEngine
internal import X86

/// A computation that gives the arithmetic flags of an earlier instruction again, from registers that
/// have not changed since and from slots of the host's stack.
///
/// Most flags are never looked at, but any memory access may fault and show them. With a source they
/// cost nothing until then, or the one instruction that keeps a carry.
struct FlagSource: Equatable {
    enum Kind: Equatable {
        case compare, test, add, subtract, negate
        /// ADC and SBB; the carry that went in is in the carry slot.
        case addCarry, subtractBorrow
        /// SBB of a register from itself: nothing but the carry is left of it.
        case spreadCarry
        /// INC and DEC; the carry is in the carry slot, or in `CPUState`.
        case increment, decrement
        /// Shifts by a constant; the carry that came out is in the carry slot.
        case shiftLeft, shiftRight, shiftArithmetic
        /// IMUL and MUL: the carry slot's is OF too; the other flags are not defined.
        case multiply
    }

    enum Operand: Equatable {
        case register(UInt8)
        case constant(Int32)
        /// A word on the host's stack.
        case slot(Int)
    }

    struct Computation: Equatable {
        var kind: Kind
        /// The first operand, after the instruction.
        var first: Operand
        var second: Operand
        var operandSize: UInt8
        /// Which slot has the carry; nil: it is in `CPUState`, or nobody needs it.
        var carrySlot: Int?
    }

    /// A rotation by a constant, behind the computation. It changes CF and OF alone; it is undone
    /// before the computation and done again behind it.
    struct Rotation: Equatable {
        var register: UInt8
        /// ModRM.reg: 0 left, 1 right.
        var direction: UInt8
        var count: UInt8
        var operandSize: UInt8
    }

    /// At most four, in the order of the code.
    struct Rotations: Equatable {
        private var places = InlineArray<4, Rotation>(
            repeating: Rotation(register: 0, direction: 0, count: 0, operandSize: 0))
        private(set) var count = 0

        subscript(_ index: Int) -> Rotation { places[index] }

        /// False: there is no place.
        mutating func append(_ rotation: Rotation) -> Bool {
            if count == places.count { return false }
            places[count] = rotation
            count += 1
            return true
        }

        static func == (one: Rotations, other: Rotations) -> Bool {
            one.count == other.count && (0..<one.count).allSatisfy { one[$0] == other[$0] }
        }
    }

    /// Nil: the flags that are in `CPUState`.
    var computation: Computation?
    var rotations = Rotations()
    /// The carry that came out is still in the host's flags alone.
    var lacksCarry = false

    /// Nil: the flags of the instruction cannot be had again.
    /// - Parameter carrySlot: where the carry before an ADC or SBB is.
    init?(_ instruction: Instruction, carrySlot: Int?) {
        guard case .register(.general, let register) = instruction.operand0,
            instruction.operandSize != 2
        else {
            return nil
        }
        let first = Operand.register(register)
        func make(_ kind: Kind, _ second: Operand) -> Computation {
            Computation(
                kind: kind, first: first, second: second, operandSize: instruction.operandSize)
        }
        switch instruction.mnemonic {
        case .and, .or, .xor:
            // The flags of the result; AF is not defined, and cleared by all of them.
            computation = make(.test, first)
        case .neg: computation = make(.negate, first)
        case .cmp, .test, .add, .sub, .adc, .sbb:
            guard let second = Self.second(instruction) else { return nil }
            guard
                let kind = Self.kind(instruction.mnemonic, isSelf: second == first, carrySlot)
            else { return nil }
            computation = make(kind, second)
            computation?.carrySlot = carrySlot
        case .shl, .shr, .sar:
            guard let count = instruction.constantCount, count > 0,
                count <= instruction.operandSize &* 8
            else { return nil }
            let kind: Kind =
                switch instruction.mnemonic {
                case .shl: .shiftLeft
                case .shr: .shiftRight
                default: .shiftArithmetic
                }
            computation = make(kind, .constant(Int32(count)))
            lacksCarry = true
        default: return nil
        }
    }

    private static func second(_ instruction: Instruction) -> Operand? {
        switch instruction.operand1 {
        case .register(.general, let number): .register(number)
        case .immediate: .constant(Int32(truncatingIfNeeded: instruction.immediate))
        default: nil
        }
    }

    private static func kind(_ mnemonic: Mnemonic, isSelf: Bool, _ carrySlot: Int?) -> Kind? {
        switch mnemonic {
        case .cmp: .compare
        case .test: .test
        // The sum of a register and itself is gone, the difference is 0.
        case .add: isSelf ? nil : .add
        case .sub: isSelf ? .compare : .subtract
        case .adc: isSelf || carrySlot == nil ? nil : .addCarry
        default: isSelf ? .spreadCarry : carrySlot == nil ? nil : .subtractBorrow
        }
    }

    /// Multiplications whose product has only one carry for CF and OF.
    init?(product instruction: Instruction) {
        guard instruction.mnemonic == .imul || instruction.mnemonic == .mul else { return nil }
        computation = Computation(
            kind: .multiply, first: .constant(0), second: .constant(0), operandSize: 4)
        lacksCarry = true
    }

    /// INC or DEC of a register; the carry before it is in a slot or in `CPUState`.
    init?(step instruction: Instruction, carrySlot: Int?) {
        guard case .register(.general, let register) = instruction.operand0,
            instruction.operandSize != 2
        else { return nil }
        let kind: Kind
        switch instruction.mnemonic {
        case .inc: kind = .increment
        case .dec: kind = .decrement
        default: return nil
        }
        computation = Computation(
            kind: kind, first: .register(register), second: .constant(1),
            operandSize: instruction.operandSize, carrySlot: carrySlot)
    }

    /// ROL or ROR of a register by a constant behind the flags of `source`; nil: those of `CPUState`.
    init?(rotation instruction: Instruction, behind source: FlagSource?) {
        guard case .register(.general, let register) = instruction.operand0,
            instruction.operandSize >= 4, let count = instruction.constantCount, count > 0,
            instruction.mnemonic == .rol || instruction.mnemonic == .ror
        else { return nil }
        computation = source?.computation
        // What an earlier one did to the flags is over; it matters where its register is needed.
        let needed = Self.registers(computation)
        if let earlier = source?.rotations {
            for index in 0..<earlier.count
            where needed & 1 &<< UInt16(earlier[index].register) != 0 {
                _ = rotations.append(earlier[index])
            }
        }
        let isAppended = rotations.append(
            Rotation(
                register: register, direction: instruction.mnemonic == .rol ? 0 : 1, count: count,
                operandSize: instruction.operandSize))
        if !isAppended { return nil }
    }

    /// The guest registers it needs, one bit each.
    var registers: UInt16 {
        (0..<rotations.count).reduce(Self.registers(computation)) {
            $0 | 1 &<< UInt16(rotations[$1].register)
        }
    }

    private static func registers(_ computation: Computation?) -> UInt16 {
        var result: UInt16 = 0
        if case .register(let number) = computation?.first { result |= 1 &<< UInt16(number) }
        if case .register(let number) = computation?.second { result |= 1 &<< UInt16(number) }
        return result
    }

    /// The slot that has its carry.
    var carrySlot: Int? { computation?.carrySlot }

    /// The carry has been put into a slot.
    mutating func keepCarry(in slot: Int) {
        computation?.carrySlot = slot
        lacksCarry = false
    }

    /// The operands in registers that are about to change go to the host's stack. False: they cannot,
    /// and nothing is emitted.
    mutating func keep(_ changed: UInt16, _ assembler: inout Assembler) -> Bool {
        guard rotations.count == 0, var kept = computation else { return false }
        if case .register(let number) = kept.first, changed & 1 &<< UInt16(number) != 0 {
            if kept.second == kept.first { kept.second = .slot(0) }
            kept.first = .slot(0)
            assembler.store(SharedRoutines.operandSlot(0), guest: number)
        }
        if case .register(let number) = kept.second, changed & 1 &<< UInt16(number) != 0 {
            kept.second = .slot(1)
            assembler.store(SharedRoutines.operandSlot(1), guest: number)
        }
        computation = kept
        return true
    }
}

extension Assembler {
    /// A guest register into memory. Clobbers R11.
    fileprivate mutating func store(_ address: HostAddress, guest number: UInt8) {
        if let host = HostLayout.host(number) {
            store(address, host)
        } else {
            load(.r11, HostLayout.generalRegister(Int(number)))
            store(address, .r11)
        }
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
