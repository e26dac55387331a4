// DO NOT EDIT: made by Tools/HandlerTableGenerator.
// swift-format-ignore-file

internal import CEngine

/// Handlers of each width: 8, 16, 32, 64 bits; of memory operands for each `Addressing`.
enum IntegerTable {
    static let add_registerMemory: [InstructionHandler] = unsafe [
        add_registerMemory_8_slow,
        add_registerMemory_16_slow,
        add_registerMemory_32_slow,
        add_registerMemory_64_slow,
    ]
    static let add_memoryRegister: [InstructionHandler] = unsafe [
        add_memoryRegister_8_slow,
        add_memoryRegister_16_slow,
        add_memoryRegister_32_slow,
        add_memoryRegister_64_slow,
    ]
    static let add_memoryImmediate: [InstructionHandler] = unsafe [
        add_memoryImmediate_8_slow,
        add_memoryImmediate_16_slow,
        add_memoryImmediate_32_slow,
        add_memoryImmediate_64_slow,
    ]
    static let add_locked: [InstructionHandler] = unsafe [
        add_locked_8,
        add_locked_16,
        add_locked_32,
        add_locked_64,
    ]
    static let or_registerMemory: [InstructionHandler] = unsafe [
        or_registerMemory_8_slow,
        or_registerMemory_16_slow,
        or_registerMemory_32_slow,
        or_registerMemory_64_slow,
    ]
    static let or_memoryRegister: [InstructionHandler] = unsafe [
        or_memoryRegister_8_slow,
        or_memoryRegister_16_slow,
        or_memoryRegister_32_slow,
        or_memoryRegister_64_slow,
    ]
    static let or_memoryImmediate: [InstructionHandler] = unsafe [
        or_memoryImmediate_8_slow,
        or_memoryImmediate_16_slow,
        or_memoryImmediate_32_slow,
        or_memoryImmediate_64_slow,
    ]
    static let or_locked: [InstructionHandler] = unsafe [
        or_locked_8,
        or_locked_16,
        or_locked_32,
        or_locked_64,
    ]
    static let adc_registerRegister: [InstructionHandler] = unsafe [
        adc_registerRegister_8,
        adc_registerRegister_16,
        adc_registerRegister_32,
        adc_registerRegister_64,
    ]
    static let adc_registerImmediate: [InstructionHandler] = unsafe [
        adc_registerImmediate_8,
        adc_registerImmediate_16,
        adc_registerImmediate_32,
        adc_registerImmediate_64,
    ]
    static let adc_registerMemory: [InstructionHandler] = unsafe [
        adc_registerMemory_8_simple,
        adc_registerMemory_16_simple,
        adc_registerMemory_32_simple,
        adc_registerMemory_64_simple,
        adc_registerMemory_8_plain,
        adc_registerMemory_16_plain,
        adc_registerMemory_32_plain,
        adc_registerMemory_64_plain,
        adc_registerMemory_8_slow,
        adc_registerMemory_16_slow,
        adc_registerMemory_32_slow,
        adc_registerMemory_64_slow,
    ]
    static let adc_memoryRegister: [InstructionHandler] = unsafe [
        adc_memoryRegister_8_simple,
        adc_memoryRegister_16_simple,
        adc_memoryRegister_32_simple,
        adc_memoryRegister_64_simple,
        adc_memoryRegister_8_plain,
        adc_memoryRegister_16_plain,
        adc_memoryRegister_32_plain,
        adc_memoryRegister_64_plain,
        adc_memoryRegister_8_slow,
        adc_memoryRegister_16_slow,
        adc_memoryRegister_32_slow,
        adc_memoryRegister_64_slow,
    ]
    static let adc_memoryImmediate: [InstructionHandler] = unsafe [
        adc_memoryImmediate_8_simple,
        adc_memoryImmediate_16_simple,
        adc_memoryImmediate_32_simple,
        adc_memoryImmediate_64_simple,
        adc_memoryImmediate_8_plain,
        adc_memoryImmediate_16_plain,
        adc_memoryImmediate_32_plain,
        adc_memoryImmediate_64_plain,
        adc_memoryImmediate_8_slow,
        adc_memoryImmediate_16_slow,
        adc_memoryImmediate_32_slow,
        adc_memoryImmediate_64_slow,
    ]
    static let adc_locked: [InstructionHandler] = unsafe [
        adc_locked_8,
        adc_locked_16,
        adc_locked_32,
        adc_locked_64,
    ]
    static let sbb_registerRegister: [InstructionHandler] = unsafe [
        sbb_registerRegister_8,
        sbb_registerRegister_16,
        sbb_registerRegister_32,
        sbb_registerRegister_64,
    ]
    static let sbb_registerImmediate: [InstructionHandler] = unsafe [
        sbb_registerImmediate_8,
        sbb_registerImmediate_16,
        sbb_registerImmediate_32,
        sbb_registerImmediate_64,
    ]
    static let sbb_registerMemory: [InstructionHandler] = unsafe [
        sbb_registerMemory_8_simple,
        sbb_registerMemory_16_simple,
        sbb_registerMemory_32_simple,
        sbb_registerMemory_64_simple,
        sbb_registerMemory_8_plain,
        sbb_registerMemory_16_plain,
        sbb_registerMemory_32_plain,
        sbb_registerMemory_64_plain,
        sbb_registerMemory_8_slow,
        sbb_registerMemory_16_slow,
        sbb_registerMemory_32_slow,
        sbb_registerMemory_64_slow,
    ]
    static let sbb_memoryRegister: [InstructionHandler] = unsafe [
        sbb_memoryRegister_8_simple,
        sbb_memoryRegister_16_simple,
        sbb_memoryRegister_32_simple,
        sbb_memoryRegister_64_simple,
        sbb_memoryRegister_8_plain,
        sbb_memoryRegister_16_plain,
        sbb_memoryRegister_32_plain,
        sbb_memoryRegister_64_plain,
        sbb_memoryRegister_8_slow,
        sbb_memoryRegister_16_slow,
        sbb_memoryRegister_32_slow,
        sbb_memoryRegister_64_slow,
    ]
    static let sbb_memoryImmediate: [InstructionHandler] = unsafe [
        sbb_memoryImmediate_8_simple,
        sbb_memoryImmediate_16_simple,
        sbb_memoryImmediate_32_simple,
        sbb_memoryImmediate_64_simple,
        sbb_memoryImmediate_8_plain,
        sbb_memoryImmediate_16_plain,
        sbb_memoryImmediate_32_plain,
        sbb_memoryImmediate_64_plain,
        sbb_memoryImmediate_8_slow,
        sbb_memoryImmediate_16_slow,
        sbb_memoryImmediate_32_slow,
        sbb_memoryImmediate_64_slow,
    ]
    static let sbb_locked: [InstructionHandler] = unsafe [
        sbb_locked_8,
        sbb_locked_16,
        sbb_locked_32,
        sbb_locked_64,
    ]
    static let and_registerMemory: [InstructionHandler] = unsafe [
        and_registerMemory_8_slow,
        and_registerMemory_16_slow,
        and_registerMemory_32_slow,
        and_registerMemory_64_slow,
    ]
    static let and_memoryRegister: [InstructionHandler] = unsafe [
        and_memoryRegister_8_slow,
        and_memoryRegister_16_slow,
        and_memoryRegister_32_slow,
        and_memoryRegister_64_slow,
    ]
    static let and_memoryImmediate: [InstructionHandler] = unsafe [
        and_memoryImmediate_8_slow,
        and_memoryImmediate_16_slow,
        and_memoryImmediate_32_slow,
        and_memoryImmediate_64_slow,
    ]
    static let and_locked: [InstructionHandler] = unsafe [
        and_locked_8,
        and_locked_16,
        and_locked_32,
        and_locked_64,
    ]
    static let sub_registerMemory: [InstructionHandler] = unsafe [
        sub_registerMemory_8_slow,
        sub_registerMemory_16_slow,
        sub_registerMemory_32_slow,
        sub_registerMemory_64_slow,
    ]
    static let sub_memoryRegister: [InstructionHandler] = unsafe [
        sub_memoryRegister_8_slow,
        sub_memoryRegister_16_slow,
        sub_memoryRegister_32_slow,
        sub_memoryRegister_64_slow,
    ]
    static let sub_memoryImmediate: [InstructionHandler] = unsafe [
        sub_memoryImmediate_8_slow,
        sub_memoryImmediate_16_slow,
        sub_memoryImmediate_32_slow,
        sub_memoryImmediate_64_slow,
    ]
    static let sub_locked: [InstructionHandler] = unsafe [
        sub_locked_8,
        sub_locked_16,
        sub_locked_32,
        sub_locked_64,
    ]
    static let xor_registerMemory: [InstructionHandler] = unsafe [
        xor_registerMemory_8_slow,
        xor_registerMemory_16_slow,
        xor_registerMemory_32_slow,
        xor_registerMemory_64_slow,
    ]
    static let xor_memoryRegister: [InstructionHandler] = unsafe [
        xor_memoryRegister_8_slow,
        xor_memoryRegister_16_slow,
        xor_memoryRegister_32_slow,
        xor_memoryRegister_64_slow,
    ]
    static let xor_memoryImmediate: [InstructionHandler] = unsafe [
        xor_memoryImmediate_8_slow,
        xor_memoryImmediate_16_slow,
        xor_memoryImmediate_32_slow,
        xor_memoryImmediate_64_slow,
    ]
    static let xor_locked: [InstructionHandler] = unsafe [
        xor_locked_8,
        xor_locked_16,
        xor_locked_32,
        xor_locked_64,
    ]
    static let cmp_registerMemory: [InstructionHandler] = unsafe [
        cmp_registerMemory_8_slow,
        cmp_registerMemory_16_slow,
        cmp_registerMemory_32_slow,
        cmp_registerMemory_64_slow,
    ]
    static let cmp_memoryRegister: [InstructionHandler] = unsafe [
        cmp_memoryRegister_8_slow,
        cmp_memoryRegister_16_slow,
        cmp_memoryRegister_32_slow,
        cmp_memoryRegister_64_slow,
    ]
    static let cmp_memoryImmediate: [InstructionHandler] = unsafe [
        cmp_memoryImmediate_8_slow,
        cmp_memoryImmediate_16_slow,
        cmp_memoryImmediate_32_slow,
        cmp_memoryImmediate_64_slow,
    ]
    static let test_registerMemory: [InstructionHandler] = unsafe [
        test_registerMemory_8_slow,
        test_registerMemory_16_slow,
        test_registerMemory_32_slow,
        test_registerMemory_64_slow,
    ]
    static let test_memoryRegister: [InstructionHandler] = unsafe [
        test_memoryRegister_8_slow,
        test_memoryRegister_16_slow,
        test_memoryRegister_32_slow,
        test_memoryRegister_64_slow,
    ]
    static let test_memoryImmediate: [InstructionHandler] = unsafe [
        test_memoryImmediate_8_slow,
        test_memoryImmediate_16_slow,
        test_memoryImmediate_32_slow,
        test_memoryImmediate_64_slow,
    ]
    static let inc_unaryRegister: [InstructionHandler] = unsafe [
        inc_unaryRegister_8,
        inc_unaryRegister_16,
        inc_unaryRegister_32,
        inc_unaryRegister_64,
    ]
    static let inc_unaryMemory: [InstructionHandler] = unsafe [
        inc_unaryMemory_8_simple,
        inc_unaryMemory_16_simple,
        inc_unaryMemory_32_simple,
        inc_unaryMemory_64_simple,
        inc_unaryMemory_8_plain,
        inc_unaryMemory_16_plain,
        inc_unaryMemory_32_plain,
        inc_unaryMemory_64_plain,
        inc_unaryMemory_8_slow,
        inc_unaryMemory_16_slow,
        inc_unaryMemory_32_slow,
        inc_unaryMemory_64_slow,
    ]
    static let inc_locked: [InstructionHandler] = unsafe [
        inc_locked_8,
        inc_locked_16,
        inc_locked_32,
        inc_locked_64,
    ]
    static let dec_unaryRegister: [InstructionHandler] = unsafe [
        dec_unaryRegister_8,
        dec_unaryRegister_16,
        dec_unaryRegister_32,
        dec_unaryRegister_64,
    ]
    static let dec_unaryMemory: [InstructionHandler] = unsafe [
        dec_unaryMemory_8_simple,
        dec_unaryMemory_16_simple,
        dec_unaryMemory_32_simple,
        dec_unaryMemory_64_simple,
        dec_unaryMemory_8_plain,
        dec_unaryMemory_16_plain,
        dec_unaryMemory_32_plain,
        dec_unaryMemory_64_plain,
        dec_unaryMemory_8_slow,
        dec_unaryMemory_16_slow,
        dec_unaryMemory_32_slow,
        dec_unaryMemory_64_slow,
    ]
    static let dec_locked: [InstructionHandler] = unsafe [
        dec_locked_8,
        dec_locked_16,
        dec_locked_32,
        dec_locked_64,
    ]
    static let neg_unaryRegister: [InstructionHandler] = unsafe [
        neg_unaryRegister_8,
        neg_unaryRegister_16,
        neg_unaryRegister_32,
        neg_unaryRegister_64,
    ]
    static let neg_unaryMemory: [InstructionHandler] = unsafe [
        neg_unaryMemory_8_simple,
        neg_unaryMemory_16_simple,
        neg_unaryMemory_32_simple,
        neg_unaryMemory_64_simple,
        neg_unaryMemory_8_plain,
        neg_unaryMemory_16_plain,
        neg_unaryMemory_32_plain,
        neg_unaryMemory_64_plain,
        neg_unaryMemory_8_slow,
        neg_unaryMemory_16_slow,
        neg_unaryMemory_32_slow,
        neg_unaryMemory_64_slow,
    ]
    static let neg_locked: [InstructionHandler] = unsafe [
        neg_locked_8,
        neg_locked_16,
        neg_locked_32,
        neg_locked_64,
    ]
    static let not_unaryRegister: [InstructionHandler] = unsafe [
        not_unaryRegister_8,
        not_unaryRegister_16,
        not_unaryRegister_32,
        not_unaryRegister_64,
    ]
    static let not_unaryMemory: [InstructionHandler] = unsafe [
        not_unaryMemory_8_simple,
        not_unaryMemory_16_simple,
        not_unaryMemory_32_simple,
        not_unaryMemory_64_simple,
        not_unaryMemory_8_plain,
        not_unaryMemory_16_plain,
        not_unaryMemory_32_plain,
        not_unaryMemory_64_plain,
        not_unaryMemory_8_slow,
        not_unaryMemory_16_slow,
        not_unaryMemory_32_slow,
        not_unaryMemory_64_slow,
    ]
    static let not_locked: [InstructionHandler] = unsafe [
        not_locked_8,
        not_locked_16,
        not_locked_32,
        not_locked_64,
    ]
    static let rol_shiftRegister: [InstructionHandler] = unsafe [
        rol_shiftRegister_8,
        rol_shiftRegister_16,
        rol_shiftRegister_32,
        rol_shiftRegister_64,
    ]
    static let rol_shiftMemory: [InstructionHandler] = unsafe [
        rol_shiftMemory_8,
        rol_shiftMemory_16,
        rol_shiftMemory_32,
        rol_shiftMemory_64,
    ]
    static let ror_shiftRegister: [InstructionHandler] = unsafe [
        ror_shiftRegister_8,
        ror_shiftRegister_16,
        ror_shiftRegister_32,
        ror_shiftRegister_64,
    ]
    static let ror_shiftMemory: [InstructionHandler] = unsafe [
        ror_shiftMemory_8,
        ror_shiftMemory_16,
        ror_shiftMemory_32,
        ror_shiftMemory_64,
    ]
    static let rcl_shiftRegister: [InstructionHandler] = unsafe [
        rcl_shiftRegister_8,
        rcl_shiftRegister_16,
        rcl_shiftRegister_32,
        rcl_shiftRegister_64,
    ]
    static let rcl_shiftMemory: [InstructionHandler] = unsafe [
        rcl_shiftMemory_8,
        rcl_shiftMemory_16,
        rcl_shiftMemory_32,
        rcl_shiftMemory_64,
    ]
    static let rcr_shiftRegister: [InstructionHandler] = unsafe [
        rcr_shiftRegister_8,
        rcr_shiftRegister_16,
        rcr_shiftRegister_32,
        rcr_shiftRegister_64,
    ]
    static let rcr_shiftMemory: [InstructionHandler] = unsafe [
        rcr_shiftMemory_8,
        rcr_shiftMemory_16,
        rcr_shiftMemory_32,
        rcr_shiftMemory_64,
    ]
    static let shl_shiftRegister: [InstructionHandler] = unsafe [
        shl_shiftRegister_8,
        shl_shiftRegister_16,
        shl_shiftRegister_32,
        shl_shiftRegister_64,
    ]
    static let shl_shiftMemory: [InstructionHandler] = unsafe [
        shl_shiftMemory_8,
        shl_shiftMemory_16,
        shl_shiftMemory_32,
        shl_shiftMemory_64,
    ]
    static let shr_shiftRegister: [InstructionHandler] = unsafe [
        shr_shiftRegister_8,
        shr_shiftRegister_16,
        shr_shiftRegister_32,
        shr_shiftRegister_64,
    ]
    static let shr_shiftMemory: [InstructionHandler] = unsafe [
        shr_shiftMemory_8,
        shr_shiftMemory_16,
        shr_shiftMemory_32,
        shr_shiftMemory_64,
    ]
    static let sar_shiftRegister: [InstructionHandler] = unsafe [
        sar_shiftRegister_8,
        sar_shiftRegister_16,
        sar_shiftRegister_32,
        sar_shiftRegister_64,
    ]
    static let sar_shiftMemory: [InstructionHandler] = unsafe [
        sar_shiftMemory_8,
        sar_shiftMemory_16,
        sar_shiftMemory_32,
        sar_shiftMemory_64,
    ]
    static let moveRegisterRows: [InstructionHandler] = unsafe [
        moveRegisterRows_8,
        moveRegisterRows_16,
        moveRegisterRows_32,
        moveRegisterRows_64,
    ]
    static let moveImmediateRows: [InstructionHandler] = unsafe [
        moveImmediateRows_8,
        moveImmediateRows_16,
        moveImmediateRows_32,
        moveImmediateRows_64,
    ]
    static let moveLoadRows: [InstructionHandler] = unsafe [
        moveLoadRows_8_simple,
        moveLoadRows_16_simple,
        moveLoadRows_32_simple,
        moveLoadRows_64_simple,
        moveLoadRows_8_plain,
        moveLoadRows_16_plain,
        moveLoadRows_32_plain,
        moveLoadRows_64_plain,
        moveLoadRows_8_slow,
        moveLoadRows_16_slow,
        moveLoadRows_32_slow,
        moveLoadRows_64_slow,
    ]
    static let moveStoreRows: [InstructionHandler] = unsafe [
        moveStoreRows_8_simple,
        moveStoreRows_16_simple,
        moveStoreRows_32_simple,
        moveStoreRows_64_simple,
        moveStoreRows_8_plain,
        moveStoreRows_16_plain,
        moveStoreRows_32_plain,
        moveStoreRows_64_plain,
        moveStoreRows_8_slow,
        moveStoreRows_16_slow,
        moveStoreRows_32_slow,
        moveStoreRows_64_slow,
    ]
    static let moveStoreImmediateRows: [InstructionHandler] = unsafe [
        moveStoreImmediateRows_8_simple,
        moveStoreImmediateRows_16_simple,
        moveStoreImmediateRows_32_simple,
        moveStoreImmediateRows_64_simple,
        moveStoreImmediateRows_8_plain,
        moveStoreImmediateRows_16_plain,
        moveStoreImmediateRows_32_plain,
        moveStoreImmediateRows_64_plain,
        moveStoreImmediateRows_8_slow,
        moveStoreImmediateRows_16_slow,
        moveStoreImmediateRows_32_slow,
        moveStoreImmediateRows_64_slow,
    ]
    static let zero8_extendRegister: [InstructionHandler] = unsafe [
        zero8_extendRegister_8,
        zero8_extendRegister_16,
        zero8_extendRegister_32,
        zero8_extendRegister_64,
    ]
    static let zero8_extendLoad: [InstructionHandler] = unsafe [
        zero8_extendLoad_8_simple,
        zero8_extendLoad_16_simple,
        zero8_extendLoad_32_simple,
        zero8_extendLoad_64_simple,
        zero8_extendLoad_8_plain,
        zero8_extendLoad_16_plain,
        zero8_extendLoad_32_plain,
        zero8_extendLoad_64_plain,
        zero8_extendLoad_8_slow,
        zero8_extendLoad_16_slow,
        zero8_extendLoad_32_slow,
        zero8_extendLoad_64_slow,
    ]
    static let zero16_extendRegister: [InstructionHandler] = unsafe [
        zero16_extendRegister_8,
        zero16_extendRegister_16,
        zero16_extendRegister_32,
        zero16_extendRegister_64,
    ]
    static let zero16_extendLoad: [InstructionHandler] = unsafe [
        zero16_extendLoad_8_simple,
        zero16_extendLoad_16_simple,
        zero16_extendLoad_32_simple,
        zero16_extendLoad_64_simple,
        zero16_extendLoad_8_plain,
        zero16_extendLoad_16_plain,
        zero16_extendLoad_32_plain,
        zero16_extendLoad_64_plain,
        zero16_extendLoad_8_slow,
        zero16_extendLoad_16_slow,
        zero16_extendLoad_32_slow,
        zero16_extendLoad_64_slow,
    ]
    static let sign8_extendRegister: [InstructionHandler] = unsafe [
        sign8_extendRegister_8,
        sign8_extendRegister_16,
        sign8_extendRegister_32,
        sign8_extendRegister_64,
    ]
    static let sign8_extendLoad: [InstructionHandler] = unsafe [
        sign8_extendLoad_8_simple,
        sign8_extendLoad_16_simple,
        sign8_extendLoad_32_simple,
        sign8_extendLoad_64_simple,
        sign8_extendLoad_8_plain,
        sign8_extendLoad_16_plain,
        sign8_extendLoad_32_plain,
        sign8_extendLoad_64_plain,
        sign8_extendLoad_8_slow,
        sign8_extendLoad_16_slow,
        sign8_extendLoad_32_slow,
        sign8_extendLoad_64_slow,
    ]
    static let sign16_extendRegister: [InstructionHandler] = unsafe [
        sign16_extendRegister_8,
        sign16_extendRegister_16,
        sign16_extendRegister_32,
        sign16_extendRegister_64,
    ]
    static let sign16_extendLoad: [InstructionHandler] = unsafe [
        sign16_extendLoad_8_simple,
        sign16_extendLoad_16_simple,
        sign16_extendLoad_32_simple,
        sign16_extendLoad_64_simple,
        sign16_extendLoad_8_plain,
        sign16_extendLoad_16_plain,
        sign16_extendLoad_32_plain,
        sign16_extendLoad_64_plain,
        sign16_extendLoad_8_slow,
        sign16_extendLoad_16_slow,
        sign16_extendLoad_32_slow,
        sign16_extendLoad_64_slow,
    ]
    static let sign32_extendRegister: [InstructionHandler] = unsafe [
        sign32_extendRegister_8,
        sign32_extendRegister_16,
        sign32_extendRegister_32,
        sign32_extendRegister_64,
    ]
    static let sign32_extendLoad: [InstructionHandler] = unsafe [
        sign32_extendLoad_8_simple,
        sign32_extendLoad_16_simple,
        sign32_extendLoad_32_simple,
        sign32_extendLoad_64_simple,
        sign32_extendLoad_8_plain,
        sign32_extendLoad_16_plain,
        sign32_extendLoad_32_plain,
        sign32_extendLoad_64_plain,
        sign32_extendLoad_8_slow,
        sign32_extendLoad_16_slow,
        sign32_extendLoad_32_slow,
        sign32_extendLoad_64_slow,
    ]
    static let cmov16: [InstructionHandler] = unsafe [
        cmov16_0,
        cmov16_1,
        cmov16_2,
        cmov16_3,
        cmov16_4,
        cmov16_5,
        cmov16_6,
        cmov16_7,
        cmov16_8,
        cmov16_9,
        cmov16_10,
        cmov16_11,
        cmov16_12,
        cmov16_13,
        cmov16_14,
        cmov16_15,
    ]
    static let cmov32: [InstructionHandler] = unsafe [
        cmov32_0,
        cmov32_1,
        cmov32_2,
        cmov32_3,
        cmov32_4,
        cmov32_5,
        cmov32_6,
        cmov32_7,
        cmov32_8,
        cmov32_9,
        cmov32_10,
        cmov32_11,
        cmov32_12,
        cmov32_13,
        cmov32_14,
        cmov32_15,
    ]
    static let cmov64: [InstructionHandler] = unsafe [
        cmov64_0,
        cmov64_1,
        cmov64_2,
        cmov64_3,
        cmov64_4,
        cmov64_5,
        cmov64_6,
        cmov64_7,
        cmov64_8,
        cmov64_9,
        cmov64_10,
        cmov64_11,
        cmov64_12,
        cmov64_13,
        cmov64_14,
        cmov64_15,
    ]
}

@inline(never) private func add_registerMemory_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_add8) }
@inline(never) private func add_registerMemory_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_add16) }
@inline(never) private func add_registerMemory_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_add32) }
@inline(never) private func add_registerMemory_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_add64) }
@inline(never) private func add_memoryRegister_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_add8) }
@inline(never) private func add_memoryRegister_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_add16) }
@inline(never) private func add_memoryRegister_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_add32) }
@inline(never) private func add_memoryRegister_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_add64) }
@inline(never) private func add_memoryImmediate_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_add8) }
@inline(never) private func add_memoryImmediate_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_add16) }
@inline(never) private func add_memoryImmediate_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_add32) }
@inline(never) private func add_memoryImmediate_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_add64) }
@inline(never) private func add_locked_8(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange8, integer_add8) }
@inline(never) private func add_locked_16(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange16, integer_add16) }
@inline(never) private func add_locked_32(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange32, integer_add32) }
@inline(never) private func add_locked_64(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange64, integer_add64) }
@inline(never) private func or_registerMemory_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_or8) }
@inline(never) private func or_registerMemory_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_or16) }
@inline(never) private func or_registerMemory_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_or32) }
@inline(never) private func or_registerMemory_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_or64) }
@inline(never) private func or_memoryRegister_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_or8) }
@inline(never) private func or_memoryRegister_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_or16) }
@inline(never) private func or_memoryRegister_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_or32) }
@inline(never) private func or_memoryRegister_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_or64) }
@inline(never) private func or_memoryImmediate_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_or8) }
@inline(never) private func or_memoryImmediate_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_or16) }
@inline(never) private func or_memoryImmediate_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_or32) }
@inline(never) private func or_memoryImmediate_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_or64) }
@inline(never) private func or_locked_8(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange8, integer_or8) }
@inline(never) private func or_locked_16(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange16, integer_or16) }
@inline(never) private func or_locked_32(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange32, integer_or32) }
@inline(never) private func or_locked_64(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange64, integer_or64) }
@inline(never) private func adc_registerRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe registerRegister(cpu, op, writes: true, integer_adc8) }
@inline(never) private func adc_registerRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe registerRegister(cpu, op, writes: true, integer_adc16) }
@inline(never) private func adc_registerRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe registerRegister(cpu, op, writes: true, integer_adc32) }
@inline(never) private func adc_registerRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe registerRegister(cpu, op, writes: true, integer_adc64) }
@inline(never) private func adc_registerImmediate_8(_ cpu: CPU, _ op: Op) -> Next { unsafe registerImmediate(cpu, op, writes: true, integer_adc8) }
@inline(never) private func adc_registerImmediate_16(_ cpu: CPU, _ op: Op) -> Next { unsafe registerImmediate(cpu, op, writes: true, integer_adc16) }
@inline(never) private func adc_registerImmediate_32(_ cpu: CPU, _ op: Op) -> Next { unsafe registerImmediate(cpu, op, writes: true, integer_adc32) }
@inline(never) private func adc_registerImmediate_64(_ cpu: CPU, _ op: Op) -> Next { unsafe registerImmediate(cpu, op, writes: true, integer_adc64) }
@inline(never) private func adc_registerMemory_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, simpleAddress(cpu, op), writes: true, integer_adc8, slow: adc_registerMemory_8_slow) }
@inline(never) private func adc_registerMemory_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, simpleAddress(cpu, op), writes: true, integer_adc16, slow: adc_registerMemory_16_slow) }
@inline(never) private func adc_registerMemory_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, simpleAddress(cpu, op), writes: true, integer_adc32, slow: adc_registerMemory_32_slow) }
@inline(never) private func adc_registerMemory_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, simpleAddress(cpu, op), writes: true, integer_adc64, slow: adc_registerMemory_64_slow) }
@inline(never) private func adc_registerMemory_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, plainAddress(cpu, op), writes: true, integer_adc8, slow: adc_registerMemory_8_slow) }
@inline(never) private func adc_registerMemory_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, plainAddress(cpu, op), writes: true, integer_adc16, slow: adc_registerMemory_16_slow) }
@inline(never) private func adc_registerMemory_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, plainAddress(cpu, op), writes: true, integer_adc32, slow: adc_registerMemory_32_slow) }
@inline(never) private func adc_registerMemory_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, plainAddress(cpu, op), writes: true, integer_adc64, slow: adc_registerMemory_64_slow) }
@inline(never) private func adc_registerMemory_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_adc8) }
@inline(never) private func adc_registerMemory_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_adc16) }
@inline(never) private func adc_registerMemory_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_adc32) }
@inline(never) private func adc_registerMemory_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_adc64) }
@inline(never) private func adc_memoryRegister_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, simpleAddress(cpu, op), writes: true, integer_adc8, slow: adc_memoryRegister_8_slow) }
@inline(never) private func adc_memoryRegister_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, simpleAddress(cpu, op), writes: true, integer_adc16, slow: adc_memoryRegister_16_slow) }
@inline(never) private func adc_memoryRegister_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, simpleAddress(cpu, op), writes: true, integer_adc32, slow: adc_memoryRegister_32_slow) }
@inline(never) private func adc_memoryRegister_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, simpleAddress(cpu, op), writes: true, integer_adc64, slow: adc_memoryRegister_64_slow) }
@inline(never) private func adc_memoryRegister_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, plainAddress(cpu, op), writes: true, integer_adc8, slow: adc_memoryRegister_8_slow) }
@inline(never) private func adc_memoryRegister_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, plainAddress(cpu, op), writes: true, integer_adc16, slow: adc_memoryRegister_16_slow) }
@inline(never) private func adc_memoryRegister_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, plainAddress(cpu, op), writes: true, integer_adc32, slow: adc_memoryRegister_32_slow) }
@inline(never) private func adc_memoryRegister_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, plainAddress(cpu, op), writes: true, integer_adc64, slow: adc_memoryRegister_64_slow) }
@inline(never) private func adc_memoryRegister_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_adc8) }
@inline(never) private func adc_memoryRegister_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_adc16) }
@inline(never) private func adc_memoryRegister_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_adc32) }
@inline(never) private func adc_memoryRegister_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_adc64) }
@inline(never) private func adc_memoryImmediate_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, simpleAddress(cpu, op), writes: true, integer_adc8, slow: adc_memoryImmediate_8_slow) }
@inline(never) private func adc_memoryImmediate_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, simpleAddress(cpu, op), writes: true, integer_adc16, slow: adc_memoryImmediate_16_slow) }
@inline(never) private func adc_memoryImmediate_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, simpleAddress(cpu, op), writes: true, integer_adc32, slow: adc_memoryImmediate_32_slow) }
@inline(never) private func adc_memoryImmediate_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, simpleAddress(cpu, op), writes: true, integer_adc64, slow: adc_memoryImmediate_64_slow) }
@inline(never) private func adc_memoryImmediate_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, plainAddress(cpu, op), writes: true, integer_adc8, slow: adc_memoryImmediate_8_slow) }
@inline(never) private func adc_memoryImmediate_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, plainAddress(cpu, op), writes: true, integer_adc16, slow: adc_memoryImmediate_16_slow) }
@inline(never) private func adc_memoryImmediate_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, plainAddress(cpu, op), writes: true, integer_adc32, slow: adc_memoryImmediate_32_slow) }
@inline(never) private func adc_memoryImmediate_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, plainAddress(cpu, op), writes: true, integer_adc64, slow: adc_memoryImmediate_64_slow) }
@inline(never) private func adc_memoryImmediate_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_adc8) }
@inline(never) private func adc_memoryImmediate_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_adc16) }
@inline(never) private func adc_memoryImmediate_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_adc32) }
@inline(never) private func adc_memoryImmediate_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_adc64) }
@inline(never) private func adc_locked_8(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange8, integer_adc8) }
@inline(never) private func adc_locked_16(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange16, integer_adc16) }
@inline(never) private func adc_locked_32(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange32, integer_adc32) }
@inline(never) private func adc_locked_64(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange64, integer_adc64) }
@inline(never) private func sbb_registerRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe registerRegister(cpu, op, writes: true, integer_sbb8) }
@inline(never) private func sbb_registerRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe registerRegister(cpu, op, writes: true, integer_sbb16) }
@inline(never) private func sbb_registerRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe registerRegister(cpu, op, writes: true, integer_sbb32) }
@inline(never) private func sbb_registerRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe registerRegister(cpu, op, writes: true, integer_sbb64) }
@inline(never) private func sbb_registerImmediate_8(_ cpu: CPU, _ op: Op) -> Next { unsafe registerImmediate(cpu, op, writes: true, integer_sbb8) }
@inline(never) private func sbb_registerImmediate_16(_ cpu: CPU, _ op: Op) -> Next { unsafe registerImmediate(cpu, op, writes: true, integer_sbb16) }
@inline(never) private func sbb_registerImmediate_32(_ cpu: CPU, _ op: Op) -> Next { unsafe registerImmediate(cpu, op, writes: true, integer_sbb32) }
@inline(never) private func sbb_registerImmediate_64(_ cpu: CPU, _ op: Op) -> Next { unsafe registerImmediate(cpu, op, writes: true, integer_sbb64) }
@inline(never) private func sbb_registerMemory_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, simpleAddress(cpu, op), writes: true, integer_sbb8, slow: sbb_registerMemory_8_slow) }
@inline(never) private func sbb_registerMemory_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, simpleAddress(cpu, op), writes: true, integer_sbb16, slow: sbb_registerMemory_16_slow) }
@inline(never) private func sbb_registerMemory_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, simpleAddress(cpu, op), writes: true, integer_sbb32, slow: sbb_registerMemory_32_slow) }
@inline(never) private func sbb_registerMemory_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, simpleAddress(cpu, op), writes: true, integer_sbb64, slow: sbb_registerMemory_64_slow) }
@inline(never) private func sbb_registerMemory_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, plainAddress(cpu, op), writes: true, integer_sbb8, slow: sbb_registerMemory_8_slow) }
@inline(never) private func sbb_registerMemory_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, plainAddress(cpu, op), writes: true, integer_sbb16, slow: sbb_registerMemory_16_slow) }
@inline(never) private func sbb_registerMemory_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, plainAddress(cpu, op), writes: true, integer_sbb32, slow: sbb_registerMemory_32_slow) }
@inline(never) private func sbb_registerMemory_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemory(cpu, op, plainAddress(cpu, op), writes: true, integer_sbb64, slow: sbb_registerMemory_64_slow) }
@inline(never) private func sbb_registerMemory_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_sbb8) }
@inline(never) private func sbb_registerMemory_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_sbb16) }
@inline(never) private func sbb_registerMemory_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_sbb32) }
@inline(never) private func sbb_registerMemory_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_sbb64) }
@inline(never) private func sbb_memoryRegister_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, simpleAddress(cpu, op), writes: true, integer_sbb8, slow: sbb_memoryRegister_8_slow) }
@inline(never) private func sbb_memoryRegister_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, simpleAddress(cpu, op), writes: true, integer_sbb16, slow: sbb_memoryRegister_16_slow) }
@inline(never) private func sbb_memoryRegister_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, simpleAddress(cpu, op), writes: true, integer_sbb32, slow: sbb_memoryRegister_32_slow) }
@inline(never) private func sbb_memoryRegister_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, simpleAddress(cpu, op), writes: true, integer_sbb64, slow: sbb_memoryRegister_64_slow) }
@inline(never) private func sbb_memoryRegister_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, plainAddress(cpu, op), writes: true, integer_sbb8, slow: sbb_memoryRegister_8_slow) }
@inline(never) private func sbb_memoryRegister_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, plainAddress(cpu, op), writes: true, integer_sbb16, slow: sbb_memoryRegister_16_slow) }
@inline(never) private func sbb_memoryRegister_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, plainAddress(cpu, op), writes: true, integer_sbb32, slow: sbb_memoryRegister_32_slow) }
@inline(never) private func sbb_memoryRegister_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegister(cpu, op, plainAddress(cpu, op), writes: true, integer_sbb64, slow: sbb_memoryRegister_64_slow) }
@inline(never) private func sbb_memoryRegister_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_sbb8) }
@inline(never) private func sbb_memoryRegister_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_sbb16) }
@inline(never) private func sbb_memoryRegister_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_sbb32) }
@inline(never) private func sbb_memoryRegister_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_sbb64) }
@inline(never) private func sbb_memoryImmediate_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, simpleAddress(cpu, op), writes: true, integer_sbb8, slow: sbb_memoryImmediate_8_slow) }
@inline(never) private func sbb_memoryImmediate_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, simpleAddress(cpu, op), writes: true, integer_sbb16, slow: sbb_memoryImmediate_16_slow) }
@inline(never) private func sbb_memoryImmediate_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, simpleAddress(cpu, op), writes: true, integer_sbb32, slow: sbb_memoryImmediate_32_slow) }
@inline(never) private func sbb_memoryImmediate_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, simpleAddress(cpu, op), writes: true, integer_sbb64, slow: sbb_memoryImmediate_64_slow) }
@inline(never) private func sbb_memoryImmediate_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, plainAddress(cpu, op), writes: true, integer_sbb8, slow: sbb_memoryImmediate_8_slow) }
@inline(never) private func sbb_memoryImmediate_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, plainAddress(cpu, op), writes: true, integer_sbb16, slow: sbb_memoryImmediate_16_slow) }
@inline(never) private func sbb_memoryImmediate_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, plainAddress(cpu, op), writes: true, integer_sbb32, slow: sbb_memoryImmediate_32_slow) }
@inline(never) private func sbb_memoryImmediate_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediate(cpu, op, plainAddress(cpu, op), writes: true, integer_sbb64, slow: sbb_memoryImmediate_64_slow) }
@inline(never) private func sbb_memoryImmediate_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_sbb8) }
@inline(never) private func sbb_memoryImmediate_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_sbb16) }
@inline(never) private func sbb_memoryImmediate_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_sbb32) }
@inline(never) private func sbb_memoryImmediate_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_sbb64) }
@inline(never) private func sbb_locked_8(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange8, integer_sbb8) }
@inline(never) private func sbb_locked_16(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange16, integer_sbb16) }
@inline(never) private func sbb_locked_32(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange32, integer_sbb32) }
@inline(never) private func sbb_locked_64(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange64, integer_sbb64) }
@inline(never) private func and_registerMemory_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_and8) }
@inline(never) private func and_registerMemory_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_and16) }
@inline(never) private func and_registerMemory_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_and32) }
@inline(never) private func and_registerMemory_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_and64) }
@inline(never) private func and_memoryRegister_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_and8) }
@inline(never) private func and_memoryRegister_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_and16) }
@inline(never) private func and_memoryRegister_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_and32) }
@inline(never) private func and_memoryRegister_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_and64) }
@inline(never) private func and_memoryImmediate_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_and8) }
@inline(never) private func and_memoryImmediate_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_and16) }
@inline(never) private func and_memoryImmediate_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_and32) }
@inline(never) private func and_memoryImmediate_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_and64) }
@inline(never) private func and_locked_8(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange8, integer_and8) }
@inline(never) private func and_locked_16(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange16, integer_and16) }
@inline(never) private func and_locked_32(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange32, integer_and32) }
@inline(never) private func and_locked_64(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange64, integer_and64) }
@inline(never) private func sub_registerMemory_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_sub8) }
@inline(never) private func sub_registerMemory_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_sub16) }
@inline(never) private func sub_registerMemory_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_sub32) }
@inline(never) private func sub_registerMemory_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_sub64) }
@inline(never) private func sub_memoryRegister_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_sub8) }
@inline(never) private func sub_memoryRegister_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_sub16) }
@inline(never) private func sub_memoryRegister_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_sub32) }
@inline(never) private func sub_memoryRegister_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_sub64) }
@inline(never) private func sub_memoryImmediate_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_sub8) }
@inline(never) private func sub_memoryImmediate_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_sub16) }
@inline(never) private func sub_memoryImmediate_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_sub32) }
@inline(never) private func sub_memoryImmediate_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_sub64) }
@inline(never) private func sub_locked_8(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange8, integer_sub8) }
@inline(never) private func sub_locked_16(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange16, integer_sub16) }
@inline(never) private func sub_locked_32(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange32, integer_sub32) }
@inline(never) private func sub_locked_64(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange64, integer_sub64) }
@inline(never) private func xor_registerMemory_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_xor8) }
@inline(never) private func xor_registerMemory_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_xor16) }
@inline(never) private func xor_registerMemory_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_xor32) }
@inline(never) private func xor_registerMemory_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: true, integer_xor64) }
@inline(never) private func xor_memoryRegister_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_xor8) }
@inline(never) private func xor_memoryRegister_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_xor16) }
@inline(never) private func xor_memoryRegister_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_xor32) }
@inline(never) private func xor_memoryRegister_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: true, integer_xor64) }
@inline(never) private func xor_memoryImmediate_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_xor8) }
@inline(never) private func xor_memoryImmediate_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_xor16) }
@inline(never) private func xor_memoryImmediate_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_xor32) }
@inline(never) private func xor_memoryImmediate_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: true, integer_xor64) }
@inline(never) private func xor_locked_8(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange8, integer_xor8) }
@inline(never) private func xor_locked_16(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange16, integer_xor16) }
@inline(never) private func xor_locked_32(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange32, integer_xor32) }
@inline(never) private func xor_locked_64(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange64, integer_xor64) }
@inline(never) private func cmp_registerMemory_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: false, integer_cmp8) }
@inline(never) private func cmp_registerMemory_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: false, integer_cmp16) }
@inline(never) private func cmp_registerMemory_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: false, integer_cmp32) }
@inline(never) private func cmp_registerMemory_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: false, integer_cmp64) }
@inline(never) private func cmp_memoryRegister_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: false, integer_cmp8) }
@inline(never) private func cmp_memoryRegister_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: false, integer_cmp16) }
@inline(never) private func cmp_memoryRegister_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: false, integer_cmp32) }
@inline(never) private func cmp_memoryRegister_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: false, integer_cmp64) }
@inline(never) private func cmp_memoryImmediate_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: false, integer_cmp8) }
@inline(never) private func cmp_memoryImmediate_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: false, integer_cmp16) }
@inline(never) private func cmp_memoryImmediate_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: false, integer_cmp32) }
@inline(never) private func cmp_memoryImmediate_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: false, integer_cmp64) }
@inline(never) private func test_registerMemory_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: false, integer_test8) }
@inline(never) private func test_registerMemory_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: false, integer_test16) }
@inline(never) private func test_registerMemory_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: false, integer_test32) }
@inline(never) private func test_registerMemory_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe registerMemorySlowly(cpu, op, writes: false, integer_test64) }
@inline(never) private func test_memoryRegister_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: false, integer_test8) }
@inline(never) private func test_memoryRegister_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: false, integer_test16) }
@inline(never) private func test_memoryRegister_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: false, integer_test32) }
@inline(never) private func test_memoryRegister_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryRegisterSlowly(cpu, op, writes: false, integer_test64) }
@inline(never) private func test_memoryImmediate_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: false, integer_test8) }
@inline(never) private func test_memoryImmediate_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: false, integer_test16) }
@inline(never) private func test_memoryImmediate_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: false, integer_test32) }
@inline(never) private func test_memoryImmediate_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe memoryImmediateSlowly(cpu, op, writes: false, integer_test64) }
@inline(never) private func inc_unaryRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_inc8) }
@inline(never) private func inc_unaryRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_inc16) }
@inline(never) private func inc_unaryRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_inc32) }
@inline(never) private func inc_unaryRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_inc64) }
@inline(never) private func inc_unaryMemory_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_inc8, slow: inc_unaryMemory_8_slow) }
@inline(never) private func inc_unaryMemory_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_inc16, slow: inc_unaryMemory_16_slow) }
@inline(never) private func inc_unaryMemory_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_inc32, slow: inc_unaryMemory_32_slow) }
@inline(never) private func inc_unaryMemory_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_inc64, slow: inc_unaryMemory_64_slow) }
@inline(never) private func inc_unaryMemory_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_inc8, slow: inc_unaryMemory_8_slow) }
@inline(never) private func inc_unaryMemory_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_inc16, slow: inc_unaryMemory_16_slow) }
@inline(never) private func inc_unaryMemory_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_inc32, slow: inc_unaryMemory_32_slow) }
@inline(never) private func inc_unaryMemory_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_inc64, slow: inc_unaryMemory_64_slow) }
@inline(never) private func inc_unaryMemory_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_inc8) }
@inline(never) private func inc_unaryMemory_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_inc16) }
@inline(never) private func inc_unaryMemory_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_inc32) }
@inline(never) private func inc_unaryMemory_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_inc64) }
@inline(never) private func inc_locked_8(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange8, { a, _, f in unsafe integer_inc8(a, f) }) }
@inline(never) private func inc_locked_16(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange16, { a, _, f in unsafe integer_inc16(a, f) }) }
@inline(never) private func inc_locked_32(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange32, { a, _, f in unsafe integer_inc32(a, f) }) }
@inline(never) private func inc_locked_64(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange64, { a, _, f in unsafe integer_inc64(a, f) }) }
@inline(never) private func dec_unaryRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_dec8) }
@inline(never) private func dec_unaryRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_dec16) }
@inline(never) private func dec_unaryRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_dec32) }
@inline(never) private func dec_unaryRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_dec64) }
@inline(never) private func dec_unaryMemory_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_dec8, slow: dec_unaryMemory_8_slow) }
@inline(never) private func dec_unaryMemory_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_dec16, slow: dec_unaryMemory_16_slow) }
@inline(never) private func dec_unaryMemory_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_dec32, slow: dec_unaryMemory_32_slow) }
@inline(never) private func dec_unaryMemory_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_dec64, slow: dec_unaryMemory_64_slow) }
@inline(never) private func dec_unaryMemory_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_dec8, slow: dec_unaryMemory_8_slow) }
@inline(never) private func dec_unaryMemory_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_dec16, slow: dec_unaryMemory_16_slow) }
@inline(never) private func dec_unaryMemory_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_dec32, slow: dec_unaryMemory_32_slow) }
@inline(never) private func dec_unaryMemory_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_dec64, slow: dec_unaryMemory_64_slow) }
@inline(never) private func dec_unaryMemory_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_dec8) }
@inline(never) private func dec_unaryMemory_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_dec16) }
@inline(never) private func dec_unaryMemory_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_dec32) }
@inline(never) private func dec_unaryMemory_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_dec64) }
@inline(never) private func dec_locked_8(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange8, { a, _, f in unsafe integer_dec8(a, f) }) }
@inline(never) private func dec_locked_16(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange16, { a, _, f in unsafe integer_dec16(a, f) }) }
@inline(never) private func dec_locked_32(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange32, { a, _, f in unsafe integer_dec32(a, f) }) }
@inline(never) private func dec_locked_64(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange64, { a, _, f in unsafe integer_dec64(a, f) }) }
@inline(never) private func neg_unaryRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_neg8) }
@inline(never) private func neg_unaryRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_neg16) }
@inline(never) private func neg_unaryRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_neg32) }
@inline(never) private func neg_unaryRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_neg64) }
@inline(never) private func neg_unaryMemory_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_neg8, slow: neg_unaryMemory_8_slow) }
@inline(never) private func neg_unaryMemory_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_neg16, slow: neg_unaryMemory_16_slow) }
@inline(never) private func neg_unaryMemory_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_neg32, slow: neg_unaryMemory_32_slow) }
@inline(never) private func neg_unaryMemory_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_neg64, slow: neg_unaryMemory_64_slow) }
@inline(never) private func neg_unaryMemory_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_neg8, slow: neg_unaryMemory_8_slow) }
@inline(never) private func neg_unaryMemory_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_neg16, slow: neg_unaryMemory_16_slow) }
@inline(never) private func neg_unaryMemory_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_neg32, slow: neg_unaryMemory_32_slow) }
@inline(never) private func neg_unaryMemory_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_neg64, slow: neg_unaryMemory_64_slow) }
@inline(never) private func neg_unaryMemory_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_neg8) }
@inline(never) private func neg_unaryMemory_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_neg16) }
@inline(never) private func neg_unaryMemory_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_neg32) }
@inline(never) private func neg_unaryMemory_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_neg64) }
@inline(never) private func neg_locked_8(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange8, { a, _, f in unsafe integer_neg8(a, f) }) }
@inline(never) private func neg_locked_16(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange16, { a, _, f in unsafe integer_neg16(a, f) }) }
@inline(never) private func neg_locked_32(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange32, { a, _, f in unsafe integer_neg32(a, f) }) }
@inline(never) private func neg_locked_64(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange64, { a, _, f in unsafe integer_neg64(a, f) }) }
@inline(never) private func not_unaryRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_not8) }
@inline(never) private func not_unaryRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_not16) }
@inline(never) private func not_unaryRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_not32) }
@inline(never) private func not_unaryRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryRegister(cpu, op, integer_not64) }
@inline(never) private func not_unaryMemory_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_not8, slow: not_unaryMemory_8_slow) }
@inline(never) private func not_unaryMemory_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_not16, slow: not_unaryMemory_16_slow) }
@inline(never) private func not_unaryMemory_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_not32, slow: not_unaryMemory_32_slow) }
@inline(never) private func not_unaryMemory_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, simpleAddress(cpu, op), integer_not64, slow: not_unaryMemory_64_slow) }
@inline(never) private func not_unaryMemory_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_not8, slow: not_unaryMemory_8_slow) }
@inline(never) private func not_unaryMemory_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_not16, slow: not_unaryMemory_16_slow) }
@inline(never) private func not_unaryMemory_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_not32, slow: not_unaryMemory_32_slow) }
@inline(never) private func not_unaryMemory_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemory(cpu, op, plainAddress(cpu, op), integer_not64, slow: not_unaryMemory_64_slow) }
@inline(never) private func not_unaryMemory_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_not8) }
@inline(never) private func not_unaryMemory_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_not16) }
@inline(never) private func not_unaryMemory_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_not32) }
@inline(never) private func not_unaryMemory_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe unaryMemorySlowly(cpu, op, integer_not64) }
@inline(never) private func not_locked_8(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange8, { a, _, f in unsafe integer_not8(a, f) }) }
@inline(never) private func not_locked_16(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange16, { a, _, f in unsafe integer_not16(a, f) }) }
@inline(never) private func not_locked_32(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange32, { a, _, f in unsafe integer_not32(a, f) }) }
@inline(never) private func not_locked_64(_ cpu: CPU, _ op: Op) -> Next { unsafe lockedOperation(cpu, op, integer_compare_exchange64, { a, _, f in unsafe integer_not64(a, f) }) }
@inline(never) private func rol_shiftRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_rol8) }
@inline(never) private func rol_shiftRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_rol16) }
@inline(never) private func rol_shiftRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_rol32) }
@inline(never) private func rol_shiftRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_rol64) }
@inline(never) private func rol_shiftMemory_8(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_rol8) }
@inline(never) private func rol_shiftMemory_16(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_rol16) }
@inline(never) private func rol_shiftMemory_32(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_rol32) }
@inline(never) private func rol_shiftMemory_64(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_rol64) }
@inline(never) private func ror_shiftRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_ror8) }
@inline(never) private func ror_shiftRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_ror16) }
@inline(never) private func ror_shiftRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_ror32) }
@inline(never) private func ror_shiftRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_ror64) }
@inline(never) private func ror_shiftMemory_8(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_ror8) }
@inline(never) private func ror_shiftMemory_16(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_ror16) }
@inline(never) private func ror_shiftMemory_32(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_ror32) }
@inline(never) private func ror_shiftMemory_64(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_ror64) }
@inline(never) private func rcl_shiftRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_rcl8) }
@inline(never) private func rcl_shiftRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_rcl16) }
@inline(never) private func rcl_shiftRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_rcl32) }
@inline(never) private func rcl_shiftRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_rcl64) }
@inline(never) private func rcl_shiftMemory_8(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_rcl8) }
@inline(never) private func rcl_shiftMemory_16(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_rcl16) }
@inline(never) private func rcl_shiftMemory_32(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_rcl32) }
@inline(never) private func rcl_shiftMemory_64(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_rcl64) }
@inline(never) private func rcr_shiftRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_rcr8) }
@inline(never) private func rcr_shiftRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_rcr16) }
@inline(never) private func rcr_shiftRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_rcr32) }
@inline(never) private func rcr_shiftRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_rcr64) }
@inline(never) private func rcr_shiftMemory_8(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_rcr8) }
@inline(never) private func rcr_shiftMemory_16(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_rcr16) }
@inline(never) private func rcr_shiftMemory_32(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_rcr32) }
@inline(never) private func rcr_shiftMemory_64(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_rcr64) }
@inline(never) private func shl_shiftRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_shl8) }
@inline(never) private func shl_shiftRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_shl16) }
@inline(never) private func shl_shiftRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_shl32) }
@inline(never) private func shl_shiftRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_shl64) }
@inline(never) private func shl_shiftMemory_8(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_shl8) }
@inline(never) private func shl_shiftMemory_16(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_shl16) }
@inline(never) private func shl_shiftMemory_32(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_shl32) }
@inline(never) private func shl_shiftMemory_64(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_shl64) }
@inline(never) private func shr_shiftRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_shr8) }
@inline(never) private func shr_shiftRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_shr16) }
@inline(never) private func shr_shiftRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_shr32) }
@inline(never) private func shr_shiftRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_shr64) }
@inline(never) private func shr_shiftMemory_8(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_shr8) }
@inline(never) private func shr_shiftMemory_16(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_shr16) }
@inline(never) private func shr_shiftMemory_32(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_shr32) }
@inline(never) private func shr_shiftMemory_64(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_shr64) }
@inline(never) private func sar_shiftRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_sar8) }
@inline(never) private func sar_shiftRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_sar16) }
@inline(never) private func sar_shiftRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_sar32) }
@inline(never) private func sar_shiftRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftRegister(cpu, op, integer_sar64) }
@inline(never) private func sar_shiftMemory_8(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_sar8) }
@inline(never) private func sar_shiftMemory_16(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_sar16) }
@inline(never) private func sar_shiftMemory_32(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_sar32) }
@inline(never) private func sar_shiftMemory_64(_ cpu: CPU, _ op: Op) -> Next { unsafe shiftMemory(cpu, op, integer_sar64) }
@inline(__always) private func moveRegisterRows_8(_ cpu: CPU, _ op: Op) -> Next { unsafe moveRegister(cpu, op, as: UInt8.self) }
@inline(__always) private func moveRegisterRows_16(_ cpu: CPU, _ op: Op) -> Next { unsafe moveRegister(cpu, op, as: UInt16.self) }
@inline(__always) private func moveRegisterRows_32(_ cpu: CPU, _ op: Op) -> Next { unsafe moveRegister(cpu, op, as: UInt32.self) }
@inline(__always) private func moveRegisterRows_64(_ cpu: CPU, _ op: Op) -> Next { unsafe moveRegister(cpu, op, as: UInt64.self) }
@inline(__always) private func moveImmediateRows_8(_ cpu: CPU, _ op: Op) -> Next { unsafe moveImmediate(cpu, op, as: UInt8.self) }
@inline(__always) private func moveImmediateRows_16(_ cpu: CPU, _ op: Op) -> Next { unsafe moveImmediate(cpu, op, as: UInt16.self) }
@inline(__always) private func moveImmediateRows_32(_ cpu: CPU, _ op: Op) -> Next { unsafe moveImmediate(cpu, op, as: UInt32.self) }
@inline(__always) private func moveImmediateRows_64(_ cpu: CPU, _ op: Op) -> Next { unsafe moveImmediate(cpu, op, as: UInt64.self) }
@inline(__always) private func moveLoadRows_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe moveLoad(cpu, op, simpleAddress(cpu, op), as: UInt8.self, slow: moveLoadRows_8_slow) }
@inline(__always) private func moveLoadRows_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe moveLoad(cpu, op, simpleAddress(cpu, op), as: UInt16.self, slow: moveLoadRows_16_slow) }
@inline(__always) private func moveLoadRows_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe moveLoad(cpu, op, simpleAddress(cpu, op), as: UInt32.self, slow: moveLoadRows_32_slow) }
@inline(__always) private func moveLoadRows_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe moveLoad(cpu, op, simpleAddress(cpu, op), as: UInt64.self, slow: moveLoadRows_64_slow) }
@inline(__always) private func moveLoadRows_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe moveLoad(cpu, op, plainAddress(cpu, op), as: UInt8.self, slow: moveLoadRows_8_slow) }
@inline(__always) private func moveLoadRows_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe moveLoad(cpu, op, plainAddress(cpu, op), as: UInt16.self, slow: moveLoadRows_16_slow) }
@inline(__always) private func moveLoadRows_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe moveLoad(cpu, op, plainAddress(cpu, op), as: UInt32.self, slow: moveLoadRows_32_slow) }
@inline(__always) private func moveLoadRows_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe moveLoad(cpu, op, plainAddress(cpu, op), as: UInt64.self, slow: moveLoadRows_64_slow) }
@inline(never) private func moveLoadRows_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe moveLoadSlowly(cpu, op, as: UInt8.self) }
@inline(never) private func moveLoadRows_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe moveLoadSlowly(cpu, op, as: UInt16.self) }
@inline(never) private func moveLoadRows_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe moveLoadSlowly(cpu, op, as: UInt32.self) }
@inline(never) private func moveLoadRows_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe moveLoadSlowly(cpu, op, as: UInt64.self) }
@inline(__always) private func moveStoreRows_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStore(cpu, op, simpleAddress(cpu, op), as: UInt8.self, slow: moveStoreRows_8_slow) }
@inline(__always) private func moveStoreRows_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStore(cpu, op, simpleAddress(cpu, op), as: UInt16.self, slow: moveStoreRows_16_slow) }
@inline(__always) private func moveStoreRows_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStore(cpu, op, simpleAddress(cpu, op), as: UInt32.self, slow: moveStoreRows_32_slow) }
@inline(__always) private func moveStoreRows_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStore(cpu, op, simpleAddress(cpu, op), as: UInt64.self, slow: moveStoreRows_64_slow) }
@inline(__always) private func moveStoreRows_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStore(cpu, op, plainAddress(cpu, op), as: UInt8.self, slow: moveStoreRows_8_slow) }
@inline(__always) private func moveStoreRows_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStore(cpu, op, plainAddress(cpu, op), as: UInt16.self, slow: moveStoreRows_16_slow) }
@inline(__always) private func moveStoreRows_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStore(cpu, op, plainAddress(cpu, op), as: UInt32.self, slow: moveStoreRows_32_slow) }
@inline(__always) private func moveStoreRows_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStore(cpu, op, plainAddress(cpu, op), as: UInt64.self, slow: moveStoreRows_64_slow) }
@inline(never) private func moveStoreRows_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreSlowly(cpu, op, as: UInt8.self) }
@inline(never) private func moveStoreRows_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreSlowly(cpu, op, as: UInt16.self) }
@inline(never) private func moveStoreRows_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreSlowly(cpu, op, as: UInt32.self) }
@inline(never) private func moveStoreRows_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreSlowly(cpu, op, as: UInt64.self) }
@inline(__always) private func moveStoreImmediateRows_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreImmediate(cpu, op, simpleAddress(cpu, op), as: UInt8.self, slow: moveStoreImmediateRows_8_slow) }
@inline(__always) private func moveStoreImmediateRows_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreImmediate(cpu, op, simpleAddress(cpu, op), as: UInt16.self, slow: moveStoreImmediateRows_16_slow) }
@inline(__always) private func moveStoreImmediateRows_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreImmediate(cpu, op, simpleAddress(cpu, op), as: UInt32.self, slow: moveStoreImmediateRows_32_slow) }
@inline(__always) private func moveStoreImmediateRows_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreImmediate(cpu, op, simpleAddress(cpu, op), as: UInt64.self, slow: moveStoreImmediateRows_64_slow) }
@inline(__always) private func moveStoreImmediateRows_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreImmediate(cpu, op, plainAddress(cpu, op), as: UInt8.self, slow: moveStoreImmediateRows_8_slow) }
@inline(__always) private func moveStoreImmediateRows_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreImmediate(cpu, op, plainAddress(cpu, op), as: UInt16.self, slow: moveStoreImmediateRows_16_slow) }
@inline(__always) private func moveStoreImmediateRows_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreImmediate(cpu, op, plainAddress(cpu, op), as: UInt32.self, slow: moveStoreImmediateRows_32_slow) }
@inline(__always) private func moveStoreImmediateRows_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreImmediate(cpu, op, plainAddress(cpu, op), as: UInt64.self, slow: moveStoreImmediateRows_64_slow) }
@inline(never) private func moveStoreImmediateRows_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreImmediateSlowly(cpu, op, as: UInt8.self) }
@inline(never) private func moveStoreImmediateRows_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreImmediateSlowly(cpu, op, as: UInt16.self) }
@inline(never) private func moveStoreImmediateRows_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreImmediateSlowly(cpu, op, as: UInt32.self) }
@inline(never) private func moveStoreImmediateRows_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe moveStoreImmediateSlowly(cpu, op, as: UInt64.self) }
@inline(__always) private func zero8_extendRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, UInt8.self, UInt8.self) }
@inline(__always) private func zero8_extendRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, UInt8.self, UInt16.self) }
@inline(__always) private func zero8_extendRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, UInt8.self, UInt32.self) }
@inline(__always) private func zero8_extendRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, UInt8.self, UInt64.self) }
@inline(__always) private func zero8_extendLoad_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), UInt8.self, UInt8.self, slow: zero8_extendLoad_8_slow) }
@inline(__always) private func zero8_extendLoad_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), UInt8.self, UInt16.self, slow: zero8_extendLoad_16_slow) }
@inline(__always) private func zero8_extendLoad_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), UInt8.self, UInt32.self, slow: zero8_extendLoad_32_slow) }
@inline(__always) private func zero8_extendLoad_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), UInt8.self, UInt64.self, slow: zero8_extendLoad_64_slow) }
@inline(__always) private func zero8_extendLoad_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), UInt8.self, UInt8.self, slow: zero8_extendLoad_8_slow) }
@inline(__always) private func zero8_extendLoad_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), UInt8.self, UInt16.self, slow: zero8_extendLoad_16_slow) }
@inline(__always) private func zero8_extendLoad_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), UInt8.self, UInt32.self, slow: zero8_extendLoad_32_slow) }
@inline(__always) private func zero8_extendLoad_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), UInt8.self, UInt64.self, slow: zero8_extendLoad_64_slow) }
@inline(never) private func zero8_extendLoad_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, UInt8.self, UInt8.self) }
@inline(never) private func zero8_extendLoad_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, UInt8.self, UInt16.self) }
@inline(never) private func zero8_extendLoad_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, UInt8.self, UInt32.self) }
@inline(never) private func zero8_extendLoad_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, UInt8.self, UInt64.self) }
@inline(__always) private func zero16_extendRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, UInt16.self, UInt8.self) }
@inline(__always) private func zero16_extendRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, UInt16.self, UInt16.self) }
@inline(__always) private func zero16_extendRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, UInt16.self, UInt32.self) }
@inline(__always) private func zero16_extendRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, UInt16.self, UInt64.self) }
@inline(__always) private func zero16_extendLoad_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), UInt16.self, UInt8.self, slow: zero16_extendLoad_8_slow) }
@inline(__always) private func zero16_extendLoad_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), UInt16.self, UInt16.self, slow: zero16_extendLoad_16_slow) }
@inline(__always) private func zero16_extendLoad_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), UInt16.self, UInt32.self, slow: zero16_extendLoad_32_slow) }
@inline(__always) private func zero16_extendLoad_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), UInt16.self, UInt64.self, slow: zero16_extendLoad_64_slow) }
@inline(__always) private func zero16_extendLoad_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), UInt16.self, UInt8.self, slow: zero16_extendLoad_8_slow) }
@inline(__always) private func zero16_extendLoad_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), UInt16.self, UInt16.self, slow: zero16_extendLoad_16_slow) }
@inline(__always) private func zero16_extendLoad_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), UInt16.self, UInt32.self, slow: zero16_extendLoad_32_slow) }
@inline(__always) private func zero16_extendLoad_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), UInt16.self, UInt64.self, slow: zero16_extendLoad_64_slow) }
@inline(never) private func zero16_extendLoad_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, UInt16.self, UInt8.self) }
@inline(never) private func zero16_extendLoad_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, UInt16.self, UInt16.self) }
@inline(never) private func zero16_extendLoad_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, UInt16.self, UInt32.self) }
@inline(never) private func zero16_extendLoad_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, UInt16.self, UInt64.self) }
@inline(__always) private func sign8_extendRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, Int8.self, UInt8.self) }
@inline(__always) private func sign8_extendRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, Int8.self, UInt16.self) }
@inline(__always) private func sign8_extendRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, Int8.self, UInt32.self) }
@inline(__always) private func sign8_extendRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, Int8.self, UInt64.self) }
@inline(__always) private func sign8_extendLoad_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), Int8.self, UInt8.self, slow: sign8_extendLoad_8_slow) }
@inline(__always) private func sign8_extendLoad_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), Int8.self, UInt16.self, slow: sign8_extendLoad_16_slow) }
@inline(__always) private func sign8_extendLoad_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), Int8.self, UInt32.self, slow: sign8_extendLoad_32_slow) }
@inline(__always) private func sign8_extendLoad_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), Int8.self, UInt64.self, slow: sign8_extendLoad_64_slow) }
@inline(__always) private func sign8_extendLoad_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), Int8.self, UInt8.self, slow: sign8_extendLoad_8_slow) }
@inline(__always) private func sign8_extendLoad_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), Int8.self, UInt16.self, slow: sign8_extendLoad_16_slow) }
@inline(__always) private func sign8_extendLoad_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), Int8.self, UInt32.self, slow: sign8_extendLoad_32_slow) }
@inline(__always) private func sign8_extendLoad_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), Int8.self, UInt64.self, slow: sign8_extendLoad_64_slow) }
@inline(never) private func sign8_extendLoad_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, Int8.self, UInt8.self) }
@inline(never) private func sign8_extendLoad_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, Int8.self, UInt16.self) }
@inline(never) private func sign8_extendLoad_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, Int8.self, UInt32.self) }
@inline(never) private func sign8_extendLoad_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, Int8.self, UInt64.self) }
@inline(__always) private func sign16_extendRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, Int16.self, UInt8.self) }
@inline(__always) private func sign16_extendRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, Int16.self, UInt16.self) }
@inline(__always) private func sign16_extendRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, Int16.self, UInt32.self) }
@inline(__always) private func sign16_extendRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, Int16.self, UInt64.self) }
@inline(__always) private func sign16_extendLoad_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), Int16.self, UInt8.self, slow: sign16_extendLoad_8_slow) }
@inline(__always) private func sign16_extendLoad_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), Int16.self, UInt16.self, slow: sign16_extendLoad_16_slow) }
@inline(__always) private func sign16_extendLoad_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), Int16.self, UInt32.self, slow: sign16_extendLoad_32_slow) }
@inline(__always) private func sign16_extendLoad_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), Int16.self, UInt64.self, slow: sign16_extendLoad_64_slow) }
@inline(__always) private func sign16_extendLoad_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), Int16.self, UInt8.self, slow: sign16_extendLoad_8_slow) }
@inline(__always) private func sign16_extendLoad_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), Int16.self, UInt16.self, slow: sign16_extendLoad_16_slow) }
@inline(__always) private func sign16_extendLoad_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), Int16.self, UInt32.self, slow: sign16_extendLoad_32_slow) }
@inline(__always) private func sign16_extendLoad_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), Int16.self, UInt64.self, slow: sign16_extendLoad_64_slow) }
@inline(never) private func sign16_extendLoad_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, Int16.self, UInt8.self) }
@inline(never) private func sign16_extendLoad_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, Int16.self, UInt16.self) }
@inline(never) private func sign16_extendLoad_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, Int16.self, UInt32.self) }
@inline(never) private func sign16_extendLoad_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, Int16.self, UInt64.self) }
@inline(__always) private func sign32_extendRegister_8(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, Int32.self, UInt8.self) }
@inline(__always) private func sign32_extendRegister_16(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, Int32.self, UInt16.self) }
@inline(__always) private func sign32_extendRegister_32(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, Int32.self, UInt32.self) }
@inline(__always) private func sign32_extendRegister_64(_ cpu: CPU, _ op: Op) -> Next { unsafe extendRegister(cpu, op, Int32.self, UInt64.self) }
@inline(__always) private func sign32_extendLoad_8_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), Int32.self, UInt8.self, slow: sign32_extendLoad_8_slow) }
@inline(__always) private func sign32_extendLoad_16_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), Int32.self, UInt16.self, slow: sign32_extendLoad_16_slow) }
@inline(__always) private func sign32_extendLoad_32_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), Int32.self, UInt32.self, slow: sign32_extendLoad_32_slow) }
@inline(__always) private func sign32_extendLoad_64_simple(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, simpleAddress(cpu, op), Int32.self, UInt64.self, slow: sign32_extendLoad_64_slow) }
@inline(__always) private func sign32_extendLoad_8_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), Int32.self, UInt8.self, slow: sign32_extendLoad_8_slow) }
@inline(__always) private func sign32_extendLoad_16_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), Int32.self, UInt16.self, slow: sign32_extendLoad_16_slow) }
@inline(__always) private func sign32_extendLoad_32_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), Int32.self, UInt32.self, slow: sign32_extendLoad_32_slow) }
@inline(__always) private func sign32_extendLoad_64_plain(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoad(cpu, op, plainAddress(cpu, op), Int32.self, UInt64.self, slow: sign32_extendLoad_64_slow) }
@inline(never) private func sign32_extendLoad_8_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, Int32.self, UInt8.self) }
@inline(never) private func sign32_extendLoad_16_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, Int32.self, UInt16.self) }
@inline(never) private func sign32_extendLoad_32_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, Int32.self, UInt32.self) }
@inline(never) private func sign32_extendLoad_64_slow(_ cpu: CPU, _ op: Op) -> Next { unsafe extendLoadSlowly(cpu, op, Int32.self, UInt64.self) }
@inline(__always) private func cmov16_0(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition0(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov16_1(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition1(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov16_2(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition2(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov16_3(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition3(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov16_4(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition4(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov16_5(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition5(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov16_6(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition6(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov16_7(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition7(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov16_8(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition8(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov16_9(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition9(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov16_10(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition10(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov16_11(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition11(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov16_12(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition12(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov16_13(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition13(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov16_14(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition14(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov16_15(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt16.self, condition15(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_0(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition0(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_1(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition1(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_2(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition2(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_3(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition3(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_4(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition4(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_5(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition5(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_6(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition6(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_7(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition7(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_8(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition8(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_9(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition9(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_10(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition10(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_11(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition11(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_12(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition12(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_13(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition13(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_14(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition14(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov32_15(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt32.self, condition15(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_0(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition0(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_1(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition1(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_2(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition2(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_3(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition3(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_4(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition4(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_5(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition5(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_6(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition6(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_7(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition7(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_8(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition8(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_9(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition9(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_10(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition10(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_11(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition11(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_12(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition12(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_13(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition13(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_14(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition14(flags: cpu.pointee.statusFlags)) }
@inline(__always) private func cmov64_15(_ cpu: CPU, _ op: Op) -> Next { unsafe conditionalMove(cpu, op, as: UInt64.self, condition15(flags: cpu.pointee.statusFlags)) }