// Host interfaces that Swift cannot import by itself: macros, variadic calls, newer syscalls.
#ifndef MARTLET_CHOST_H
#define MARTLET_CHOST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>
#include <x86intrin.h>

/// The reason the last host call of this thread failed.
static inline int chost_errno(void) { return errno; }

/// An anonymous file that lives in memory. memfd_create(2) is behind _GNU_SOURCE.
static inline int chost_memfd_create(const char *name, unsigned int flags) {
    return memfd_create(name, flags);
}

/// The host's time-stamp counter.
static inline uint64_t chost_rdtsc(void) { return __rdtsc(); }

#endif
