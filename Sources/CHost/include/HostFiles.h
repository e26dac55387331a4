// What to do with files that Swift has no name for.
#ifndef MARTLET_HOSTFILES_H
#define MARTLET_HOSTFILES_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/// Asks the host to read the first bytes of a file soon: posix_fadvise(2).
static inline void chost_read_ahead(int descriptor, size_t byteCount) {
    posix_fadvise(descriptor, 0, (off_t)byteCount, POSIX_FADV_WILLNEED);
}

/// Asks the host to begin writing bytes of a file to its disk, without waiting: sync_file_range(2) with
/// SYNC_FILE_RANGE_WRITE, whose name is behind _GNU_SOURCE.
static inline void chost_start_writing(int descriptor, int64_t offset, int64_t byteCount) {
    syscall(SYS_sync_file_range, descriptor, (long)offset, (long)byteCount, 2L);
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
