// Instructions that run in host registers of their own choice: "cores", made from the instruction
// table. A frame is loaded into the registers, the core runs, the registers go back to the frame.
//
// They are the host's instructions, so a host that lacks one must not offer it to a guest. The
// vector entry itself needs AVX.
#ifndef MARTLET_CORES_H
#define MARTLET_CORES_H

#include "CPUState.h"
#include <stddef.h>

_Static_assert(offsetof(CoreFrame, rax) == 128, "CoreEntry.S");
_Static_assert(offsetof(CoreFrame, rsi) == 152, "CoreEntry.S");
_Static_assert(offsetof(CoreFrame, flags) == 160, "CoreEntry.S");

/// Runs core `number` with the vector registers, RAX, RDX and RSI of `frame`.
void engine_core_vector(CoreFrame *_Nonnull frame, uint64_t number);
/// Runs core `number` with the general-purpose registers and flags of `frame`.
void engine_core_general(CoreFrame *_Nonnull frame, uint64_t number);

#endif
