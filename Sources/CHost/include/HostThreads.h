// Scheduling classes and timed sleeps of threads, in forms that Swift can call.
#ifndef MARTLET_HOSTTHREADS_H
#define MARTLET_HOSTTHREADS_H

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/// Sleeps while the word is `expected`, until a point of CLOCK_MONOTONIC in nanoseconds at most. May
/// return without cause. (FUTEX_WAIT_BITSET takes an absolute time, FUTEX_WAIT does not.)
static inline void chost_futex_wait_until(
    const void *_Nonnull word, uint32_t expected, uint64_t nanoseconds) {
    struct timespec when;
    when.tv_sec = (time_t)(nanoseconds / 1000000000u);
    when.tv_nsec = (long)(nanoseconds % 1000000000u);
    syscall(
        SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, &when, (void *)0,
        FUTEX_BITSET_MATCH_ANY);
}

/// Puts the calling thread into the real-time class, first in first out, at 1 (last) to 99. What it
/// starts afterwards is not in it. 0, or the errno.
static inline int chost_set_thread_realtime(int priority) {
    struct sched_param parameters = {.sched_priority = priority};
    // SCHED_RESET_ON_FORK, whose name is behind _GNU_SOURCE.
    int policy = SCHED_FIFO | 0x40000000;
    return sched_setscheduler(0, policy, &parameters) == 0 ? 0 : errno;
}

/// The real-time priority of the calling thread; 0: it is in no real-time class.
static inline int chost_thread_realtime(void) {
    struct sched_param parameters = {0};
    int policy = sched_getscheduler(0) & ~0x40000000;
    if (policy != SCHED_FIFO && policy != SCHED_RR) return 0;
    return sched_getparam(0, &parameters) == 0 ? parameters.sched_priority : 0;
}

/// Lets timed sleeps of the calling thread end when they are due, and not up to 50 microseconds later
/// (prctl(2), PR_SET_TIMERSLACK).
static inline void chost_set_exact_timers(void) { prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); }

/// Before the first `chost_serialize_threads` of the process. False: the host does not offer it.
static inline int chost_can_serialize_threads(void) {
    return syscall(
               SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) == 0;
}

/// Every thread of the process that runs has executed a serializing instruction (SDM volume 3, 9.3)
/// when this returns: none of them goes on with code that was replaced before.
static inline void chost_serialize_threads(void) {
    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
}

/// POSIX_SPAWN_SETSID, whose name is behind _GNU_SOURCE.
static const short chost_SPAWN_SETSID = 0x80;

#endif
