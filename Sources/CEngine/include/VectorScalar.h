// Instructions of the vector extensions that work on general-purpose registers.
#ifndef MARTLET_VECTORSCALAR_H
#define MARTLET_VECTORSCALAR_H

#include "VectorInteger.h"

// CRC32: the checksum grows by one value of 8, 16, 32 or 64 bits.
#define VECTOR_CRC32(bits, suffix, type)                                                           \
    VECTOR_INLINE uint32_t vector_crc32_##bits(uint32_t crc, type value) {                         \
        uint64_t sum = crc;                                                                        \
        __asm__ volatile("crc32" suffix : "+r"(sum) : "r"(value));                                 \
        return (uint32_t)sum;                                                                      \
    }
VECTOR_CRC32(8, "b %1, %k0", uint8_t)
VECTOR_CRC32(16, "w %1, %k0", uint16_t)
VECTOR_CRC32(32, "l %1, %k0", uint32_t)
VECTOR_CRC32(64, "q %1, %0", uint64_t)

/// MFENCE, for the ordering between the host threads that run virtual processors.
VECTOR_INLINE void vector_fence(void) { __asm__ volatile("mfence" : : : "memory"); }

#endif
