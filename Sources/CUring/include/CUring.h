// liburing in forms that Swift can call: its own are inline functions, in a header that needs
// _GNU_SOURCE.
#ifndef MARTLET_CURING_H
#define MARTLET_CURING_H

#include <stdint.h>
#include <sys/uio.h>

struct io_uring;

/// A ring of `entries` submissions, closed on exec. Null if the host does not offer what is needed; then
/// `error` is the errno, EOPNOTSUPP for a kernel that is too old.
struct io_uring *_Nullable curing_create(unsigned entries, int *_Nonnull error);

void curing_destroy(struct io_uring *_Nonnull ring);

enum { CURING_NOP, CURING_READ, CURING_WRITE, CURING_SYNC, CURING_ALLOCATE };

/// Puts an operation in the submission queue; nobody else may be doing so. `mode` is fallocate(2)'s,
/// `argument` the byte count of CURING_ALLOCATE and the number of vectors of reads and writes. 0, or
/// -EBUSY if there is no room.
int curing_prepare(
    struct io_uring *_Nonnull ring, int kind, int descriptor, const struct iovec *_Nullable vectors,
    uint64_t argument, uint64_t offset, int mode, uint64_t token);

/// Hands what is in the submission queue to the kernel; nobody else may be doing so. The number handed
/// over, or -errno: then it is still there.
int curing_submit(struct io_uring *_Nonnull ring);

/// Waits for a completion, at most `nanoseconds` unless they are negative. 0 or -errno.
int curing_wait(struct io_uring *_Nonnull ring, int64_t nanoseconds);

enum { CURING_BATCH = 64 };

/// Takes completions, without waiting; both arrays hold CURING_BATCH entries. The number taken. One
/// thread waits and takes.
unsigned curing_take(
    struct io_uring *_Nonnull ring, uint64_t *_Nonnull tokens, int32_t *_Nonnull results);

#endif
