// ADD, OR, AND, SUB, XOR, CMP and TEST for as long as the TLB answers.
//
// In C because Swift reaches a function that has the host's instruction in it through another one
// wherever a pointer leads there, and because these are a third of what a guest executes.
#include "IntegerHandlers.h"

#include "Handlers.h"

#pragma clang assume_nonnull begin

#define NAME(operation, shape, width) operation##_##shape##_##width
#define HANDLER(operation, shape, width, letter, body)                                             \
    static const DecodedInstruction *_Nullable NAME(operation, shape, width)(                      \
        CPUState * cpu, const DecodedInstruction *op) {                                            \
        body(operation, unsigned##width, letter)                                                   \
        JUMP(op[1].handler, op + 1);                                                               \
    }

/// `a` becomes the result, and the status word what LAHF and SETO give.
#define COMPUTE(operation, letter)                                                                 \
    do {                                                                                           \
        uint64_t status;                                                                           \
        __asm__(#operation letter " %[b], %[a]\n\tlahf\n\tseto %%al"                               \
                : [a] "+&q"(a), "=&a"(status)                                                      \
                : [b] "q"(b)                                                                       \
                : "cc");                                                                           \
        cpu->statusFlags = status & 0xffff;                                                        \
    } while (0);

/// A 32-bit result clears the upper half.
#define WRITE(type)                                                                                \
    if (sizeof(type) == 4)                                                                         \
        *(unsigned64 *)field(cpu, op->destination) = a;                                            \
    else                                                                                           \
        *(type *)field(cpu, op->destination) = a;

#define REGISTER_REGISTER(operation, type, letter)                                                 \
    type a = *(type *)field(cpu, op->destination), b = *(type *)field(cpu, op->source);            \
    COMPUTE(operation, letter) WRITE_##operation(type)
#define REGISTER_IMMEDIATE(operation, type, letter)                                                \
    type a = *(type *)field(cpu, op->destination), b = (type)op->immediate;                        \
    COMPUTE(operation, letter) WRITE_##operation(type)
#define FROM_MEMORY(operation, type, letter, operand)                                              \
    PROBE(type, operand, readTag)                                                                  \
    type a = *(type *)field(cpu, op->destination), b = *(type *)(entry->addend + address);         \
    COMPUTE(operation, letter) WRITE_##operation(type)
#define IN_MEMORY(operation, type, letter, operand, second)                                        \
    PROBE(type, operand, TAG_##operation)                                                          \
    type *place = (type *)(entry->addend + address);                                               \
    type a = *place, b = second;                                                                   \
    COMPUTE(operation, letter) STORE_##operation

#define REGISTER_MEMORY(operation, type, letter) FROM_MEMORY(operation, type, letter, simple_address)
#define REGISTER_PLAIN(operation, type, letter) FROM_MEMORY(operation, type, letter, plain_address)
#define MEMORY_REGISTER(operation, type, letter)                                                   \
    IN_MEMORY(operation, type, letter, simple_address, *(type *)field(cpu, op->source))
#define PLAIN_REGISTER(operation, type, letter)                                                    \
    IN_MEMORY(operation, type, letter, plain_address, *(type *)field(cpu, op->source))
#define MEMORY_IMMEDIATE(operation, type, letter)                                                  \
    IN_MEMORY(operation, type, letter, simple_address, (type)op->immediate)
#define PLAIN_IMMEDIATE(operation, type, letter)                                                   \
    IN_MEMORY(operation, type, letter, plain_address, (type)op->immediate)

// What becomes of the result, and which pages take it.
#define WRITE_add WRITE
#define WRITE_or WRITE
#define WRITE_and WRITE
#define WRITE_sub WRITE
#define WRITE_xor WRITE
#define WRITE_cmp(type)
#define WRITE_test(type)
#define STORE_add *place = a;
#define STORE_or *place = a;
#define STORE_and *place = a;
#define STORE_sub *place = a;
#define STORE_xor *place = a;
#define STORE_cmp
#define STORE_test
#define TAG_add writeTag
#define TAG_or writeTag
#define TAG_and writeTag
#define TAG_sub writeTag
#define TAG_xor writeTag
#define TAG_cmp readTag
#define TAG_test readTag

// In the order of codes.
#define WIDTHS(what, operation, shape)                                                             \
    what(operation, shape, 8, "b", shape) what(operation, shape, 16, "w", shape)                   \
    what(operation, shape, 32, "l", shape) what(operation, shape, 64, "q", shape)
#define SHAPES(what, operation)                                                                    \
    WIDTHS(what, operation, REGISTER_REGISTER) WIDTHS(what, operation, REGISTER_IMMEDIATE)         \
    WIDTHS(what, operation, REGISTER_MEMORY) WIDTHS(what, operation, MEMORY_REGISTER)              \
    WIDTHS(what, operation, MEMORY_IMMEDIATE) WIDTHS(what, operation, REGISTER_PLAIN)              \
    WIDTHS(what, operation, PLAIN_REGISTER) WIDTHS(what, operation, PLAIN_IMMEDIATE)
#define OPERATIONS(what)                                                                           \
    SHAPES(what, add) SHAPES(what, or) SHAPES(what, and) SHAPES(what, sub) SHAPES(what, xor)       \
    SHAPES(what, cmp) SHAPES(what, test)

OPERATIONS(HANDLER)

#define ENTRY(operation, shape, width, letter, body) NAME(operation, shape, width),
static const InstructionHandler _Nonnull handlers[INTEGER_CODE_COUNT - 1] = {OPERATIONS(ENTRY)};

InstructionHandler cengine_integer_handler(uint8_t code) {
    return handlers[(code - 1) % (INTEGER_CODE_COUNT - 1)];
}
#pragma clang assume_nonnull end
