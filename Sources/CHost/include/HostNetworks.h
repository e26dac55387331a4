// TAP devices and UNIX sockets, in forms that Swift can call.
#ifndef MARTLET_HOSTNETWORKS_H
#define MARTLET_HOSTNETWORKS_H

#include <stdint.h>

/// The header before each frame of a TAP device: struct virtio_net_hdr of <linux/virtio_net.h>, in
/// the host's byte order.
struct chost_tap_header {
    uint8_t flags;
    uint8_t gso_type;
    uint16_t hdr_len;
    uint16_t gso_size;
    uint16_t csum_start;
    uint16_t csum_offset;
};

enum {
    CHOST_TAP_NEEDS_CSUM = 1,
    CHOST_TAP_DATA_VALID = 2,
    CHOST_TAP_GSO_TCPV4 = 1,
    CHOST_TAP_GSO_TCPV6 = 4,
    CHOST_TAP_GSO_ECN = 0x80,
};

/// Makes an open /dev/net/tun the TAP device `name`, whose frames have a `chost_tap_header`. 0, or the
/// errno.
int chost_tap_attach(int descriptor, const char *_Nonnull name);

/// What the host may leave to us in frames that it sends: TUNSETOFFLOAD. 0, or the errno.
int chost_tap_set_offload(int descriptor, int checksum, int tso4, int tso6);

/// The MTU of an interface in bytes; -1 if there is no such interface.
int chost_interface_mtu(const char *_Nonnull name);

/// 1: the interface is up; 0: it is down; -1: there is none.
int chost_interface_is_up(const char *_Nonnull name);

/// Turns an interface on. 0, or the errno.
int chost_interface_set_up(const char *_Nonnull name);

/// A stream socket of this path that others connect to, for its owner only, not blocking; or minus
/// the errno.
int chost_unix_listen(const char *_Nonnull path);

/// A stream socket connected to this path, not blocking; or minus the errno.
int chost_unix_connect(const char *_Nonnull path);

/// The next connection of a listening socket, not blocking; or minus the errno.
int chost_unix_accept(int descriptor);

/// send(2) that gives EPIPE in place of the signal. Bytes sent, or minus the errno.
long chost_send(int descriptor, const void *_Nonnull bytes, uint64_t byteCount);

#endif
