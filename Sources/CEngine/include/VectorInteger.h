// The integer vector instructions: each guest instruction is the same host instruction.
//
// `d` is the destination register inside CPUState, `s` the source: a register inside CPUState or
// guest memory, at any alignment. MMX instructions run in XMM registers, so the host's x87 stack
// is never touched.
#ifndef MARTLET_VECTORINTEGER_H
#define MARTLET_VECTORINTEGER_H

#include "CPUState.h"
#include <stdint.h>

// Bytes at any alignment, as memory operands of the statements below.
typedef struct VectorBytes16 { uint8_t bytes[16]; } VectorBytes16;
typedef struct VectorBytes8 { uint8_t bytes[8]; } VectorBytes8;
typedef struct VectorBytes4 { uint8_t bytes[4]; } VectorBytes4;

#define VECTOR_INLINE static inline __attribute__((always_inline))
/// Instruction handlers, as `InstructionHandler` declares them.
#define VECTOR_HANDLER static inline const DecodedInstruction *_Nullable
#define VECTOR_HANDLER_ARGUMENTS                                                                   \
    CPUState *_Nonnull cpu, const DecodedInstruction *_Nonnull op
#define VECTOR_DESTINATION ((char *)cpu + op->destination)
#define VECTOR_SOURCE ((const char *)cpu + op->source)
#define VECTOR_OPERANDS void *_Nonnull d, const void *_Nonnull s
#define VECTOR_D16 (*(VectorBytes16 *)d)
#define VECTOR_D8 (*(VectorBytes8 *)d)
#define VECTOR_S16 (*(const VectorBytes16 *)s)
#define VECTOR_S8 (*(const VectorBytes8 *)s)
#define VECTOR_S4 (*(const VectorBytes4 *)s)

/// xmm <- xmm op xmm/m128
#define VECTOR_XMM(name)                                                                           \
    VECTOR_INLINE void vector_##name(VECTOR_OPERANDS) {                                            \
        __asm__ volatile("movdqu %1, %%xmm1\n\tmovdqu %0, %%xmm0\n\t" #name                        \
                         " %%xmm1, %%xmm0\n\tmovdqu %%xmm0, %0"                                    \
                         : "+m"(VECTOR_D16) : "m"(VECTOR_S16) : "xmm0", "xmm1");                   \
    }
/// xmm <- xmm op xmm/m64
#define VECTOR_XMM64(name)                                                                         \
    VECTOR_INLINE void vector_##name(VECTOR_OPERANDS) {                                            \
        __asm__ volatile("movq %1, %%xmm1\n\tmovdqu %0, %%xmm0\n\t" #name                          \
                         " %%xmm1, %%xmm0\n\tmovdqu %%xmm0, %0"                                    \
                         : "+m"(VECTOR_D16) : "m"(VECTOR_S8) : "xmm0", "xmm1");                    \
    }
/// xmm <- xmm op xmm/m32
#define VECTOR_XMM32(name)                                                                         \
    VECTOR_INLINE void vector_##name(VECTOR_OPERANDS) {                                            \
        __asm__ volatile("movd %1, %%xmm1\n\tmovdqu %0, %%xmm0\n\t" #name                          \
                         " %%xmm1, %%xmm0\n\tmovdqu %%xmm0, %0"                                    \
                         : "+m"(VECTOR_D16) : "m"(VECTOR_S4) : "xmm0", "xmm1");                    \
    }
/// xmm <- xmm op xmm/m128 under the mask in XMM0, given as `mask`
#define VECTOR_BLENDV(name)                                                                        \
    VECTOR_INLINE void vector_##name(VECTOR_OPERANDS, const void *_Nonnull mask) {                 \
        __asm__ volatile("movdqu %2, %%xmm0\n\tmovdqu %1, %%xmm1\n\tmovdqu %0, %%xmm2\n\t" #name   \
                         " %%xmm0, %%xmm1, %%xmm2\n\tmovdqu %%xmm2, %0"                            \
                         : "+m"(VECTOR_D16) : "m"(VECTOR_S16), "m"(*(const VectorBytes16 *)mask)   \
                         : "xmm0", "xmm1", "xmm2");                                                \
    }
/// mm <- mm op mm/m64, lane by lane
#define VECTOR_MMX(name)                                                                           \
    VECTOR_INLINE void vector_mmx_##name(VECTOR_OPERANDS) {                                        \
        __asm__ volatile("movq %1, %%xmm1\n\tmovq %0, %%xmm0\n\t" #name                            \
                         " %%xmm1, %%xmm0\n\tmovq %%xmm0, %0"                                      \
                         : "+m"(VECTOR_D8) : "m"(VECTOR_S8) : "xmm0", "xmm1");                     \
    }
/// mm <- mm op mm/m32
#define VECTOR_MMX32(name)                                                                         \
    VECTOR_INLINE void vector_mmx_##name(VECTOR_OPERANDS) {                                        \
        __asm__ volatile("movd %1, %%xmm1\n\tmovq %0, %%xmm0\n\t" #name                            \
                         " %%xmm1, %%xmm0\n\tmovq %%xmm0, %0"                                      \
                         : "+m"(VECTOR_D8) : "m"(VECTOR_S4) : "xmm0", "xmm1");                     \
    }
/// mm <- mm op mm/m64 where the result's low half comes from the destination, the high half from
/// the source: both are joined in one XMM register
#define VECTOR_MMX_JOINED(name)                                                                    \
    VECTOR_INLINE void vector_mmx_##name(VECTOR_OPERANDS) {                                        \
        __asm__ volatile("movq %1, %%xmm1\n\tmovq %0, %%xmm0\n\tpunpcklqdq %%xmm1, %%xmm0\n\t"     \
                         #name " %%xmm0, %%xmm0\n\tmovq %%xmm0, %0"                                \
                         : "+m"(VECTOR_D8) : "m"(VECTOR_S8) : "xmm0", "xmm1");                     \
    }
/// punpckh: the upper half of what the punpckl of the XMM registers gives
#define VECTOR_MMX_HIGH(name, low)                                                                 \
    VECTOR_INLINE void vector_mmx_##name(VECTOR_OPERANDS) {                                        \
        __asm__ volatile("movq %1, %%xmm1\n\tmovq %0, %%xmm0\n\t" #low                             \
                         " %%xmm1, %%xmm0\n\tpsrldq $8, %%xmm0\n\tmovq %%xmm0, %0"                 \
                         : "+m"(VECTOR_D8) : "m"(VECTOR_S8) : "xmm0", "xmm1");                     \
    }
/// The handler of a form with both operands in registers: nothing in it can fault.
#define VECTOR_REGISTER_HANDLER(name)                                                              \
    VECTOR_HANDLER vector_##name##_register(VECTOR_HANDLER_ARGUMENTS) {                            \
        vector_##name(VECTOR_DESTINATION, VECTOR_SOURCE);                                          \
        return op + 1;                                                                             \
    }
#define VECTOR_INTEGER(name) VECTOR_XMM(name) VECTOR_REGISTER_HANDLER(name)
#define VECTOR_INTEGER64(name) VECTOR_XMM64(name) VECTOR_REGISTER_HANDLER(name)
#define VECTOR_INTEGER32(name) VECTOR_XMM32(name) VECTOR_REGISTER_HANDLER(name)
#define VECTOR_BOTH(name) VECTOR_INTEGER(name) VECTOR_MMX(name)
#define VECTOR_BOTH_JOINED(name) VECTOR_INTEGER(name) VECTOR_MMX_JOINED(name)

// Addition and subtraction.
VECTOR_BOTH(paddb)
VECTOR_BOTH(paddw)
VECTOR_BOTH(paddd)
VECTOR_BOTH(paddq)
VECTOR_BOTH(paddsb)
VECTOR_BOTH(paddsw)
VECTOR_BOTH(paddusb)
VECTOR_BOTH(paddusw)
VECTOR_BOTH(psubb)
VECTOR_BOTH(psubw)
VECTOR_BOTH(psubd)
VECTOR_BOTH(psubq)
VECTOR_BOTH(psubsb)
VECTOR_BOTH(psubsw)
VECTOR_BOTH(psubusb)
VECTOR_BOTH(psubusw)
VECTOR_BOTH_JOINED(phaddw)
VECTOR_BOTH_JOINED(phaddd)
VECTOR_BOTH_JOINED(phaddsw)
VECTOR_BOTH_JOINED(phsubw)
VECTOR_BOTH_JOINED(phsubd)
VECTOR_BOTH_JOINED(phsubsw)
// Multiplication and sums.
VECTOR_BOTH(pmullw)
VECTOR_BOTH(pmulhw)
VECTOR_BOTH(pmulhuw)
VECTOR_BOTH(pmulhrsw)
VECTOR_BOTH(pmuludq)
VECTOR_BOTH(pmaddwd)
VECTOR_BOTH(pmaddubsw)
VECTOR_BOTH(psadbw)
VECTOR_INTEGER(pmuldq)
VECTOR_INTEGER(pmulld)
VECTOR_INTEGER(phminposuw)
// Averages, minima, maxima, signs.
VECTOR_BOTH(pavgb)
VECTOR_BOTH(pavgw)
VECTOR_BOTH(pmaxub)
VECTOR_BOTH(pmaxsw)
VECTOR_BOTH(pminub)
VECTOR_BOTH(pminsw)
VECTOR_INTEGER(pmaxsb)
VECTOR_INTEGER(pmaxuw)
VECTOR_INTEGER(pmaxud)
VECTOR_INTEGER(pmaxsd)
VECTOR_INTEGER(pminsb)
VECTOR_INTEGER(pminuw)
VECTOR_INTEGER(pminud)
VECTOR_INTEGER(pminsd)
VECTOR_BOTH(psignb)
VECTOR_BOTH(psignw)
VECTOR_BOTH(psignd)
VECTOR_BOTH(pabsb)
VECTOR_BOTH(pabsw)
VECTOR_BOTH(pabsd)
// Comparison and logic.
VECTOR_BOTH(pcmpeqb)
VECTOR_BOTH(pcmpeqw)
VECTOR_BOTH(pcmpeqd)
VECTOR_INTEGER(pcmpeqq)
VECTOR_BOTH(pcmpgtb)
VECTOR_BOTH(pcmpgtw)
VECTOR_BOTH(pcmpgtd)
VECTOR_INTEGER(pcmpgtq)
VECTOR_BOTH(pand)
VECTOR_BOTH(pandn)
VECTOR_BOTH(por)
VECTOR_BOTH(pxor)
VECTOR_INTEGER(andps)
VECTOR_INTEGER(andpd)
VECTOR_INTEGER(andnps)
VECTOR_INTEGER(andnpd)
VECTOR_INTEGER(orps)
VECTOR_INTEGER(orpd)
VECTOR_INTEGER(xorps)
VECTOR_INTEGER(xorpd)
// Shifts by a register or memory operand.
VECTOR_BOTH(psllw)
VECTOR_BOTH(pslld)
VECTOR_BOTH(psllq)
VECTOR_BOTH(psrlw)
VECTOR_BOTH(psrld)
VECTOR_BOTH(psrlq)
VECTOR_BOTH(psraw)
VECTOR_BOTH(psrad)
// Packing, unpacking, widening.
VECTOR_BOTH_JOINED(packsswb)
VECTOR_BOTH_JOINED(packssdw)
VECTOR_BOTH_JOINED(packuswb)
VECTOR_INTEGER(packusdw)
VECTOR_INTEGER(punpcklbw)
VECTOR_MMX32(punpcklbw)
VECTOR_INTEGER(punpcklwd)
VECTOR_MMX32(punpcklwd)
VECTOR_INTEGER(punpckldq)
VECTOR_MMX32(punpckldq)
VECTOR_INTEGER(punpcklqdq)
VECTOR_INTEGER(punpckhbw)
VECTOR_INTEGER(punpckhwd)
VECTOR_INTEGER(punpckhdq)
VECTOR_INTEGER(punpckhqdq)
VECTOR_MMX_HIGH(punpckhbw, punpcklbw)
VECTOR_MMX_HIGH(punpckhwd, punpcklwd)
VECTOR_MMX_HIGH(punpckhdq, punpckldq)
VECTOR_INTEGER(unpcklps)
VECTOR_INTEGER(unpcklpd)
VECTOR_INTEGER(unpckhps)
VECTOR_INTEGER(unpckhpd)
VECTOR_INTEGER64(pmovsxbw)
VECTOR_INTEGER64(pmovsxwd)
VECTOR_INTEGER64(pmovsxdq)
VECTOR_INTEGER32(pmovsxbd)
VECTOR_INTEGER32(pmovsxwq)
VECTOR_INTEGER64(pmovzxbw)
VECTOR_INTEGER64(pmovzxwd)
VECTOR_INTEGER64(pmovzxdq)
VECTOR_INTEGER32(pmovzxbd)
VECTOR_INTEGER32(pmovzxwq)
// Permutation.
VECTOR_INTEGER(pshufb)
VECTOR_INTEGER(movshdup)
VECTOR_INTEGER(movsldup)
VECTOR_INTEGER64(movddup)
VECTOR_BLENDV(pblendvb)
VECTOR_BLENDV(blendvps)
VECTOR_BLENDV(blendvpd)
// AES.
VECTOR_INTEGER(aesenc)
VECTOR_INTEGER(aesenclast)
VECTOR_INTEGER(aesdec)
VECTOR_INTEGER(aesdeclast)
VECTOR_INTEGER(aesimc)
// Approximations: no exceptions, no rounding mode.
VECTOR_INTEGER(rcpps)
VECTOR_INTEGER(rsqrtps)
VECTOR_INTEGER32(rcpss)
VECTOR_INTEGER32(rsqrtss)

/// PMOVSXBQ and PMOVZXBQ, whose memory operand is 16 bits.
VECTOR_INLINE void vector_pmovsxbq(VECTOR_OPERANDS) {
    int8_t from[2];
    __builtin_memcpy(from, s, 2);
    int64_t to[2] = {from[0], from[1]};
    __builtin_memcpy(d, to, 16);
}
VECTOR_REGISTER_HANDLER(pmovsxbq)
VECTOR_INLINE void vector_pmovzxbq(VECTOR_OPERANDS) {
    uint8_t from[2];
    __builtin_memcpy(from, s, 2);
    uint64_t to[2] = {from[0], from[1]};
    __builtin_memcpy(d, to, 16);
}
VECTOR_REGISTER_HANDLER(pmovzxbq)
/// PSHUFB of MMX registers: three index bits.
VECTOR_INLINE void vector_mmx_pshufb(VECTOR_OPERANDS) {
    uint8_t from[8], selector[8];
    __builtin_memcpy(from, d, 8);
    __builtin_memcpy(selector, s, 8);
    for (int i = 0; i < 8; i++)
        ((uint8_t *)d)[i] = selector[i] & 0x80 ? 0 : from[selector[i] & 7];
}
/// Bit i of the result is the sign of element i.
#define VECTOR_SIGNS(name, load, operation, source)                                                \
    VECTOR_INLINE uint32_t vector_##name(const void *_Nonnull s) {                                 \
        uint32_t mask;                                                                             \
        __asm__ volatile(load " %1, %%xmm0\n\t" operation " %%xmm0, %0"                            \
                         : "=r"(mask) : "m"(source) : "xmm0");                                     \
        return mask;                                                                               \
    }
#define VECTOR_SIGNS_HANDLER(name)                                                                 \
    VECTOR_HANDLER vector_##name##_register(VECTOR_HANDLER_ARGUMENTS) {                            \
        uint64_t signs = vector_##name(VECTOR_SOURCE);                                             \
        __builtin_memcpy(VECTOR_DESTINATION, &signs, 8);                                           \
        return op + 1;                                                                             \
    }
VECTOR_SIGNS(pmovmskb, "movdqu", "pmovmskb", VECTOR_S16)
VECTOR_SIGNS(mmx_pmovmskb, "movq", "pmovmskb", VECTOR_S8)
VECTOR_SIGNS(movmskps, "movdqu", "movmskps", VECTOR_S16)
VECTOR_SIGNS(movmskpd, "movdqu", "movmskpd", VECTOR_S16)
VECTOR_SIGNS_HANDLER(pmovmskb)
VECTOR_SIGNS_HANDLER(mmx_pmovmskb)
VECTOR_SIGNS_HANDLER(movmskps)
VECTOR_SIGNS_HANDLER(movmskpd)
/// PTEST: the flags in the layout of `CPUState.statusFlags`.
VECTOR_INLINE uint64_t vector_ptest(const void *_Nonnull d, const void *_Nonnull s) {
    uint16_t flags;
    __asm__ volatile("movdqu %1, %%xmm0\n\tmovdqu %2, %%xmm1\n\tptest %%xmm1, %%xmm0\n\t"
                     "lahf\n\tseto %%al"
                     : "=a"(flags) : "m"(*(const VectorBytes16 *)d), "m"(VECTOR_S16)
                     : "xmm0", "xmm1", "cc");
    return flags;
}
VECTOR_HANDLER vector_ptest_register(VECTOR_HANDLER_ARGUMENTS) {
    cpu->statusFlags = vector_ptest(VECTOR_DESTINATION, VECTOR_SOURCE);
    return op + 1;
}

#endif
