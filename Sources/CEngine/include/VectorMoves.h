// Moves between registers, and of elements. Whole registers are written with one store, so that the
// next instruction's load of 16 bytes is forwarded from it.
#ifndef MARTLET_VECTORMOVES_H
#define MARTLET_VECTORMOVES_H

#include "VectorInteger.h"

/// Writes an XMM register from its halves.
VECTOR_INLINE void vector_set(void *_Nonnull d, uint64_t low, uint64_t high) {
    __asm__ volatile("movq %1, %%xmm0\n\tmovq %2, %%xmm1\n\tpunpcklqdq %%xmm1, %%xmm0\n\t"
                     "movdqu %%xmm0, %0"
                     : "=m"(VECTOR_D16) : "r"(low), "r"(high) : "xmm0", "xmm1");
}
VECTOR_INLINE uint64_t vector_low(const void *_Nonnull s) {
    uint64_t value;
    __builtin_memcpy(&value, s, 8);
    return value;
}
VECTOR_INLINE uint64_t vector_high(const void *_Nonnull s) {
    uint64_t value;
    __builtin_memcpy(&value, (const char *)s + 8, 8);
    return value;
}

/// 16 bytes.
VECTOR_INLINE void vector_move16(VECTOR_OPERANDS) {
    __asm__ volatile("movdqu %1, %%xmm0\n\tmovdqu %%xmm0, %0"
                     : "=m"(VECTOR_D16) : "m"(VECTOR_S16) : "xmm0");
}
VECTOR_REGISTER_HANDLER(move16)
/// The low half of the source, zero extended: MOVD, MOVQ, MOVSS and MOVSD from memory.
VECTOR_INLINE void vector_extend32(VECTOR_OPERANDS) {
    __asm__ volatile("movd %1, %%xmm0\n\tmovdqu %%xmm0, %0"
                     : "=m"(VECTOR_D16) : "m"(VECTOR_S4) : "xmm0");
}
VECTOR_INLINE void vector_extend64(VECTOR_OPERANDS) {
    __asm__ volatile("movq %1, %%xmm0\n\tmovdqu %%xmm0, %0"
                     : "=m"(VECTOR_D16) : "m"(VECTOR_S8) : "xmm0");
}
VECTOR_REGISTER_HANDLER(extend32)
VECTOR_REGISTER_HANDLER(extend64)
// The low element of the source into the destination, whose other elements stay.
VECTOR_INTEGER32(movss)
VECTOR_INTEGER64(movsd)
// Halves. MOVLHPS is MOVHPS from memory as well, MOVSD is MOVLPS.
VECTOR_INTEGER64(movlhps)
VECTOR_INTEGER(movhlps)

/// PINSRB, PINSRW, PINSRD, PINSRQ: `bits` of `value` at bit `position` of the register.
VECTOR_INLINE void vector_insert(
    void *_Nonnull d, uint64_t value, uint32_t bits, uint32_t position) {
    uint64_t low = vector_low(d), high = vector_high(d);
    uint64_t mask = (bits == 64 ? ~0ull : (1ull << bits) - 1) << (position & 63);
    uint64_t placed = value << (position & 63) & mask;
    if (position & 64)
        high = (high & ~mask) | placed;
    else
        low = (low & ~mask) | placed;
    vector_set(d, low, high);
}
#define VECTOR_INSERT(bits)                                                                        \
    VECTOR_INLINE void vector_insert##bits(VECTOR_OPERANDS, uint32_t immediate) {                  \
        uint##bits##_t value;                                                                      \
        __builtin_memcpy(&value, s, bits / 8);                                                     \
        vector_insert(d, value, bits, immediate * bits & 127);                                     \
    }                                                                                              \
    VECTOR_HANDLER vector_insert##bits##_register(VECTOR_HANDLER_ARGUMENTS) {                      \
        vector_insert##bits(VECTOR_DESTINATION, VECTOR_SOURCE, op->auxiliary);                     \
        return op + 1;                                                                             \
    }
VECTOR_INSERT(8)
VECTOR_INSERT(16)
VECTOR_INSERT(32)
VECTOR_INSERT(64)

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
