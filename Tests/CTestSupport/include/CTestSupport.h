// Runs one user-mode instruction on the host from a given register state.
//
// A breakpoint trap enters the signal handler, which puts the wanted state into the context that the
// kernel returns to; the instruction, and the breakpoint or fault that follows it, come back the
// same way. No assembly is needed, and every register, the stack pointer too, can have any value.
#ifndef MARTLET_CTESTSUPPORT_H
#define MARTLET_CTESTSUPPORT_H

#include <stdint.h>

/// Registers in and out.
typedef struct NativeState {
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.
    uint64_t gpr[16];
    uint64_t rip;
    uint64_t rflags;
    /// Out: the exception that ended the run; 3 is the breakpoint after the instruction.
    uint64_t vector;
    uint8_t legacy[512];
} NativeState;

/// Signal handlers for this process and the signal stack of this thread.
void native_prepare(void);

/// The default handlers again, no signal stack.
void native_finish(void);

/// Runs from `state` until the first exception. One thread at a time, after `native_prepare`.
void native_run(NativeState *_Nonnull state);

/// Private zeroed memory at `address`; null when something is there already.
void *_Nullable native_map(uint64_t address, uint64_t size, int executable);

#endif
