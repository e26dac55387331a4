// Open files that go from one process to another by a UNIX socket (unix(7), SCM_RIGHTS).
#ifndef MARTLET_HOSTSOCKETS_H
#define MARTLET_HOSTSOCKETS_H

#include <stddef.h>

/// Files that one message takes at most.
static const int chost_LARGEST_DESCRIPTOR_COUNT = 64;

/// Sends bytes with copies of open files. How many bytes were taken, or -1 and errno.
long chost_send_descriptors(
    int socket, const void *_Nonnull bytes, size_t count, const int *_Nullable descriptors, int descriptorCount);

/// Receives bytes, and open files that come with them: `descriptors` has room for 64, which are closed on exec. How many
/// bytes came, or -1 and errno.
long chost_receive_descriptors(
    int socket, void *_Nonnull bytes, size_t count, int *_Nonnull descriptors, int *_Nonnull descriptorCount);

#endif
