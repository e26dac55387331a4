// Which build of the program this is.
#ifndef MARTLET_BUILDIDENTITY_H
#define MARTLET_BUILDIDENTITY_H

#include <stdint.h>

/// Bytes that another build does not have: the ELF build ID of the object that this function is in, or,
/// where the linker wrote none, a hash of its code and constants. Bytes that are not used are 0.
void chost_build_identity(uint8_t *_Nonnull identity);

enum { CHOST_BUILD_IDENTITY_SIZE = 32 };

#endif
