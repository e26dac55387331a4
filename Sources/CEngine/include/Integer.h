// Integer instructions on the host's own processor: the result, and the flags as LAHF and SETO give
// them, undefined ones included.
#ifndef MARTLET_INTEGER_H
#define MARTLET_INTEGER_H

#include <stdint.h>

/// A handler is as long as its operation: calling that would cost as much again.
#define INTEGER_CODE static inline __attribute__((always_inline))

#define INTEGER_BINARY(name, width, type, code)                                                    \
    INTEGER_CODE type integer_##name##width(type a, type b, uint64_t *_Nonnull flags) {        \
        uint32_t status;                                                                           \
        __asm__(code " %[b], %[a]\n\tlahf\n\tseto %%al"                                            \
                : [a] "+&q"(a), "=&a"(status)                                                      \
                : [b] "q"(b)                                                                       \
                : "cc");                                                                           \
        *flags = status & 0xffff;                                                                  \
        return a;                                                                                  \
    }
#define INTEGER_BINARY_WIDTHS(name)                                                                \
    INTEGER_BINARY(name, 8, uint8_t, #name "b")                                                    \
    INTEGER_BINARY(name, 16, uint16_t, #name "w")                                                  \
    INTEGER_BINARY(name, 32, uint32_t, #name "l")                                                  \
    INTEGER_BINARY(name, 64, uint64_t, #name "q")
INTEGER_BINARY_WIDTHS(add)
INTEGER_BINARY_WIDTHS(or)
INTEGER_BINARY_WIDTHS(and)
INTEGER_BINARY_WIDTHS(sub)
INTEGER_BINARY_WIDTHS(xor)
INTEGER_BINARY_WIDTHS(cmp)
INTEGER_BINARY_WIDTHS(test)
INTEGER_BINARY(imul_low, 16, uint16_t, "imulw")
INTEGER_BINARY(imul_low, 32, uint32_t, "imull")
INTEGER_BINARY(imul_low, 64, uint64_t, "imulq")

// With the carry flag in: bit 8 of the status word.
#define INTEGER_CARRY(name, width, type, code)                                                     \
    INTEGER_CODE type integer_##name##width(type a, type b, uint64_t *_Nonnull flags) {        \
        uint32_t status;                                                                           \
        __asm__("btl $8, %[f]\n\t" code " %[b], %[a]\n\tlahf\n\tseto %%al"                         \
                : [a] "+&q"(a), "=&a"(status)                                                      \
                : [b] "q"(b), [f] "r"((uint32_t)*flags)                                            \
                : "cc");                                                                           \
        *flags = status & 0xffff;                                                                  \
        return a;                                                                                  \
    }
#define INTEGER_CARRY_WIDTHS(name)                                                                 \
    INTEGER_CARRY(name, 8, uint8_t, #name "b")                                                     \
    INTEGER_CARRY(name, 16, uint16_t, #name "w")                                                   \
    INTEGER_CARRY(name, 32, uint32_t, #name "l")                                                   \
    INTEGER_CARRY(name, 64, uint64_t, #name "q")
INTEGER_CARRY_WIDTHS(adc)
INTEGER_CARRY_WIDTHS(sbb)

// One operand; INC and DEC keep the carry flag, so it goes in.
#define INTEGER_UNARY(name, width, type, code)                                                     \
    INTEGER_CODE type integer_##name##width(type a, uint64_t *_Nonnull flags) {                \
        uint32_t status;                                                                           \
        __asm__("btl $8, %[f]\n\t" code " %[a]\n\tlahf\n\tseto %%al"                               \
                : [a] "+&q"(a), "=&a"(status)                                                      \
                : [f] "r"((uint32_t)*flags)                                                        \
                : "cc");                                                                           \
        *flags = status & 0xffff;                                                                  \
        return a;                                                                                  \
    }
#define INTEGER_UNARY_WIDTHS(name)                                                                 \
    INTEGER_UNARY(name, 8, uint8_t, #name "b")                                                     \
    INTEGER_UNARY(name, 16, uint16_t, #name "w")                                                   \
    INTEGER_UNARY(name, 32, uint32_t, #name "l")                                                   \
    INTEGER_UNARY(name, 64, uint64_t, #name "q")
INTEGER_UNARY_WIDTHS(inc)
INTEGER_UNARY_WIDTHS(dec)
INTEGER_UNARY_WIDTHS(neg)

// NOT changes no flags.
INTEGER_CODE uint8_t integer_not8(uint8_t a, uint64_t *_Nonnull flags) { return (uint8_t)~a; }
INTEGER_CODE uint16_t integer_not16(uint16_t a, uint64_t *_Nonnull flags) { return (uint16_t)~a; }
INTEGER_CODE uint32_t integer_not32(uint32_t a, uint64_t *_Nonnull flags) { return ~a; }
INTEGER_CODE uint64_t integer_not64(uint64_t a, uint64_t *_Nonnull flags) { return ~a; }

// Shifts set all arithmetic flags, rotates only CF and OF; a masked count of 0 sets none.
#define INTEGER_SHIFT(name, width, type, code, mask, changed)                                      \
    INTEGER_CODE type integer_##name##width(type a, uint8_t count, uint64_t *_Nonnull flags) { \
        uint32_t status;                                                                           \
        if ((count & mask) == 0) return a;                                                         \
        __asm__("btl $8, %[f]\n\t" code " %%cl, %[a]\n\tlahf\n\tseto %%al"                         \
                : [a] "+&q"(a), "=&a"(status)                                                      \
                : "c"(count), [f] "r"((uint32_t)*flags)                                            \
                : "cc");                                                                           \
        *flags = (*flags & ~(uint64_t)(changed)) | (status & (changed));                           \
        return a;                                                                                  \
    }
#define INTEGER_SHIFT_WIDTHS(name, changed)                                                        \
    INTEGER_SHIFT(name, 8, uint8_t, #name "b", 31, changed)                                        \
    INTEGER_SHIFT(name, 16, uint16_t, #name "w", 31, changed)                                      \
    INTEGER_SHIFT(name, 32, uint32_t, #name "l", 31, changed)                                      \
    INTEGER_SHIFT(name, 64, uint64_t, #name "q", 63, changed)
INTEGER_SHIFT_WIDTHS(rol, 0x101)
INTEGER_SHIFT_WIDTHS(ror, 0x101)
INTEGER_SHIFT_WIDTHS(rcl, 0x101)
INTEGER_SHIFT_WIDTHS(rcr, 0x101)
INTEGER_SHIFT_WIDTHS(shl, 0xffff)
INTEGER_SHIFT_WIDTHS(shr, 0xffff)
INTEGER_SHIFT_WIDTHS(sar, 0xffff)

#define INTEGER_DOUBLE_SHIFT(name, width, type, code, mask)                                        \
    INTEGER_CODE type integer_##name##width(type a, type b, uint8_t count,                     \
                                             uint64_t *_Nonnull flags) {                           \
        uint32_t status;                                                                           \
        if ((count & mask) == 0) return a;                                                         \
        __asm__("btl $8, %[f]\n\t" code " %%cl, %[b], %[a]\n\tlahf\n\tseto %%al"                   \
                : [a] "+&r"(a), "=&a"(status)                                                      \
                : [b] "r"(b), "c"(count), [f] "r"((uint32_t)*flags)                                \
                : "cc");                                                                           \
        *flags = status & 0xffff;                                                                  \
        return a;                                                                                  \
    }
INTEGER_DOUBLE_SHIFT(shld, 16, uint16_t, "shldw", 31)
INTEGER_DOUBLE_SHIFT(shld, 32, uint32_t, "shldl", 31)
INTEGER_DOUBLE_SHIFT(shld, 64, uint64_t, "shldq", 63)
INTEGER_DOUBLE_SHIFT(shrd, 16, uint16_t, "shrdw", 31)
INTEGER_DOUBLE_SHIFT(shrd, 32, uint32_t, "shrdl", 31)
INTEGER_DOUBLE_SHIFT(shrd, 64, uint64_t, "shrdq", 63)

/// Low and high half of a product.
typedef struct IntegerProduct {
    uint64_t low;
    uint64_t high;
} IntegerProduct;

#define INTEGER_MULTIPLY(name, width, type, code, a, d)                                            \
    INTEGER_CODE IntegerProduct integer_##name##width(type x, type y, uint64_t *_Nonnull flags) { \
        type low, high = 0;                                                                        \
        uint32_t status;                                                                           \
        __asm__("mov" code " %[x], %%" a "\n\t" #name code " %[y]\n\tmov" code " %%" a             \
                ", %[low]\n\tmov" code " %%" d ", %[high]\n\tlahf\n\tseto %%al"                    \
                : [low] "=&r"(low), [high] "=&r"(high), "=&a"(status)                              \
                : [x] "r"(x), [y] "r"(y)                                                           \
                : "rdx", "cc");                                                                    \
        *flags = status & 0xffff;                                                                  \
        IntegerProduct product = {low, high};                                                      \
        return product;                                                                            \
    }
INTEGER_MULTIPLY(mul, 16, uint16_t, "w", "ax", "dx")
INTEGER_MULTIPLY(mul, 32, uint32_t, "l", "eax", "edx")
INTEGER_MULTIPLY(mul, 64, uint64_t, "q", "rax", "rdx")
INTEGER_MULTIPLY(imul, 16, uint16_t, "w", "ax", "dx")
INTEGER_MULTIPLY(imul, 32, uint32_t, "l", "eax", "edx")
INTEGER_MULTIPLY(imul, 64, uint64_t, "q", "rax", "rdx")

/// AL times the operand: AX in `low`.
#define INTEGER_MULTIPLY8(name)                                                                    \
    INTEGER_CODE IntegerProduct integer_##name##8(uint8_t x, uint8_t y, uint64_t *_Nonnull flags) {\
        uint16_t low;                                                                              \
        uint32_t status;                                                                           \
        __asm__("movb %[x], %%al\n\t" #name "b %[y]\n\tmovw %%ax, %[low]\n\tlahf\n\tseto %%al"     \
                : [low] "=&r"(low), "=&a"(status)                                                  \
                : [x] "q"(x), [y] "q"(y)                                                           \
                : "cc");                                                                           \
        *flags = status & 0xffff;                                                                  \
        IntegerProduct product = {low, 0};                                                         \
        return product;                                                                            \
    }
INTEGER_MULTIPLY8(mul)
INTEGER_MULTIPLY8(imul)

// BSF and BSR keep the destination when the source is 0. BT and its kin change CF; their other flag\
// are the host's.
#define INTEGER_SCAN(name, width, type, code)                                                      \
    INTEGER_CODE type integer_##name##width(type a, type b, uint64_t *_Nonnull flags) {        \
        uint32_t status;                                                                           \
        __asm__(code " %[b], %[a]\n\tlahf\n\tseto %%al"                                            \
                : [a] "+&r"(a), "=&a"(status)                                                      \
                : [b] "r"(b)                                                                       \
                : "cc");                                                                           \
        *flags = status & 0xffff;                                                                  \
        return a;                                                                                  \
    }
#define INTEGER_SCAN_WIDTHS(name)                                                                  \
    INTEGER_SCAN(name, 16, uint16_t, #name "w")                                                    \
    INTEGER_SCAN(name, 32, uint32_t, #name "l")                                                    \
    INTEGER_SCAN(name, 64, uint64_t, #name "q")
INTEGER_SCAN_WIDTHS(bsf)
INTEGER_SCAN_WIDTHS(bsr)

// BT and its kin change CF alone on the processors this runs on.
#define INTEGER_BIT(name, width, type, code)                                                       \
    INTEGER_CODE type integer_##name##width(type a, type b, uint64_t *_Nonnull flags) {        \
        uint8_t carry;                                                                             \
        __asm__(code " %[b], %[a]\n\tsetc %[c]"                                                    \
                : [a] "+&r"(a), [c] "=&q"(carry)                                                   \
                : [b] "r"(b)                                                                       \
                : "cc");                                                                           \
        *flags = (*flags & ~(uint64_t)0x100) | (uint64_t)carry << 8;                               \
        return a;                                                                                  \
    }
#define INTEGER_BIT_WIDTHS(name)                                                                   \
    INTEGER_BIT(name, 16, uint16_t, #name "w")                                                     \
    INTEGER_BIT(name, 32, uint32_t, #name "l")                                                     \
    INTEGER_BIT(name, 64, uint64_t, #name "q")
INTEGER_BIT_WIDTHS(bt)
INTEGER_BIT_WIDTHS(bts)
INTEGER_BIT_WIDTHS(btr)
INTEGER_BIT_WIDTHS(btc)

// Compare-and-swap and swap on guest memory. The old value; equality says whether it was exchanged.
#define INTEGER_ATOMIC(width, type)                                                                \
    INTEGER_CODE type integer_exchange##width(void *_Nonnull p, type value) {                  \
        __asm__ volatile("xchg %0, %1" : "+q"(value), "+m"(*(type *)p) : : "memory");              \
        return value;                                                                              \
    }                                                                                              \
    INTEGER_CODE type integer_compare_exchange##width(void *_Nonnull p, type expected,         \
                                                       type desired) {                             \
        __asm__ volatile("lock cmpxchg %2, %1"                                                     \
                         : "+a"(expected), "+m"(*(type *)p)                                        \
                         : "q"(desired)                                                            \
                         : "memory", "cc");                                                        \
        return expected;                                                                           \
    }
INTEGER_ATOMIC(8, uint8_t)
INTEGER_ATOMIC(16, uint16_t)
INTEGER_ATOMIC(32, uint32_t)
INTEGER_ATOMIC(64, uint64_t)

/// CMPXCHG16B: true when exchanged; `expected` becomes what was there.
INTEGER_CODE int integer_compare_exchange128(void *_Nonnull p, uint64_t *_Nonnull low,
                                              uint64_t *_Nonnull high, uint64_t newLow,
                                              uint64_t newHigh) {
    uint8_t equal;
    __asm__ volatile("lock cmpxchg16b %1\n\tsetz %0"
                     : "=&q"(equal), "+m"(*(unsigned __int128 *)p), "+a"(*low), "+d"(*high)
                     : "b"(newLow), "c"(newHigh)
                     : "memory", "cc");
    return equal;
}

/// RDRAND of the host: 0 when it had none.
INTEGER_CODE int integer_rdrand(uint64_t *_Nonnull value) {
    uint8_t ok;
    __asm__ volatile("rdrand %0\n\tsetc %1" : "=r"(*value), "=q"(ok) : : "cc");
    return ok;
}

INTEGER_CODE void integer_mfence(void) { __asm__ volatile("mfence" ::: "memory"); }

/// Ordinary stores before it are seen by all before what comes after it: half the time of MFENCE, which
/// waits for stores around the caches too.
INTEGER_CODE void integer_drain_stores(void) {
    __asm__ volatile("lock orq $0, -8(%%rsp)" ::: "memory", "cc");
}

#endif
