// Sleeping on and waking sleepers of a 32-bit word.
#ifndef MARTLET_FUTEX_H
#define MARTLET_FUTEX_H

#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/// Sleeps while the word is `expected`. May return without cause.
static inline void chost_futex_wait(const void *_Nonnull word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, (void *)0, (void *)0, 0);
}

/// Sleeps while the word is `expected`, at most `nanoseconds`; 0: as long as it takes. May return
/// without cause.
static inline void chost_futex_wait_for(
    const void *_Nonnull word, uint32_t expected, uint64_t nanoseconds) {
    struct timespec limit = {
        (time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u)};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, nanoseconds ? &limit : (void *)0,
        (void *)0, 0);
}

/// Wakes all sleepers.
static inline void chost_futex_wake_all(const void *_Nonnull word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, (void *)0, (void *)0, 0);
}

/// Wakes one sleeper.
static inline void chost_futex_wake(const void *_Nonnull word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, (void *)0, (void *)0, 0);
}

#endif
