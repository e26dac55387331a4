// Register forms of x87 with the guest's state in the host's FPU: one handler for each encoding.
#include "CEngine.h"

#pragma clang assume_nonnull begin
#define X87_NAME(byte, modrm, rm) x87_##byte##_##modrm##_##rm

/// `code` may change `flags`, which have the layout of `CPUState.statusFlags`.
#define X87_HANDLER(byte, modrm, rm, code)                                                         \
    static const DecodedInstruction *_Nullable X87_NAME(byte, modrm, rm)(                          \
        CPUState * cpu, const DecodedInstruction *instruction) {                                   \
        if (!x87_acquire(cpu)) return cpu->x87Exact ? cpu->x87Exact(cpu, instruction) : 0;         \
        code;                                                                                      \
        x87_note(cpu, instruction);                                                                \
        return instruction + 1;                                                                    \
    }
#define X87_BYTES(byte, modrm, rm) ".byte " #byte ", " #modrm " + " #rm
#define X87_PLAIN(byte, modrm, rm)                                                                 \
    X87_HANDLER(byte, modrm, rm, __asm__ volatile(X87_BYTES(byte, modrm, rm)))
/// Reads or writes the arithmetic flags.
#define X87_FLAGS(byte, modrm, rm)                                                                 \
    X87_HANDLER(byte, modrm, rm,                                                                   \
        uint64_t flags = cpu->statusFlags;                                                         \
        __asm__ volatile("addb $0x7f, %%al\n\tsahf\n\t" X87_BYTES(byte, modrm, rm)                \
                         "\n\tlahf\n\tseto %%al"                                                  \
                         : "+a"(flags) : : "cc");                                                  \
        cpu->statusFlags = flags & 0xffff)
#define X87_EIGHT(kind, byte, modrm)                                                               \
    kind(byte, modrm, 0) kind(byte, modrm, 1) kind(byte, modrm, 2) kind(byte, modrm, 3)            \
    kind(byte, modrm, 4) kind(byte, modrm, 5) kind(byte, modrm, 6) kind(byte, modrm, 7)
/// FCMOVcc are in the lower half of two rows, FCOMI and its kind in 0xe8 and 0xf0 of two.
#define X87_ROW_OF(byte, lower, comparison)                                                        \
    X87_EIGHT(lower, byte, 0xc0) X87_EIGHT(lower, byte, 0xc8)                                      \
    X87_EIGHT(lower, byte, 0xd0) X87_EIGHT(lower, byte, 0xd8)                                      \
    X87_EIGHT(X87_PLAIN, byte, 0xe0) X87_EIGHT(comparison, byte, 0xe8)                             \
    X87_EIGHT(comparison, byte, 0xf0) X87_EIGHT(X87_PLAIN, byte, 0xf8)
X87_ROW_OF(0xd8, X87_PLAIN, X87_PLAIN)
X87_ROW_OF(0xd9, X87_PLAIN, X87_PLAIN)
X87_ROW_OF(0xda, X87_FLAGS, X87_PLAIN)
X87_ROW_OF(0xdb, X87_FLAGS, X87_FLAGS)
X87_ROW_OF(0xdc, X87_PLAIN, X87_PLAIN)
X87_ROW_OF(0xdd, X87_PLAIN, X87_PLAIN)
X87_ROW_OF(0xde, X87_PLAIN, X87_PLAIN)
X87_ROW_OF(0xdf, X87_PLAIN, X87_FLAGS)

#define X87_ENTRY(byte, modrm, rm) X87_NAME(byte, modrm, rm),
#define X87_ENTRIES(byte)                                                                          \
    X87_EIGHT(X87_ENTRY, byte, 0xc0) X87_EIGHT(X87_ENTRY, byte, 0xc8)                              \
    X87_EIGHT(X87_ENTRY, byte, 0xd0) X87_EIGHT(X87_ENTRY, byte, 0xd8)                              \
    X87_EIGHT(X87_ENTRY, byte, 0xe0) X87_EIGHT(X87_ENTRY, byte, 0xe8)                              \
    X87_EIGHT(X87_ENTRY, byte, 0xf0) X87_EIGHT(X87_ENTRY, byte, 0xf8)

static const InstructionHandler _Nonnull x87_handlers[512] = {
    X87_ENTRIES(0xd8) X87_ENTRIES(0xd9) X87_ENTRIES(0xda) X87_ENTRIES(0xdb)
    X87_ENTRIES(0xdc) X87_ENTRIES(0xdd) X87_ENTRIES(0xde) X87_ENTRIES(0xdf)
};

InstructionHandler x87_register_handler(uint32_t code) {
    return x87_handlers[(code & 0x700) >> 2 | (code & 0x3f)];
}
#pragma clang assume_nonnull end
