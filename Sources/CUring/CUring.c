// liburing.h defines _GNU_SOURCE, with which Swift's module of the C library cannot live: it stays here.
#include "CUring.h"

#include <liburing.h>
#include <stdlib.h>

/// What a ring must be able to do: every operation that disks use; completions that do not fit are kept
/// (Linux 5.5); waiting with a time limit takes no entry of the submission queue (5.11).
static int is_sufficient(struct io_uring *ring) {
    static const int operations[] = {
        IORING_OP_NOP, IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE};
    if (!(ring->features & IORING_FEAT_NODROP) || !(ring->features & IORING_FEAT_EXT_ARG)) return 0;
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    if (!probe) return 0;
    int all = 1;
    for (unsigned i = 0; i < sizeof operations / sizeof *operations; i++)
        all &= io_uring_opcode_supported(probe, operations[i]);
    io_uring_free_probe(probe);
    return all;
}

struct io_uring *curing_create(unsigned entries, int *error) {
    struct io_uring *ring = calloc(1, sizeof *ring);
    if (!ring) {
        *error = ENOMEM;
        return NULL;
    }
    int result = io_uring_queue_init(entries, ring, 0);
    if (result < 0) {
        *error = -result;
        free(ring);
        return NULL;
    }
    if (!is_sufficient(ring)) {
        curing_destroy(ring);
        *error = EOPNOTSUPP;
        return NULL;
    }
    return ring;
}

void curing_destroy(struct io_uring *ring) {
    io_uring_queue_exit(ring);
    free(ring);
}

int curing_prepare(
    struct io_uring *ring, int kind, int descriptor, const struct iovec *vectors, uint64_t argument,
    uint64_t offset, int mode, uint64_t token) {
    struct io_uring_sqe *entry = io_uring_get_sqe(ring);
    if (!entry) return -EBUSY;
    switch (kind) {
    case CURING_READ:
        io_uring_prep_readv(entry, descriptor, vectors, (unsigned)argument, offset);
        break;
    case CURING_WRITE:
        io_uring_prep_writev(entry, descriptor, vectors, (unsigned)argument, offset);
        break;
    case CURING_SYNC: io_uring_prep_fsync(entry, descriptor, IORING_FSYNC_DATASYNC); break;
    case CURING_ALLOCATE:
        io_uring_prep_fallocate(entry, descriptor, mode, (off_t)offset, (off_t)argument);
        break;
    default: io_uring_prep_nop(entry); break;
    }
    entry->user_data = token;
    return 0;
}

int curing_submit(struct io_uring *ring) { return io_uring_submit(ring); }

int curing_wait(struct io_uring *ring, int64_t nanoseconds) {
    struct io_uring_cqe *entry = NULL;
    if (nanoseconds < 0) return io_uring_wait_cqe(ring, &entry);
    struct __kernel_timespec limit = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    return io_uring_wait_cqe_timeout(ring, &entry, &limit);
}

unsigned curing_take(struct io_uring *ring, uint64_t *tokens, int32_t *results) {
    struct io_uring_cqe *batch[CURING_BATCH];
    unsigned count = io_uring_peek_batch_cqe(ring, batch, CURING_BATCH);
    for (unsigned i = 0; i < count; i++) {
        tokens[i] = batch[i]->user_data;
        results[i] = batch[i]->res;
    }
    io_uring_cq_advance(ring, count);
    return count;
}
