#pragma once
#include <stdint.h>
#include <string.h>
#include <capstone.h>

/// One instruction as Capstone reads it; `length` 0 if it does not.
typedef struct ReferenceInstruction {
    int length;
    char mnemonic[CS_MNEMONIC_SIZE];
    char operands[160];
} ReferenceInstruction;

/// Opens a disassembler for 16, 32 or 64-bit code; 0 if that fails.
static inline size_t reference_open(int bits) {
    csh handle = 0;
    cs_mode mode = bits == 16 ? CS_MODE_16 : bits == 32 ? CS_MODE_32 : CS_MODE_64;
    return cs_open(CS_ARCH_X86, mode, &handle) == CS_ERR_OK ? handle : 0;
}

static inline void reference_close(size_t handle) {
    csh value = handle;
    cs_close(&value);
}

static inline void reference_read(
    size_t handle, const uint8_t *bytes, size_t count, uint64_t address,
    ReferenceInstruction *result) {
    cs_insn *instruction = NULL;
    result->length = 0;
    if (cs_disasm(handle, bytes, count, address, 1, &instruction) != 1) return;
    result->length = instruction->size;
    memcpy(result->mnemonic, instruction->mnemonic, sizeof result->mnemonic);
    memcpy(result->operands, instruction->op_str, sizeof result->operands);
    cs_free(instruction, 1);
}
