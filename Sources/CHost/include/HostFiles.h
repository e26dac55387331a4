// What to do with files that Swift has no name for.
#ifndef MARTLET_HOSTFILES_H
#define MARTLET_HOSTFILES_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

/// Asks the host to read the first bytes of a file soon: posix_fadvise(2).
static inline void chost_read_ahead(int descriptor, size_t byteCount) {
    posix_fadvise(descriptor, 0, (off_t)byteCount, POSIX_FADV_WILLNEED);
}

/// Sets the times of a file to now: futimens(3).
static inline void chost_touch(int descriptor) { futimens(descriptor, (void *)0); }

/// The host's wall clock in nanoseconds.
static inline uint64_t chost_wall_clock(void) {
    struct timespec time = {0, 0};
    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/// When a file was last written or used, in seconds.
static inline int64_t chost_modification_seconds(const struct stat *_Nonnull information) {
    return information->st_mtim.tv_sec;
}

#endif
