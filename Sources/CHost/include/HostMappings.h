// Pages at a second address.
#ifndef MARTLET_HOSTMAPPINGS_H
#define MARTLET_HOSTMAPPINGS_H

#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/// The kernel's MREMAP_MAYMOVE, whose name is behind _GNU_SOURCE.
static const int chost_MREMAP_MAYMOVE = 1;

/// Maps the pages of a shared mapping once more (mremap(2): an old size of 0). Null on failure, and
/// errno says why.
static inline void *_Nullable chost_map_again(void *_Nonnull pages, size_t byteCount) {
    long result = syscall(SYS_mremap, pages, (size_t)0, byteCount, chost_MREMAP_MAYMOVE, (void *)0);
    return result == -1 ? (void *)0 : (void *)result;
}

#endif
