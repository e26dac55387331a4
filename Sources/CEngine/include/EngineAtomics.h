// Atomic access to words that several vCPUs read and change: of guest memory, and of the decoded
// blocks that they share.
#ifndef MARTLET_ENGINE_ATOMICS_H
#define MARTLET_ENGINE_ATOMICS_H

#include <stdint.h>

#include "CPUState.h"

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

// Fields of decoded instructions that change while other vCPUs run them. Each is one aligned word:
// who reads sees what was there or what is, and with it all that was stored before.

/// A word of 32 bits that is declared as two fields.
typedef uint32_t __attribute__((may_alias)) cengine_word32;

static inline InstructionHandler _Nonnull cengine_handler(const DecodedInstruction *_Nonnull op) {
    return __atomic_load_n(&op->handler, __ATOMIC_ACQUIRE);
}

static inline void cengine_set_handler(DecodedInstruction *_Nonnull op,
                                       InstructionHandler _Nonnull handler) {
    __atomic_store_n(&op->handler, handler, __ATOMIC_RELEASE);
}

static inline void cengine_set_target(DecodedInstruction *_Nonnull op,
                                      const DecodedInstruction *_Nullable target) {
    __atomic_store_n(&op->immediate, (uint64_t)target, __ATOMIC_RELEASE);
}

/// Where a conditional branch that is not taken leads: so many bytes from `op`.
static inline void cengine_set_fall_through(DecodedInstruction *_Nonnull op, int32_t distance) {
    __atomic_store_n((cengine_word32 *)&op->base, (uint32_t)distance, __ATOMIC_RELEASE);
}

/// The link of a header to the next one of its chain: as a place, so that it is like the chain's
/// first.
static inline DecodedInstruction *_Nullable *_Nonnull cengine_link(
    DecodedInstruction *_Nonnull header) {
    return (DecodedInstruction **)&header->immediate;
}

static inline DecodedInstruction *_Nullable cengine_follow(
    DecodedInstruction *_Nullable const *_Nonnull link) {
    return __atomic_load_n(link, __ATOMIC_ACQUIRE);
}

static inline void cengine_set_link(DecodedInstruction *_Nullable *_Nonnull link,
                                    DecodedInstruction *_Nullable header) {
    __atomic_store_n(link, header, __ATOMIC_RELEASE);
}

/// Of a header: `destination` and `source` as one word.
static inline uint32_t cengine_translation(const DecodedInstruction *_Nonnull header) {
    return __atomic_load_n((const cengine_word32 *)&header->destination, __ATOMIC_ACQUIRE);
}

static inline void cengine_set_translation(DecodedInstruction *_Nonnull header, uint32_t value) {
    __atomic_store_n((cengine_word32 *)&header->destination, value, __ATOMIC_RELEASE);
}

/// Of a header: where its block begins in physical memory, up to 48 bits. The page's number is in
/// `displacement` and, above that, in place of the length.
static inline uint64_t cengine_block_physical(const DecodedInstruction *_Nonnull header) {
    uint64_t page = (uint64_t)(header->place >> 12) << 32 | (uint32_t)header->displacement;
    return page << 12 | (header->place & 0xfff);
}

/// Of a header: the block mode, of up to 15 bits.
static inline uint32_t cengine_block_mode(const DecodedInstruction *_Nonnull header) {
    return header->base | (uint32_t)(header->index & 0x7f) << 8;
}

/// Counters in headers: one that is missed does not matter.
static inline uint8_t cengine_load8(const uint8_t *_Nonnull counter) {
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline void cengine_store8(uint8_t *_Nonnull counter, uint8_t value) {
    __atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

/// Eight aligned bytes of code that others may be executing.
static inline void cengine_store64(uint64_t *_Nonnull address, uint64_t value) {
    __atomic_store_n(address, value, __ATOMIC_RELEASE);
}

_Static_assert(__builtin_offsetof(DecodedInstruction, destination) % 4 == 0, "one aligned word");

#endif
