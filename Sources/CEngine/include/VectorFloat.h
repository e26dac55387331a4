// Vector floating point. The guest's MXCSR is in the host's while guest code runs, with all
// exceptions masked, so that results, rounding and sticky flags are the host's own.
#ifndef MARTLET_VECTORFLOAT_H
#define MARTLET_VECTORFLOAT_H

#include "CPUState.h"
#include "VectorInteger.h"

enum {
    /// Sticky exception flags IE DE ZE OE UE PE.
    MXCSR_FLAGS = 0x3f,
    MXCSR_DENORMALS_ARE_ZERO = 1 << 6,
    /// Mask bits, in the order of the flags.
    MXCSR_MASKS = 0x1f80,
    MXCSR_MASK_SHIFT = 7,
    MXCSR_FLUSH_TO_ZERO = 1 << 15,
    /// What the guest may set; also MXCSR_MASK in an FXSAVE image.
    MXCSR_DEFINED = 0xffff,
    MXCSR_INITIAL = 0x1f80,
};

VECTOR_INLINE uint32_t vector_host_mxcsr(void) {
    uint32_t value;
    __asm__ volatile("stmxcsr %0" : "=m"(value) : : "memory");
    return value;
}
VECTOR_INLINE void vector_set_host_mxcsr(uint32_t value) {
    __asm__ volatile("ldmxcsr %0" : : "m"(value) : "memory");
}

// add, sub, mul, div, min, max, sqrt in the four formats.
#define VECTOR_ARITHMETIC(name)                                                                    \
    VECTOR_XMM(name##ps) VECTOR_XMM(name##pd) VECTOR_XMM32(name##ss) VECTOR_XMM64(name##sd)
VECTOR_ARITHMETIC(add)
VECTOR_ARITHMETIC(sub)
VECTOR_ARITHMETIC(mul)
VECTOR_ARITHMETIC(div)
VECTOR_ARITHMETIC(min)
VECTOR_ARITHMETIC(max)
VECTOR_ARITHMETIC(sqrt)
VECTOR_XMM(addsubps)
VECTOR_XMM(addsubpd)
VECTOR_XMM(haddps)
VECTOR_XMM(haddpd)
VECTOR_XMM(hsubps)
VECTOR_XMM(hsubpd)
// Conversions within XMM registers.
VECTOR_XMM(cvtdq2ps)
VECTOR_XMM(cvtps2dq)
VECTOR_XMM(cvttps2dq)
VECTOR_XMM(cvtpd2dq)
VECTOR_XMM(cvttpd2dq)
VECTOR_XMM(cvtpd2ps)
VECTOR_XMM64(cvtdq2pd)
VECTOR_XMM64(cvtps2pd)
VECTOR_XMM64(cvtsd2ss)
VECTOR_XMM32(cvtss2sd)

/// A conversion whose destination is the low half of an XMM register or an MMX register.
#define VECTOR_CONVERT_TO_8(name, load, source, operation)                                         \
    VECTOR_INLINE void vector_##name(VECTOR_OPERANDS) {                                            \
        __asm__ volatile(load " %1, %%xmm1\n\t" operation " %%xmm1, %%xmm0\n\tmovq %%xmm0, %0"     \
                         : "=m"(VECTOR_D8) : "m"(source) : "xmm0", "xmm1");                        \
    }
VECTOR_CONVERT_TO_8(cvtps2pi, "movq", VECTOR_S8, "cvtps2dq")
VECTOR_CONVERT_TO_8(cvttps2pi, "movq", VECTOR_S8, "cvttps2dq")
VECTOR_CONVERT_TO_8(cvtpd2pi, "movdqu", VECTOR_S16, "cvtpd2dq")
VECTOR_CONVERT_TO_8(cvttpd2pi, "movdqu", VECTOR_S16, "cvttpd2dq")
VECTOR_CONVERT_TO_8(cvtpi2ps, "movq", VECTOR_S8, "cvtdq2ps")
VECTOR_INLINE void vector_cvtpi2pd(VECTOR_OPERANDS) { vector_cvtdq2pd(d, s); }

/// Integers from a general-purpose register or memory to a scalar.
#define VECTOR_FROM_INTEGER(name, operation, source)                                               \
    VECTOR_INLINE void vector_##name(VECTOR_OPERANDS) {                                            \
        __asm__ volatile("movdqu %0, %%xmm0\n\t" operation " %1, %%xmm0\n\tmovdqu %%xmm0, %0"      \
                         : "+m"(VECTOR_D16) : "m"(source) : "xmm0");                               \
    }
VECTOR_FROM_INTEGER(cvtsi2ss32, "cvtsi2ssl", VECTOR_S4)
VECTOR_FROM_INTEGER(cvtsi2ss64, "cvtsi2ssq", VECTOR_S8)
VECTOR_FROM_INTEGER(cvtsi2sd32, "cvtsi2sdl", VECTOR_S4)
VECTOR_FROM_INTEGER(cvtsi2sd64, "cvtsi2sdq", VECTOR_S8)

/// Scalars to a general-purpose register; `d` is all 64 bits of it.
#define VECTOR_TO_INTEGER(name, operation, load, source, type)                                     \
    VECTOR_INLINE void vector_##name(VECTOR_OPERANDS) {                                            \
        type value;                                                                                \
        __asm__ volatile(load " %1, %%xmm0\n\t" operation " %%xmm0, %0"                            \
                         : "=r"(value) : "m"(source) : "xmm0");                                    \
        *(uint64_t *)d = value;                                                                    \
    }
VECTOR_TO_INTEGER(cvtss2si32, "cvtss2si", "movd", VECTOR_S4, uint32_t)
VECTOR_TO_INTEGER(cvtss2si64, "cvtss2si", "movd", VECTOR_S4, uint64_t)
VECTOR_TO_INTEGER(cvttss2si32, "cvttss2si", "movd", VECTOR_S4, uint32_t)
VECTOR_TO_INTEGER(cvttss2si64, "cvttss2si", "movd", VECTOR_S4, uint64_t)
VECTOR_TO_INTEGER(cvtsd2si32, "cvtsd2si", "movq", VECTOR_S8, uint32_t)
VECTOR_TO_INTEGER(cvtsd2si64, "cvtsd2si", "movq", VECTOR_S8, uint64_t)
VECTOR_TO_INTEGER(cvttsd2si32, "cvttsd2si", "movq", VECTOR_S8, uint32_t)
VECTOR_TO_INTEGER(cvttsd2si64, "cvttsd2si", "movq", VECTOR_S8, uint64_t)

/// Comparisons into flags, in the layout of `CPUState.statusFlags`.
#define VECTOR_COMPARE(name, load, type)                                                           \
    VECTOR_INLINE uint64_t vector_##name(const void *_Nonnull d, const void *_Nonnull s) {         \
        uint16_t flags;                                                                            \
        __asm__ volatile(load " %1, %%xmm0\n\t" load " %2, %%xmm1\n\t" #name                       \
                         " %%xmm1, %%xmm0\n\tlahf\n\tseto %%al"                                    \
                         : "=a"(flags) : "m"(*(const type *)d), "m"(*(const type *)s)              \
                         : "xmm0", "xmm1", "cc");                                                  \
        return flags;                                                                              \
    }
VECTOR_COMPARE(comiss, "movd", VectorBytes4)
VECTOR_COMPARE(ucomiss, "movd", VectorBytes4)
VECTOR_COMPARE(comisd, "movq", VectorBytes8)
VECTOR_COMPARE(ucomisd, "movq", VectorBytes8)

#endif
