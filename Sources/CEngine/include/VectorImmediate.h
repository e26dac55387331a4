// Vector instructions with an immediate byte. Where the immediate selects lanes the body is plain
// C; where it selects an operation, a switch over the host instruction with each meaningful value.
#ifndef MARTLET_VECTORIMMEDIATE_H
#define MARTLET_VECTORIMMEDIATE_H

#include "VectorInteger.h"
#include "VectorMoves.h"

#define VECTOR_IMMEDIATE_OPERANDS VECTOR_OPERANDS, uint32_t immediate

#define VECTOR_CASES_4(ONE, base) ONE((base) + 0) ONE((base) + 1) ONE((base) + 2) ONE((base) + 3)
#define VECTOR_CASES_8(ONE, base) VECTOR_CASES_4(ONE, base) VECTOR_CASES_4(ONE, (base) + 4)
#define VECTOR_CASES_16(ONE, base) VECTOR_CASES_8(ONE, base) VECTOR_CASES_8(ONE, (base) + 8)
#define VECTOR_CASES_64(ONE, base)                                                                 \
    VECTOR_CASES_16(ONE, base) VECTOR_CASES_16(ONE, (base) + 16)                                   \
    VECTOR_CASES_16(ONE, (base) + 32) VECTOR_CASES_16(ONE, (base) + 48)
#define VECTOR_CASES_128(ONE, base) VECTOR_CASES_64(ONE, base) VECTOR_CASES_64(ONE, (base) + 64)
#define VECTOR_CASES_256(ONE, base) VECTOR_CASES_128(ONE, base) VECTOR_CASES_128(ONE, (base) + 128)

// Shuffles.
#define VECTOR_WORD(s, index) ((uint64_t)((const VectorWords *)(s))->words[(index)])
#define VECTOR_HALFWORD(half, index) ((half) >> (16 * ((index) & 3)) & 0xffff)
typedef struct __attribute__((packed, may_alias)) VectorWords { uint32_t words[4]; } VectorWords;

VECTOR_INLINE void vector_pshufd(VECTOR_IMMEDIATE_OPERANDS) {
    uint64_t low = VECTOR_WORD(s, immediate & 3) | VECTOR_WORD(s, immediate >> 2 & 3) << 32;
    uint64_t high = VECTOR_WORD(s, immediate >> 4 & 3) | VECTOR_WORD(s, immediate >> 6 & 3) << 32;
    vector_set(d, low, high);
}
VECTOR_INLINE void vector_shufps(VECTOR_IMMEDIATE_OPERANDS) {
    uint64_t low = VECTOR_WORD(d, immediate & 3) | VECTOR_WORD(d, immediate >> 2 & 3) << 32;
    uint64_t high = VECTOR_WORD(s, immediate >> 4 & 3) | VECTOR_WORD(s, immediate >> 6 & 3) << 32;
    vector_set(d, low, high);
}
VECTOR_INLINE void vector_shufpd(VECTOR_IMMEDIATE_OPERANDS) {
    uint64_t low = immediate & 1 ? vector_high(d) : vector_low(d);
    uint64_t high = immediate & 2 ? vector_high(s) : vector_low(s);
    vector_set(d, low, high);
}
/// The four 16-bit elements of `half`, selected by `immediate`.
VECTOR_INLINE uint64_t vector_shuffled(uint64_t half, uint32_t immediate) {
    return VECTOR_HALFWORD(half, immediate) | VECTOR_HALFWORD(half, immediate >> 2) << 16 |
           VECTOR_HALFWORD(half, immediate >> 4) << 32 |
           VECTOR_HALFWORD(half, immediate >> 6) << 48;
}
VECTOR_INLINE void vector_pshuflw(VECTOR_IMMEDIATE_OPERANDS) {
    vector_set(d, vector_shuffled(vector_low(s), immediate), vector_high(s));
}
VECTOR_INLINE void vector_pshufhw(VECTOR_IMMEDIATE_OPERANDS) {
    vector_set(d, vector_low(s), vector_shuffled(vector_high(s), immediate));
}
VECTOR_INLINE void vector_mmx_pshufw(VECTOR_IMMEDIATE_OPERANDS) {
    uint64_t result = vector_shuffled(vector_low(s), immediate);
    __builtin_memcpy(d, &result, 8);
}

/// PSHUFB masks that shift whole registers: 16 bytes from 16 - n shift left, from 16 + n right.
static const uint8_t vector_byte_shifts[48] __attribute__((aligned(16))) = {
    128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
    0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   10,  11,  12,  13,  14,  15,
    128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
};
VECTOR_INLINE void vector_pslldq_immediate(void *_Nonnull d, uint32_t count) {
    vector_pshufb(d, vector_byte_shifts + 16 - (count > 16 ? 16 : count));
}
VECTOR_INLINE void vector_psrldq_immediate(void *_Nonnull d, uint32_t count) {
    vector_pshufb(d, vector_byte_shifts + 16 + (count > 16 ? 16 : count));
}
VECTOR_INLINE void vector_palignr(VECTOR_IMMEDIATE_OPERANDS) {
    uint32_t count = immediate > 32 ? 32 : immediate;
    // The destination moves right by count - 16, or left by 16 - count; the source right by count.
    const uint8_t *upper = vector_byte_shifts + count;
    const uint8_t *lower = vector_byte_shifts + 16 + (count > 16 ? 16 : count);
    __asm__ volatile("movdqu %0, %%xmm0\n\tmovdqu %1, %%xmm1\n\tmovdqu %2, %%xmm2\n\t"
                     "pshufb %%xmm2, %%xmm0\n\tmovdqu %3, %%xmm2\n\tpshufb %%xmm2, %%xmm1\n\t"
                     "por %%xmm1, %%xmm0\n\tmovdqu %%xmm0, %0"
                     : "+m"(VECTOR_D16)
                     : "m"(VECTOR_S16), "m"(*(const VectorBytes16 *)upper),
                       "m"(*(const VectorBytes16 *)lower)
                     : "xmm0", "xmm1", "xmm2");
}
VECTOR_INLINE void vector_mmx_palignr(VECTOR_IMMEDIATE_OPERANDS) {
    uint8_t bytes[32] = {0};
    __builtin_memcpy(bytes, s, 8);
    __builtin_memcpy(bytes + 8, d, 8);
    __builtin_memcpy(d, bytes + (immediate > 16 ? 16 : immediate), 8);
}

/// Blends: each byte has the bit of the immediate that chooses it from the source.
#define VECTOR_BLEND(name, ...)                                                                    \
    VECTOR_INLINE void vector_##name(VECTOR_IMMEDIATE_OPERANDS) {                                  \
        static const VectorBytes16 bits = {{__VA_ARGS__}};                                         \
        __asm__ volatile("movd %2, %%xmm0\n\tpxor %%xmm1, %%xmm1\n\tpshufb %%xmm1, %%xmm0\n\t"     \
                         "movdqu %3, %%xmm1\n\tpand %%xmm1, %%xmm0\n\tpcmpeqb %%xmm1, %%xmm0\n\t"  \
                         "movdqu %0, %%xmm1\n\tmovdqu %1, %%xmm2\n\t"                              \
                         "pblendvb %%xmm0, %%xmm2, %%xmm1\n\tmovdqu %%xmm1, %0"                    \
                         : "+m"(VECTOR_D16) : "m"(VECTOR_S16), "r"(immediate), "m"(bits)           \
                         : "xmm0", "xmm1", "xmm2");                                                \
    }
VECTOR_BLEND(pblendw, 1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32, 32, 64, 64, 128, 128)
VECTOR_BLEND(blendps, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8)
VECTOR_BLEND(blendpd, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2)

/// INSERTPS: `s` is the 32-bit element, already selected.
VECTOR_INLINE void vector_insertps(VECTOR_IMMEDIATE_OPERANDS) {
    uint32_t element;
    __builtin_memcpy(&element, s, 4);
    vector_insert(d, element, 32, (immediate >> 4 & 3) * 32);
    uint64_t low = vector_low(d), high = vector_high(d);
    low &= (immediate & 1 ? 0 : 0xffffffffull) | (immediate & 2 ? 0 : 0xffffffffull << 32);
    high &= (immediate & 4 ? 0 : 0xffffffffull) | (immediate & 8 ? 0 : 0xffffffffull << 32);
    vector_set(d, low, high);
}

// Shifts by an immediate: the count goes into a register. Counts of all 256 values are exact.
#define VECTOR_SHIFT(name)                                                                         \
    VECTOR_INLINE void vector_##name##_immediate(void *_Nonnull d, uint32_t count) {               \
        __asm__ volatile("movd %1, %%xmm1\n\tmovdqu %0, %%xmm0\n\t" #name                          \
                         " %%xmm1, %%xmm0\n\tmovdqu %%xmm0, %0"                                    \
                         : "+m"(VECTOR_D16) : "r"(count) : "xmm0", "xmm1");                        \
    }                                                                                              \
    VECTOR_INLINE void vector_mmx_##name##_immediate(void *_Nonnull d, uint32_t count) {           \
        __asm__ volatile("movd %1, %%xmm1\n\tmovq %0, %%xmm0\n\t" #name                            \
                         " %%xmm1, %%xmm0\n\tmovq %%xmm0, %0"                                      \
                         : "+m"(VECTOR_D8) : "r"(count) : "xmm0", "xmm1");                         \
    }
VECTOR_SHIFT(psllw)
VECTOR_SHIFT(pslld)
VECTOR_SHIFT(psllq)
VECTOR_SHIFT(psrlw)
VECTOR_SHIFT(psrld)
VECTOR_SHIFT(psrlq)
VECTOR_SHIFT(psraw)
VECTOR_SHIFT(psrad)
// Immediates that choose an operation.
#define VECTOR_SWITCHED(name, mask, CASES)                                                         \
    static inline void vector_##name(VECTOR_IMMEDIATE_OPERANDS) {                                  \
        switch (immediate & (mask)) { CASES }                                                      \
    }
#define VECTOR_ONE(name, load, source, value)                                                      \
    case (value):                                                                                  \
        __asm__ volatile(load " %1, %%xmm1\n\tmovdqu %0, %%xmm0\n\t" #name                         \
                         " %2, %%xmm1, %%xmm0\n\tmovdqu %%xmm0, %0"                                \
                         : "+m"(VECTOR_D16) : "m"(source), "i"(value) : "xmm0", "xmm1");           \
        break;
#define VECTOR_CMPPS(value) VECTOR_ONE(cmpps, "movdqu", VECTOR_S16, value)
#define VECTOR_CMPPD(value) VECTOR_ONE(cmppd, "movdqu", VECTOR_S16, value)
#define VECTOR_CMPSS(value) VECTOR_ONE(cmpss, "movd", VECTOR_S4, value)
#define VECTOR_CMPSD(value) VECTOR_ONE(cmpsd, "movq", VECTOR_S8, value)
#define VECTOR_ROUNDPS(value) VECTOR_ONE(roundps, "movdqu", VECTOR_S16, value)
#define VECTOR_ROUNDPD(value) VECTOR_ONE(roundpd, "movdqu", VECTOR_S16, value)
#define VECTOR_ROUNDSS(value) VECTOR_ONE(roundss, "movd", VECTOR_S4, value)
#define VECTOR_ROUNDSD(value) VECTOR_ONE(roundsd, "movq", VECTOR_S8, value)
#define VECTOR_DPPS(value) VECTOR_ONE(dpps, "movdqu", VECTOR_S16, value)
#define VECTOR_DPPD(value) VECTOR_ONE(dppd, "movdqu", VECTOR_S16, value)
#define VECTOR_MPSADBW(value) VECTOR_ONE(mpsadbw, "movdqu", VECTOR_S16, value)
#define VECTOR_PCLMULQDQ(value) VECTOR_ONE(pclmulqdq, "movdqu", VECTOR_S16, value)
#define VECTOR_PCLMULQDQ_CASES                                                                     \
    VECTOR_PCLMULQDQ(0x00) VECTOR_PCLMULQDQ(0x01) VECTOR_PCLMULQDQ(0x10) VECTOR_PCLMULQDQ(0x11)

VECTOR_SWITCHED(cmpps, 7, VECTOR_CASES_8(VECTOR_CMPPS, 0))
VECTOR_SWITCHED(cmppd, 7, VECTOR_CASES_8(VECTOR_CMPPD, 0))
VECTOR_SWITCHED(cmpss, 7, VECTOR_CASES_8(VECTOR_CMPSS, 0))
VECTOR_SWITCHED(cmpsd, 7, VECTOR_CASES_8(VECTOR_CMPSD, 0))
VECTOR_SWITCHED(roundps, 15, VECTOR_CASES_16(VECTOR_ROUNDPS, 0))
VECTOR_SWITCHED(roundpd, 15, VECTOR_CASES_16(VECTOR_ROUNDPD, 0))
VECTOR_SWITCHED(roundss, 15, VECTOR_CASES_16(VECTOR_ROUNDSS, 0))
VECTOR_SWITCHED(roundsd, 15, VECTOR_CASES_16(VECTOR_ROUNDSD, 0))
VECTOR_SWITCHED(dpps, 255, VECTOR_CASES_256(VECTOR_DPPS, 0))
VECTOR_SWITCHED(dppd, 63, VECTOR_CASES_64(VECTOR_DPPD, 0))
VECTOR_SWITCHED(mpsadbw, 7, VECTOR_CASES_8(VECTOR_MPSADBW, 0))
VECTOR_SWITCHED(pclmulqdq, 0x11, VECTOR_PCLMULQDQ_CASES)

/// AESKEYGENASSIST: the round constant is only xored into elements 1 and 3.
VECTOR_INLINE void vector_aeskeygenassist(VECTOR_IMMEDIATE_OPERANDS) {
    __asm__ volatile("movdqu %1, %%xmm1\n\taeskeygenassist $0, %%xmm1, %%xmm0\n\tmovdqu %%xmm0, %0"
                     : "=m"(VECTOR_D16) : "m"(VECTOR_S16) : "xmm0", "xmm1");
    uint32_t words[4];
    __builtin_memcpy(words, d, 16);
    words[1] ^= immediate;
    words[3] ^= immediate;
    __builtin_memcpy(d, words, 16);
}

// Register forms.
#define VECTOR_IMMEDIATE_HANDLER(name)                                                             \
    VECTOR_HANDLER vector_##name##_register(VECTOR_HANDLER_ARGUMENTS) {                            \
        vector_##name(VECTOR_DESTINATION, VECTOR_SOURCE, op->auxiliary);                           \
        return op + 1;                                                                             \
    }
#define VECTOR_SHIFT_HANDLER(name)                                                                 \
    VECTOR_HANDLER vector_##name##_register_immediate(VECTOR_HANDLER_ARGUMENTS) {                  \
        vector_##name##_immediate(VECTOR_DESTINATION, op->auxiliary);                              \
        return op + 1;                                                                             \
    }
VECTOR_IMMEDIATE_HANDLER(pshufd)
VECTOR_IMMEDIATE_HANDLER(pshuflw)
VECTOR_IMMEDIATE_HANDLER(pshufhw)
VECTOR_IMMEDIATE_HANDLER(shufps)
VECTOR_IMMEDIATE_HANDLER(shufpd)
VECTOR_IMMEDIATE_HANDLER(palignr)
VECTOR_IMMEDIATE_HANDLER(pblendw)
VECTOR_IMMEDIATE_HANDLER(blendps)
VECTOR_IMMEDIATE_HANDLER(blendpd)
VECTOR_IMMEDIATE_HANDLER(mpsadbw)
VECTOR_IMMEDIATE_HANDLER(pclmulqdq)
VECTOR_IMMEDIATE_HANDLER(aeskeygenassist)
VECTOR_SHIFT_HANDLER(psllw)
VECTOR_SHIFT_HANDLER(pslld)
VECTOR_SHIFT_HANDLER(psllq)
VECTOR_SHIFT_HANDLER(psrlw)
VECTOR_SHIFT_HANDLER(psrld)
VECTOR_SHIFT_HANDLER(psrlq)
VECTOR_SHIFT_HANDLER(psraw)
VECTOR_SHIFT_HANDLER(psrad)
VECTOR_SHIFT_HANDLER(pslldq)
VECTOR_SHIFT_HANDLER(psrldq)

/// What PCMPISTRI, PCMPISTRM, PCMPESTRI and PCMPESTRM give: ECX or XMM0, and the flags in the
/// layout of `CPUState.statusFlags`.
typedef struct VectorStringResult {
    uint64_t low, high;
    uint32_t index;
    uint32_t flags;
} VectorStringResult;

#define VECTOR_STRING_INDEX(name, value)                                                           \
    case (value):                                                                                  \
        __asm__ volatile("movdqu %3, %%xmm1\n\tmovdqu %4, %%xmm2\n\t" name                         \
                         " %5, %%xmm2, %%xmm1\n\tlahf\n\tseto %%al"                                \
                         : "=c"(index), "+a"(a), "+d"(b)                                           \
                         : "m"(*(const VectorBytes16 *)d), "m"(VECTOR_S16), "i"(value)             \
                         : "xmm1", "xmm2", "cc");                                                  \
        break;
#define VECTOR_STRING_MASK(name, value)                                                            \
    case (value):                                                                                  \
        __asm__ volatile("movdqu %3, %%xmm1\n\tmovdqu %4, %%xmm2\n\t" name                         \
                         " %5, %%xmm2, %%xmm1\n\tlahf\n\tseto %%al\n\tmovdqu %%xmm0, %0"           \
                         : "=m"(mask), "+a"(a), "+d"(b)                                            \
                         : "m"(*(const VectorBytes16 *)d), "m"(VECTOR_S16), "i"(value)             \
                         : "xmm0", "xmm1", "xmm2", "cc");                                          \
        break;
#define VECTOR_STRING(name, result, CASES)                                                         \
    /** `a`, `b`: lengths from vector_string_length; unused by the implicit forms. */            \
    static inline VectorStringResult vector_##name(                                                \
        const void *_Nonnull d, const void *_Nonnull s, uint64_t a, uint64_t b,                    \
        uint32_t immediate) {                                                                      \
        VectorBytes16 mask = {{0}};                                                                \
        uint32_t index = 0;                                                                        \
        switch (immediate & 0x7f) { CASES }                                                        \
        VectorStringResult answer = {0, 0, index, (uint16_t)a};                                    \
        __builtin_memcpy(&answer, &mask, 16);                                                      \
        return answer;                                                                             \
    }
/// A 64-bit length as a 32-bit one: the instructions take absolute values and saturate at 16.
VECTOR_INLINE uint64_t vector_string_length(uint64_t length) {
    int64_t value = (int64_t)length;
    return (uint32_t)(value > 16 ? 16 : value < -16 ? -16 : value);
}
#define VECTOR_PCMPISTRI(value) VECTOR_STRING_INDEX("pcmpistri", value)
#define VECTOR_PCMPISTRM(value) VECTOR_STRING_MASK("pcmpistrm", value)
#define VECTOR_PCMPESTRI(value) VECTOR_STRING_INDEX("pcmpestri", value)
#define VECTOR_PCMPESTRM(value) VECTOR_STRING_MASK("pcmpestrm", value)
VECTOR_STRING(pcmpistri, index, VECTOR_CASES_128(VECTOR_PCMPISTRI, 0))
VECTOR_STRING(pcmpistrm, mask, VECTOR_CASES_128(VECTOR_PCMPISTRM, 0))
VECTOR_STRING(pcmpestri, index, VECTOR_CASES_128(VECTOR_PCMPESTRI, 0))
VECTOR_STRING(pcmpestrm, mask, VECTOR_CASES_128(VECTOR_PCMPESTRM, 0))

#endif
