// One element of a vector floating-point operation, and its exactness with an unlimited exponent.
#ifndef MARTLET_VECTORELEMENT_H
#define MARTLET_VECTORELEMENT_H

#include "VectorFloat.h"

enum {
    /// Bit 0: double.
    VECTOR_ELEMENT_ADD = 0,
    VECTOR_ELEMENT_SUBTRACT = 2,
    VECTOR_ELEMENT_MULTIPLY = 4,
    VECTOR_ELEMENT_DIVIDE = 6,
    /// The second operand from double to single.
    VECTOR_ELEMENT_CONVERT = 8,
};

/// `a` operation `b` under MXCSR `control`, which masks everything and has no flags. The flags.
VECTOR_INLINE uint32_t vector_element(
    uint32_t operation, uint64_t a, uint64_t b, uint32_t control, uint64_t *_Nonnull result) {
    uint64_t first[2] = {a, 0}, second[2] = {b, 0};
    vector_set_host_mxcsr(control);
    switch (operation) {
        case VECTOR_ELEMENT_ADD: vector_addss(first, second); break;
        case VECTOR_ELEMENT_ADD | 1: vector_addsd(first, second); break;
        case VECTOR_ELEMENT_SUBTRACT: vector_subss(first, second); break;
        case VECTOR_ELEMENT_SUBTRACT | 1: vector_subsd(first, second); break;
        case VECTOR_ELEMENT_MULTIPLY: vector_mulss(first, second); break;
        case VECTOR_ELEMENT_MULTIPLY | 1: vector_mulsd(first, second); break;
        case VECTOR_ELEMENT_DIVIDE: vector_divss(first, second); break;
        case VECTOR_ELEMENT_DIVIDE | 1: vector_divsd(first, second); break;
        default: vector_cvtsd2ss(first, second); break;
    }
    *result = first[0];
    return vector_host_mxcsr() & MXCSR_FLAGS;
}

#define VECTOR_ELEMENT_X87(instruction, suffix)                                                    \
    __asm__ volatile("fldcw %1\n\tfld" suffix " %2\n\t" instruction suffix                         \
                     " %3\n\tfnstsw %0\n\tfninit"                                                  \
                     : "=m"(status) : "m"(control), "m"(a), "m"(b) : "memory")

/// Whether the result is inexact when it is rounded to the significand's width (MXCSR.RC
/// `rounding`) whatever its exponent. Uses the host's x87 registers, which must be empty.
VECTOR_INLINE int vector_element_inexact(
    uint32_t operation, uint64_t a, uint64_t b, uint32_t rounding) {
    uint16_t status = 0, control = (uint16_t)(0x7f | rounding << 10);
    if (operation & 1) control |= 0x200;
    switch (operation) {
        case VECTOR_ELEMENT_ADD: VECTOR_ELEMENT_X87("fadd", "s"); break;
        case VECTOR_ELEMENT_ADD | 1: VECTOR_ELEMENT_X87("fadd", "l"); break;
        case VECTOR_ELEMENT_SUBTRACT: VECTOR_ELEMENT_X87("fsub", "s"); break;
        case VECTOR_ELEMENT_SUBTRACT | 1: VECTOR_ELEMENT_X87("fsub", "l"); break;
        case VECTOR_ELEMENT_MULTIPLY: VECTOR_ELEMENT_X87("fmul", "s"); break;
        case VECTOR_ELEMENT_MULTIPLY | 1: VECTOR_ELEMENT_X87("fmul", "l"); break;
        case VECTOR_ELEMENT_DIVIDE: VECTOR_ELEMENT_X87("fdiv", "s"); break;
        case VECTOR_ELEMENT_DIVIDE | 1: VECTOR_ELEMENT_X87("fdiv", "l"); break;
        default:
            // Multiplication by one rounds.
            __asm__ volatile("fldcw %1\n\tfldl %2\n\tfld1\n\tfmulp\n\tfnstsw %0\n\tfninit"
                             : "=m"(status) : "m"(control), "m"(b) : "memory");
            break;
    }
    return (status >> 5) & 1;
}

#endif
