// Runs user-mode code on the host from a given register state, in 64-, 32- or 16-bit mode.
//
// IRETQ enters: user code may use it to load RIP, CS, RFLAGS, RSP and SS at once. Whatever exception
// ends the run comes back as a signal. Straight 64-bit code may instead end with a jump to
// `native_exit_address`, which costs a tenth of a signal.
#ifndef MARTLET_CTESTSUPPORT_H
#define MARTLET_CTESTSUPPORT_H

#include <stdint.h>

#include "NetworkNamespace.h"

/// Registers in and out.
typedef struct NativeState {
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.
    uint64_t gpr[16];
    uint64_t rip;
    uint64_t rflags;
    /// In: selectors of the code, of the stack, of DS and ES.
    uint64_t cs, ss, ds;
    /// Out: the exception that ended the run; 3 is the breakpoint after the code.
    uint64_t vector;
    /// Out: its error code and, of a page fault, CR2.
    uint64_t errorCode, address;
    uint64_t reserved[2];
    /// The FXSAVE image; 416 bytes are used.
    uint8_t legacy[512] __attribute__((aligned(16)));
    /// Bits 128 to 255 of the vector registers, where the host has AVX.
    uint8_t upper[256];
} NativeState;

enum {
    /// `NativeState.vector` of code that did not end.
    NATIVE_ENDLESS = 0xff,
};

/// Signal handlers for this process and the signal stack of this thread.
void native_prepare(void);

/// The default handlers again, no signal stack.
void native_finish(void);

/// Runs from `state` until the first exception. One thread at a time, after `native_prepare`.
void native_run(NativeState *_Nonnull state);

/// Where straight 64-bit code may jump when it is done.
uint64_t native_exit_address(void);

/// A page for the frame of IRETQ, below 4 GiB; its upper half stays in ESP of 16-bit stacks.
int native_set_frame(uint64_t address);

/// Private zeroed memory at `address`; null when something is there already.
void *_Nullable native_map(uint64_t address, uint64_t size);

/// One page that can be executed at `address` and written through the result.
void *_Nullable native_map_code(uint64_t address, uint64_t size);

/// A 16-bit segment in the local descriptor table; zero: the host's kernel does not allow it.
int native_set_segment(uint32_t entry, uint32_t base, uint32_t limit, int code);

/// The base of GS.
void native_set_gs_base(uint64_t base);

#endif
