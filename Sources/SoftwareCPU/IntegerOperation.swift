internal import CEngine
internal import X86

/// ADD, OR, AND, SUB, XOR, CMP and TEST: their handlers are in C, for as long as the TLB answers, and by
/// a code that they have in `auxiliary` they find the slow ones.
///
/// CMP or TEST and the conditional branch behind it have one handler: see CompareAndBranch.c. Both
/// instructions stay what they are, one behind the other, and only the handler of the first is another.
/// So whoever reads them, or comes to one of them alone, knows no difference.
enum IntegerOperation {
    static func lower(
        _ instruction: Instruction, _ op: inout DecodedInstruction
    ) -> InstructionHandler? {
        guard let operation = number(instruction.mnemonic) else { return nil }
        let width = IntegerLowering.row(instruction.operandSize)
        unsafe op.immediate = instruction.immediate
        unsafe op.destination = Lowering.offset(instruction.operand0)
        unsafe op.source = Lowering.offset(instruction.operand1)
        if instruction.prefixes.contains(.lock) { return unsafe locked(operation)[width] }
        var shape = shape(instruction)
        if instruction.hasMemoryOperand {
            switch unsafe Addressing.row(op) {
            case Addressing.simple: break
            case Addressing.plain:
                shape &+= INTEGER_REGISTER_PLAIN.rawValue &- INTEGER_REGISTER_MEMORY.rawValue
            default: return unsafe slowHandlers[Int(code(operation, shape, width))]
            }
        }
        unsafe op.auxiliary = code(operation, shape, width)
        return unsafe cengine_integer_handler(op.auxiliary)
    }

    /// `op` is CMP or TEST, and may become one with a branch.
    static func isComparison(_ op: DecodedInstruction, _ instruction: Instruction) -> Bool {
        switch instruction.mnemonic {
        case .cmp, .test: unsafe op.auxiliary != 0
        default: false
        }
    }

    /// The branch follows the comparison in a block that is being made.
    static func join(
        _ comparison: UnsafeMutablePointer<DecodedInstruction>,
        _ branch: UnsafeMutablePointer<DecodedInstruction>
    ) {
        unsafe comparison.pointee.handler = unsafe cengine_compare_and_branch(
            comparison.pointee.auxiliary, UInt8(truncatingIfNeeded: branch.pointee.source))
    }

    private static func number(_ mnemonic: Mnemonic) -> UInt32? {
        switch mnemonic {
        case .add: INTEGER_ADD.rawValue
        case .or: INTEGER_OR.rawValue
        case .and: INTEGER_AND.rawValue
        case .sub: INTEGER_SUB.rawValue
        case .xor: INTEGER_XOR.rawValue
        case .cmp: INTEGER_CMP.rawValue
        case .test: INTEGER_TEST.rawValue
        default: nil
        }
    }

    private static func shape(_ instruction: Instruction) -> UInt32 {
        let isImmediate = instruction.operand1 == .immediate
        if instruction.operand0 == .memory {
            return
                (isImmediate ? INTEGER_MEMORY_IMMEDIATE : INTEGER_MEMORY_REGISTER).rawValue
        }
        if instruction.operand1 == .memory { return INTEGER_REGISTER_MEMORY.rawValue }
        return (isImmediate ? INTEGER_REGISTER_IMMEDIATE : INTEGER_REGISTER_REGISTER).rawValue
    }

    private static func code(_ operation: UInt32, _ shape: UInt32, _ width: Int) -> UInt8 {
        cengine_integer_code(operation, shape, UInt32(truncatingIfNeeded: width))
    }

    // MARK: Slow handlers

    /// By code; those without a memory operand have none. One table for the process, which engines give to
    /// handlers in C.
    // SAFETY: finished before anybody has it, never changed and never freed.
    nonisolated(unsafe) static let slowHandlers: UnsafePointer<InstructionHandler> = {
        let table = UnsafeMutablePointer<InstructionHandler>.allocate(
            capacity: Int(INTEGER_CODE_COUNT))
        unsafe table.initialize(repeating: refetch, count: Int(INTEGER_CODE_COUNT))
        for operation in 0..<INTEGER_OPERATION_COUNT.rawValue {
            for unsafe(index, handlers) in unsafe inMemory(operation).enumerated() {
                for width in 0..<4 {
                    let offset = UInt32(truncatingIfNeeded: index)
                    for first in [INTEGER_REGISTER_MEMORY, INTEGER_REGISTER_PLAIN] {
                        let code = code(operation, first.rawValue &+ offset, width)
                        unsafe table[Int(code)] = unsafe handlers[width]
                    }
                }
            }
        }
        return unsafe UnsafePointer(table)
    }()

    /// Of register and memory, memory and register, memory and immediate: the order of shapes.
    private static func inMemory(_ operation: UInt32) -> [[InstructionHandler]] {
        typealias T = IntegerTable
        switch IntegerOperations(rawValue: operation) {
        case INTEGER_ADD:
            return unsafe [T.add_registerMemory, T.add_memoryRegister, T.add_memoryImmediate]
        case INTEGER_OR:
            return unsafe [T.or_registerMemory, T.or_memoryRegister, T.or_memoryImmediate]
        case INTEGER_AND:
            return unsafe [T.and_registerMemory, T.and_memoryRegister, T.and_memoryImmediate]
        case INTEGER_SUB:
            return unsafe [T.sub_registerMemory, T.sub_memoryRegister, T.sub_memoryImmediate]
        case INTEGER_XOR:
            return unsafe [T.xor_registerMemory, T.xor_memoryRegister, T.xor_memoryImmediate]
        case INTEGER_CMP:
            return unsafe [T.cmp_registerMemory, T.cmp_memoryRegister, T.cmp_memoryImmediate]
        default:
            return unsafe [T.test_registerMemory, T.test_memoryRegister, T.test_memoryImmediate]
        }
    }

    private static func locked(_ operation: UInt32) -> [InstructionHandler] {
        switch IntegerOperations(rawValue: operation) {
        case INTEGER_ADD: unsafe IntegerTable.add_locked
        case INTEGER_OR: unsafe IntegerTable.or_locked
        case INTEGER_AND: unsafe IntegerTable.and_locked
        case INTEGER_SUB: unsafe IntegerTable.sub_locked
        case INTEGER_XOR: unsafe IntegerTable.xor_locked
        // The decoder knows no LOCK CMP and no LOCK TEST.
        case INTEGER_CMP: unsafe IntegerTable.cmp_memoryRegister
        default: unsafe IntegerTable.test_memoryRegister
        }
    }
}
