// What disks need of the host's files that Swift has no name for.
#ifndef MARTLET_HOSTDISKS_H
#define MARTLET_HOSTDISKS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/// The host's cache is not used. Its name O_DIRECT is behind _GNU_SOURCE.
static const int chost_O_DIRECT = __O_DIRECT;

/// fallocate(2)'s modes: the range reads as zeros, its blocks given back or kept.
static const int chost_PUNCH_HOLE = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
static const int chost_ZERO_RANGE = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;

/// Locks bytes of a file for its open file description (fcntl(2), F_OFD_SETLK); a length of 0 is to the
/// end and beyond. 0, or the errno.
static inline int chost_lock_file(int descriptor, int exclusive, int64_t start, int64_t length) {
    struct flock lock = {0};
    lock.l_type = exclusive ? F_WRLCK : F_RDLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = (off_t)start;
    lock.l_len = (off_t)length;
    // F_OFD_SETLK, whose name is behind _GNU_SOURCE.
    return fcntl(descriptor, 37, &lock) == 0 ? 0 : errno;
}

/// Whether somebody else holds a lock that a lock of ours would have to wait for (F_OFD_GETLK); a length of
/// 0 is to the end and beyond. False too where the host does not say. The file need not be writable.
static inline bool chost_is_locked(int descriptor, int exclusive, int64_t start, int64_t length) {
    struct flock lock = {0};
    lock.l_type = exclusive ? F_WRLCK : F_RDLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = (off_t)start;
    lock.l_len = (off_t)length;
    return fcntl(descriptor, 36, &lock) == 0 && lock.l_type != F_UNLCK;
}

/// Gives all locks of an open file description back.
static inline void chost_unlock_file(int descriptor) {
    struct flock lock = {0};
    lock.l_type = F_UNLCK;
    lock.l_whence = SEEK_SET;
    fcntl(descriptor, 37, &lock);
}

/// fallocate(2), behind _GNU_SOURCE. 0, or -errno.
static inline long chost_fallocate(int descriptor, int mode, uint64_t offset, uint64_t byteCount) {
    return syscall(SYS_fallocate, descriptor, mode, (off_t)offset, (off_t)byteCount) == 0 ? 0 : -errno;
}

/// preadv2(2) of what the page cache has: it does not wait for a device (RWF_NOWAIT, 8). A count, or -1.
static inline long chost_read_cached(
    int descriptor, const struct iovec *_Nonnull vectors, int count, uint64_t offset) {
    return syscall(SYS_preadv2, descriptor, vectors, count, (long)offset, 0L, 8);
}

/// Bytes of a block device; 0 if it does not say.
static inline uint64_t chost_device_byte_count(int descriptor) {
    uint64_t count = 0;
    return ioctl(descriptor, BLKGETSIZE64, &count) == 0 ? count : 0;
}

/// Bytes of a block device's logical sector; 512 if it does not say.
static inline int chost_device_sector_size(int descriptor) {
    int size = 0;
    return ioctl(descriptor, BLKSSZGET, &size) == 0 ? size : 512;
}

/// Tells a block device that nobody needs a range any more. 0, or -errno.
static inline long chost_device_discard(int descriptor, uint64_t offset, uint64_t byteCount) {
    uint64_t range[2] = {offset, byteCount};
    return ioctl(descriptor, BLKDISCARD, range) == 0 ? 0 : -errno;
}

/// The next byte of a file at or after `offset` that is data (`data` not 0) or hole. -errno; ENXIO: there
/// is none. lseek(2)'s SEEK_DATA is behind _GNU_SOURCE.
static inline int64_t chost_seek(int descriptor, int64_t offset, int data) {
    off_t result = lseek(descriptor, (off_t)offset, data ? 3 : 4);
    return result < 0 ? -(int64_t)errno : (int64_t)result;
}

#endif
