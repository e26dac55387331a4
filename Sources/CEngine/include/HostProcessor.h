// What the host's processor says of itself.
#ifndef MARTLET_HOSTPROCESSOR_H
#define MARTLET_HOSTPROCESSOR_H

#include <cpuid.h>
#include <stdint.h>

/// One of EAX, EBX, ECX, EDX, by `index`, of a leaf of CPUID; 0 beyond the highest leaf.
static inline uint32_t host_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t index) {
    uint32_t registers[4] = {0, 0, 0, 0};
    if (!__get_cpuid_count(
            leaf, subleaf, &registers[0], &registers[1], &registers[2], &registers[3]))
        return 0;
    return registers[index & 3];
}

/// XCR0; 0 where the kernel does not use XSAVE.
static inline uint64_t host_xcr0(void) {
    uint32_t low, high;
    if (!(host_cpuid(1, 0, 2) & 1u << 27)) return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

#endif
