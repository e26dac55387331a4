// What handlers that are written in C have in common: operands, and the way on.
#ifndef MARTLET_HANDLERS_H
#define MARTLET_HANDLERS_H

#include "CPUState.h"
#include "IntegerHandlers.h"

#pragma clang assume_nonnull begin

#define INLINE static inline __attribute__((always_inline))
/// Goes on with a handler as the last act: nothing is left on the host's stack.
#define JUMP(handler, op) __attribute__((musttail)) return handler(cpu, op)

// Registers and guest memory, of any type and at any address.
typedef uint8_t __attribute__((may_alias)) unsigned8;
typedef uint16_t __attribute__((may_alias, aligned(1))) unsigned16;
typedef uint32_t __attribute__((may_alias, aligned(1))) unsigned32;
typedef uint64_t __attribute__((may_alias, aligned(1))) unsigned64;

/// The register operand at an offset.
INLINE void *field(const CPUState *cpu, uint64_t offset) { return (char *)cpu + offset; }

/// The value of a field by its number: see `DecodedInstruction.base`.
INLINE uint64_t slot(const CPUState *cpu, uint8_t number) {
    return *(const unsigned64 *)field(cpu, number * 8ull);
}

/// Base and displacement.
INLINE uint64_t simple_address(const CPUState *cpu, const DecodedInstruction *op) {
    return slot(cpu, op->base) + (uint64_t)(int64_t)op->displacement;
}

/// Index and segment base too.
INLINE uint64_t plain_address(const CPUState *cpu, const DecodedInstruction *op) {
    return simple_address(cpu, op) + (slot(cpu, op->index) << (op->scaleShift & 63)) +
           slot(cpu, op->segmentBase);
}

/// The entry that may have the page: as `Probe` in Memory.swift.
INLINE const TLBEntry *tlb_entry(const CPUState *cpu, uint64_t address) {
    uint64_t offset = address >> 7 & (TLB_ENTRY_COUNT - 1) * sizeof(TLBEntry);
    return (const TLBEntry *)((const char *)cpu->tlb + offset);
}
_Static_assert(sizeof(TLBEntry) == 32, "a page's number times 32 is its address shifted by 7");

/// The tag that an entry shows if it has the page of all bytes.
INLINE uint64_t expected_tag(const CPUState *cpu, uint64_t address, uint64_t count) {
    return ((address + count - 1) & ~0xfffull) | cpu->tlbContext[address >> 63];
}

/// `entry` and `address` of a memory operand. What the TLB does not have is for the slow handler.
#define PROBE(type, operand, tag)                                                                  \
    uint64_t address = operand(cpu, op);                                                           \
    const TLBEntry *entry = tlb_entry(cpu, address);                                               \
    if (__builtin_expect(entry->tag != expected_tag(cpu, address, sizeof(type)), 0))               \
        JUMP(cpu->slowIntegers[op->auxiliary], op);

#pragma clang assume_nonnull end
#endif
