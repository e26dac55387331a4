// Atomic access to words that Swift reaches only through plain pointers: guest memory, page flags.
//
// All are sequentially consistent, as the guest's own locked instructions are. The address is
// naturally aligned; the caller sees to it.
#ifndef MARTLET_HOSTATOMICS_H
#define MARTLET_HOSTATOMICS_H

#include <stdint.h>

#define CHOST_ATOMICS(bits, type)                                                                  \
    static inline type chost_atomic_load##bits(const type *_Nonnull address) {                     \
        return __atomic_load_n(address, __ATOMIC_SEQ_CST);                                         \
    }                                                                                              \
    static inline void chost_atomic_store##bits(type *_Nonnull address, type value) {              \
        __atomic_store_n(address, value, __ATOMIC_SEQ_CST);                                        \
    }                                                                                              \
    static inline type chost_atomic_exchange##bits(type *_Nonnull address, type value) {           \
        return __atomic_exchange_n(address, value, __ATOMIC_SEQ_CST);                              \
    }                                                                                              \
    /** The value that was there: `expected` when the exchange took place. */                      \
    static inline type chost_atomic_compare_exchange##bits(                                        \
        type *_Nonnull address, type expected, type desired) {                                     \
        __atomic_compare_exchange_n(                                                               \
            address, &expected, desired, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                   \
        return expected;                                                                           \
    }                                                                                              \
    /** The value that was there before. */                                                        \
    static inline type chost_atomic_or##bits(type *_Nonnull address, type bits_) {                 \
        return __atomic_fetch_or(address, bits_, __ATOMIC_SEQ_CST);                                \
    }                                                                                              \
    /** The value that was there before. */                                                        \
    static inline type chost_atomic_and##bits(type *_Nonnull address, type bits_) {                \
        return __atomic_fetch_and(address, bits_, __ATOMIC_SEQ_CST);                               \
    }                                                                                              \
    /** Modulo the word's size; the value that was there before. */                                \
    static inline type chost_atomic_add##bits(type *_Nonnull address, type summand) {              \
        return __atomic_fetch_add(address, summand, __ATOMIC_SEQ_CST);                             \
    }

CHOST_ATOMICS(8, uint8_t)
CHOST_ATOMICS(16, uint16_t)
CHOST_ATOMICS(32, uint32_t)
CHOST_ATOMICS(64, uint64_t)

/// Every store before it is seen by all before any load after it is made.
static inline void chost_atomic_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

/// Tells the host's processor that the thread waits for another one.
static inline void chost_pause(void) { __builtin_ia32_pause(); }

/// The word of the calling thread in which locks keep the ranks it holds.
uint64_t *_Nonnull chost_held_ranks(void);

#endif
