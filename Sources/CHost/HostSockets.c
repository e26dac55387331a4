#include "HostSockets.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

long chost_send_descriptors(
    int socket, const void *_Nonnull bytes, size_t count, const int *_Nullable descriptors, int descriptorCount) {
    union {
        char bytes[CMSG_SPACE(64 * sizeof(int))];
        struct cmsghdr header;
    } control;
    struct iovec vector = {(void *)bytes, count};
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    if (descriptorCount > chost_LARGEST_DESCRIPTOR_COUNT) {
        errno = EINVAL;
        return -1;
    }
    if (descriptorCount > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE((size_t)descriptorCount * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN((size_t)descriptorCount * sizeof(int));
        memcpy(CMSG_DATA(header), descriptors, (size_t)descriptorCount * sizeof(int));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL);
}

long chost_receive_descriptors(
    int socket, void *_Nonnull bytes, size_t count, int *_Nonnull descriptors, int *_Nonnull descriptorCount) {
    union {
        char bytes[CMSG_SPACE(64 * sizeof(int))];
        struct cmsghdr header;
    } control;
    struct iovec vector = {bytes, count};
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    *descriptorCount = 0;
    long result = recvmsg(socket, &message, 0x40000000 /* MSG_CMSG_CLOEXEC */);
    if (result < 0) return result;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        int found = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        if (found > chost_LARGEST_DESCRIPTOR_COUNT) found = chost_LARGEST_DESCRIPTOR_COUNT;
        memcpy(descriptors, CMSG_DATA(header), (size_t)found * sizeof(int));
        *descriptorCount = found;
    }
    return result;
}
