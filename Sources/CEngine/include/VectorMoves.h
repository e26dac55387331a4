// Moves between registers, as instruction handlers.
#ifndef MARTLET_VECTORMOVES_H
#define MARTLET_VECTORMOVES_H

#include "VectorInteger.h"

/// 16 bytes.
VECTOR_HANDLER vector_move16_register(VECTOR_HANDLER_ARGUMENTS) {
    __builtin_memmove(VECTOR_DESTINATION, VECTOR_SOURCE, 16);
    return op + 1;
}
/// The low bytes of the destination change, the others stay: MOVSS, MOVSD, MOVHLPS, PINSRB.
#define VECTOR_MERGE(bits)                                                                         \
    VECTOR_HANDLER vector_merge##bits##_register(VECTOR_HANDLER_ARGUMENTS) {                       \
        __builtin_memmove(VECTOR_DESTINATION, VECTOR_SOURCE, bits / 8);                            \
        return op + 1;                                                                             \
    }
VECTOR_MERGE(8)
VECTOR_MERGE(16)
VECTOR_MERGE(32)
VECTOR_MERGE(64)
/// The low half of the source into an XMM register, zero extended: MOVD, MOVQ.
#define VECTOR_EXTEND(bits)                                                                        \
    VECTOR_HANDLER vector_extend##bits##_register(VECTOR_HANDLER_ARGUMENTS) {                      \
        uint##bits##_t value;                                                                      \
        __builtin_memcpy(&value, VECTOR_SOURCE, bits / 8);                                         \
        uint64_t both[2] = {value, 0};                                                             \
        __builtin_memcpy(VECTOR_DESTINATION, both, 16);                                            \
        return op + 1;                                                                             \
    }
VECTOR_EXTEND(32)
VECTOR_EXTEND(64)
/// An element of the source into a general-purpose register, zero extended: MOVD, PEXTRW.
#define VECTOR_TO_GENERAL(bits)                                                                    \
    VECTOR_HANDLER vector_to_general##bits##_register(VECTOR_HANDLER_ARGUMENTS) {                  \
        uint##bits##_t value;                                                                      \
        __builtin_memcpy(&value, VECTOR_SOURCE, bits / 8);                                         \
        uint64_t extended = value;                                                                 \
        __builtin_memcpy(VECTOR_DESTINATION, &extended, 8);                                        \
        return op + 1;                                                                             \
    }
VECTOR_TO_GENERAL(8)
VECTOR_TO_GENERAL(16)
VECTOR_TO_GENERAL(32)
VECTOR_TO_GENERAL(64)

#endif
