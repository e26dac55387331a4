// Host interfaces that Swift cannot import by itself: macros, variadic calls, newer syscalls.
#ifndef MARTLET_CHOST_H
#define MARTLET_CHOST_H

// No _GNU_SOURCE here: Swift's module of the C library is built without it, and a type that the two
// spell differently (fd_set) makes the import fail. What is behind it goes through syscall(2).
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/types.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "BuildIdentity.h"
#include "Futex.h"
#include "HostAtomics.h"
#include "HostDisks.h"
#include "HostEvents.h"
#include "HostFiles.h"
#include "HostMappings.h"
#include "HostNetworks.h"
#include "HostProbe.h"
#include "HostSockets.h"
#include "HostThreads.h"

/// The reason the last host call of this thread failed.
static inline int chost_errno(void) { return errno; }

/// An anonymous file that lives in memory. memfd_create(2) is behind _GNU_SOURCE.
static inline int chost_memfd_create(const char *name, unsigned int flags) {
    return (int)syscall(SYS_memfd_create, name, flags);
}

/// Closed on exec; the kernel's value, whose name is behind _GNU_SOURCE too.
static const unsigned int chost_MFD_CLOEXEC = 1;
static const unsigned int chost_MFD_ALLOW_SEALING = 2;

/// Has a file of memfd_create(2) never change again, in size or content: F_ADD_SEALS with SEAL_SHRINK, SEAL_GROW and
/// SEAL_WRITE, whose names are behind _GNU_SOURCE. Not while somebody has it mapped shared and writable.
static inline int chost_seal(int descriptor) { return (int)syscall(SYS_fcntl, descriptor, 1033, 0xe); }

/// Bytes of memory and swap that the host has in all; 0 if it does not say.
static inline uint64_t chost_memory_total(void) {
    struct sysinfo host;
    if (sysinfo(&host) != 0) return 0;
    return ((uint64_t)host.totalram + host.totalswap) * host.mem_unit;
}

/// Gives back to the host what the allocator keeps of freed memory.
static inline void chost_return_free_memory(void) { malloc_trim(0); }

/// The host's time-stamp counter.
static inline uint64_t chost_rdtsc(void) { return __builtin_ia32_rdtsc(); }

#endif
