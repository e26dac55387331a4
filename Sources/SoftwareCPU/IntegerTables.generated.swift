// DO NOT EDIT: made by Tools/HandlerTableGenerator.
// swift-format-ignore-file

internal import CEngine

/// Handlers of each width: 8, 16, 32, 64 bits.
enum IntegerTable {
    static let add_registerRegister: [InstructionHandler] = unsafe [
        { unsafe registerRegister($0, $1, writes: true, integer_add8) },
        { unsafe registerRegister($0, $1, writes: true, integer_add16) },
        { unsafe registerRegister($0, $1, writes: true, integer_add32) },
        { unsafe registerRegister($0, $1, writes: true, integer_add64) },
    ]
    static let add_registerImmediate: [InstructionHandler] = unsafe [
        { unsafe registerImmediate($0, $1, writes: true, integer_add8) },
        { unsafe registerImmediate($0, $1, writes: true, integer_add16) },
        { unsafe registerImmediate($0, $1, writes: true, integer_add32) },
        { unsafe registerImmediate($0, $1, writes: true, integer_add64) },
    ]
    static let add_registerMemory: [InstructionHandler] = unsafe [
        { unsafe registerMemory($0, $1, writes: true, integer_add8) },
        { unsafe registerMemory($0, $1, writes: true, integer_add16) },
        { unsafe registerMemory($0, $1, writes: true, integer_add32) },
        { unsafe registerMemory($0, $1, writes: true, integer_add64) },
    ]
    static let add_memoryRegister: [InstructionHandler] = unsafe [
        { unsafe memoryRegister($0, $1, writes: true, integer_add8) },
        { unsafe memoryRegister($0, $1, writes: true, integer_add16) },
        { unsafe memoryRegister($0, $1, writes: true, integer_add32) },
        { unsafe memoryRegister($0, $1, writes: true, integer_add64) },
    ]
    static let add_memoryImmediate: [InstructionHandler] = unsafe [
        { unsafe memoryImmediate($0, $1, writes: true, integer_add8) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_add16) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_add32) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_add64) },
    ]
    static let add_locked: [InstructionHandler] = unsafe [
        { unsafe lockedOperation($0, $1, integer_compare_exchange8, integer_add8) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange16, integer_add16) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange32, integer_add32) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange64, integer_add64) },
    ]
    static let or_registerRegister: [InstructionHandler] = unsafe [
        { unsafe registerRegister($0, $1, writes: true, integer_or8) },
        { unsafe registerRegister($0, $1, writes: true, integer_or16) },
        { unsafe registerRegister($0, $1, writes: true, integer_or32) },
        { unsafe registerRegister($0, $1, writes: true, integer_or64) },
    ]
    static let or_registerImmediate: [InstructionHandler] = unsafe [
        { unsafe registerImmediate($0, $1, writes: true, integer_or8) },
        { unsafe registerImmediate($0, $1, writes: true, integer_or16) },
        { unsafe registerImmediate($0, $1, writes: true, integer_or32) },
        { unsafe registerImmediate($0, $1, writes: true, integer_or64) },
    ]
    static let or_registerMemory: [InstructionHandler] = unsafe [
        { unsafe registerMemory($0, $1, writes: true, integer_or8) },
        { unsafe registerMemory($0, $1, writes: true, integer_or16) },
        { unsafe registerMemory($0, $1, writes: true, integer_or32) },
        { unsafe registerMemory($0, $1, writes: true, integer_or64) },
    ]
    static let or_memoryRegister: [InstructionHandler] = unsafe [
        { unsafe memoryRegister($0, $1, writes: true, integer_or8) },
        { unsafe memoryRegister($0, $1, writes: true, integer_or16) },
        { unsafe memoryRegister($0, $1, writes: true, integer_or32) },
        { unsafe memoryRegister($0, $1, writes: true, integer_or64) },
    ]
    static let or_memoryImmediate: [InstructionHandler] = unsafe [
        { unsafe memoryImmediate($0, $1, writes: true, integer_or8) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_or16) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_or32) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_or64) },
    ]
    static let or_locked: [InstructionHandler] = unsafe [
        { unsafe lockedOperation($0, $1, integer_compare_exchange8, integer_or8) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange16, integer_or16) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange32, integer_or32) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange64, integer_or64) },
    ]
    static let adc_registerRegister: [InstructionHandler] = unsafe [
        { unsafe registerRegister($0, $1, writes: true, integer_adc8) },
        { unsafe registerRegister($0, $1, writes: true, integer_adc16) },
        { unsafe registerRegister($0, $1, writes: true, integer_adc32) },
        { unsafe registerRegister($0, $1, writes: true, integer_adc64) },
    ]
    static let adc_registerImmediate: [InstructionHandler] = unsafe [
        { unsafe registerImmediate($0, $1, writes: true, integer_adc8) },
        { unsafe registerImmediate($0, $1, writes: true, integer_adc16) },
        { unsafe registerImmediate($0, $1, writes: true, integer_adc32) },
        { unsafe registerImmediate($0, $1, writes: true, integer_adc64) },
    ]
    static let adc_registerMemory: [InstructionHandler] = unsafe [
        { unsafe registerMemory($0, $1, writes: true, integer_adc8) },
        { unsafe registerMemory($0, $1, writes: true, integer_adc16) },
        { unsafe registerMemory($0, $1, writes: true, integer_adc32) },
        { unsafe registerMemory($0, $1, writes: true, integer_adc64) },
    ]
    static let adc_memoryRegister: [InstructionHandler] = unsafe [
        { unsafe memoryRegister($0, $1, writes: true, integer_adc8) },
        { unsafe memoryRegister($0, $1, writes: true, integer_adc16) },
        { unsafe memoryRegister($0, $1, writes: true, integer_adc32) },
        { unsafe memoryRegister($0, $1, writes: true, integer_adc64) },
    ]
    static let adc_memoryImmediate: [InstructionHandler] = unsafe [
        { unsafe memoryImmediate($0, $1, writes: true, integer_adc8) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_adc16) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_adc32) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_adc64) },
    ]
    static let adc_locked: [InstructionHandler] = unsafe [
        { unsafe lockedOperation($0, $1, integer_compare_exchange8, integer_adc8) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange16, integer_adc16) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange32, integer_adc32) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange64, integer_adc64) },
    ]
    static let sbb_registerRegister: [InstructionHandler] = unsafe [
        { unsafe registerRegister($0, $1, writes: true, integer_sbb8) },
        { unsafe registerRegister($0, $1, writes: true, integer_sbb16) },
        { unsafe registerRegister($0, $1, writes: true, integer_sbb32) },
        { unsafe registerRegister($0, $1, writes: true, integer_sbb64) },
    ]
    static let sbb_registerImmediate: [InstructionHandler] = unsafe [
        { unsafe registerImmediate($0, $1, writes: true, integer_sbb8) },
        { unsafe registerImmediate($0, $1, writes: true, integer_sbb16) },
        { unsafe registerImmediate($0, $1, writes: true, integer_sbb32) },
        { unsafe registerImmediate($0, $1, writes: true, integer_sbb64) },
    ]
    static let sbb_registerMemory: [InstructionHandler] = unsafe [
        { unsafe registerMemory($0, $1, writes: true, integer_sbb8) },
        { unsafe registerMemory($0, $1, writes: true, integer_sbb16) },
        { unsafe registerMemory($0, $1, writes: true, integer_sbb32) },
        { unsafe registerMemory($0, $1, writes: true, integer_sbb64) },
    ]
    static let sbb_memoryRegister: [InstructionHandler] = unsafe [
        { unsafe memoryRegister($0, $1, writes: true, integer_sbb8) },
        { unsafe memoryRegister($0, $1, writes: true, integer_sbb16) },
        { unsafe memoryRegister($0, $1, writes: true, integer_sbb32) },
        { unsafe memoryRegister($0, $1, writes: true, integer_sbb64) },
    ]
    static let sbb_memoryImmediate: [InstructionHandler] = unsafe [
        { unsafe memoryImmediate($0, $1, writes: true, integer_sbb8) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_sbb16) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_sbb32) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_sbb64) },
    ]
    static let sbb_locked: [InstructionHandler] = unsafe [
        { unsafe lockedOperation($0, $1, integer_compare_exchange8, integer_sbb8) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange16, integer_sbb16) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange32, integer_sbb32) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange64, integer_sbb64) },
    ]
    static let and_registerRegister: [InstructionHandler] = unsafe [
        { unsafe registerRegister($0, $1, writes: true, integer_and8) },
        { unsafe registerRegister($0, $1, writes: true, integer_and16) },
        { unsafe registerRegister($0, $1, writes: true, integer_and32) },
        { unsafe registerRegister($0, $1, writes: true, integer_and64) },
    ]
    static let and_registerImmediate: [InstructionHandler] = unsafe [
        { unsafe registerImmediate($0, $1, writes: true, integer_and8) },
        { unsafe registerImmediate($0, $1, writes: true, integer_and16) },
        { unsafe registerImmediate($0, $1, writes: true, integer_and32) },
        { unsafe registerImmediate($0, $1, writes: true, integer_and64) },
    ]
    static let and_registerMemory: [InstructionHandler] = unsafe [
        { unsafe registerMemory($0, $1, writes: true, integer_and8) },
        { unsafe registerMemory($0, $1, writes: true, integer_and16) },
        { unsafe registerMemory($0, $1, writes: true, integer_and32) },
        { unsafe registerMemory($0, $1, writes: true, integer_and64) },
    ]
    static let and_memoryRegister: [InstructionHandler] = unsafe [
        { unsafe memoryRegister($0, $1, writes: true, integer_and8) },
        { unsafe memoryRegister($0, $1, writes: true, integer_and16) },
        { unsafe memoryRegister($0, $1, writes: true, integer_and32) },
        { unsafe memoryRegister($0, $1, writes: true, integer_and64) },
    ]
    static let and_memoryImmediate: [InstructionHandler] = unsafe [
        { unsafe memoryImmediate($0, $1, writes: true, integer_and8) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_and16) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_and32) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_and64) },
    ]
    static let and_locked: [InstructionHandler] = unsafe [
        { unsafe lockedOperation($0, $1, integer_compare_exchange8, integer_and8) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange16, integer_and16) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange32, integer_and32) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange64, integer_and64) },
    ]
    static let sub_registerRegister: [InstructionHandler] = unsafe [
        { unsafe registerRegister($0, $1, writes: true, integer_sub8) },
        { unsafe registerRegister($0, $1, writes: true, integer_sub16) },
        { unsafe registerRegister($0, $1, writes: true, integer_sub32) },
        { unsafe registerRegister($0, $1, writes: true, integer_sub64) },
    ]
    static let sub_registerImmediate: [InstructionHandler] = unsafe [
        { unsafe registerImmediate($0, $1, writes: true, integer_sub8) },
        { unsafe registerImmediate($0, $1, writes: true, integer_sub16) },
        { unsafe registerImmediate($0, $1, writes: true, integer_sub32) },
        { unsafe registerImmediate($0, $1, writes: true, integer_sub64) },
    ]
    static let sub_registerMemory: [InstructionHandler] = unsafe [
        { unsafe registerMemory($0, $1, writes: true, integer_sub8) },
        { unsafe registerMemory($0, $1, writes: true, integer_sub16) },
        { unsafe registerMemory($0, $1, writes: true, integer_sub32) },
        { unsafe registerMemory($0, $1, writes: true, integer_sub64) },
    ]
    static let sub_memoryRegister: [InstructionHandler] = unsafe [
        { unsafe memoryRegister($0, $1, writes: true, integer_sub8) },
        { unsafe memoryRegister($0, $1, writes: true, integer_sub16) },
        { unsafe memoryRegister($0, $1, writes: true, integer_sub32) },
        { unsafe memoryRegister($0, $1, writes: true, integer_sub64) },
    ]
    static let sub_memoryImmediate: [InstructionHandler] = unsafe [
        { unsafe memoryImmediate($0, $1, writes: true, integer_sub8) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_sub16) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_sub32) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_sub64) },
    ]
    static let sub_locked: [InstructionHandler] = unsafe [
        { unsafe lockedOperation($0, $1, integer_compare_exchange8, integer_sub8) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange16, integer_sub16) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange32, integer_sub32) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange64, integer_sub64) },
    ]
    static let xor_registerRegister: [InstructionHandler] = unsafe [
        { unsafe registerRegister($0, $1, writes: true, integer_xor8) },
        { unsafe registerRegister($0, $1, writes: true, integer_xor16) },
        { unsafe registerRegister($0, $1, writes: true, integer_xor32) },
        { unsafe registerRegister($0, $1, writes: true, integer_xor64) },
    ]
    static let xor_registerImmediate: [InstructionHandler] = unsafe [
        { unsafe registerImmediate($0, $1, writes: true, integer_xor8) },
        { unsafe registerImmediate($0, $1, writes: true, integer_xor16) },
        { unsafe registerImmediate($0, $1, writes: true, integer_xor32) },
        { unsafe registerImmediate($0, $1, writes: true, integer_xor64) },
    ]
    static let xor_registerMemory: [InstructionHandler] = unsafe [
        { unsafe registerMemory($0, $1, writes: true, integer_xor8) },
        { unsafe registerMemory($0, $1, writes: true, integer_xor16) },
        { unsafe registerMemory($0, $1, writes: true, integer_xor32) },
        { unsafe registerMemory($0, $1, writes: true, integer_xor64) },
    ]
    static let xor_memoryRegister: [InstructionHandler] = unsafe [
        { unsafe memoryRegister($0, $1, writes: true, integer_xor8) },
        { unsafe memoryRegister($0, $1, writes: true, integer_xor16) },
        { unsafe memoryRegister($0, $1, writes: true, integer_xor32) },
        { unsafe memoryRegister($0, $1, writes: true, integer_xor64) },
    ]
    static let xor_memoryImmediate: [InstructionHandler] = unsafe [
        { unsafe memoryImmediate($0, $1, writes: true, integer_xor8) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_xor16) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_xor32) },
        { unsafe memoryImmediate($0, $1, writes: true, integer_xor64) },
    ]
    static let xor_locked: [InstructionHandler] = unsafe [
        { unsafe lockedOperation($0, $1, integer_compare_exchange8, integer_xor8) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange16, integer_xor16) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange32, integer_xor32) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange64, integer_xor64) },
    ]
    static let cmp_registerRegister: [InstructionHandler] = unsafe [
        { unsafe registerRegister($0, $1, writes: false, integer_cmp8) },
        { unsafe registerRegister($0, $1, writes: false, integer_cmp16) },
        { unsafe registerRegister($0, $1, writes: false, integer_cmp32) },
        { unsafe registerRegister($0, $1, writes: false, integer_cmp64) },
    ]
    static let cmp_registerImmediate: [InstructionHandler] = unsafe [
        { unsafe registerImmediate($0, $1, writes: false, integer_cmp8) },
        { unsafe registerImmediate($0, $1, writes: false, integer_cmp16) },
        { unsafe registerImmediate($0, $1, writes: false, integer_cmp32) },
        { unsafe registerImmediate($0, $1, writes: false, integer_cmp64) },
    ]
    static let cmp_registerMemory: [InstructionHandler] = unsafe [
        { unsafe registerMemory($0, $1, writes: false, integer_cmp8) },
        { unsafe registerMemory($0, $1, writes: false, integer_cmp16) },
        { unsafe registerMemory($0, $1, writes: false, integer_cmp32) },
        { unsafe registerMemory($0, $1, writes: false, integer_cmp64) },
    ]
    static let cmp_memoryRegister: [InstructionHandler] = unsafe [
        { unsafe memoryRegister($0, $1, writes: false, integer_cmp8) },
        { unsafe memoryRegister($0, $1, writes: false, integer_cmp16) },
        { unsafe memoryRegister($0, $1, writes: false, integer_cmp32) },
        { unsafe memoryRegister($0, $1, writes: false, integer_cmp64) },
    ]
    static let cmp_memoryImmediate: [InstructionHandler] = unsafe [
        { unsafe memoryImmediate($0, $1, writes: false, integer_cmp8) },
        { unsafe memoryImmediate($0, $1, writes: false, integer_cmp16) },
        { unsafe memoryImmediate($0, $1, writes: false, integer_cmp32) },
        { unsafe memoryImmediate($0, $1, writes: false, integer_cmp64) },
    ]
    static let test_registerRegister: [InstructionHandler] = unsafe [
        { unsafe registerRegister($0, $1, writes: false, integer_test8) },
        { unsafe registerRegister($0, $1, writes: false, integer_test16) },
        { unsafe registerRegister($0, $1, writes: false, integer_test32) },
        { unsafe registerRegister($0, $1, writes: false, integer_test64) },
    ]
    static let test_registerImmediate: [InstructionHandler] = unsafe [
        { unsafe registerImmediate($0, $1, writes: false, integer_test8) },
        { unsafe registerImmediate($0, $1, writes: false, integer_test16) },
        { unsafe registerImmediate($0, $1, writes: false, integer_test32) },
        { unsafe registerImmediate($0, $1, writes: false, integer_test64) },
    ]
    static let test_registerMemory: [InstructionHandler] = unsafe [
        { unsafe registerMemory($0, $1, writes: false, integer_test8) },
        { unsafe registerMemory($0, $1, writes: false, integer_test16) },
        { unsafe registerMemory($0, $1, writes: false, integer_test32) },
        { unsafe registerMemory($0, $1, writes: false, integer_test64) },
    ]
    static let test_memoryRegister: [InstructionHandler] = unsafe [
        { unsafe memoryRegister($0, $1, writes: false, integer_test8) },
        { unsafe memoryRegister($0, $1, writes: false, integer_test16) },
        { unsafe memoryRegister($0, $1, writes: false, integer_test32) },
        { unsafe memoryRegister($0, $1, writes: false, integer_test64) },
    ]
    static let test_memoryImmediate: [InstructionHandler] = unsafe [
        { unsafe memoryImmediate($0, $1, writes: false, integer_test8) },
        { unsafe memoryImmediate($0, $1, writes: false, integer_test16) },
        { unsafe memoryImmediate($0, $1, writes: false, integer_test32) },
        { unsafe memoryImmediate($0, $1, writes: false, integer_test64) },
    ]
    static let inc_unaryRegister: [InstructionHandler] = unsafe [
        { unsafe unaryRegister($0, $1, integer_inc8) },
        { unsafe unaryRegister($0, $1, integer_inc16) },
        { unsafe unaryRegister($0, $1, integer_inc32) },
        { unsafe unaryRegister($0, $1, integer_inc64) },
    ]
    static let inc_unaryMemory: [InstructionHandler] = unsafe [
        { unsafe unaryMemory($0, $1, integer_inc8) },
        { unsafe unaryMemory($0, $1, integer_inc16) },
        { unsafe unaryMemory($0, $1, integer_inc32) },
        { unsafe unaryMemory($0, $1, integer_inc64) },
    ]
    static let inc_locked: [InstructionHandler] = unsafe [
        { unsafe lockedOperation($0, $1, integer_compare_exchange8, { a, _, f in unsafe integer_inc8(a, f) }) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange16, { a, _, f in unsafe integer_inc16(a, f) }) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange32, { a, _, f in unsafe integer_inc32(a, f) }) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange64, { a, _, f in unsafe integer_inc64(a, f) }) },
    ]
    static let dec_unaryRegister: [InstructionHandler] = unsafe [
        { unsafe unaryRegister($0, $1, integer_dec8) },
        { unsafe unaryRegister($0, $1, integer_dec16) },
        { unsafe unaryRegister($0, $1, integer_dec32) },
        { unsafe unaryRegister($0, $1, integer_dec64) },
    ]
    static let dec_unaryMemory: [InstructionHandler] = unsafe [
        { unsafe unaryMemory($0, $1, integer_dec8) },
        { unsafe unaryMemory($0, $1, integer_dec16) },
        { unsafe unaryMemory($0, $1, integer_dec32) },
        { unsafe unaryMemory($0, $1, integer_dec64) },
    ]
    static let dec_locked: [InstructionHandler] = unsafe [
        { unsafe lockedOperation($0, $1, integer_compare_exchange8, { a, _, f in unsafe integer_dec8(a, f) }) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange16, { a, _, f in unsafe integer_dec16(a, f) }) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange32, { a, _, f in unsafe integer_dec32(a, f) }) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange64, { a, _, f in unsafe integer_dec64(a, f) }) },
    ]
    static let neg_unaryRegister: [InstructionHandler] = unsafe [
        { unsafe unaryRegister($0, $1, integer_neg8) },
        { unsafe unaryRegister($0, $1, integer_neg16) },
        { unsafe unaryRegister($0, $1, integer_neg32) },
        { unsafe unaryRegister($0, $1, integer_neg64) },
    ]
    static let neg_unaryMemory: [InstructionHandler] = unsafe [
        { unsafe unaryMemory($0, $1, integer_neg8) },
        { unsafe unaryMemory($0, $1, integer_neg16) },
        { unsafe unaryMemory($0, $1, integer_neg32) },
        { unsafe unaryMemory($0, $1, integer_neg64) },
    ]
    static let neg_locked: [InstructionHandler] = unsafe [
        { unsafe lockedOperation($0, $1, integer_compare_exchange8, { a, _, f in unsafe integer_neg8(a, f) }) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange16, { a, _, f in unsafe integer_neg16(a, f) }) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange32, { a, _, f in unsafe integer_neg32(a, f) }) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange64, { a, _, f in unsafe integer_neg64(a, f) }) },
    ]
    static let not_unaryRegister: [InstructionHandler] = unsafe [
        { unsafe unaryRegister($0, $1, integer_not8) },
        { unsafe unaryRegister($0, $1, integer_not16) },
        { unsafe unaryRegister($0, $1, integer_not32) },
        { unsafe unaryRegister($0, $1, integer_not64) },
    ]
    static let not_unaryMemory: [InstructionHandler] = unsafe [
        { unsafe unaryMemory($0, $1, integer_not8) },
        { unsafe unaryMemory($0, $1, integer_not16) },
        { unsafe unaryMemory($0, $1, integer_not32) },
        { unsafe unaryMemory($0, $1, integer_not64) },
    ]
    static let not_locked: [InstructionHandler] = unsafe [
        { unsafe lockedOperation($0, $1, integer_compare_exchange8, { a, _, f in unsafe integer_not8(a, f) }) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange16, { a, _, f in unsafe integer_not16(a, f) }) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange32, { a, _, f in unsafe integer_not32(a, f) }) },
        { unsafe lockedOperation($0, $1, integer_compare_exchange64, { a, _, f in unsafe integer_not64(a, f) }) },
    ]
    static let rol_shiftRegister: [InstructionHandler] = unsafe [
        { unsafe shiftRegister($0, $1, integer_rol8) },
        { unsafe shiftRegister($0, $1, integer_rol16) },
        { unsafe shiftRegister($0, $1, integer_rol32) },
        { unsafe shiftRegister($0, $1, integer_rol64) },
    ]
    static let rol_shiftMemory: [InstructionHandler] = unsafe [
        { unsafe shiftMemory($0, $1, integer_rol8) },
        { unsafe shiftMemory($0, $1, integer_rol16) },
        { unsafe shiftMemory($0, $1, integer_rol32) },
        { unsafe shiftMemory($0, $1, integer_rol64) },
    ]
    static let ror_shiftRegister: [InstructionHandler] = unsafe [
        { unsafe shiftRegister($0, $1, integer_ror8) },
        { unsafe shiftRegister($0, $1, integer_ror16) },
        { unsafe shiftRegister($0, $1, integer_ror32) },
        { unsafe shiftRegister($0, $1, integer_ror64) },
    ]
    static let ror_shiftMemory: [InstructionHandler] = unsafe [
        { unsafe shiftMemory($0, $1, integer_ror8) },
        { unsafe shiftMemory($0, $1, integer_ror16) },
        { unsafe shiftMemory($0, $1, integer_ror32) },
        { unsafe shiftMemory($0, $1, integer_ror64) },
    ]
    static let rcl_shiftRegister: [InstructionHandler] = unsafe [
        { unsafe shiftRegister($0, $1, integer_rcl8) },
        { unsafe shiftRegister($0, $1, integer_rcl16) },
        { unsafe shiftRegister($0, $1, integer_rcl32) },
        { unsafe shiftRegister($0, $1, integer_rcl64) },
    ]
    static let rcl_shiftMemory: [InstructionHandler] = unsafe [
        { unsafe shiftMemory($0, $1, integer_rcl8) },
        { unsafe shiftMemory($0, $1, integer_rcl16) },
        { unsafe shiftMemory($0, $1, integer_rcl32) },
        { unsafe shiftMemory($0, $1, integer_rcl64) },
    ]
    static let rcr_shiftRegister: [InstructionHandler] = unsafe [
        { unsafe shiftRegister($0, $1, integer_rcr8) },
        { unsafe shiftRegister($0, $1, integer_rcr16) },
        { unsafe shiftRegister($0, $1, integer_rcr32) },
        { unsafe shiftRegister($0, $1, integer_rcr64) },
    ]
    static let rcr_shiftMemory: [InstructionHandler] = unsafe [
        { unsafe shiftMemory($0, $1, integer_rcr8) },
        { unsafe shiftMemory($0, $1, integer_rcr16) },
        { unsafe shiftMemory($0, $1, integer_rcr32) },
        { unsafe shiftMemory($0, $1, integer_rcr64) },
    ]
    static let shl_shiftRegister: [InstructionHandler] = unsafe [
        { unsafe shiftRegister($0, $1, integer_shl8) },
        { unsafe shiftRegister($0, $1, integer_shl16) },
        { unsafe shiftRegister($0, $1, integer_shl32) },
        { unsafe shiftRegister($0, $1, integer_shl64) },
    ]
    static let shl_shiftMemory: [InstructionHandler] = unsafe [
        { unsafe shiftMemory($0, $1, integer_shl8) },
        { unsafe shiftMemory($0, $1, integer_shl16) },
        { unsafe shiftMemory($0, $1, integer_shl32) },
        { unsafe shiftMemory($0, $1, integer_shl64) },
    ]
    static let shr_shiftRegister: [InstructionHandler] = unsafe [
        { unsafe shiftRegister($0, $1, integer_shr8) },
        { unsafe shiftRegister($0, $1, integer_shr16) },
        { unsafe shiftRegister($0, $1, integer_shr32) },
        { unsafe shiftRegister($0, $1, integer_shr64) },
    ]
    static let shr_shiftMemory: [InstructionHandler] = unsafe [
        { unsafe shiftMemory($0, $1, integer_shr8) },
        { unsafe shiftMemory($0, $1, integer_shr16) },
        { unsafe shiftMemory($0, $1, integer_shr32) },
        { unsafe shiftMemory($0, $1, integer_shr64) },
    ]
    static let sar_shiftRegister: [InstructionHandler] = unsafe [
        { unsafe shiftRegister($0, $1, integer_sar8) },
        { unsafe shiftRegister($0, $1, integer_sar16) },
        { unsafe shiftRegister($0, $1, integer_sar32) },
        { unsafe shiftRegister($0, $1, integer_sar64) },
    ]
    static let sar_shiftMemory: [InstructionHandler] = unsafe [
        { unsafe shiftMemory($0, $1, integer_sar8) },
        { unsafe shiftMemory($0, $1, integer_sar16) },
        { unsafe shiftMemory($0, $1, integer_sar32) },
        { unsafe shiftMemory($0, $1, integer_sar64) },
    ]
    static let moveRegisterRows: [InstructionHandler] = unsafe [
        { unsafe moveRegister($0, $1, as: UInt8.self) },
        { unsafe moveRegister($0, $1, as: UInt16.self) },
        { unsafe moveRegister($0, $1, as: UInt32.self) },
        { unsafe moveRegister($0, $1, as: UInt64.self) },
    ]
    static let moveImmediateRows: [InstructionHandler] = unsafe [
        { unsafe moveImmediate($0, $1, as: UInt8.self) },
        { unsafe moveImmediate($0, $1, as: UInt16.self) },
        { unsafe moveImmediate($0, $1, as: UInt32.self) },
        { unsafe moveImmediate($0, $1, as: UInt64.self) },
    ]
    static let moveLoadRows: [InstructionHandler] = unsafe [
        { unsafe moveLoad($0, $1, as: UInt8.self) },
        { unsafe moveLoad($0, $1, as: UInt16.self) },
        { unsafe moveLoad($0, $1, as: UInt32.self) },
        { unsafe moveLoad($0, $1, as: UInt64.self) },
    ]
    static let moveStoreRows: [InstructionHandler] = unsafe [
        { unsafe moveStore($0, $1, as: UInt8.self) },
        { unsafe moveStore($0, $1, as: UInt16.self) },
        { unsafe moveStore($0, $1, as: UInt32.self) },
        { unsafe moveStore($0, $1, as: UInt64.self) },
    ]
    static let moveStoreImmediateRows: [InstructionHandler] = unsafe [
        { unsafe moveStoreImmediate($0, $1, as: UInt8.self) },
        { unsafe moveStoreImmediate($0, $1, as: UInt16.self) },
        { unsafe moveStoreImmediate($0, $1, as: UInt32.self) },
        { unsafe moveStoreImmediate($0, $1, as: UInt64.self) },
    ]
    static let zero8_extendRegister: [InstructionHandler] = unsafe [
        { unsafe extendRegister($0, $1, UInt8.self, UInt8.self) },
        { unsafe extendRegister($0, $1, UInt8.self, UInt16.self) },
        { unsafe extendRegister($0, $1, UInt8.self, UInt32.self) },
        { unsafe extendRegister($0, $1, UInt8.self, UInt64.self) },
    ]
    static let zero8_extendLoad: [InstructionHandler] = unsafe [
        { unsafe extendLoad($0, $1, UInt8.self, UInt8.self) },
        { unsafe extendLoad($0, $1, UInt8.self, UInt16.self) },
        { unsafe extendLoad($0, $1, UInt8.self, UInt32.self) },
        { unsafe extendLoad($0, $1, UInt8.self, UInt64.self) },
    ]
    static let zero16_extendRegister: [InstructionHandler] = unsafe [
        { unsafe extendRegister($0, $1, UInt16.self, UInt8.self) },
        { unsafe extendRegister($0, $1, UInt16.self, UInt16.self) },
        { unsafe extendRegister($0, $1, UInt16.self, UInt32.self) },
        { unsafe extendRegister($0, $1, UInt16.self, UInt64.self) },
    ]
    static let zero16_extendLoad: [InstructionHandler] = unsafe [
        { unsafe extendLoad($0, $1, UInt16.self, UInt8.self) },
        { unsafe extendLoad($0, $1, UInt16.self, UInt16.self) },
        { unsafe extendLoad($0, $1, UInt16.self, UInt32.self) },
        { unsafe extendLoad($0, $1, UInt16.self, UInt64.self) },
    ]
    static let sign8_extendRegister: [InstructionHandler] = unsafe [
        { unsafe extendRegister($0, $1, Int8.self, UInt8.self) },
        { unsafe extendRegister($0, $1, Int8.self, UInt16.self) },
        { unsafe extendRegister($0, $1, Int8.self, UInt32.self) },
        { unsafe extendRegister($0, $1, Int8.self, UInt64.self) },
    ]
    static let sign8_extendLoad: [InstructionHandler] = unsafe [
        { unsafe extendLoad($0, $1, Int8.self, UInt8.self) },
        { unsafe extendLoad($0, $1, Int8.self, UInt16.self) },
        { unsafe extendLoad($0, $1, Int8.self, UInt32.self) },
        { unsafe extendLoad($0, $1, Int8.self, UInt64.self) },
    ]
    static let sign16_extendRegister: [InstructionHandler] = unsafe [
        { unsafe extendRegister($0, $1, Int16.self, UInt8.self) },
        { unsafe extendRegister($0, $1, Int16.self, UInt16.self) },
        { unsafe extendRegister($0, $1, Int16.self, UInt32.self) },
        { unsafe extendRegister($0, $1, Int16.self, UInt64.self) },
    ]
    static let sign16_extendLoad: [InstructionHandler] = unsafe [
        { unsafe extendLoad($0, $1, Int16.self, UInt8.self) },
        { unsafe extendLoad($0, $1, Int16.self, UInt16.self) },
        { unsafe extendLoad($0, $1, Int16.self, UInt32.self) },
        { unsafe extendLoad($0, $1, Int16.self, UInt64.self) },
    ]
    static let sign32_extendRegister: [InstructionHandler] = unsafe [
        { unsafe extendRegister($0, $1, Int32.self, UInt8.self) },
        { unsafe extendRegister($0, $1, Int32.self, UInt16.self) },
        { unsafe extendRegister($0, $1, Int32.self, UInt32.self) },
        { unsafe extendRegister($0, $1, Int32.self, UInt64.self) },
    ]
    static let sign32_extendLoad: [InstructionHandler] = unsafe [
        { unsafe extendLoad($0, $1, Int32.self, UInt8.self) },
        { unsafe extendLoad($0, $1, Int32.self, UInt16.self) },
        { unsafe extendLoad($0, $1, Int32.self, UInt32.self) },
        { unsafe extendLoad($0, $1, Int32.self, UInt64.self) },
    ]
    static let cmov16: [InstructionHandler] = unsafe [
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition0(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition1(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition2(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition3(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition4(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition5(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition6(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition7(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition8(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition9(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition10(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition11(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition12(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition13(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition14(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt16.self, condition15(flags: $0.pointee.statusFlags)) },
    ]
    static let cmov32: [InstructionHandler] = unsafe [
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition0(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition1(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition2(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition3(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition4(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition5(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition6(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition7(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition8(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition9(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition10(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition11(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition12(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition13(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition14(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt32.self, condition15(flags: $0.pointee.statusFlags)) },
    ]
    static let cmov64: [InstructionHandler] = unsafe [
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition0(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition1(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition2(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition3(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition4(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition5(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition6(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition7(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition8(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition9(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition10(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition11(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition12(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition13(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition14(flags: $0.pointee.statusFlags)) },
        { unsafe conditionalMove($0, $1, as: UInt64.self, condition15(flags: $0.pointee.statusFlags)) },
    ]
}
