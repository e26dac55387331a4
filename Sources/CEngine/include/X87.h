// x87 instructions, executed by the host's own FPU.
//
// While the guest masks all exceptions, its state stays in the host's FPU from one instruction to
// the next (`x87_acquire`) until somebody needs it (`x87_release`), at the latest the end of the run
// loop. Otherwise each instruction loads and saves the whole state. The host's FPU is as FNINIT
// leaves it whenever the guest's state is not there: empty, all exceptions masked.
#ifndef MARTLET_X87_H
#define MARTLET_X87_H

#include <stdint.h>
#include <string.h>

#include "CPUState.h"

/// The 32-bit protected-mode image of FNSAVE and FRSTOR.
typedef struct X87Image {
    uint32_t control;
    uint32_t status;
    uint32_t tags;
    uint32_t pointers[4];
    /// ST(0) to ST(7), ten bytes each.
    uint8_t registers[80];
} X87Image;

/// Bits of the status word.
enum {
    X87_EXCEPTIONS = 0x3f,
    X87_STACK_FAULT = 0x40,
    X87_SUMMARY = 0x80,
    X87_C0 = 0x100,
    X87_C1 = 0x200,
    X87_C2 = 0x400,
    X87_C3 = 0x4000,
    X87_BUSY = 0x8000,
    X87_CONTROL_INITIAL = 0x37f,
    /// Bits of the control word that can be changed; bit 6 is always set.
    X87_CONTROL_DEFINED = 0x1f3f,
};

/// The guest's state into the host's FPU.
static inline void x87_enter(const CPUState *_Nonnull cpu, X87Image *_Nonnull image) {
    memset(image, 0, sizeof *image);
    uint32_t control = cpu->x87Control, status = cpu->x87Status;
    // With an exception pending the host would raise it here.
    if (status & ~control & X87_EXCEPTIONS) control |= X87_EXCEPTIONS;
    image->control = control;
    image->status = status & ~(uint32_t)(X87_SUMMARY | X87_BUSY);
    uint32_t top = (status >> 11) & 7, tags = 0;
    for (uint32_t index = 0; index < 8; index++) {
        if (!((cpu->x87Tags >> index) & 1)) tags |= 3u << (2 * index);
        memcpy(image->registers + 10 * index, &cpu->st[(top + index) & 7], 10);
    }
    image->tags = tags;
    __asm__ volatile("frstor %0" : : "m"(*image) : "memory");
}

/// The host's FPU into `image`.
static inline void x87_leave(X87Image *_Nonnull image) {
    __asm__ volatile("fnsave %0" : "=m"(*image) : : "memory");
}

/// `image` becomes the guest's state; the control word stays.
static inline void x87_commit(CPUState *_Nonnull cpu, const X87Image *_Nonnull image) {
    uint32_t status = image->status & 0xffff, top = (status >> 11) & 7;
    uint8_t tags = 0;
    for (uint32_t index = 0; index < 8; index++) {
        if (((image->tags >> (2 * index)) & 3) != 3) tags |= (uint8_t)(1u << index);
        memcpy(&cpu->st[(top + index) & 7], image->registers + 10 * index, 10);
    }
    status &= ~(uint32_t)(X87_SUMMARY | X87_BUSY);
    if (status & ~(uint32_t)cpu->x87Control & X87_EXCEPTIONS) status |= X87_SUMMARY | X87_BUSY;
    cpu->x87Status = (uint16_t)status;
    cpu->x87Tags = tags;
}

/// Loads the guest's state. Zero: an exception is pending or not masked, nothing is done.
static inline int x87_load_state(CPUState *_Nonnull cpu) {
    X87Image image;
    if ((cpu->x87Control & X87_EXCEPTIONS) != X87_EXCEPTIONS || (cpu->x87Status & X87_SUMMARY))
        return 0;
    x87_enter(cpu, &image);
    cpu->x87Resident = 1;
    return 1;
}

/// Non-zero: the guest's state is in the host's FPU.
static inline int x87_acquire(CPUState *_Nonnull cpu) {
    return __builtin_expect(cpu->x87Resident, 1) ? 1 : x87_load_state(cpu);
}

/// Brings the guest's state back into `cpu`.
static inline void x87_release(CPUState *_Nonnull cpu) {
    X87Image image;
    if (__builtin_expect(cpu->x87Resident, 0)) {
        x87_leave(&image);
        x87_commit(cpu, &image);
        cpu->x87Resident = 0;
    }
}

/// The status word of the guest, wherever it is.
static inline uint16_t x87_status(const CPUState *_Nonnull cpu) {
    uint16_t status;
    if (!cpu->x87Resident) return cpu->x87Status;
    __asm__ volatile("fnstsw %0" : "=a"(status));
    return status;
}

/// With the guest's state in the host's FPU: a control word that masks everything.
static inline void x87_set_control(CPUState *_Nonnull cpu, uint16_t control) {
    cpu->x87Control = control;
    __asm__ volatile("fldcw %0" : : "m"(control));
}

static inline void x87_clear_exceptions(void) { __asm__ volatile("fnclex"); }

/// Keeps the instruction pointer and opcode for exception handlers.
static inline void x87_note(
    CPUState *_Nonnull cpu, const DecodedInstruction *_Nonnull instruction) {
    uint64_t linear = cpu->codePage + cengine_page_offset(instruction);
    cpu->x87Opcode = (uint16_t)(instruction->immediate & 0x7ff);
    cpu->x87InstructionSelector = cpu->segments[1].selector;
    // The code size of the block mode: 64 bits.
    if (__builtin_expect((cpu->blockMode & 3) == 2, 1)) {
        cpu->x87InstructionPointer = linear;
        return;
    }
    cpu->x87InstructionPointer = (linear - cpu->segments[1].base) & 0xffffffff;
}

/// The handler of the register form `code`: low three bits of the opcode, then ModRM.
InstructionHandler _Nonnull x87_register_handler(uint32_t code);

#define X87_REGISTER(byte, modrm, rm)                                                            \
    case ((byte & 7) << 8 | (modrm + rm)):                                                       \
        __asm__ volatile("addb $0x7f, %%al\n\tsahf\n\t.byte " #byte ", " #modrm " + " #rm        \
                         "\n\tlahf\n\tseto %%al"                                                 \
                         : "+a"(flags) : : "cc", "memory");                                      \
        break;
#define X87_ROW(byte, modrm)                                                                     \
    X87_REGISTER(byte, modrm, 0) X87_REGISTER(byte, modrm, 1) X87_REGISTER(byte, modrm, 2)       \
    X87_REGISTER(byte, modrm, 3) X87_REGISTER(byte, modrm, 4) X87_REGISTER(byte, modrm, 5)       \
    X87_REGISTER(byte, modrm, 6) X87_REGISTER(byte, modrm, 7)
#define X87_ROWS(byte)                                                                           \
    X87_ROW(byte, 0xc0) X87_ROW(byte, 0xc8) X87_ROW(byte, 0xd0) X87_ROW(byte, 0xd8)              \
    X87_ROW(byte, 0xe0) X87_ROW(byte, 0xe8) X87_ROW(byte, 0xf0) X87_ROW(byte, 0xf8)

/// Runs a register form. `code`: low three bits of the opcode, then ModRM; it must be one that the
/// instruction table has.
static inline void x87_register(CPUState *_Nonnull cpu, uint32_t code) {
    X87Image image;
    uint64_t flags = cpu->statusFlags;
    x87_enter(cpu, &image);
    switch (code & 0x7ff) {
        X87_ROWS(0xd8) X87_ROWS(0xd9) X87_ROWS(0xda) X87_ROWS(0xdb)
        X87_ROWS(0xdc) X87_ROWS(0xdd) X87_ROWS(0xde) X87_ROWS(0xdf)
    }
    x87_leave(&image);
    x87_commit(cpu, &image);
    cpu->statusFlags = flags & 0xffff;
}

#define X87_MEMORY(byte, digit)                                                                  \
    case ((byte & 7) << 3 | digit):                                                              \
        __asm__ volatile(".byte " #byte ", " #digit " * 8 + 7" : : "D"(operand) : "memory");     \
        break;
#define X87_MEMORY_ROW(byte)                                                                     \
    X87_MEMORY(byte, 0) X87_MEMORY(byte, 1) X87_MEMORY(byte, 2) X87_MEMORY(byte, 3)              \
    X87_MEMORY(byte, 4) X87_MEMORY(byte, 5) X87_MEMORY(byte, 6) X87_MEMORY(byte, 7)

#define X87_OPERATION(byte, digit)                                                               \
    static inline void x87_operation_##byte##_##digit(const void *_Nonnull operand) {            \
        __asm__ volatile(".byte " #byte ", " #digit " * 8 + 7" : : "D"(operand) : "memory");     \
    }
#define X87_OPERATION_ROW(byte)                                                                  \
    X87_OPERATION(byte, 0) X87_OPERATION(byte, 1) X87_OPERATION(byte, 2) X87_OPERATION(byte, 3)  \
    X87_OPERATION(byte, 4) X87_OPERATION(byte, 5) X87_OPERATION(byte, 6) X87_OPERATION(byte, 7)
// One memory form with the guest's state in the host's FPU.
X87_OPERATION_ROW(0xd8) X87_OPERATION_ROW(0xd9) X87_OPERATION_ROW(0xda) X87_OPERATION_ROW(0xdb)
X87_OPERATION_ROW(0xdc) X87_OPERATION_ROW(0xdd) X87_OPERATION_ROW(0xde) X87_OPERATION_ROW(0xdf)

/// Runs a form with a memory operand at `operand`, into `image`; nothing of the guest changes.
/// `code`: low three bits of the opcode, then ModRM.reg.
static inline void x87_memory(
    const CPUState *_Nonnull cpu, uint32_t code, const void *_Nonnull operand,
    X87Image *_Nonnull image) {
    x87_enter(cpu, image);
    switch (code & 0x3f) {
        X87_MEMORY_ROW(0xd8) X87_MEMORY_ROW(0xd9) X87_MEMORY_ROW(0xda) X87_MEMORY_ROW(0xdb)
        X87_MEMORY_ROW(0xdc) X87_MEMORY_ROW(0xdd) X87_MEMORY_ROW(0xde) X87_MEMORY_ROW(0xdf)
    }
    x87_leave(image);
}

/// A form that reads memory.
static inline void x87_load(
    CPUState *_Nonnull cpu, uint32_t code, const void *_Nonnull operand) {
    X87Image image;
    x87_memory(cpu, code, operand, &image);
    x87_commit(cpu, &image);
}

/// The tag FNSTENV gives a register that is not empty: 0 valid, 1 zero, 2 special.
static inline uint32_t x87_tag(const X87Register *_Nonnull value) {
    uint32_t exponent = value->signExponent & 0x7fff;
    if (exponent == 0) return value->significand == 0 ? 1 : 2;
    if (exponent == 0x7fff || !(value->significand >> 63)) return 2;
    return 0;
}

/// The 16-bit tag word.
static inline uint32_t x87_tag_word(const CPUState *_Nonnull cpu) {
    uint32_t tags = 0;
    for (uint32_t index = 0; index < 8; index++) {
        uint32_t tag = (cpu->x87Tags >> index) & 1 ? x87_tag(&cpu->st[index]) : 3;
        tags |= tag << (2 * index);
    }
    return tags;
}

#endif
