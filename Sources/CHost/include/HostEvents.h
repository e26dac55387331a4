// epoll, eventfd, timerfd and thread calls in forms that Swift can call.
#ifndef MARTLET_HOSTEVENTS_H
#define MARTLET_HOSTEVENTS_H

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { CHOST_EVENT_BATCH = 64 };

static const uint32_t chost_EPOLLIN = EPOLLIN;
static const uint32_t chost_EPOLLOUT = EPOLLOUT;
static const uint32_t chost_EPOLLERR = EPOLLERR;
static const uint32_t chost_EPOLLHUP = EPOLLHUP;
static const uint32_t chost_EPOLLRDHUP = EPOLLRDHUP;
static const uint32_t chost_EPOLLET = EPOLLET;

static inline int chost_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

static inline int chost_epoll_add(int epoll, int descriptor, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

static inline int chost_epoll_modify(int epoll, int descriptor, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    return epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event);
}

static inline int chost_epoll_remove(int epoll, int descriptor) {
    return epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, (struct epoll_event *)0);
}

/// Waits for events; both arrays hold CHOST_EVENT_BATCH entries. The number filled, or -1.
static inline int chost_epoll_wait(
    int epoll, uint64_t *_Nonnull tokens, uint32_t *_Nonnull events, int milliseconds) {
    struct epoll_event batch[CHOST_EVENT_BATCH];
    int count = epoll_wait(epoll, batch, CHOST_EVENT_BATCH, milliseconds);
    for (int i = 0; i < count; i++) {
        tokens[i] = batch[i].data.u64;
        events[i] = batch[i].events;
    }
    return count;
}

static inline int chost_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

static inline int chost_timerfd_create(void) {
    return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
}

/// Sets the timer to a point of CLOCK_MONOTONIC in nanoseconds, or off for 0.
static inline int chost_timerfd_set(int descriptor, uint64_t nanoseconds) {
    struct itimerspec when = {{0, 0}, {0, 0}};
    when.it_value.tv_sec = (time_t)(nanoseconds / 1000000000u);
    when.it_value.tv_nsec = (long)(nanoseconds % 1000000000u);
    return timerfd_settime(descriptor, TFD_TIMER_ABSTIME, &when, (struct itimerspec *)0);
}

/// Names the calling thread; the kernel keeps 15 bytes.
static inline void chost_set_thread_name(const char *_Nonnull name) {
    prctl(PR_SET_NAME, name, 0, 0, 0);
}

/// The calling thread's name, into 16 bytes.
static inline void chost_get_thread_name(char *_Nonnull name) {
    prctl(PR_GET_NAME, name, 0, 0, 0);
}

/// The kernel's number of the calling thread.
static inline int chost_gettid(void) { return (int)syscall(SYS_gettid); }

/// Sets the nice value of the calling thread alone.
static inline int chost_set_thread_nice(int nice) {
    return setpriority(PRIO_PROCESS, (id_t)chost_gettid(), nice);
}

/// The processors that the calling thread may use, a bit for each, into `byteCount` bytes that are
/// zero. The number of bytes that the kernel filled, or -1. sched_getaffinity(2) is behind _GNU_SOURCE.
static inline long chost_get_affinity(void *_Nonnull set, uint64_t byteCount) {
    return syscall(SYS_sched_getaffinity, 0, byteCount, set);
}

/// Ties the calling thread to the processors of the set.
static inline long chost_set_affinity(const void *_Nonnull set, uint64_t byteCount) {
    return syscall(SYS_sched_setaffinity, 0, byteCount, set);
}

#endif
