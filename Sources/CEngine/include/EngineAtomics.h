// Atomic access to words of guest memory that the engine itself reads and changes.
#ifndef MARTLET_ENGINE_ATOMICS_H
#define MARTLET_ENGINE_ATOMICS_H

#include <stdint.h>

static inline uint64_t cengine_load64(const uint64_t *_Nonnull address) {
    return __atomic_load_n(address, __ATOMIC_ACQUIRE);
}

static inline uint32_t cengine_load32(const uint32_t *_Nonnull address) {
    return __atomic_load_n(address, __ATOMIC_ACQUIRE);
}

/// The value seen: `expected` when the exchange took place.
static inline uint64_t cengine_compare_exchange64(uint64_t *_Nonnull address, uint64_t expected,
                                                  uint64_t desired) {
    __atomic_compare_exchange_n(address, &expected, desired, 0, __ATOMIC_ACQ_REL,
                                __ATOMIC_ACQUIRE);
    return expected;
}

/// The value seen: `expected` when the exchange took place.
static inline uint32_t cengine_compare_exchange32(uint32_t *_Nonnull address, uint32_t expected,
                                                  uint32_t desired) {
    __atomic_compare_exchange_n(address, &expected, desired, 0, __ATOMIC_ACQ_REL,
                                __ATOMIC_ACQUIRE);
    return expected;
}

#endif
