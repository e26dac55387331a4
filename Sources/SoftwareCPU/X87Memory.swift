internal import CEngine

/// x87 forms with a memory operand.
enum X87Memory {
    /// The handler for the low three bits of the opcode and ModRM.reg.
    static func handler(row: UInt64, digit: UInt64) -> InstructionHandler {
        switch row {
        case 0: unsafe arithmetic32(digit)
        case 1: unsafe single(digit)
        case 2: unsafe arithmeticInteger32(digit)
        case 3: unsafe integer32(digit)
        case 4: unsafe arithmetic64(digit)
        case 5: unsafe double(digit)
        case 6: unsafe arithmeticInteger16(digit)
        default: unsafe integer16(digit)
        }
    }

    /// D8: with a single.
    private static func arithmetic32(_ digit: UInt64) -> InstructionHandler {
        switch digit {
        case 0: { unsafe x87Load($0, $1, 4, x87_operation_0xd8_0) }
        case 1: { unsafe x87Load($0, $1, 4, x87_operation_0xd8_1) }
        case 2: { unsafe x87Load($0, $1, 4, x87_operation_0xd8_2) }
        case 3: { unsafe x87Load($0, $1, 4, x87_operation_0xd8_3) }
        case 4: { unsafe x87Load($0, $1, 4, x87_operation_0xd8_4) }
        case 5: { unsafe x87Load($0, $1, 4, x87_operation_0xd8_5) }
        case 6: { unsafe x87Load($0, $1, 4, x87_operation_0xd8_6) }
        default: { unsafe x87Load($0, $1, 4, x87_operation_0xd8_7) }
        }
    }

    /// D9: singles, environment and control word.
    private static func single(_ digit: UInt64) -> InstructionHandler {
        switch digit {
        case 0: { unsafe x87Load($0, $1, 4, x87_operation_0xd9_0) }
        case 2: { unsafe x87Store($0, $1, 4, x87_operation_0xd9_2) }
        case 3: { unsafe x87Store($0, $1, 4, x87_operation_0xd9_3) }
        case 4: unsafe x87LoadEnvironment
        case 5: unsafe x87LoadControl
        case 6: unsafe x87StoreEnvironment
        default: unsafe x87StoreControl
        }
    }

    /// DA: with a 32-bit integer.
    private static func arithmeticInteger32(_ digit: UInt64) -> InstructionHandler {
        switch digit {
        case 0: { unsafe x87Load($0, $1, 4, x87_operation_0xda_0) }
        case 1: { unsafe x87Load($0, $1, 4, x87_operation_0xda_1) }
        case 2: { unsafe x87Load($0, $1, 4, x87_operation_0xda_2) }
        case 3: { unsafe x87Load($0, $1, 4, x87_operation_0xda_3) }
        case 4: { unsafe x87Load($0, $1, 4, x87_operation_0xda_4) }
        case 5: { unsafe x87Load($0, $1, 4, x87_operation_0xda_5) }
        case 6: { unsafe x87Load($0, $1, 4, x87_operation_0xda_6) }
        default: { unsafe x87Load($0, $1, 4, x87_operation_0xda_7) }
        }
    }

    /// DB: 32-bit integers and extended numbers.
    private static func integer32(_ digit: UInt64) -> InstructionHandler {
        switch digit {
        case 0: { unsafe x87Load($0, $1, 4, x87_operation_0xdb_0) }
        case 1: { unsafe x87Store($0, $1, 4, x87_operation_0xdb_1) }
        case 2: { unsafe x87Store($0, $1, 4, x87_operation_0xdb_2) }
        case 3: { unsafe x87Store($0, $1, 4, x87_operation_0xdb_3) }
        case 5: { unsafe x87Load($0, $1, 10, x87_operation_0xdb_5) }
        default: { unsafe x87Store($0, $1, 10, x87_operation_0xdb_7) }
        }
    }

    /// DC: with a double.
    private static func arithmetic64(_ digit: UInt64) -> InstructionHandler {
        switch digit {
        case 0: { unsafe x87Load($0, $1, 8, x87_operation_0xdc_0) }
        case 1: { unsafe x87Load($0, $1, 8, x87_operation_0xdc_1) }
        case 2: { unsafe x87Load($0, $1, 8, x87_operation_0xdc_2) }
        case 3: { unsafe x87Load($0, $1, 8, x87_operation_0xdc_3) }
        case 4: { unsafe x87Load($0, $1, 8, x87_operation_0xdc_4) }
        case 5: { unsafe x87Load($0, $1, 8, x87_operation_0xdc_5) }
        case 6: { unsafe x87Load($0, $1, 8, x87_operation_0xdc_6) }
        default: { unsafe x87Load($0, $1, 8, x87_operation_0xdc_7) }
        }
    }

    /// DD: doubles, whole state and status word.
    private static func double(_ digit: UInt64) -> InstructionHandler {
        switch digit {
        case 0: { unsafe x87Load($0, $1, 8, x87_operation_0xdd_0) }
        case 1: { unsafe x87Store($0, $1, 8, x87_operation_0xdd_1) }
        case 2: { unsafe x87Store($0, $1, 8, x87_operation_0xdd_2) }
        case 3: { unsafe x87Store($0, $1, 8, x87_operation_0xdd_3) }
        case 4: unsafe x87RestoreState
        case 6: unsafe x87SaveState
        default: unsafe x87StoreStatus
        }
    }

    /// DE: with a 16-bit integer.
    private static func arithmeticInteger16(_ digit: UInt64) -> InstructionHandler {
        switch digit {
        case 0: { unsafe x87Load($0, $1, 2, x87_operation_0xde_0) }
        case 1: { unsafe x87Load($0, $1, 2, x87_operation_0xde_1) }
        case 2: { unsafe x87Load($0, $1, 2, x87_operation_0xde_2) }
        case 3: { unsafe x87Load($0, $1, 2, x87_operation_0xde_3) }
        case 4: { unsafe x87Load($0, $1, 2, x87_operation_0xde_4) }
        case 5: { unsafe x87Load($0, $1, 2, x87_operation_0xde_5) }
        case 6: { unsafe x87Load($0, $1, 2, x87_operation_0xde_6) }
        default: { unsafe x87Load($0, $1, 2, x87_operation_0xde_7) }
        }
    }

    /// DF: 16-bit and 64-bit integers, decimals.
    private static func integer16(_ digit: UInt64) -> InstructionHandler {
        switch digit {
        case 0: { unsafe x87Load($0, $1, 2, x87_operation_0xdf_0) }
        case 1: { unsafe x87Store($0, $1, 2, x87_operation_0xdf_1) }
        case 2: { unsafe x87Store($0, $1, 2, x87_operation_0xdf_2) }
        case 3: { unsafe x87Store($0, $1, 2, x87_operation_0xdf_3) }
        case 4: { unsafe x87Load($0, $1, 10, x87_operation_0xdf_4) }
        case 5: { unsafe x87Load($0, $1, 8, x87_operation_0xdf_5) }
        case 6: { unsafe x87Store($0, $1, 10, x87_operation_0xdf_6) }
        default: { unsafe x87Store($0, $1, 8, x87_operation_0xdf_7) }
        }
    }
}
