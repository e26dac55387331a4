// Handlers of operations with two operands that compute all flags: see IntegerHandlers.c and
// CompareAndBranch.c.
#ifndef MARTLET_INTEGER_HANDLERS_H
#define MARTLET_INTEGER_HANDLERS_H

#include <stdint.h>

#include "CPUState.h"

typedef enum IntegerOperations {
    INTEGER_ADD,
    INTEGER_OR,
    INTEGER_AND,
    INTEGER_SUB,
    INTEGER_XOR,
    INTEGER_CMP,
    INTEGER_TEST,
    INTEGER_OPERATION_COUNT,
} IntegerOperations;

typedef enum IntegerShapes {
    INTEGER_REGISTER_REGISTER,
    INTEGER_REGISTER_IMMEDIATE,
    /// Memory operands of base and displacement.
    INTEGER_REGISTER_MEMORY,
    INTEGER_MEMORY_REGISTER,
    INTEGER_MEMORY_IMMEDIATE,
    /// Those with an index or a segment base.
    INTEGER_REGISTER_PLAIN,
    INTEGER_PLAIN_REGISTER,
    INTEGER_PLAIN_IMMEDIATE,
    INTEGER_SHAPE_COUNT,
} IntegerShapes;

enum { INTEGER_CODE_COUNT = 1 + INTEGER_OPERATION_COUNT * INTEGER_SHAPE_COUNT * 4 };
_Static_assert(INTEGER_CODE_COUNT <= 256, "a code is in `auxiliary`");

/// What such an instruction has in `auxiliary`, not 0. `width`: 0 to 3 for 8 to 64 bits.
static inline uint8_t cengine_integer_code(uint32_t operation, uint32_t shape, uint32_t width) {
    return (uint8_t)(1 + (operation * INTEGER_SHAPE_COUNT + shape) * 4 + width);
}

/// The handler by its code.
InstructionHandler _Nonnull cengine_integer_handler(uint8_t code);

/// The handler of CMP or TEST and the branch on `condition` (the low four bits of Jcc's opcode) that is
/// the instruction behind it.
InstructionHandler _Nonnull cengine_compare_and_branch(uint8_t code, uint8_t condition);

#endif
