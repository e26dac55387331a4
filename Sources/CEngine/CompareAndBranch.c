// A comparison and the conditional branch behind it as one handler: the host's flags decide, before
// anybody has looked at where they are kept, and one jump to a handler is saved.
//
// The branch's own instruction stays behind the comparison and keeps the links of its two ways.
// Whatever comes to it alone (a comparison whose operand the TLB did not have, single steps,
// translated code) finds the same state as behind any other comparison.
#include "EngineAtomics.h"
#include "Handlers.h"

#pragma clang assume_nonnull begin

// MARK: Branches

/// What `proceed` in Chaining.swift does.
#ifdef __OPTIMIZE__
#define PROCEED(next)                                                                              \
    do {                                                                                           \
        int64_t budget = cpu->budget;                                                              \
        uint32_t pending = __atomic_load_n(cpu->pendingWord, __ATOMIC_ACQUIRE) & cpu->pendingMask; \
        if (__builtin_expect(cengine_handler(next) != cpu->blockHeader, 0)) return next;           \
        if (__builtin_expect(budget <= 0, 0)) return next;                                         \
        if (__builtin_expect(pending != 0, 0)) return next;                                        \
        cpu->block = next;                                                                         \
        cpu->budget = budget - next->segmentBase;                                                  \
        JUMP(next[1].handler, next + 1);                                                           \
    } while (0)
#else
#define PROCEED(next) return next
#endif

/// Goes on behind the comparison `op` as the branch `op[1]` would.
#define BRANCH(taken)                                                                              \
    do {                                                                                           \
        op += 1;                                                                                   \
        const DecodedInstruction *next;                                                            \
        if (taken) {                                                                               \
            next = (const DecodedInstruction *)op->immediate;                                      \
            if (!next) JUMP(op->handler, op);                                                      \
        } else {                                                                                   \
            int32_t distance = *(const int32_t __attribute__((may_alias)) *)&op->base;             \
            if (!distance) JUMP(op->handler, op);                                                  \
            next = (const DecodedInstruction *)((const char *)op + distance);                      \
        }                                                                                          \
        PROCEED(next);                                                                             \
    } while (0)

// MARK: Handlers

#define NAME(operation, shape, width, condition) operation##_##shape##_##width##_##condition
#define HANDLER(operation, shape, width, letter, condition, operands)                              \
    static const DecodedInstruction *_Nullable NAME(operation, shape, width, condition)(           \
        CPUState * cpu, const DecodedInstruction *op) {                                            \
        uint64_t status;                                                                           \
        int taken;                                                                                 \
        unsigned##width a, b;                                                                      \
        operands(unsigned##width)                                                                  \
        __asm__(#operation letter " %[b], %[a]\n\tlahf\n\tseto %%al"                               \
                : "=a"(status), "=@cc" #condition(taken)                                           \
                : [a] "q"(a), [b] "q"(b));                                                         \
        cpu->statusFlags = status & 0xffff;                                                        \
        BRANCH(taken);                                                                             \
    }

#define LOAD(type, into, operand)                                                                  \
    PROBE(type, operand, readTag) into = *(const type *)(entry->addend + address);
#define REGISTER(type, into, offset) into = *(const type *)field(cpu, offset);

#define REGISTER_REGISTER(type)                                                                    \
    REGISTER(type, a, op->destination) REGISTER(type, b, op->source)
#define REGISTER_IMMEDIATE(type)                                                                   \
    REGISTER(type, a, op->destination) b = (type)op->immediate;
#define REGISTER_MEMORY(type)                                                                      \
    LOAD(type, b, simple_address) REGISTER(type, a, op->destination)
#define MEMORY_REGISTER(type)                                                                      \
    LOAD(type, a, simple_address) REGISTER(type, b, op->source)
#define MEMORY_IMMEDIATE(type)                                                                     \
    LOAD(type, a, simple_address) b = (type)op->immediate;
#define REGISTER_PLAIN(type)                                                                       \
    LOAD(type, b, plain_address) REGISTER(type, a, op->destination)
#define PLAIN_REGISTER(type)                                                                       \
    LOAD(type, a, plain_address) REGISTER(type, b, op->source)
#define PLAIN_IMMEDIATE(type)                                                                      \
    LOAD(type, a, plain_address) b = (type)op->immediate;

// In the order of conditions, of widths and of shapes.
#define CONDITIONS(what, operation, shape, width, letter)                                          \
    what(operation, shape, width, letter, o, shape)                                                \
    what(operation, shape, width, letter, no, shape)                                               \
    what(operation, shape, width, letter, b, shape)                                                \
    what(operation, shape, width, letter, ae, shape)                                               \
    what(operation, shape, width, letter, e, shape)                                                \
    what(operation, shape, width, letter, ne, shape)                                               \
    what(operation, shape, width, letter, be, shape)                                               \
    what(operation, shape, width, letter, a, shape)                                                \
    what(operation, shape, width, letter, s, shape)                                                \
    what(operation, shape, width, letter, ns, shape)                                               \
    what(operation, shape, width, letter, p, shape)                                                \
    what(operation, shape, width, letter, np, shape)                                               \
    what(operation, shape, width, letter, l, shape)                                                \
    what(operation, shape, width, letter, ge, shape)                                               \
    what(operation, shape, width, letter, le, shape)                                               \
    what(operation, shape, width, letter, g, shape)
#define WIDTHS(what, operation, shape)                                                             \
    CONDITIONS(what, operation, shape, 8, "b") CONDITIONS(what, operation, shape, 16, "w")         \
    CONDITIONS(what, operation, shape, 32, "l") CONDITIONS(what, operation, shape, 64, "q")
#define SHAPES(what, operation)                                                                    \
    WIDTHS(what, operation, REGISTER_REGISTER) WIDTHS(what, operation, REGISTER_IMMEDIATE)         \
    WIDTHS(what, operation, REGISTER_MEMORY) WIDTHS(what, operation, MEMORY_REGISTER)              \
    WIDTHS(what, operation, MEMORY_IMMEDIATE) WIDTHS(what, operation, REGISTER_PLAIN)              \
    WIDTHS(what, operation, PLAIN_REGISTER) WIDTHS(what, operation, PLAIN_IMMEDIATE)

SHAPES(HANDLER, cmp)
SHAPES(HANDLER, test)

#define ENTRY(operation, shape, width, letter, condition, operands)                                \
    NAME(operation, shape, width, condition),
static const InstructionHandler _Nonnull handlers[2 * INTEGER_SHAPE_COUNT * 4 * 16] = {
    SHAPES(ENTRY, cmp) SHAPES(ENTRY, test)
};
_Static_assert(INTEGER_TEST == INTEGER_CMP + 1 && INTEGER_TEST + 1 == INTEGER_OPERATION_COUNT,
               "the last codes");

InstructionHandler cengine_compare_and_branch(uint8_t code, uint8_t condition) {
    uint32_t first = 1 + INTEGER_CMP * INTEGER_SHAPE_COUNT * 4;
    return handlers[(code - first) % (2 * INTEGER_SHAPE_COUNT * 4) * 16 + (condition & 15)];
}
#pragma clang assume_nonnull end
